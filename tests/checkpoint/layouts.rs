//! Every trainer's layout at three moments of a save: nothing but a beginning, all but the last-written
//! file, done. The trees are written in the order in which the trainer writes them.

use std::path::Path;

use weighbridge::checkpoint::{LAYOUTS, Written};
use weighbridge::terms::StepSource;

use super::tree::{Tree, only, shown};

/// What the only candidate of the tree is: layout, step, word for completeness, weights.
fn seen(tree: &Tree) -> String {
    let candidate = only(&tree.scan());
    let word = match candidate.written {
        Written::Complete => "complete",
        Written::NotYet(_) => "not yet",
        Written::Unsure(_) => "unsure",
    };
    let step = match candidate.step_source {
        StepSource::Sequence => "no step".to_string(),
        _ => format!("step {}", candidate.step),
    };
    let weights: Vec<_> = candidate.weights.iter().map(|path| path.display().to_string()).collect();
    format!("{} {step} {word}: {}", candidate.layout, weights.join(" "))
}

#[test]
fn accelerate() {
    let tree = Tree::new();
    tree.write("step_40/model.safetensors", "w");
    assert_eq!(seen(&tree), "model_folder step 40 unsure: model.safetensors");
    tree.write("step_40/optimizer.bin", "o").write("step_40/scheduler.bin", "s");
    assert_eq!(seen(&tree), "accelerate step 40 not yet: model.safetensors");
    tree.write("step_40/random_states_0.pkl", "r");
    assert_eq!(seen(&tree), "accelerate step 40 complete: model.safetensors");
    // The folder's name is the user's choice.
    tree.write("best/pytorch_model.bin", "w").write("best/random_states_0.pkl", "r").remove("step_40");
    assert_eq!(seen(&tree), "accelerate no step complete: pytorch_model.bin");
}

#[test]
fn accelerate_with_sharded_states() {
    let tree = Tree::new();
    tree.write("checkpoint_3/pytorch_model_fsdp_0/__0_0.distcp", "w")
        .write("checkpoint_3/optimizer.bin", "o");
    tree.write("checkpoint_3/pytorch_model_fsdp_0/.metadata", "m")
        .write("checkpoint_3/random_states_0.pkl", "r");
    let want = "accelerate step 3 complete: pytorch_model_fsdp_0/.metadata pytorch_model_fsdp_0/__0_0.distcp";
    assert_eq!(seen(&tree), want);
}

#[test]
fn hf_trainer_with_fsdp_and_deepspeed() {
    let tree = Tree::new();
    tree.write("checkpoint-7/pytorch_model_fsdp_0/__0_0.distcp", "w");
    tree.write("checkpoint-7/pytorch_model_fsdp_0/.metadata", "m");
    tree.write("checkpoint-7/trainer_state.json", r#"{"global_step": 7}"#);
    let want = "hf_trainer step 7 complete: pytorch_model_fsdp_0/.metadata pytorch_model_fsdp_0/__0_0.distcp";
    assert_eq!(seen(&tree), want);

    let tree = Tree::new();
    tree.write("checkpoint-7/global_step7/mp_rank_00_model_states.pt", "w");
    tree.write("checkpoint-7/global_step7/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", "o");
    tree.write("checkpoint-7/latest", "global_step7")
        .write("checkpoint-7/trainer_state.json", r#"{"global_step": 7}"#);
    assert_eq!(seen(&tree), "hf_trainer step 7 complete: global_step7/mp_rank_00_model_states.pt");
}

#[test]
fn lightning() {
    let tree = Tree::new();
    tree.write("version_0/checkpoints/epoch=1-step=100.ckpt.tmp", "half");
    assert_eq!(shown(&tree.scan()), Vec::<String>::new());
    tree.remove("version_0/checkpoints/epoch=1-step=100.ckpt.tmp");
    tree.write("version_0/checkpoints/epoch=1-step=100.ckpt", "whole");
    assert_eq!(seen(&tree), "lightning step 100 complete: epoch=1-step=100.ckpt");
    tree.write("version_0/checkpoints/last.ckpt", "a copy");
    assert_eq!(seen(&tree), "lightning step 100 complete: epoch=1-step=100.ckpt");
    tree.remove("version_0/checkpoints/epoch=1-step=100.ckpt");
    assert_eq!(seen(&tree), "lightning no step complete: last.ckpt");
    // Sharded strategies make a directory.
    tree.remove("version_0/checkpoints/last.ckpt")
        .write("c/step=8.ckpt/checkpoint/mp_rank_00_model_states.pt", "w");
    assert_eq!(seen(&tree), "lightning step 8 unsure: checkpoint/mp_rank_00_model_states.pt");
    tree.write("c/step=8.ckpt/latest", "checkpoint");
    assert_eq!(seen(&tree), "lightning step 8 complete: checkpoint/mp_rank_00_model_states.pt");
}

#[test]
fn nemo() {
    let tree = Tree::new();
    let name = "gpt--val_loss=7.86-step=100-epoch=0";
    tree.write(&format!("{name}-unfinished"), "").write(&format!("{name}.ckpt"), "half");
    assert_eq!(seen(&tree), format!("nemo step 100 not yet: {name}.ckpt"));
    tree.remove(&format!("{name}-unfinished"));
    assert_eq!(seen(&tree), format!("nemo step 100 complete: {name}.ckpt"));

    let tree = Tree::new();
    tree.write("m-step=5-unfinished", "").write("m-step=5/context/io.json", "{}");
    assert_eq!(seen(&tree), "nemo step 5 not yet: ");
    tree.write("m-step=5/weights/__0_0.distcp", "w").write("m-step=5/weights/.metadata", "m");
    assert_eq!(seen(&tree), "nemo step 5 not yet: weights/.metadata weights/__0_0.distcp");
    tree.remove("m-step=5-unfinished");
    assert_eq!(seen(&tree), "nemo step 5 complete: weights/.metadata weights/__0_0.distcp");
}

#[test]
fn torchtitan() {
    let tree = Tree::new();
    tree.write("checkpoint/step-20/__0_0.distcp", "w");
    assert_eq!(seen(&tree), "torch_dcp step 20 not yet: __0_0.distcp");
    tree.write("checkpoint/step-20/__1_0.distcp", "w").write("checkpoint/step-20/.metadata.tmp", "half");
    assert_eq!(seen(&tree), "torch_dcp step 20 not yet: __0_0.distcp __1_0.distcp");
    tree.remove("checkpoint/step-20/.metadata.tmp").write("checkpoint/step-20/.metadata", "m");
    assert_eq!(seen(&tree), "torch_dcp step 20 complete: .metadata __0_0.distcp __1_0.distcp");
}

#[test]
fn deepspeed() {
    let tree = Tree::new();
    tree.write("global_step10/mp_rank_01_model_states.pt", "w");
    assert_eq!(seen(&tree), "deepspeed step 10 not yet: mp_rank_01_model_states.pt");
    tree.write("latest", "global_step10");
    assert_eq!(seen(&tree), "deepspeed step 10 not yet: mp_rank_01_model_states.pt", "rank 0 is missing");
    tree.write("global_step10/mp_rank_00_model_states.pt", "w").write("latest", "global_step5");
    let both = "mp_rank_00_model_states.pt mp_rank_01_model_states.pt";
    assert_eq!(seen(&tree), format!("deepspeed step 10 not yet: {both}"));
    tree.write("latest", "global_step20\n");
    assert_eq!(seen(&tree), format!("deepspeed step 10 complete: {both}"));
    // Stage 3: the values are in the optimizer's partitions.
    let tree = Tree::new();
    tree.write("global_step9/zero_pp_rank_0_mp_rank_00_model_states.pt", "w");
    tree.write("global_step9/zero_pp_rank_0_mp_rank_00_optim_states.pt", "o").write("latest", "global_step9");
    let parts = "zero_pp_rank_0_mp_rank_00_model_states.pt zero_pp_rank_0_mp_rank_00_optim_states.pt";
    assert_eq!(seen(&tree), format!("deepspeed step 9 complete: {parts}"));
}

#[test]
fn megatron() {
    let tree = Tree::new();
    tree.write("iter_0000100/mp_rank_00/model_optim_rng.pt", "w")
        .write("latest_checkpointed_iteration.txt", "50");
    assert_eq!(seen(&tree), "megatron step 100 not yet: mp_rank_00/model_optim_rng.pt");
    tree.write("iter_0000100/mp_rank_01_000/model_optim_rng.pt", "w")
        .remove("latest_checkpointed_iteration.txt");
    let parts = "mp_rank_00/model_optim_rng.pt mp_rank_01_000/model_optim_rng.pt";
    assert_eq!(seen(&tree), format!("megatron step 100 unsure: {parts}"));
    tree.write("latest_checkpointed_iteration.txt", "100\n");
    assert_eq!(seen(&tree), format!("megatron step 100 complete: {parts}"));
    let tree = Tree::new();
    tree.write("iter_0000007/__0_0.distcp", "w").write("iter_0000007/common.pt", "c");
    assert_eq!(seen(&tree), "megatron step 7 unsure: __0_0.distcp");
    tree.write("iter_0000007/.metadata", "m");
    assert_eq!(seen(&tree), "megatron step 7 complete: .metadata __0_0.distcp");
}

#[test]
fn composer() {
    let tree = Tree::new();
    tree.write("ep0-ba100-rank0.pt", "w");
    assert_eq!(seen(&tree), "composer step 100 unsure: ep0-ba100-rank0.pt");
    tree.write("ep0-ba100-rank1.pt", "w")
        .write("old/ep0-ba50-rank0.pt", "w")
        .link("old/ep0-ba50-rank0.pt", "latest-rank0.pt");
    let scan = tree.scan();
    assert!(
        matches!(&scan.candidates[1].written, Written::NotYet(why) if why.contains("batch 50")),
        "{scan:?}"
    );
    tree.remove("old").remove("latest-rank0.pt").link("ep0-ba100-rank0.pt", "latest-rank0.pt");
    assert_eq!(seen(&tree), "composer step 100 complete: ep0-ba100-rank0.pt ep0-ba100-rank1.pt");
    // A sharded model: a folder, and the link of rank 0 alone.
    let tree = Tree::new();
    tree.write("ep1-ba40/__0_0.distcp", "w");
    let seen_is = |what: &str| assert_eq!(seen(&tree), format!("composer step 40 {what}"));
    seen_is("not yet: __0_0.distcp");
    tree.write("ep1-ba40/.metadata", "m");
    seen_is("complete: .metadata __0_0.distcp");
    tree.write("ep1-ba20/readme", "rotated").link("ep1-ba20", "latest-rank0.pt");
    seen_is("not yet: .metadata __0_0.distcp");
    tree.remove("latest-rank0.pt").link("ep1-ba40", "latest-rank0.pt");
    seen_is("complete: .metadata __0_0.distcp");
}

#[test]
fn nanogpt() {
    let tree = Tree::new();
    tree.write("out/ckpt.pt.tmp", "half");
    assert_eq!(shown(&tree.scan()), Vec::<String>::new());
    tree.write("out/ckpt.pt", "short").write("out/train.bin", "tokens");
    assert_eq!(
        seen(&tree),
        "torch_file no step complete: ckpt.pt",
        "whether its archive closes is asked beside"
    );
    tree.write("out/model_step200.pt", "w").write("out/optimizer_step200.pt", "o");
    assert_eq!(seen(&tree), "torch_file step 200 complete: model_step200.pt");
}

#[test]
fn fairseq() {
    let tree = Tree::new();
    tree.write("checkpoint_1_500.pt.tmp", "half");
    assert_eq!(shown(&tree.scan()), Vec::<String>::new());
    tree.write("checkpoint_last.pt", "w");
    assert_eq!(seen(&tree), "fairseq no step complete: checkpoint_last.pt");
    tree.write("checkpoint_1_500.pt", "w").write("checkpoint_best.pt", "w");
    assert_eq!(seen(&tree), "fairseq step 500 complete: checkpoint_1_500.pt");
    tree.remove("checkpoint_1_500.pt")
        .write("checkpoint3-shard0.pt", "w")
        .write("checkpoint3-shard1.pt", "w");
    assert_eq!(seen(&tree), "fairseq step 3 complete: checkpoint3-shard0.pt checkpoint3-shard1.pt");
}

#[test]
fn folders_named_after_steps() {
    let tree = Tree::new();
    tree.write("epoch-3/config.json", "{}");
    assert_eq!(shown(&tree.scan()), Vec::<String>::new());
    tree.write(
        "epoch-3/model.safetensors.index.json",
        r#"{"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}"#,
    );
    tree.write("epoch-3/a.safetensors", "w");
    assert_eq!(seen(&tree), "model_folder step 3 not yet: a.safetensors");
    tree.write("epoch-3/b.safetensors", "w");
    assert_eq!(seen(&tree), "model_folder step 3 unsure: a.safetensors b.safetensors");
    // A run's number is not a step.
    tree.remove("epoch-3").write("seed-1/model.safetensors", "w").write("seed-2/model.safetensors", "w");
    assert_eq!(shown(&tree.scan()), ["seed-1 bare_file 1", "seed-2 bare_file 1"]);
}

#[test]
fn a_witness_that_changes_is_seen_and_changes_nothing_else() {
    let tree = Tree::new();
    tree.write("iter_0000010/mp_rank_00/model_optim_rng.pt", "w")
        .write("latest_checkpointed_iteration.txt", "5");
    let mut scanner =
        weighbridge::checkpoint::Scanner::new(&[tree.root().to_path_buf()], &Default::default());
    let before = only(&scanner.scan());
    assert!(matches!(before.written, Written::NotYet(_)));
    tree.write("latest_checkpointed_iteration.txt", "10");
    let after = only(&scanner.scan());
    assert_eq!(after.written, Written::Complete);
    assert_eq!((before.identity, before.files), (after.identity, after.files));
}

/// The table of `docs/layouts.md` between its two marks.
fn table() -> String {
    let row = |cells: [&str; 3]| format!("| {} |\n", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    let head = row(["layout", "on disk", "complete when"]) + "|---|---|---|\n";
    head + &LAYOUTS.iter().map(|l| row([l.name(), l.on_disk(), l.complete_when()])).collect::<String>()
}

#[test]
fn the_table_of_layouts_is_the_list_of_layouts() {
    crate::doc::check("docs/layouts.md", "made from the registry", &table());
}

#[test]
fn names_of_layouts_differ() {
    let mut names: Vec<_> = LAYOUTS.iter().map(|layout| layout.name()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), LAYOUTS.len());
    assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/layouts.md").exists());
}
