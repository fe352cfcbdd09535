//! A training run as its trainer would leave it on disk: small GPT-2 checkpoints in the layout of the
//! Hugging Face Trainer, whole, half-written, rotated away or sick.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;

/// Tensors of one checkpoint by name: shape and values, stored as f32.
pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A run that writes checkpoints into its directory.
pub struct TrainingRun {
    /// Directory of the run.
    pub directory: PathBuf,
    /// Weights as they are now; [`TrainingRun::save`] moves them a little first.
    pub weights: Tensors,
    log: Vec<serde_json::Value>,
    noise: Noise,
    max_steps: u64,
}

/// Layers, width, heads, vocabulary, positions of the toy model: every role is there, and a checkpoint
/// is about 130 kB.
pub const LAYERS: usize = 2;
const WIDTH: usize = 32;
const HEADS: usize = 4;
const VOCABULARY: usize = 96;
const POSITIONS: usize = 32;

impl TrainingRun {
    /// A fresh run in `parent/name`. Its weights depend on nothing but `seed`.
    pub fn new(parent: &Path, name: &str, seed: u64) -> Self {
        let directory = parent.join(name);
        fs::create_dir_all(&directory).unwrap();
        let mut noise = Noise(seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15));
        let weights = initial(&mut noise);
        Self { directory, weights, log: Vec::new(), noise, max_steps: 1_000_000 }
    }

    /// The same run with its end planned.
    pub fn ending_at(mut self, max_steps: u64) -> Self {
        self.max_steps = max_steps;
        self
    }

    /// One more piece of training: every tensor moves by about a hundredth of its scale.
    pub fn train(&mut self) {
        for (_, values) in self.weights.values_mut() {
            let rms = (values.iter().map(|v| v * v).sum::<f32>() / values.len() as f32).sqrt();
            let pace = 0.01 * if rms.is_finite() && rms > 0.0 { rms } else { 0.02 };
            values.iter_mut().for_each(|value| *value += pace * self.noise.normal());
        }
    }

    /// Trains and writes the whole checkpoint, the state file last, as the Trainer does.
    pub fn save(&mut self, step: u64) -> PathBuf {
        self.train();
        self.save_as_is(step)
    }

    /// Writes the weights as they stand.
    pub fn save_as_is(&mut self, step: u64) -> PathBuf {
        let half = self.begin(step);
        half.finish()
    }

    /// Writes the first half of the weights and nothing after them.
    pub fn begin(&mut self, step: u64) -> HalfWritten {
        let loss = 2.0 + 3.0 / (1.0 + step as f64 / 100.0);
        self.log.push(
            json!({"step": step, "loss": loss, "learning_rate": 1e-3, "grad_norm": 1.25, "epoch": 1.0}),
        );
        let path = self.checkpoint(step);
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("config.json"), config().to_string()).unwrap();
        let bytes = encode(&self.weights);
        fs::write(path.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
        let state =
            json!({"global_step": step, "max_steps": self.max_steps, "epoch": 1.0, "log_history": self.log});
        HalfWritten { path, bytes, state: state.to_string() }
    }

    /// Deletes a checkpoint, as the Trainer's rotation does.
    pub fn rotate_away(&self, step: u64) {
        fs::remove_dir_all(self.checkpoint(step)).unwrap();
    }

    /// Where a checkpoint lies.
    pub fn checkpoint(&self, step: u64) -> PathBuf {
        self.directory.join(format!("checkpoint-{step}"))
    }

    /// The run's name when its parent is watched.
    pub fn name(&self) -> String {
        self.directory.file_name().unwrap().to_string_lossy().into_owned()
    }

    /// Puts one value into a tensor.
    pub fn poison(&mut self, tensor: &str, element: usize, value: f32) {
        self.weights.get_mut(tensor).expect("no such tensor").1[element] = value;
    }
}

/// A checkpoint of which half the weights are on disk.
pub struct HalfWritten {
    /// Its directory.
    pub path: PathBuf,
    bytes: Vec<u8>,
    state: String,
}

impl HalfWritten {
    /// Writes the rest of the weights, but not yet the state file.
    pub fn finish_weights(&self) {
        fs::write(self.path.join("model.safetensors"), &self.bytes).unwrap();
    }

    /// Writes all that is missing.
    pub fn finish(self) -> PathBuf {
        self.finish_weights();
        fs::write(self.path.join("trainer_state.json"), &self.state).unwrap();
        self.path
    }
}

/// The bytes of a safetensors file.
pub fn encode(tensors: &Tensors) -> Vec<u8> {
    let bytes: BTreeMap<&str, Vec<u8>> = tensors
        .iter()
        .map(|(name, (_, values))| {
            (name.as_str(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = tensors.iter().map(|(name, (shape, _))| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), &bytes[name.as_str()]).unwrap())
    });
    safetensors::serialize(views, None).unwrap()
}

fn config() -> serde_json::Value {
    json!({
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": LAYERS, "n_embd": WIDTH, "n_head": HEADS,
        "vocab_size": VOCABULARY, "n_positions": POSITIONS, "tie_word_embeddings": true,
    })
}

fn initial(noise: &mut Noise) -> Tensors {
    let mut tensors = Tensors::new();
    let mut add = |name: String, shape: &[usize], mean: f32, scale: f32| {
        let values = (0..shape.iter().product()).map(|_| mean + scale * noise.normal()).collect();
        tensors.insert(name, (shape.to_vec(), values));
    };
    add("transformer.wte.weight".into(), &[VOCABULARY, WIDTH], 0.0, 0.02);
    add("transformer.wpe.weight".into(), &[POSITIONS, WIDTH], 0.0, 0.02);
    for layer in 0..LAYERS {
        let mut part = |name: &str, shape: &[usize], mean: f32, scale: f32| {
            add(format!("transformer.h.{layer}.{name}"), shape, mean, scale);
        };
        part("attn.c_attn.weight", &[WIDTH, 3 * WIDTH], 0.0, 0.02);
        part("attn.c_attn.bias", &[3 * WIDTH], 0.0, 0.01);
        part("attn.c_proj.weight", &[WIDTH, WIDTH], 0.0, 0.01);
        part("attn.c_proj.bias", &[WIDTH], 0.0, 0.01);
        part("mlp.c_fc.weight", &[WIDTH, 4 * WIDTH], 0.0, 0.02);
        part("mlp.c_fc.bias", &[4 * WIDTH], 0.0, 0.01);
        part("mlp.c_proj.weight", &[4 * WIDTH, WIDTH], 0.0, 0.01);
        part("mlp.c_proj.bias", &[WIDTH], 0.0, 0.01);
        for norm in ["ln_1", "ln_2"] {
            part(&format!("{norm}.weight"), &[WIDTH], 1.0, 0.01);
            part(&format!("{norm}.bias"), &[WIDTH], 0.0, 0.01);
        }
    }
    add("transformer.ln_f.weight".into(), &[WIDTH], 1.0, 0.01);
    add("transformer.ln_f.bias".into(), &[WIDTH], 0.0, 0.01);
    tensors
}

/// Pseudo-random numbers that are the same everywhere (SplitMix64).
struct Noise(u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Box-Muller.
    fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        (radius * (std::f64::consts::TAU * self.uniform()).cos()) as f32
    }
}

#[test]
fn writes_checkpoints_that_the_library_reads() {
    let parent = tempfile::tempdir().unwrap();
    let mut run = TrainingRun::new(parent.path(), "toy", 1);
    let half = run.begin(10);
    let short = fs::read(half.path.join("model.safetensors")).unwrap();
    assert!(safetensors::SafeTensors::deserialize(&short).is_err());
    assert!(!half.path.join("trainer_state.json").exists());
    let path = half.finish();
    let whole = fs::read(path.join("model.safetensors")).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&whole).unwrap();
    assert_eq!(tensors.len(), 4 + 12 * LAYERS);
    assert_eq!(tensors.tensor("transformer.wte.weight").unwrap().shape(), [VOCABULARY, WIDTH]);
    run.save(20);
    let later = fs::read(run.checkpoint(20).join("model.safetensors")).unwrap();
    assert!(later.len() == whole.len() && later != whole);
}
