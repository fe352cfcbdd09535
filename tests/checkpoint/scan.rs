//! What one look at the disk shows.

use std::path::Path;
use std::sync::Arc;

use weighbridge::checkpoint::{
    Error, Scanner, Settings, Written, candidate_at, model_config, scan, trainer_state,
};
use weighbridge::terms::{ProblemKind, StepSource};

use super::tree::{Tree, only, shown, state};

#[test]
fn a_directory_that_is_one_run_or_holds_many() {
    let tree = Tree::new();
    tree.hf("", 5);
    let own = tree.root().file_name().unwrap().to_str().unwrap().to_string();
    let alone = tree.scan();
    assert_eq!(shown(&alone), [format!("{own} hf_trainer 5")]);
    assert_eq!(alone.runs, [(weighbridge::terms::RunId::new(&own), tree.root().to_path_buf())]);

    let tree = Tree::new();
    tree.hf("b/", 100).hf("b/", 20).hf("a/deep/er/", 1).write("notes/readme.txt", "no run");
    let many = tree.scan();
    assert_eq!(shown(&many), ["a/deep/er hf_trainer 1", "b hf_trainer 20", "b hf_trainer 100"]);
    assert_eq!(many.runs.iter().map(|(run, _)| run.as_str()).collect::<Vec<_>>(), ["a/deep/er", "b"]);
    assert_eq!(many.problems, []);
}

#[test]
fn two_roots_with_a_run_of_one_name_stay_apart() {
    let (one, two) = (Tree::new(), Tree::new());
    one.hf("x/", 1);
    two.hf("x/", 2);
    let seen = scan(&[one.root().to_path_buf(), two.root().to_path_buf()], &Settings::default());
    assert_eq!(seen.runs.len(), 2);
    assert_ne!(seen.candidates[0].run, seen.candidates[1].run);
}

#[test]
fn a_missing_root_is_a_problem() {
    let seen = scan(&["/nonexistent/runs".into()], &Settings::default());
    assert_eq!(seen.problems[0].kind, ProblemKind::Unreadable);
    assert!(seen.problems[0].to_string().contains("/nonexistent/runs"));
}

#[test]
fn files_and_stamps_of_a_checkpoint() {
    let tree = Tree::new();
    tree.hf("r/", 7).write("r/checkpoint-7/optimizer.pt", "moments").write("r/checkpoint-7/x.tmp", "half");
    for file in ["config.json", "model.safetensors", "optimizer.pt"] {
        tree.at(&format!("r/checkpoint-7/{file}"), 1000);
    }
    tree.at("r/checkpoint-7/trainer_state.json", 1500);
    let candidate = only(&tree.scan());
    let files: Vec<_> =
        candidate.files.iter().map(|file| (file.path.to_str().unwrap(), file.bytes)).collect();
    assert_eq!(files[0], ("checkpoint-7/config.json", 2));
    assert_eq!(files[1], ("checkpoint-7/model.safetensors", 5));
    assert_eq!(files[2], ("checkpoint-7/optimizer.pt", 7));
    assert_eq!(files.len(), 4);
    assert_eq!(candidate.timestamp_seconds, 1500.0);
    assert_eq!(candidate.step_source, StepSource::Name);
    assert_eq!(candidate.weights, [Path::new("model.safetensors")]);
    assert_eq!(candidate.weight_paths().collect::<Vec<_>>(), [tree.path("r/checkpoint-7/model.safetensors")]);
    assert_eq!(candidate.weight_stamps().collect::<Vec<_>>(), [&candidate.files[1]]);
    assert_eq!(candidate.written, Written::Complete);
    let (trainer, problems) = trainer_state(&candidate);
    assert_eq!((trainer.global_step, trainer.log.len(), problems.len()), (Some(7), 1, 0));
}

#[test]
fn what_the_trainer_has_not_finished() {
    let tree = Tree::new();
    let written = || only(&tree.scan()).written;
    tree.write("checkpoint-4/config.json", "{}");
    assert!(matches!(written(), Written::NotYet(_)));
    tree.write("checkpoint-4/model.safetensors", "whole");
    assert!(matches!(written(), Written::Unsure(why) if why.contains("trainer_state.json")));
    tree.write("checkpoint-4/trainer_state.json", r#"{"global_step": 4, "log"#);
    assert!(matches!(written(), Written::Unsure(why) if why.contains("does not parse")));
    tree.write("checkpoint-4/trainer_state.json", &state(3));
    let candidate = only(&tree.scan());
    assert!(matches!(&candidate.written, Written::Unsure(why) if why.contains("global_step is 3")));
    assert_eq!(candidate.problems.len(), 1);
    tree.write("checkpoint-4/trainer_state.json", &state(4));
    assert_eq!(written(), Written::Complete);
}

#[test]
fn shards_and_their_index() {
    let tree = Tree::new();
    let index = r#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "c": "model-00002-of-00002.safetensors",
                    "b": "model-00002-of-00002.safetensors"}}"#;
    tree.write("checkpoint-4/model-00001-of-00002.safetensors", "whole");
    tree.write("checkpoint-4/model.safetensors.index.json", index);
    let half = only(&tree.scan());
    assert!(matches!(half.written, Written::NotYet(_)));

    tree.write("checkpoint-4/trainer_state.json", &state(4));
    let gap = only(&tree.scan());
    assert_eq!(gap.written, Written::Complete);
    assert_eq!(gap.weights, [Path::new("model-00001-of-00002.safetensors")]);
    let told: Vec<_> = gap.problems.iter().map(|p| (p.kind, p.tensor.as_deref().unwrap())).collect();
    assert_eq!(told, [(ProblemKind::Missing, "c"), (ProblemKind::Missing, "b")]);
    assert_eq!(gap.problems[0].path, Path::new("model-00002-of-00002.safetensors"));

    tree.write("checkpoint-4/model-00002-of-00002.safetensors", "whole");
    let whole = only(&tree.scan());
    assert_eq!((whole.weights.len(), whole.problems.len()), (2, 0));

    for (index, word) in
        [("{", "parse"), ("{}", "weight_map"), (r#"{"weight_map": {"a": "../x"}}"#, "outside")]
    {
        tree.write("checkpoint-4/model.safetensors.index.json", index);
        let odd = only(&tree.scan());
        assert!(odd.problems[0].detail.contains(word), "{:?}", odd.problems);
        assert_eq!(odd.weights, Vec::<&Path>::new());
    }
}

#[test]
fn adapters_and_their_configuration() {
    let tree = Tree::new();
    tree.write("checkpoint-2/adapter_model.safetensors", "whole")
        .write("checkpoint-2/adapter_config.json", r#"{"r": 4}"#);
    tree.write("checkpoint-2/trainer_state.json", &state(2));
    let adapter = only(&tree.scan());
    assert_eq!(adapter.weights, [Path::new("adapter_model.safetensors")]);
    assert_eq!(model_config(&adapter).0.unwrap()["adapter_config"]["r"], 4);

    tree.write("checkpoint-2/config.json", r#"{"n_head": 2, "limit": Infinity}"#);
    let (config, problems) = model_config(&adapter);
    let config = config.unwrap();
    assert_eq!(
        (config["n_head"].as_u64(), config["adapter_config"]["r"].as_u64(), problems.len()),
        (Some(2), Some(4), 0)
    );
    tree.write("checkpoint-2/config.json", "[1]");
    assert_eq!(model_config(&adapter).1.len(), 1);
}

#[test]
fn bare_files_and_their_steps() {
    let tree = Tree::new();
    tree.write("s/step-10.safetensors", "whole").write("s/step-20.safetensors", "whole");
    tree.write("t/model.safetensors", "whole").write("t/trainer_state.json", &state(44));
    tree.write("u/b.safetensors", "x").at("u/b.safetensors", 100);
    tree.write("u/a.safetensors", "x").at("u/a.safetensors", 200);
    tree.write("v/m-00001-of-00002.safetensors", "x");
    let seen = tree.scan();
    let steps: Vec<_> = seen.candidates.iter().map(|c| (c.run.as_str(), c.step.0, c.step_source)).collect();
    assert_eq!(
        steps,
        [
            ("s", 10, StepSource::Name),
            ("s", 20, StepSource::Name),
            ("t", 44, StepSource::StateFile),
            ("u", 1, StepSource::Sequence),
            ("u", 2, StepSource::Sequence),
            ("v", 1, StepSource::Sequence),
        ]
    );
    assert!(seen.candidates[3].path.ends_with("u/b.safetensors"));
    assert!(matches!(seen.candidates[5].written, Written::NotYet(_)));
    tree.write("v/m-00002-of-00002.safetensors", "x");
    let shards = tree.scan().candidates[5].clone();
    assert_eq!((shards.weights.len(), &shards.written), (2, &Written::Complete));
}

#[test]
fn what_is_no_checkpoint() {
    let tree = Tree::new();
    tree.hf("run/", 10);
    for name in [
        "tmp-checkpoint-20",
        ".checkpoint-30",
        "checkpoint-40.tmp",
        "checkpoint-50.part",
        "checkpoint-60.incomplete",
    ] {
        tree.write(&format!("run/{name}/model.safetensors"), "whole");
    }
    tree.write("run/model.safetensors", "the final export").write("run/checkpoint-x/readme", "");
    for name in [".hidden.safetensors", "tmp1.safetensors", "a.safetensors.part"] {
        tree.write(&format!("bare/{name}"), "half");
    }
    assert_eq!(shown(&tree.scan()), ["run hf_trainer 10"]);
}

#[test]
fn links_are_followed_only_inside() {
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.hf("", 99);
    tree.hf("run/", 10);
    tree.link("checkpoint-10", "run/checkpoint-11").link("checkpoint-10", "run/last");
    tree.link(outside.path("checkpoint-99"), "run/checkpoint-99").link(tree.root(), "run/loop");
    assert_eq!(shown(&tree.scan()), ["run hf_trainer 10"]);

    tree.remove("run/checkpoint-10/model.safetensors");
    tree.write("run/blob", "whole").link("../blob", "run/checkpoint-10/model.safetensors");
    assert_eq!(tree.scan().candidates[0].weights, [Path::new("model.safetensors")]);
    tree.remove("run/checkpoint-10/model.safetensors");
    tree.link(outside.path("checkpoint-99/model.safetensors"), "run/checkpoint-10/model.safetensors");
    let refused = tree.scan().candidates[0].clone();
    assert_eq!(refused.weights, Vec::<&Path>::new());
    assert_eq!(refused.problems[0].kind, ProblemKind::Hostile);
}

#[test]
fn what_is_no_file_is_told_and_not_opened() {
    use std::os::unix::ffi::OsStrExt;
    let (tree, outside) = (Tree::new(), Tree::new());
    outside.write("secret.safetensors", "whole");
    tree.write("r/model-1.safetensors", "whole");
    tree.link(outside.path("secret.safetensors"), "r/model-2.safetensors");
    let socket = std::os::unix::net::UnixListener::bind(tree.path("r/model-3.safetensors")).unwrap();
    std::fs::write(tree.path("r").join(std::ffi::OsStr::from_bytes(b"model-4\xff.safetensors")), "x")
        .unwrap();
    let seen = tree.scan();
    assert_eq!(shown(&seen), ["r bare_file 1"]);
    let told: Vec<String> = seen.problems.iter().map(|problem| problem.to_string()).collect();
    assert!(told[0].contains("model-2.safetensors: a link that leads out"), "{told:?}");
    assert!(told[1].contains("model-3.safetensors: not a regular file"), "{told:?}");
    assert!(told[2].contains("1 entries are not looked at"), "{told:?}");
    assert_eq!(told.len(), 3);
    drop(socket);
}

#[test]
fn two_files_that_claim_one_step() {
    let tree = Tree::new();
    tree.write("ema-5.safetensors", "x").at("ema-5.safetensors", 100);
    tree.write("model-5.safetensors", "x").at("model-5.safetensors", 200);
    let seen = tree.scan();
    assert!(only(&seen).path.ends_with("model-5.safetensors"));
    assert!(
        seen.problems[0].to_string().contains("ema-5.safetensors: claims step 5"),
        "{}",
        seen.problems[0]
    );
}

#[test]
fn a_scanner_sees_every_change_and_keeps_what_did_not() {
    let tree = Tree::new();
    tree.hf("r/", 1).hf("r/", 2);
    let mut scanner = Scanner::new(&[tree.root().to_path_buf()], &Settings::default());
    let first = scanner.scan();
    let second = scanner.scan();
    assert!(first.candidates.iter().zip(&second.candidates).all(|(a, b)| Arc::ptr_eq(a, b)));

    tree.write("r/checkpoint-2/model.safetensors", "wh0le").hf("r/", 3).hf("new/", 1);
    let third = scanner.scan();
    assert_eq!(shown(&third), ["new hf_trainer 1", "r hf_trainer 1", "r hf_trainer 2", "r hf_trainer 3"]);
    assert!(Arc::ptr_eq(&third.candidates[1], &second.candidates[0]));
    assert_ne!(third.candidates[2].identity, second.candidates[1].identity);

    tree.remove("r/checkpoint-1").remove("new");
    scanner.touch(&tree.path("r/checkpoint-3/model.safetensors"));
    assert_eq!(shown(&scanner.scan()), ["r hf_trainer 2", "r hf_trainer 3"]);
}

#[test]
fn one_path_is_enough_for_inspect() {
    let tree = Tree::new();
    tree.hf("r/", 12)
        .write("m/model.safetensors", "whole")
        .write("m/config.json", "{}")
        .write("x.bin", "old");
    let settings = Settings::default();
    let known = candidate_at(&tree.path("r/checkpoint-12"), &settings).unwrap();
    assert_eq!((known.layout, known.step.0, known.run.as_str()), ("hf_trainer", 12, "r"));
    let folder = candidate_at(&tree.path("m"), &settings).unwrap();
    assert_eq!((folder.step_source, &folder.root), (StepSource::Sequence, &tree.path("m")));
    assert_eq!(folder.weights, [Path::new("model.safetensors")]);
    let file = candidate_at(&tree.path("m/model.safetensors"), &settings).unwrap();
    assert_eq!((file.layout, &file.root), ("bare_file", &tree.path("m")));
    assert!(model_config(&file).0.is_some());
    let odd = candidate_at(&tree.path("x.bin"), &settings).unwrap();
    assert_eq!(odd.weights, [Path::new("x.bin")]);
    assert!(matches!(candidate_at(&tree.path("gone"), &settings), Err(Error::Unreadable { .. })));
    assert!(matches!(candidate_at(&tree.path("r"), &settings), Err(Error::NotACheckpoint { .. })));
}

/// Milliseconds that this thread has had a processor.
fn busy_ms() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse::<u64>().unwrap() / 1_000_000
}

/// How long looks at 200 runs of 50 checkpoints take, first and again. Prints; judges nothing but what
/// was found: `cargo test --release --test main many_runs -- --ignored --nocapture`.
#[test]
#[ignore = "writes 30 000 files, for measuring"]
fn looks_at_many_runs() {
    let tree = Tree::new();
    for run in 0..200 {
        for step in 1..=50 {
            tree.hf(&format!("run{run:03}/"), step * 100);
        }
    }
    let mut scanner = Scanner::new(&[tree.root().to_path_buf()], &Settings::default());
    let mut settler = weighbridge::checkpoint::Settler::new(&Settings::default());
    for look in 0..24 {
        let begin = busy_ms();
        let scan = scanner.scan();
        let scanned = busy_ms();
        let verdicts = settler.observe(&scan, f64::from(look), &|_| None);
        println!("look {look}: scan {} ms, settle {} ms", scanned - begin, busy_ms() - scanned);
        assert_eq!((scan.candidates.len(), verdicts.len()), (10_000, 10_000));
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}
