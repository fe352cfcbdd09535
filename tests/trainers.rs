//! Checkpoints that the trainers themselves wrote, in the folders as they left them: found, complete, at the right step, and
//! every tensor with the values that the trainer's own library loads. The scripts in `tests/fixtures/trainers` made both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weighbridge::checkpoint::{Candidate, Settings, Written, scan};
use weighbridge::model::understand;
use weighbridge::tensor;
use weighbridge::terms::{BlockSource, Dtype, Role, StepSource, TensorInfo};
use xxhash_rust::xxh3::xxh3_64;

/// What `say.py` wrote of one checkpoint.
#[derive(Deserialize)]
struct Case {
    path: PathBuf,
    step: u64,
    optimizer: BTreeMap<String, f64>,
    /// Name to dtype, shape and XXH3 of the bytes.
    tensors: BTreeMap<String, (String, Vec<u64>, String)>,
}

/// Every checkpoint of a trainer, held against what its library loads. Expected: layout and weights of each.
fn check(trainer: &str, expected: &[&str]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/trainers").join(trainer);
    let found = scan(&[folder.join("run")], &Settings::default());
    let shown: Vec<String> = found.candidates.iter().map(|candidate| show(candidate)).collect();
    assert_eq!(shown, expected);
    for candidate in &found.candidates {
        let path = &candidate.path;
        let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
        let name = name.unwrap().to_string_lossy().into_owned();
        let case = std::fs::read(folder.join(format!("{name}.expected.json"))).unwrap();
        let case: Case = serde_json::from_slice(&case).unwrap();
        assert_eq!(folder.join(&case.path), candidate.path);
        compare(&name, candidate, &case);
    }
}

fn show(candidate: &Candidate) -> String {
    assert!(candidate.problems.is_empty(), "{:?}", candidate.problems);
    let word = match &candidate.written {
        Written::Complete => "complete".to_owned(),
        Written::NotYet(why) | Written::Unsure(why) => why.clone(),
    };
    let weights: Vec<_> = candidate.weights.iter().map(|path| path.display().to_string()).collect();
    let name = candidate.path.file_name().unwrap().to_string_lossy();
    format!("{} {name} {word}: {}", candidate.layout, weights.join(" "))
}

fn compare(title: &str, candidate: &Candidate, case: &Case) {
    let files: Vec<PathBuf> = candidate.weights.iter().cloned().chain(candidate.optimizer_files()).collect();
    let opened = tensor::open(&candidate.root, &files, &tensor::Settings::default());
    assert!(opened.problems.is_empty(), "{title}: {:?}", opened.problems);
    assert!(
        opened.skipped.is_empty(),
        "{title}: {:?}",
        opened.skipped.iter().map(|s| &s.name).collect::<Vec<_>>()
    );
    let step =
        if candidate.step_source == StepSource::Sequence { opened.step } else { Some(candidate.step.0) };
    assert_eq!(step, Some(case.step), "{title}: from {:?}", candidate.step_source);
    assert!(opened.step.is_none_or(|inside| inside == case.step), "{title}: {:?} inside", opened.step);
    let tensors = opened.source.tensors();
    let got: BTreeMap<String, _> = (0..tensors.len())
        .map(|index| {
            let info = &tensors[index];
            let digest = format!("{:016x}", xxh3_64(&bytes(&*opened.source, index)));
            (info.name.to_string(), (info.dtype.name().to_owned(), info.shape.clone(), digest))
        })
        .collect();
    assert_eq!(got, case.tensors, "{title}");
    let states = opened.optimizer.tensors();
    let elements: u64 = states.iter().map(|state| state.elements()).sum();
    let count = |name: &str| case.optimizer.get(name).copied().unwrap_or_default();
    assert_eq!(states.len() as f64, count("optimizer_tensors"), "{title}");
    assert_eq!(elements as f64, count("optimizer_elements"), "{title}");
    let map = understand(tensors, None);
    // Single numbers that a trainer keeps among the weights (fairseq's `version`) are no part of a family.
    let of_model = tensors.iter().zip(&map.meanings).filter(|(tensor, _)| tensor.elements() > 1);
    let unknown = of_model.filter(|(_, meaning)| meaning.guessed);
    let unknown: Vec<_> = unknown.map(|(tensor, meaning)| (&tensor.name, meaning.role)).collect();
    // The small networks of Composer are no family.
    assert!(unknown.is_empty() || map.family == "unknown", "{title}: {} {unknown:?}", map.family);
    assert!(
        tensors.iter().zip(&map.meanings).filter(|(_, meaning)| meaning.role == Role::Other).count() <= 2
    );
}

fn bytes(source: &dyn BlockSource, index: usize) -> Vec<u8> {
    let mut bytes = vec![0; source.tensors()[index].bytes() as usize];
    source.read(index, 0, &mut bytes).unwrap();
    bytes
}

#[test]
fn composer_as_it_was_left() {
    check(
        "composer",
        &[
            "composer ep0-ba3-rank0.pt complete: ep0-ba3-rank0.pt",
            "composer ep0-ba6-rank0.pt complete: ep0-ba6-rank0.pt",
            "composer ep0-ba6 complete: .metadata __0_0.distcp __1_0.distcp",
        ],
    );
}

/// Names with updates and names with epochs in one run: the step is that of the updates, from inside where need be.
#[test]
fn fairseq_as_it_was_left() {
    check(
        "fairseq",
        &[
            "fairseq checkpoint1.pt complete: checkpoint1.pt",
            "fairseq checkpoint2.pt complete: checkpoint2.pt",
            "fairseq checkpoint_2_9.pt complete: checkpoint_2_9.pt",
        ],
    );
}

/// The last checkpoint is the model alone, in safetensors.
#[test]
fn torchtitan_as_it_was_left() {
    check(
        "torchtitan",
        &[
            "torch_dcp step-2 complete: .metadata __0_0.distcp __1_0.distcp",
            "model_folder step-4 nothing says that the trainer is done: model-00001-of-00001.safetensors",
        ],
    );
}

/// A run of Lightning's trainer with NeMo's callback, and the folder of a tensor-parallel model by its checkpoint IO.
#[test]
fn nemo_as_it_was_left() {
    check(
        "nemo",
        &[
            "nemo small--step=3-epoch=0.ckpt complete: small--step=3-epoch=0.ckpt",
            "nemo small--step=6-epoch=0.ckpt complete: small--step=6-epoch=0.ckpt",
            "nemo small--val_loss=2.00-step=100-consumed_samples=400.0 complete: weights/.metadata weights/__0_0.distcp \
             weights/__0_1.distcp weights/__1_0.distcp weights/__1_1.distcp",
        ],
    );
}

/// Names that torchtitan 0.3 gives the parameters of its Qwen 3, DeepSeek V3 and GPT-OSS, as its own debug models list them.
#[test]
fn every_model_of_torchtitan_has_its_roles() {
    use Role::*;
    let rows: [(&str, &[u64], Role); 22] = [
        ("tok_embeddings.weight", &[2048, 256], TokenEmbedding),
        ("layers.0.attention.qkv_linear.wq.weight", &[2048, 256], AttnQ),
        ("layers.0.attention.qkv_linear.wk.weight", &[1024, 256], AttnK),
        ("layers.0.attention.qkv_linear.wv.bias", &[512], Bias),
        ("layers.0.attention.q_norm.weight", &[128], Norm),
        ("layers.0.attention.sinks", &[64], Other),
        ("layers.0.attention.wo.weight", &[256, 2048], AttnOut),
        ("layers.1.attention.wq.weight", &[3072, 256], AttnQ),
        ("layers.1.attention.wkv_a.weight", &[576, 256], AttnQkv),
        ("layers.1.attention.kv_norm.weight", &[512], Norm),
        ("layers.1.attention.wkv_b.weight", &[4096, 512], AttnQkv),
        ("layers.1.feed_forward.w2.weight", &[256, 1024], MlpDown),
        ("layers.2.moe.router.gate.weight", &[64, 256], Router),
        ("layers.2.moe.expert_bias_E", &[64], Other),
        ("layers.2.moe.routed_experts.inner_experts.w1_EFD", &[64, 768, 256], ExpertGate),
        ("layers.2.moe.routed_experts.inner_experts.w2_EDF", &[64, 256, 768], ExpertDown),
        ("layers.2.moe.routed_experts.inner_experts.w3_EFD", &[64, 768, 256], ExpertUp),
        ("layers.2.moe.shared_experts.w3.weight", &[512, 256], MlpUp),
        ("layers.3.moe.routed_experts.inner_experts.mlp1_weight_EGD", &[8, 5760, 256], ExpertUp),
        ("layers.3.moe.routed_experts.inner_experts.mlp1_bias_EG", &[8, 5760], Bias),
        ("norm.weight", &[256], Norm),
        ("lm_head.weight", &[2048, 256], LmHead),
    ];
    let tensors: Vec<TensorInfo> = rows
        .iter()
        .map(|(name, shape, _)| TensorInfo {
            name: (*name).into(),
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            file: "__0_0.distcp".into(),
        })
        .collect();
    let map = understand(&tensors, None);
    assert_eq!(map.family, "llama_original");
    for ((name, _, role), meaning) in rows.iter().zip(&map.meanings) {
        assert_eq!((meaning.role, meaning.guessed), (*role, false), "{name}");
    }
}
