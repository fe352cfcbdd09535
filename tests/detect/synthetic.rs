//! A healthy run of a small decoder as readings: plausible numbers with a little noise, from a seed.

use std::collections::BTreeMap;
use std::sync::Arc;

use weighbridge::terms::{
    Attempt, Category, CheckpointFacts, Dtype, LogPoint, Meaning, Memory, MetricName, Reading, ReadingKey,
    Role, RunId, Samples, Sketch, Sketches, Step, StepSource, Subject, SubjectReading, TensorFacts,
    TensorReading, TrainerState,
};

/// What the series is like.
#[derive(Clone, Debug)]
pub struct Series {
    pub checkpoints: usize,
    pub every: u64,
    pub layers: u32,
    pub seed: u64,
    pub sgd: bool,
    pub schedule: String,
    pub dtype: Dtype,
    /// Times the usual rms of everything but gains.
    pub size: f64,
    /// Experts a layer, beside its feed-forward block.
    pub experts: u32,
    /// Is there a pair of adapters in every layer?
    pub adapters: bool,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            checkpoints: 24,
            every: 25,
            layers: 3,
            seed: 1,
            sgd: false,
            schedule: "cosine".to_owned(),
            dtype: Dtype::F32,
            size: 1.0,
            experts: 0,
            adapters: false,
        }
    }
}

/// Uniform in -1 .. 1 from the words it is about; the same words, the same number.
fn noise(words: &[u64]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for &word in words {
        state = (state ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
        state = state.wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 32;
    }
    (state >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
}

impl Series {
    /// Learning rate at a step: a warm-up of two checkpoints, then the schedule.
    pub fn rate(&self, step: u64) -> f64 {
        let last = (self.checkpoints as u64 * self.every) as f64;
        let (step, warm) = (step as f64, (2 * self.every) as f64);
        let peak = if self.sgd { 5e-2 } else { 2e-3 };
        if step < warm {
            return peak * step / warm;
        }
        let part = (step - warm) / (last - warm);
        let cosine = |part: f64| 0.5 * (1.0 + (std::f64::consts::PI * part).cos());
        match self.schedule.as_str() {
            "constant" => peak,
            "restarts" => peak * cosine((2.0 * part).fract()),
            _ => peak * cosine(part),
        }
    }

    /// Sum of the learning rate over the interval that ends at a checkpoint.
    fn lr_time(&self, index: usize) -> f64 {
        let to = (index as u64 + 1) * self.every;
        (to - self.every + 1..=to).map(|step| self.rate(step)).sum()
    }

    /// The log up to a checkpoint: five lines an interval.
    pub fn log(&self, index: usize) -> Vec<LogPoint> {
        let to = (index as u64 + 1) * self.every;
        (1..=to)
            .filter(|step| step % (self.every / 5).max(1) == 0)
            .map(|step| LogPoint {
                step,
                loss: Some(2.0 + 3.5 * (-(step as f64) / 80.0).exp() + 0.03 * noise(&[self.seed, step])),
                learning_rate: Some(self.rate(step)),
                grad_norm: Some(1.0 + 0.3 * noise(&[self.seed, step, 7])),
            })
            .collect()
    }

    /// One checkpoint, by its index from 0.
    pub fn reading(&self, index: usize) -> Reading {
        let step = (index as u64 + 1) * self.every;
        let mut tensors = vec![self.tensor(index, "wte", Role::TokenEmbedding, None, &[256, 48])];
        tensors.push(self.tensor(index, "wpe", Role::PositionEmbedding, None, &[128, 48]));
        let mut subjects = Vec::new();
        for layer in 0..self.layers {
            let parts: [(&str, Role, &[u64]); 8] = [
                ("ln", Role::Norm, &[48]),
                ("attn_q", Role::AttnQ, &[48, 48]),
                ("attn_k", Role::AttnK, &[48, 48]),
                ("attn_v", Role::AttnV, &[48, 48]),
                ("attn_out", Role::AttnOut, &[48, 48]),
                ("mlp_up", Role::MlpUp, &[192, 48]),
                ("mlp_up_bias", Role::Bias, &[192]),
                ("mlp_down", Role::MlpDown, &[48, 192]),
            ];
            for (part, role, shape) in parts {
                tensors.push(self.tensor(index, &format!("h.{layer}.{part}"), role, Some(layer), shape));
            }
            for expert in 0..self.experts {
                let parts: [(&str, Role, &[u64]); 3] = [
                    ("w1", Role::ExpertGate, &[96, 48]),
                    ("w2", Role::ExpertDown, &[48, 96]),
                    ("w3", Role::ExpertUp, &[96, 48]),
                ];
                for (part, role, shape) in parts {
                    let name = format!("h.{layer}.experts.{expert}.{part}");
                    tensors.push(self.tensor(index, &name, role, Some(layer), shape));
                }
            }
            if self.adapters {
                for (part, role, shape) in
                    [("lora_A", Role::LoraA, [4, 48]), ("lora_B", Role::LoraB, [48, 4])]
                {
                    tensors.push(self.tensor(
                        index,
                        &format!("h.{layer}.q.{part}"),
                        role,
                        Some(layer),
                        &shape,
                    ));
                }
            }
            if self.experts > 0 {
                subjects.push(SubjectReading {
                    subject: Subject::Layer(layer),
                    samples: BTreeMap::from([("expert_cosine_max", 0.05), ("expert_duplicates", 0.0)]),
                    lists: BTreeMap::new(),
                    absent: BTreeMap::new(),
                });
            }
            subjects.extend((0..4).map(|head| self.head(index, layer, head)));
        }
        Reading {
            key: ReadingKey { run: RunId::new("case"), attempt: Attempt(0), step: Step(step) },
            checkpoint: CheckpointFacts {
                path: format!("/runs/case/checkpoint-{step}").into(),
                layout: "hf_trainer".to_owned(),
                step_source: StepSource::Name,
                timestamp_seconds: step as f64,
                files: Vec::new(),
            },
            family: "synthetic".to_owned(),
            trainer: TrainerState {
                global_step: Some(step),
                max_steps: Some(self.checkpoints as u64 * self.every),
                epoch: None,
                log: self.log(index),
            },
            tensors,
            subjects,
            skipped: Vec::new(),
            tied: Vec::new(),
            remarks: Vec::new(),
            problems: Vec::new(),
            previous: index.checked_sub(1).map(|before| Step((before as u64 + 1) * self.every)),
        }
    }

    fn tensor(
        &self,
        index: usize,
        name: &str,
        role: Role,
        layer: Option<u32>,
        shape: &[u64],
    ) -> TensorReading {
        let id = name.bytes().fold(self.seed, |sum, byte| sum.wrapping_mul(31) + u64::from(byte));
        let jitter = |metric: u64| noise(&[id, index as u64, metric]);
        let time: f64 = (0..=index).map(|index| self.lr_time(index)).sum();
        let lr_time = self.lr_time(index);
        let gain = role == Role::Norm;
        let rms = if gain {
            1.0 + 0.05 * time
        } else {
            self.size * 0.02 * (1.0 + 0.5 * time) * (1.0 + 0.002 * jitter(1))
        };
        let speed = if self.sgd { 0.002 * (1.0 + 0.9 * jitter(2)) } else { 0.13 * (1.0 + 0.06 * jitter(2)) };
        let rank = 40.0 - 2.0 * time + 0.1 * jitter(3);
        let mut samples: Samples = BTreeMap::from([
            ("nan_elements", 0.0),
            ("inf_elements", 0.0),
            ("zero_elements", 0.0),
            ("zero_rows", 0.0),
            ("rms", rms),
            ("std", if gain { 0.05 } else { rms }),
            ("min", -4.0 * rms),
            ("max", 4.0 * rms),
            ("abs_max", 4.0 * rms),
            ("ks_statistic", 0.02 + 0.002 * time + 0.0003 * jitter(4)),
            ("l_kurtosis", 0.13 + 0.004 * time + 0.0003 * jitter(5)),
        ]);
        if shape.len() == 2 {
            samples.extend([
                ("effective_rank", rank),
                ("participation_ratio", 0.4 * rank + jitter(6)),
                ("stable_rank", 0.2 * rank + 0.3 * jitter(7)),
            ]);
        }
        if index > 0 {
            let update = speed * lr_time;
            let ratio = update / rms;
            samples.extend([
                ("update_rms", update),
                ("update_abs_max", update * 5.0),
                ("update_excess_kurtosis", 0.1 + 0.02 * jitter(8)),
                ("update_ratio", ratio),
                ("cosine_to_previous", 1.0 - 0.4 * ratio * ratio),
                ("identical_ratio", 0.0),
            ]);
            if shape.len() == 2 {
                samples.extend([("frozen_rows", 0.0), ("pure_decay_rows", 0.0)]);
            }
        }
        let values = (0..64).map(|place| noise(&[id, place]) as f32).collect();
        TensorReading {
            facts: TensorFacts {
                name: Arc::from(name),
                dtype: self.dtype,
                shape: shape.to_vec(),
                meaning: Meaning {
                    role,
                    category: category(role),
                    layer,
                    guessed: false,
                    inputs_first: false,
                },
                content_hash: id.wrapping_mul(0x9e37_79b9).wrapping_add(index as u64),
            },
            samples,
            absent: BTreeMap::new(),
            sketch: Some(Sketch { version: 1, values, exact: false }),
            quantiles: Vec::new(),
            spectrum: Vec::new(),
        }
    }

    fn head(&self, index: usize, layer: u32, head: u32) -> SubjectReading {
        let jitter =
            |metric: u64| noise(&[self.seed, u64::from(layer), u64::from(head), index as u64, metric]);
        let names: [MetricName; 7] =
            ["q_norm", "k_norm", "v_norm", "o_norm", "ov_norm", "qk_norm", "qk_logit_std"];
        let samples = names.into_iter().zip(1..).map(|(name, id)| (name, 0.5 + 0.02 * jitter(id))).collect();
        SubjectReading {
            subject: Subject::Head { layer, head },
            samples,
            lists: BTreeMap::new(),
            absent: BTreeMap::new(),
        }
    }
}

fn category(role: Role) -> Category {
    match role {
        Role::TokenEmbedding => Category::TokenEmbedding,
        Role::PositionEmbedding => Category::PositionalEmbedding,
        Role::AttnQ | Role::AttnK | Role::AttnV | Role::AttnOut => Category::Attention,
        Role::MlpUp | Role::MlpDown | Role::Bias => Category::FeedForward,
        Role::Norm => Category::LayerNorm,
        _ => Category::Other,
    }
}

/// A memory that keeps every sketch.
#[derive(Default)]
pub struct Remembered(std::sync::Mutex<BTreeMap<ReadingKey, Arc<Sketches>>>);

impl Remembered {
    pub fn keep(&self, reading: &Reading) {
        let sketches = reading
            .tensors
            .iter()
            .filter_map(|tensor| Some((Arc::clone(&tensor.facts.name), tensor.sketch.clone()?)))
            .collect();
        self.0.lock().unwrap().insert(reading.key.clone(), Arc::new(sketches));
    }
}

impl Memory for Remembered {
    fn sketches(&self, key: &ReadingKey) -> Option<Arc<Sketches>> {
        self.0.lock().unwrap().get(key).cloned()
    }
}
