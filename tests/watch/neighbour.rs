//! What the training job on the same machine has in memory stays there.

use super::*;
use crate::util::daemon::binary;
use crate::util::{TrainingRun, wait_for};

const DATA_BYTES: u64 = 32 << 20;

/// Bytes of the file that are in the system's page cache. None, and a line that says so, without `fincore`.
#[allow(clippy::print_stdout)]
fn resident(file: &Path) -> Option<u64> {
    let command = ["--bytes", "--noheadings", "--output", "RES"];
    match std::process::Command::new("fincore").args(command).arg(file).output() {
        Ok(output) => String::from_utf8(output.stdout).unwrap().trim().parse().ok(),
        Err(error) => {
            println!("fincore (util-linux): {error}: nothing was tested");
            None
        }
    }
}

/// Only pages that are on disk already can be dropped.
fn sync(file: &Path) {
    std::fs::File::open(file).unwrap().sync_all().unwrap();
}

/// The sick twin is `spare_page_cache: false`: there the checkpoint stays in memory.
#[test]
fn a_weighed_checkpoint_leaves_the_page_cache_and_the_job_s_data_stays() {
    // Not in /tmp, which may be a file system that is nothing but page cache.
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = root.path().join("data.bin");
    std::fs::write(&data, vec![7; DATA_BYTES as usize]).unwrap();
    sync(&data);
    let Some(before) = resident(&data) else { return };
    assert_eq!(before, DATA_BYTES);
    for spares in [true, false] {
        let place = root.path().join(spares.to_string());
        let (runs, config) = (place.join("runs"), place.join("config.yaml"));
        let mut run = TrainingRun::new(&runs, "a", 1);
        let values = (0..4 << 20).map(|at| (at * 31 % 1009) as f32 * 1e-4).collect();
        run.weights.insert("large.weight".into(), (vec![2048, 2048], values));
        let file = run.save(10).join("model.safetensors");
        sync(&file);
        let cached = resident(&file);
        let by_hand = std::process::Command::new(binary())
            .args(["inspect", text(&file), "--tier", "1", "--format", "json"])
            .output();
        assert!(by_hand.unwrap().status.success());
        assert_eq!(resident(&file), cached, "a command by hand leaves the checkpoint where it was");
        std::fs::write(&config, format!("weigh: {{tier: 1, spare_page_cache: {spares}}}\n")).unwrap();
        let daemon = Daemon::start(&[&runs], &place.join("store"), &["--config", text(&config)]);
        wait_for_total(&daemon, "a", 1);
        let bytes = std::fs::metadata(&file).unwrap().len();
        let left = if spares { 0 } else { bytes.next_multiple_of(4096) };
        wait_for(&format!("{left} bytes in memory with spare_page_cache: {spares}"), || {
            (resident(&file)?.next_multiple_of(4096) == left).then_some(())
        });
        assert_eq!(resident(&data), Some(before), "the job's data");
    }
}
