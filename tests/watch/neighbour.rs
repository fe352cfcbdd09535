//! What the training job on the same machine has in memory stays there.

use std::path::PathBuf;

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

/// Puts the file on the disk, as only such pages can be dropped, and out of memory where it is to be `cold`.
fn settle(file: &Path, cold: bool) {
    let file = std::fs::File::open(file).unwrap();
    file.sync_all().unwrap();
    if cold {
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    }
}

/// Saves a checkpoint of 4 MB, settles it, and only then moves it to where it is seen. Returns the file of its weights.
fn save(run: &mut TrainingRun, step: u64, cold: bool, directory: &Path) -> PathBuf {
    let values = (0..1 << 20).map(|at| ((at + step) * 31 % 1009) as f32 * 1e-4).collect();
    run.weights.insert("large.weight".into(), (vec![1024, 1024], values));
    let saved = run.save(step);
    settle(&saved.join("model.safetensors"), cold);
    let moved = directory.join(saved.file_name().unwrap());
    std::fs::create_dir_all(directory).unwrap();
    std::fs::rename(saved, &moved).unwrap();
    moved.join("model.safetensors")
}

/// Waits until all of the file is in memory, or nothing of it.
fn wait_for_pages(file: &Path, all: bool, case: &str) {
    let bytes = std::fs::metadata(file).unwrap().len();
    let left = if all { bytes.next_multiple_of(4096) } else { 0 };
    wait_for(&format!("{left} bytes of {} in memory: {case}", file.display()), || {
        (resident(file)?.next_multiple_of(4096) == left).then_some(())
    });
}

/// Cold or as the job left it in memory: the cache is as it was. The one before is handed back, as nobody needs it any
/// more. The sick twin is `spare_page_cache: false`: there everything stays in memory.
#[test]
fn the_page_cache_is_left_as_it_was_found() {
    // Not in /tmp, which may be a file system that is nothing but page cache.
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let data = root.path().join("data.bin");
    std::fs::write(&data, vec![7; DATA_BYTES as usize]).unwrap();
    settle(&data, false);
    let Some(before) = resident(&data) else { return };
    assert_eq!(before, DATA_BYTES);
    for (spares, cold) in [(true, true), (true, false), (false, true)] {
        let case = format!("spare_page_cache: {spares}, cold: {cold}");
        let place = root.path().join(format!("{spares}-{cold}"));
        let (runs, config) = (place.join("runs"), place.join("config.yaml"));
        let mut run = TrainingRun::new(&place.join("unseen"), "a", 1);
        std::fs::create_dir_all(&runs).unwrap();
        std::fs::write(&config, format!("weigh: {{tier: 1, spare_page_cache: {spares}}}\n")).unwrap();
        let daemon = Daemon::start(&[&runs], &place.join("store"), &["--config", text(&config)]);
        let first = save(&mut run, 10, cold, &runs.join("a"));
        wait_for_total(&daemon, "a", 1);
        wait_for_pages(&first, !spares || !cold, &case);
        let second = save(&mut run, 20, cold, &runs.join("a"));
        wait_for_total(&daemon, "a", 2);
        wait_for_pages(&second, !spares || !cold, &case);
        wait_for_pages(&first, !spares, &case);
        assert_eq!(resident(&data), Some(before), "the job's data: {case}");
    }
}

/// A command by hand leaves the checkpoint where it was: it is often asked for twice.
#[test]
fn a_command_by_hand_leaves_the_page_cache_alone() {
    let root = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut run = TrainingRun::new(&root.path().join("unseen"), "a", 1);
    let file = save(&mut run, 10, false, root.path());
    let Some(cached) = resident(&file) else { return };
    let command = std::process::Command::new(binary())
        .args(["inspect", text(&file), "--tier", "1", "--format", "json"])
        .output();
    assert!(command.unwrap().status.success());
    assert_eq!(resident(&file), Some(cached));
}
