//! Bytes, which are promised; and times, which are only measured: processor time, and time on the clock as an upper
//! bound, for a machine that does other things too.

use std::path::Path;
use std::time::Instant;

use weighbridge::store::{Retention, Settings, Store};
use weighbridge::terms::{Attempt, Catalog, RunId, Subject};

use super::make::{finding, model_reading, settings};
use crate::util::Daemon;

const TENSORS: usize = 148;
/// As many as a tensor has values: 148 times 48 are 7,104 samples.
const METRICS: [&str; 48] = [
    "m00", "m01", "m02", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11", "m12", "m13", "m14",
    "m15", "m16", "m17", "m18", "m19", "m20", "m21", "m22", "m23", "m24", "m25", "m26", "m27", "m28", "m29",
    "m30", "m31", "m32", "m33", "m34", "m35", "m36", "m37", "m38", "m39", "m40", "m41", "m42", "m43", "m44",
    "m45", "m46", "m47",
];
/// Times that a series is read, for one figure.
const READS: u32 = 20;
const KB: u64 = 1000;
const MB: u64 = 1_000_000;

fn fill(store: &Store, checkpoints: u64) -> f64 {
    let mut seconds = 0.0;
    for step in 1..=checkpoints {
        let reading = model_reading("gpt2", step * 100, TENSORS, &METRICS, 1024);
        let findings =
            if step == checkpoints / 2 { vec![finding("gpt2", step * 100, "f")] } else { Vec::new() };
        let begun = Instant::now();
        store.commit(&reading, &findings, &[7; 4000]).unwrap();
        seconds += begun.elapsed().as_secs_f64();
    }
    seconds
}

#[test]
fn a_checkpoint_of_148_tensors_takes_no_more_than_is_promised() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &Catalog::new([]), &settings()).unwrap();
    fill(&store, 12);
    let stats = store.stats().unwrap();
    let run = &stats.runs[0];
    assert_eq!(run.samples, 12 * (TENSORS as u64 * 48 + 1));
    // Samples lie in database and journal.
    assert!(2 * run.samples_bytes / 12 <= 120 * KB, "{run:?}");
    assert!(run.sketches_bytes / 12 <= 700 * KB, "{run:?}");
    assert!(run.quantiles_bytes / 12 <= 80 * KB, "{run:?}");
    // 500 of them within 450 MB; a database begins with half a megabyte that is empty.
    assert!((stats.disk_bytes - MB) / 12 * 500 <= 450 * MB, "{stats:?}");
}

/// `cargo test --release --test main store::sizes -- --ignored --nocapture`
#[test]
#[ignore = "measures for docs/store.md: half a minute, 800 MB"]
#[allow(clippy::print_stdout)]
fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let open = |settings: &Settings| Store::open(dir.path(), &Catalog::new([]), settings).unwrap();
    let store = open(&settings());
    let seconds = fill(&store, 500);
    let stats = store.stats().unwrap();
    println!("500 commits: {:.1} ms each, {} MB on disk", seconds * 2.0, stats.disk_bytes / MB);
    println!("{stats:#?}");
    let reopened = |what: &str, store: Store| {
        drop(store);
        let (begun, spent) = (Instant::now(), processor_seconds("self"));
        let store = open(&settings());
        let spent = processor_seconds("self") - spent;
        println!("open, {what}: {:.3} s, processor {spent:.2} s", begun.elapsed().as_secs_f64());
        store
    };
    let store = reopened("500 checkpoints", store);
    let run = RunId::new("gpt2");
    for step in 501..=1000 {
        store.commit(&model_reading("gpt2", step * 100, TENSORS, &METRICS, 0), &[], b"").unwrap();
    }
    let store = reopened("1,000 checkpoints", store);
    let (begun, spent) = (Instant::now(), processor_seconds("self"));
    for round in 1..=READS {
        let series = store.series(&run, "m02", &|subject| matches!(subject, Subject::Tensor(_))).unwrap();
        let points: usize = series.iter().map(|series| series.points.len()).sum();
        if round == READS {
            let each = |seconds: f64| seconds * 1e3 / f64::from(READS);
            let spent = each(processor_seconds("self") - spent);
            let clock = each(begun.elapsed().as_secs_f64());
            println!(
                "series, {} tensors, {points} points: {clock:.1} ms, processor {spent:.1} ms",
                series.len()
            );
        }
    }
    let begun = Instant::now();
    store.history(&run, Attempt(0), 128).unwrap();
    println!("history of 128: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    store.memory().sketches(&store.keys(&run)[0]).unwrap();
    println!("sketches of one checkpoint: {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    let begun = Instant::now();
    assert!(store.verify().unwrap().damage.is_empty());
    println!("verify: {:.1} s", begun.elapsed().as_secs_f64());
    drop(store);
    start_daemon(dir.path());
    let begun = Instant::now();
    std::fs::remove_dir_all(dir.path().join("db")).unwrap();
    let store = open(&settings());
    println!("database made again from the journal: {:.1} s", begun.elapsed().as_secs_f64());
    drop(store);
    let store = open(&Settings { retention: Retention::small(), ..settings() });
    let begun = Instant::now();
    let told = store.compact().unwrap();
    println!("small, with 1,000 checkpoints: {told:?} in {:.1} s", begun.elapsed().as_secs_f64());
}

/// `cargo test --release --test main store::sizes::measure_small -- --ignored --nocapture`
#[test]
#[ignore = "measures for docs/store.md"]
#[allow(clippy::print_stdout)]
fn measure_small() {
    let dir = tempfile::tempdir().unwrap();
    let small = Settings { retention: Retention::small(), ..settings() };
    let store = Store::open(dir.path(), &Catalog::new([]), &small).unwrap();
    fill(&store, 500);
    println!("500 checkpoints, thinned while written: {} MB", store.stats().unwrap().disk_bytes / MB);
    println!("compacted: {:?}", store.compact().unwrap());
    println!("{:#?}", store.stats().unwrap());
}

/// Starts the real daemon on the store, and says what that took until it listened.
#[allow(clippy::print_stdout)]
fn start_daemon(store: &Path) {
    let runs = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let daemon = Daemon::watch(runs.path(), store);
    let clock = begun.elapsed().as_secs_f64();
    let id = daemon.id().to_string();
    let spent = processor_seconds(&id);
    println!(
        "daemon, start to listening: {clock:.2} s, processor {spent:.2} s, memory {} MB at most",
        peak_mb(&id)
    );
}

/// User and system time of a process so far, in hundredths.
fn processor_seconds(id: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    // Behind the name, which may hold blanks: the state, and user and system time as the 12th and 13th of the rest.
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let seconds = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    seconds(11) + seconds(12)
}

/// Highest resident memory of a process so far.
fn peak_mb(id: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1000
}
