//! Which attempt a checkpoint belongs to: a table of runs' lives, told as checkpoints in the order in
//! which they arrive.

use std::path::PathBuf;

use weighbridge::checkpoint::{Candidate, Known, Recognition, Written, recognise};
use weighbridge::terms::{
    Attempt, CheckpointFacts, FileStamp, LogPoint, ReadingKey, RunId, Step, StepSource, TrainerState,
};

/// A checkpoint that arrives: its step, when it was written, and whose log it carries.
#[derive(Clone, Copy)]
struct Arrives {
    step: u64,
    at: i64,
    log: &'static [(char, u64)],
    source: StepSource,
}

/// `log` says which go at the run logged from which step on: `[('a', 0), ('b', 20)]` is a's log up to
/// step 20 and b's from there. Empty: no trainer's log at all.
const fn saved(step: u64, at: i64, log: &'static [(char, u64)]) -> Arrives {
    Arrives { step, at, log, source: StepSource::Name }
}

const fn nameless(at: i64) -> Arrives {
    Arrives { step: 1, at, log: &[], source: StepSource::Sequence }
}

const A: &[(char, u64)] = &[('a', 0)];
const B: &[(char, u64)] = &[('b', 0)];
const A20B: &[(char, u64)] = &[('a', 0), ('b', 20)];
const A20B30C: &[(char, u64)] = &[('a', 0), ('b', 20), ('c', 30)];
const NONE: &[(char, u64)] = &[];

fn log(arrives: &Arrives) -> Vec<LogPoint> {
    let last = if arrives.log.is_empty() { 0 } else { arrives.step };
    let logger = |step: u64| arrives.log.iter().rfind(|(_, from)| step > *from).map_or('a', |(who, _)| *who);
    let point = |step: u64| LogPoint {
        step,
        loss: Some(if step == 15 { f64::NAN } else { f64::from(logger(step) as u32) / step as f64 }),
        learning_rate: Some(1e-3),
        grad_norm: None,
    };
    (1..=last).filter(|step| step % 5 == 0).map(point).collect()
}

fn candidate(arrives: &Arrives) -> Candidate {
    let path = PathBuf::from(format!("/runs/r/checkpoint-{}", arrives.step));
    let file = PathBuf::from(format!("checkpoint-{}/model.safetensors", arrives.step));
    Candidate {
        run: RunId::new("r"),
        run_directory: "/runs/r".into(),
        root: path.clone(),
        path,
        layout: "hf_trainer",
        step: Step(arrives.step),
        step_source: arrives.source,
        timestamp_seconds: arrives.at as f64,
        files: vec![FileStamp { path: file, bytes: 9, modified_ns: arrives.at * 1_000_000_000 }],
        identity: 0,
        weights: vec!["model.safetensors".into()],
        written: Written::Complete,
        problems: Vec::new(),
    }
}

/// Plays the life, with readings kept as the store keeps them, and says for each arrival which attempt
/// and step its reading got; none where it was known already.
fn play(life: &[Arrives]) -> Vec<Option<(u32, u64)>> {
    let mut known: Vec<Known> = Vec::new();
    let mut got = Vec::new();
    for arrives in life {
        let candidate = candidate(arrives);
        let log = log(arrives);
        let trainer = TrainerState { log: log.clone(), ..TrainerState::default() };
        let Recognition::New { attempt, step } = recognise(&known, &candidate, &trainer) else {
            got.push(None);
            continue;
        };
        got.push(Some((attempt.0, step.0)));
        assert!(
            known.iter().all(|known| (known.key.attempt, known.key.step) != (attempt, step)),
            "key twice"
        );
        known.push(Known {
            key: ReadingKey { run: candidate.run.clone(), attempt: Attempt(attempt.0), step },
            checkpoint: CheckpointFacts {
                path: candidate.path.clone(),
                layout: candidate.layout.to_string(),
                step_source: candidate.step_source,
                timestamp_seconds: candidate.timestamp_seconds,
                files: candidate.files.clone(),
            },
            log_tail: log.into_iter().rev().take(3).rev().collect(),
        });
    }
    got
}

#[test]
fn lives_of_runs() {
    // What happens, the checkpoints in order of arrival, and the attempt of each (none: known already).
    type Case<'a> = (&'a str, &'a [Arrives], &'a [Option<u32>]);
    #[rustfmt::skip]
    let table: &[Case<'_>] = &[
        ("one that just goes on",
         &[saved(10, 100, A), saved(20, 200, A), saved(30, 300, A)], &[Some(0), Some(0), Some(0)]),
        ("the same files seen again",
         &[saved(10, 100, A), saved(20, 200, A), saved(10, 100, A), saved(20, 200, A)], &[Some(0), Some(0), None, None]),
        ("resumed from the newest, days later",
         &[saved(10, 100, A), saved(20, 200, A), saved(30, 90_000, A20B)], &[Some(0), Some(0), Some(0)]),
        ("restarted from an older step, the later ones overwritten",
         &[saved(10, 100, A), saved(20, 200, A), saved(30, 300, A), saved(40, 400, A), saved(30, 500, A20B), saved(40, 600, A20B), saved(50, 700, A20B)],
         &[Some(0), Some(0), Some(0), Some(0), Some(1), Some(1), Some(1)]),
        ("restarted from an older step, saving at other steps",
         &[saved(10, 100, A), saved(20, 200, A), saved(30, 300, A), saved(25, 500, A20B), saved(35, 600, A20B)],
         &[Some(0), Some(0), Some(0), Some(1), Some(1)]),
        ("restarted twice",
         &[saved(20, 200, A), saved(30, 300, A), saved(40, 400, A), saved(30, 500, A20B), saved(40, 600, A20B), saved(40, 700, A20B30C), saved(50, 800, A20B30C)],
         &[Some(0), Some(0), Some(0), Some(1), Some(1), Some(2), Some(2)]),
        ("begun again in the same directory with another seed",
         &[saved(10, 100, A), saved(20, 200, A), saved(30, 300, A), saved(10, 500, B), saved(20, 600, B), saved(30, 700, B), saved(40, 800, B)],
         &[Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), Some(1)]),
        ("begun again with the same seed: the log repeats, the files are new",
         &[saved(10, 100, A), saved(20, 200, A), saved(10, 500, A), saved(20, 600, A), saved(30, 700, A)],
         &[Some(0), Some(0), Some(1), Some(1), Some(1)]),
        ("begun again, first saved beyond all that is known",
         &[saved(10, 100, A), saved(20, 200, B)], &[Some(0), Some(1)]),
        ("begun again, with the old ones still there and seen again",
         &[saved(10, 100, A), saved(30, 300, A), saved(10, 500, B), saved(30, 300, A)], &[Some(0), Some(0), Some(1), None]),
        ("one checkpoint rewritten",
         &[saved(10, 100, A), saved(20, 200, A), saved(20, 250, A), saved(30, 300, A)], &[Some(0), Some(0), Some(1), Some(1)]),
        ("an older step that arrives late, with its own time",
         &[saved(10, 100, A), saved(30, 300, A), saved(20, 200, A)], &[Some(0), Some(0), Some(0)]),
        ("an older step that arrives late, with the time of copying",
         &[saved(10, 100, A), saved(30, 300, A), saved(20, 900, A)], &[Some(0), Some(0), Some(0)]),
        ("everything in the wrong order",
         &[saved(40, 400, A), saved(10, 100, A), saved(30, 300, A), saved(20, 200, A)], &[Some(0), Some(0), Some(0), Some(0)]),
        ("a late one of the first attempt, after the second began",
         &[saved(20, 200, A), saved(40, 400, A), saved(30, 500, A20B), saved(35, 350, A), saved(40, 600, A20B)],
         &[Some(0), Some(0), Some(1), Some(0), Some(1)]),
        ("a late one of what both attempts share",
         &[saved(20, 200, A), saved(30, 300, A), saved(30, 500, A20B), saved(10, 100, A)],
         &[Some(0), Some(0), Some(1), Some(0)]),
        ("no log: one that just goes on",
         &[saved(10, 100, NONE), saved(20, 200, NONE), saved(30, 300, NONE)], &[Some(0), Some(0), Some(0)]),
        ("no log: restarted from an older step, overwriting",
         &[saved(10, 100, NONE), saved(20, 200, NONE), saved(30, 300, NONE), saved(20, 400, NONE), saved(30, 500, NONE), saved(40, 600, NONE)],
         &[Some(0), Some(0), Some(0), Some(1), Some(1), Some(1)]),
        ("no log: restarted, saving at other steps",
         &[saved(10, 100, NONE), saved(30, 300, NONE), saved(15, 500, NONE), saved(25, 600, NONE)],
         &[Some(0), Some(0), Some(1), Some(1)]),
        ("no log: an older step that arrives late, with its own time",
         &[saved(10, 100, NONE), saved(30, 300, NONE), saved(20, 200, NONE)], &[Some(0), Some(0), Some(0)]),
        ("no log: a late one of the first attempt, after the second began",
         &[saved(10, 100, NONE), saved(40, 400, NONE), saved(10, 500, NONE), saved(30, 300, NONE), saved(20, 600, NONE)],
         &[Some(0), Some(0), Some(1), Some(0), Some(1)]),
        ("no log: unpacked together, in any order",
         &[saved(10, 100, NONE), saved(100, 100, NONE), saved(20, 102, NONE)], &[Some(0), Some(0), Some(0)]),
        ("no log: one checkpoint rewritten",
         &[saved(10, 100, NONE), saved(10, 200, NONE)], &[Some(0), Some(1)]),
        ("a log that begins late",
         &[saved(10, 100, NONE), saved(20, 200, A), saved(30, 300, A)], &[Some(0), Some(0), Some(0)]),
        ("logging less often than saving: times decide",
         &[saved(2, 100, A), saved(4, 200, A), saved(3, 300, A)], &[Some(0), Some(0), Some(1)]),
    ];
    for (what, life, want) in table {
        let got: Vec<_> = play(life).into_iter().map(|got| got.map(|(attempt, _)| attempt)).collect();
        assert_eq!(&got, want, "{what}");
    }
}

#[test]
fn versions_without_a_step_are_numbered_on() {
    let life = [nameless(100), nameless(200), nameless(200), nameless(150), nameless(300)];
    assert_eq!(play(&life), [Some((0, 1)), Some((0, 2)), None, Some((0, 3)), Some((0, 4))]);
}

#[test]
fn other_files_may_come_and_go() {
    let first = saved(10, 100, A);
    let candidate = candidate(&first);
    let mut known = Known {
        key: ReadingKey { run: RunId::new("r"), attempt: Attempt(0), step: Step(10) },
        checkpoint: CheckpointFacts {
            path: candidate.path.clone(),
            layout: "hf_trainer".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 100.0,
            files: candidate.files.clone(),
        },
        log_tail: Vec::new(),
    };
    let optimizer = FileStamp { path: "checkpoint-10/optimizer.pt".into(), bytes: 99, modified_ns: 1 };
    known.checkpoint.files.push(optimizer.clone());
    let trainer = TrainerState::default();
    assert_eq!(recognise(&[known.clone()], &candidate, &trainer), Recognition::Weighed, "optimizer deleted");

    let mut broken = candidate.clone();
    broken.weights.clear();
    broken.files = vec![optimizer];
    let new = Recognition::New { attempt: Attempt(1), step: Step(10) };
    assert_eq!(recognise(&[known.clone()], &broken, &trainer), new, "weights went away: another version");
    known.checkpoint.files = broken.files.clone();
    assert_eq!(recognise(&[known.clone()], &broken, &trainer), Recognition::Weighed);
    assert_eq!(recognise(&[known], &candidate, &trainer), new, "the weights arrived");
}
