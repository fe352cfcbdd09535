//! Complete, not yet, or broken: one story a test, told in looks at the disk.

use weighbridge::checkpoint::{Scanner, Settings, Settler, Verdict, settle_now};
use weighbridge::terms::ProblemKind;

use super::tree::{Tree, lengths, only, state};

/// A watched tree and a clock.
struct Watch {
    tree: Tree,
    scanner: Scanner,
    settler: Settler,
    now: f64,
}

impl Watch {
    fn new() -> Self {
        let tree = Tree::new();
        let settings = Settings::default();
        let scanner = Scanner::new(&[tree.root().to_path_buf()], &settings);
        Self { tree, scanner, settler: Settler::new(&settings), now: 1000.0 }
    }

    /// Lets some seconds pass, looks, and says per candidate: settled, broken or pending.
    fn look(&mut self, after_seconds: f64) -> Vec<&'static str> {
        self.now += after_seconds;
        let scan = self.scanner.scan();
        let verdicts = self.settler.observe(&scan, self.now, &lengths);
        let word = |verdict: &Verdict| match verdict {
            Verdict::Settled => "settled",
            Verdict::Broken(_) => "broken",
            Verdict::Pending { .. } => "pending",
        };
        verdicts.iter().map(word).collect()
    }
}

#[test]
fn two_equal_looks_settle() {
    let mut watch = Watch::new();
    watch.tree.hf("", 1);
    assert_eq!(watch.look(0.0), ["pending"]);
    assert_eq!(watch.look(0.1), ["pending"], "too soon after the first look");
    assert_eq!(watch.look(1.0), ["settled"]);
    assert_eq!(watch.look(100.0), ["settled"]);
}

#[test]
fn a_growing_file_waits() {
    let mut watch = Watch::new();
    watch.tree.write("checkpoint-1/trainer_state.json", &state(1));
    for text in ["short", "short.", "short..", "short..."] {
        watch.tree.write("checkpoint-1/model.safetensors", text);
        assert_eq!(watch.look(10.0), ["pending"]);
    }
    assert_eq!(watch.look(10.0), ["pending"], "unchanged, and shorter than its header says");
    watch.tree.write("checkpoint-1/model.safetensors", "whole");
    assert_eq!(watch.look(10.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["settled"]);
}

#[test]
fn a_truncated_file_is_broken_after_a_while_or_once_a_later_one_exists() {
    let mut watch = Watch::new();
    watch.tree.hf("", 1).write("checkpoint-1/model.safetensors", "short");
    assert_eq!(watch.look(0.0), ["pending"]);
    assert_eq!(watch.look(59.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["broken"]);

    let mut watch = Watch::new();
    watch.tree.hf("", 1).write("checkpoint-1/model.safetensors", "short");
    watch.look(0.0);
    assert_eq!(watch.look(1.0), ["pending"]);
    watch.tree.hf("", 2).at("checkpoint-2/model.safetensors", 4_000_000_000);
    assert_eq!(watch.look(1.0), ["broken", "pending"]);
    watch.tree.write("checkpoint-1/model.safetensors", "whole");
    assert_eq!(watch.look(1.0), ["pending", "settled"], "mended");
    assert_eq!(watch.look(1.0), ["settled", "settled"]);
}

#[test]
fn an_older_file_with_a_higher_step_does_not_make_broken() {
    let mut watch = Watch::new();
    watch.tree.hf("", 9);
    for file in ["config.json", "model.safetensors", "trainer_state.json"] {
        watch.tree.at(&format!("checkpoint-9/{file}"), 1000);
    }
    watch.tree.write("checkpoint-3/config.json", "{}");
    assert_eq!(watch.look(0.0), ["pending", "pending"]);
    assert_eq!(watch.look(1.0), ["pending", "settled"], "a restart is writing checkpoint-3 again");
    assert_eq!(watch.look(1e6), ["pending", "settled"]);
}

#[test]
fn weights_without_the_state_file_are_taken_once_all_is_quiet() {
    let mut watch = Watch::new();
    watch.tree.write("checkpoint-1/model.safetensors", "whole");
    assert_eq!(watch.look(0.0), ["pending"]);
    assert_eq!(watch.look(30.0), ["pending"]);
    let scan = watch.scanner.scan();
    let Verdict::Pending { why } = &watch.settler.observe(&scan, watch.now, &lengths)[0] else { panic!() };
    assert!(why.contains("trainer_state.json") && why.contains("60 s"), "{why}");
    assert_eq!(watch.look(30.0), ["settled"]);
    watch.tree.write("checkpoint-1/trainer_state.json", &state(1));
    assert_eq!(watch.look(1.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["settled"]);
}

#[test]
fn the_verdict_follows_a_rewritten_and_a_removed_checkpoint() {
    let mut watch = Watch::new();
    watch.tree.hf("", 1);
    watch.look(0.0);
    assert_eq!(watch.look(1.0), ["settled"]);
    watch.tree.write("checkpoint-1/model.safetensors", "WHOLE");
    assert_eq!(watch.look(1.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["settled"]);
    watch.tree.remove("checkpoint-1");
    assert_eq!(watch.look(1.0), Vec::<&str>::new());
    watch.tree.hf("", 1);
    assert_eq!(watch.look(1.0), ["pending"], "nothing is remembered of one that went away");
}

#[test]
fn renamed_into_place_and_overwritten_in_place() {
    let mut watch = Watch::new();
    watch.tree.write("model.safetensors.tmp", "short");
    assert_eq!(watch.look(0.0), Vec::<&str>::new());
    std::fs::rename(watch.tree.path("model.safetensors.tmp"), watch.tree.path("model.safetensors")).unwrap();
    watch.tree.write("model.safetensors", "whole");
    assert_eq!(watch.look(1.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["settled"]);
    watch.tree.write("model.safetensors", "short");
    assert_eq!(watch.look(1.0), ["pending"]);
    watch.tree.write("model.safetensors", "whole again");
    assert_eq!(watch.look(1.0), ["pending"]);
    assert_eq!(watch.look(1.0), ["settled"]);
}

#[test]
fn in_replay_everything_is_decided_at_once() {
    let tree = Tree::new();
    tree.write("checkpoint-1/config.json", "{}");
    let Verdict::Broken(problems) = settle_now(&only(&tree.scan()), &lengths) else { panic!() };
    assert_eq!(problems[0].kind, ProblemKind::Missing);
    assert!(problems[0].detail.contains("never completed"), "{}", problems[0]);
    tree.write("checkpoint-1/model.safetensors", "whole");
    assert_eq!(settle_now(&only(&tree.scan()), &lengths), Verdict::Settled);
    tree.write("checkpoint-1/model.safetensors", "short");
    let Verdict::Broken(problems) = settle_now(&only(&tree.scan()), &lengths) else { panic!() };
    assert_eq!(problems[0].path, std::path::Path::new("model.safetensors"), "relative to the checkpoint");
    assert_eq!((problems[0].kind, problems[0].offset), (ProblemKind::Truncated, Some(5)));
}
