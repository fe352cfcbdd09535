//! The last good checkpoint outlives the trainer's rotation.

use super::*;
use crate::util::{Tmpfs, TrainingRun, wait_for};

#[test]
fn rotation_deletes_the_original_and_the_kept_one_stays() {
    let place = Place::new();
    let kept = place.store.with_file_name("kept");
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let mut good = std::path::PathBuf::new();
    let daemon = place.watch_with(&format!("last_good:\n  directory: {}\n", kept.display()));
    for (index, step) in [10, 20, 30].into_iter().enumerate() {
        good = run.save(step);
        wait_for_total(&daemon, "a", index as u64 + 1);
    }
    let latest = kept.join("a/latest");
    wait_for("the third to be kept", || {
        (std::fs::read_link(&latest).ok()?.to_str()? == "checkpoint-30").then_some(())
    });
    let whole = std::fs::read(good.join("model.safetensors")).unwrap();
    let names = |path: &Path| {
        let mut names: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let files = names(&good);

    run.train();
    run.poison("transformer.h.1.attn.c_attn.weight", 5, f32::NAN);
    run.save_as_is(40);
    wait_for_total(&daemon, "a", 4);
    std::fs::remove_dir_all(&good).unwrap();
    assert_eq!(std::fs::read(latest.join("model.safetensors")).unwrap(), whole);
    assert_eq!(names(&latest), files, "optimizer, scheduler and state come along");
    assert_eq!(names(&kept.join("a")).len(), 2, "only one is kept, and the link to it");
}

#[test]
fn across_file_systems_nothing_is_kept_that_is_said_and_weighing_goes_on() {
    let place = Place::new();
    let kept = place.store.with_file_name("kept");
    let Some(_tmpfs) = Tmpfs::mount(&kept, 16) else { return };
    let mut run = TrainingRun::new(&place.runs, "a", 1);
    let daemon = place.watch_with(&format!("last_good:\n  directory: {}\n", kept.display()));
    run.save(10);
    wait_for("the refusal", || daemon.said().contains("checkpoint not kept").then_some(()));
    let said = daemon.said();
    assert!(said.contains("must lie on the file system of the checkpoints, nothing is copied"), "{said}");
    run.save(20);
    wait_for_total(&daemon, "a", 2);
    wait_for("no half checkpoint and no link to none", || {
        std::fs::read_dir(kept.join("a")).unwrap().next().is_none().then_some(())
    });
}
