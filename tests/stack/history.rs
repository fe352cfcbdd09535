//! A stored past with its true times, back-filled into a real Prometheus.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::util::daemon::binary;
use crate::util::metric;
use crate::util::servers::{Prometheus, promtool};

use super::{MATRIX, Place};

/// Dates the files of a checkpoint back: Prometheus tells times apart by milliseconds, and tests write faster.
fn written_at(checkpoint: &Path, seconds_ago: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds_ago);
    for entry in std::fs::read_dir(checkpoint).unwrap() {
        std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap().set_modified(time).unwrap();
    }
}

#[test]
fn a_past_can_be_back_filled() {
    let place = Place::new();
    let mut run = place.run();
    for step in [10, 20, 30] {
        written_at(&run.save(step), 600 - 10 * step);
    }
    let daemon = place.daemon(&[]);
    // The newest is shown first, before the backlog is stored: so the count is what to wait for.
    daemon.wait_for("three readings", |scrape| {
        metric("checkpoints_total").of(scrape).filter(|&count| count == 3.0)
    });
    assert!(daemon.terminate().success());

    let history = |format: &str| {
        let arguments = ["--metric", "rms", "--tensor", MATRIX, "--format", format];
        let output = Command::new(binary())
            .args(["history", "--store"])
            .arg(place.path().join("store"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = place.file("history.txt", &history("openmetrics"));
    let blocks = place.path().join("prometheus-data");
    let output =
        promtool(&["tsdb", "create-blocks-from", "openmetrics", &text, &blocks.to_string_lossy()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let prometheus = Prometheus::start(place.path(), "global: {}\n", &["--storage.tsdb.retention.time=100y"]);
    let samples: Vec<(f64, f64)> = std::fs::read_to_string(&text)
        .unwrap()
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let mut words = line.rsplit(' ');
            let (time, value) = (words.next().unwrap(), words.next().unwrap());
            (time.parse().unwrap(), value.parse().unwrap())
        })
        .collect();
    assert_eq!(samples.len(), 3);
    for (time, value) in samples {
        let query = format!("weighbridge_tensor_rms{{run=\"toy\",tensor=\"{MATRIX}\"}}");
        let found = prometheus.query_at(&query, Some(time + 0.001));
        assert_eq!(found.len(), 1, "at {time}");
        assert_eq!(found[0].1, value, "at {time}");
    }
}
