//! Readings pushed into a real Prometheus with its receiver on, and into TensorBoard's files.

use std::time::Duration;

use crate::util::servers::Prometheus;
use crate::util::{metric, wait_for};

use super::{MATRIX, Place};

#[test]
fn readings_are_pushed_with_their_own_times_and_resume_after_downtime() {
    let place = Place::new();
    let mut run = place.run();
    run.save(10);
    let flags = ["--web.enable-remote-write-receiver"];
    let prometheus = Prometheus::start(place.path(), "global: {}\n", &flags);
    let events = place.path().join("events");
    let config = place.file(
        "weighbridge.yml",
        &format!(
            "export:\n  targets:\n  - {{name: prom, kind: remote_write, url: '{}/api/v1/write'}}\n\
             \x20 - {{name: board, kind: tensorboard, directory: '{}'}}\n",
            prometheus.server.url,
            events.display(),
        ),
    );
    let query = format!("weighbridge_tensor_rms{{job=\"weighbridge\",run=\"toy\",tensor=\"{MATRIX}\"}}");
    let pushed = |count: usize| {
        wait_for(&format!("{count} pushed readings"), || {
            let samples = prometheus.value(&format!("count_over_time({query}[1h])"));
            samples.filter(|&samples| samples == count as f64)
        })
    };
    let daemon = place.daemon(&["--config", &config]);
    pushed(1);
    let scrape = daemon.scrape();
    let label = metric("tensor_rms").label("tensor", MATRIX);
    assert_eq!(prometheus.value(&query), label.of(&scrape), "equal to the gauge");
    let written = metric("checkpoint_timestamp_seconds").of(&scrape).unwrap();
    let stamp = prometheus.value(&format!("timestamp({query})")).unwrap();
    assert!((stamp - written).abs() < 0.002, "the checkpoint's own time: {stamp} and {written}");

    // Weighed while nothing can be pushed: made up for later, each once.
    daemon.kill();
    run.save(20);
    // File times move in steps of the kernel's clock: two checkpoints of one time would be one sample.
    std::thread::sleep(Duration::from_millis(50));
    run.save(30);
    let daemon = place.daemon(&["--config", &config]);
    pushed(3);
    assert!(metric("remote_write_samples_total").of(&daemon.scrape()).is_some_and(|samples| samples > 100.0));
    let file = events.join("toy/events.out.tfevents.weighbridge");
    wait_for("the event file", || std::fs::metadata(&file).ok().filter(|meta| meta.len() > 10_000));
}
