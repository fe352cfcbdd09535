//! Rotation, budget, repeats, and what must not be kept.

use super::*;
use crate::terms::{Attempt, CheckpointFacts, ReadingKey, Step, StepSource};

struct Place {
    root: tempfile::TempDir,
    run: PathBuf,
}

impl Place {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("runs/a");
        fs::create_dir_all(&run).unwrap();
        Self { root, run }
    }

    fn keeping(&self, checkpoints_max: usize, bytes_max: u64) -> Keeping {
        Keeping { directory: Some(self.root.path().join("kept")), checkpoints_max, bytes_max }
    }

    /// A checkpoint with a weight file of so many bytes and an optimizer's state in a directory of its own.
    fn save(&self, step: u64, bytes: usize) -> Known {
        let path = self.run.join(format!("checkpoint-{step}"));
        fs::create_dir_all(path.join("optimizer")).unwrap();
        fs::write(path.join("model.safetensors"), vec![step as u8; bytes]).unwrap();
        fs::write(path.join("optimizer/state.bin"), b"state").unwrap();
        let metadata = fs::metadata(path.join("model.safetensors")).unwrap();
        let stamp = FileStamp {
            path: format!("checkpoint-{step}/model.safetensors").into(),
            bytes: metadata.len(),
            modified_ns: metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec(),
        };
        let checkpoint = CheckpointFacts {
            path,
            layout: "hf_trainer".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 0.0,
            files: vec![stamp],
        };
        let key = ReadingKey { run: RunId::new("a/b"), attempt: Attempt::default(), step: Step(step) };
        Known { key, checkpoint, log_tail: Vec::new() }
    }

    fn kept(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root.path().join("kept/a%2Fb")).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn what_is_kept_outlives_the_rotation_whole() {
    let place = Place::new();
    let keeping = place.keeping(1, 0);
    let run = RunId::new("a/b");
    let good = place.save(10, 100);
    assert_eq!(keeping.keep(&run, &place.run, &good), Ok(true));
    assert_eq!(keeping.keep(&run, &place.run, &good), Ok(false), "the same again is nothing new");
    fs::remove_dir_all(&good.checkpoint.path).unwrap();
    let latest = place.root.path().join("kept/a%2Fb/latest");
    assert_eq!(fs::read(latest.join("model.safetensors")).unwrap(), vec![10; 100]);
    assert_eq!(fs::read(latest.join("optimizer/state.bin")).unwrap(), b"state");

    let better = place.save(20, 100);
    assert_eq!(keeping.keep(&run, &place.run, &better), Ok(true));
    assert_eq!(place.kept(), ["checkpoint-20", "latest"], "one is kept, the older one is let go");
    assert_eq!(fs::read_link(latest).unwrap(), Path::new("checkpoint-20"));
}

#[test]
fn a_budget_is_kept_and_the_last_one_is_not_given_up_for_nothing() {
    let place = Place::new();
    let keeping = place.keeping(3, 250);
    let run = RunId::new("a/b");
    for step in [1, 2, 3] {
        keeping.keep(&run, &place.run, &place.save(step, 100)).unwrap();
    }
    assert_eq!(place.kept(), ["checkpoint-2", "checkpoint-3", "latest"]);
    let refused = keeping.keep(&run, &place.run, &place.save(4, 1000)).unwrap_err();
    assert!(refused.contains("gibibytes_max"), "{refused}");
    assert_eq!(place.kept(), ["checkpoint-3", "latest"]);
}

#[test]
fn a_checkpoint_that_changed_or_went_away_is_not_kept() {
    let place = Place::new();
    let keeping = place.keeping(1, 0);
    let run = RunId::new("a/b");
    let mut changed = place.save(1, 100);
    changed.checkpoint.files[0].bytes = 99;
    assert!(keeping.keep(&run, &place.run, &changed).unwrap_err().contains("changed"));
    let gone = place.save(2, 100);
    fs::remove_dir_all(&gone.checkpoint.path).unwrap();
    assert!(keeping.keep(&run, &place.run, &gone).is_err());
    assert!(place.kept().is_empty(), "{:?}", place.kept());
}

#[test]
fn a_directory_that_would_be_watched_is_refused() {
    let place = Place::new();
    let roots = [place.root.path().join("runs").canonicalize().unwrap()];
    assert_eq!(place.keeping(1, 0).check(&roots), Ok(()));
    let inside = Keeping { directory: Some(place.run.join("kept")), ..Keeping::default() };
    assert!(inside.check(&roots).unwrap_err().contains("beside it"));
}
