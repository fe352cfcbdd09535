//! Bytes, which are promised; and times, which are only measured.

use std::time::Instant;

use weighbridge::store::{Retention, Settings, Store};
use weighbridge::terms::{Attempt, Catalog, RunId, Subject};

use super::make::{finding, model_reading, settings};

const TENSORS: usize = 148;
/// As many as a tensor has values: 148 times 48 are 7,104 samples.
const METRICS: [&str; 48] = [
    "m00", "m01", "m02", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11", "m12", "m13", "m14",
    "m15", "m16", "m17", "m18", "m19", "m20", "m21", "m22", "m23", "m24", "m25", "m26", "m27", "m28", "m29",
    "m30", "m31", "m32", "m33", "m34", "m35", "m36", "m37", "m38", "m39", "m40", "m41", "m42", "m43", "m44",
    "m45", "m46", "m47",
];
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
        let begun = Instant::now();
        let store = open(&settings());
        println!("open, {what}: {:.3} s, peak memory {} MB", begun.elapsed().as_secs_f64(), peak_mb());
        store
    };
    let store = reopened("500 checkpoints", store);
    let run = RunId::new("gpt2");
    for step in 501..=1000 {
        store.commit(&model_reading("gpt2", step * 100, TENSORS, &METRICS, 0), &[], b"").unwrap();
    }
    let store = reopened("1,000 checkpoints", store);
    for _ in 0..3 {
        let begun = Instant::now();
        let series = store.series(&run, "m02", &|subject| matches!(subject, Subject::Tensor(_))).unwrap();
        let points: usize = series.iter().map(|series| series.points.len()).sum();
        println!(
            "series, {} tensors, {points} points: {:.1} ms",
            series.len(),
            begun.elapsed().as_secs_f64() * 1e3
        );
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

/// Highest resident memory of this process so far.
fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1000
}
