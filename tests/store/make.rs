//! Readings to put in: arbitrary ones, and ones that look like those of a real model.

use std::path::PathBuf;
use std::sync::Arc;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use weighbridge::store::{Settings, Store};
use weighbridge::terms::{
    Attempt, Catalog, Category, CheckpointFacts, Dtype, Evidence, FileStamp, Finding, FindingId, LogPoint,
    Meaning, Problem, ProblemKind, Reading, ReadingKey, Reason, Role, RunId, Severity, Sketch, SkippedTensor,
    Step, StepSource, Subject, SubjectReading, TensorFacts, TensorReading, TrainerState,
};

/// Names that arbitrary readings take their metrics from.
pub const METRICS: [&str; 6] = ["mean", "std", "nan_elements", "ks_statistic", "l_kurtosis", "q999"];

/// Settings that do not depend on how full the test machine is.
pub fn settings() -> Settings {
    Settings { free_bytes_min: 0, ..Settings::default() }
}

/// Opens a store that must open.
pub fn open(dir: &std::path::Path) -> Store {
    Store::open(dir, &Catalog::new([]), &settings()).unwrap()
}

/// A key.
pub fn key(run: &str, attempt: u32, step: u64) -> ReadingKey {
    ReadingKey { run: RunId::new(run), attempt: Attempt(attempt), step: Step(step) }
}

fn any_f64() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<f64>(),
        Just(0.0),
        Just(-0.0),
        (0u32..99).prop_map(f64::from),
        any::<f32>().prop_map(f64::from)
    ]
}

fn any_reason() -> impl Strategy<Value = Reason> {
    prop_oneof![
        Just(Reason::Constant),
        any::<u64>().prop_map(|needs| Reason::TooFew { needs }),
        Just(Reason::NotApplicable("no learned position table")),
        Just(Reason::OverBudget),
        Just(Reason::Overflow),
    ]
}

fn any_metric() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(METRICS.to_vec())
}

fn any_sketch() -> impl Strategy<Value = Option<Sketch>> {
    let sketch = (any::<u32>(), any::<bool>(), vec(any::<f32>(), 0..40));
    proptest::option::of(sketch.prop_map(|(version, exact, values)| Sketch { version, exact, values }))
}

fn any_meaning() -> impl Strategy<Value = Meaning> {
    let role = proptest::sample::select(Role::ALL.to_vec());
    let category = proptest::sample::select(Category::ALL.to_vec());
    (role, category, any::<Option<u32>>(), any::<bool>(), any::<bool>()).prop_map(
        |(role, category, layer, guessed, inputs_first)| Meaning {
            role,
            category,
            layer,
            guessed,
            inputs_first,
        },
    )
}

fn any_tensor() -> impl Strategy<Value = TensorReading> {
    let facts = (
        ".*",
        proptest::sample::select(Dtype::ALL.to_vec()),
        vec(any::<u64>(), 0..4),
        any_meaning(),
        any::<u64>(),
    );
    let facts = facts.prop_map(|(name, dtype, shape, meaning, content_hash)| TensorFacts {
        name: Arc::from(name),
        dtype,
        shape,
        meaning,
        content_hash,
    });
    (
        facts,
        btree_map(any_metric(), any_f64(), 0..6),
        btree_map(any_metric(), any_reason(), 0..4),
        any_sketch(),
        vec(any::<f32>(), 0..9),
        vec(any::<f32>(), 0..9),
    )
        .prop_map(|(facts, samples, absent, sketch, quantiles, spectrum)| TensorReading {
            facts,
            samples,
            absent,
            sketch,
            quantiles,
            spectrum,
        })
}

fn any_subject() -> impl Strategy<Value = SubjectReading> {
    let subject = prop_oneof![
        (any::<u32>(), any::<u32>()).prop_map(|(layer, head)| Subject::Head { layer, head }),
        any::<u32>().prop_map(Subject::Layer),
        Just(Subject::Model),
    ];
    let lists = btree_map(any_metric(), vec(any_f64(), 0..5), 0..3);
    (subject, btree_map(any_metric(), any_f64(), 0..6), lists, btree_map(any_metric(), any_reason(), 0..4))
        .prop_map(|(subject, samples, lists, absent)| SubjectReading { subject, samples, lists, absent })
}

/// A log of a trainer, with values that it wrote as NaN.
pub fn any_log() -> impl Strategy<Value = Vec<LogPoint>> {
    let value = || proptest::option::of(prop_oneof![any_f64(), Just(f64::NAN), Just(f64::INFINITY)]);
    let point = (any::<u64>(), value(), value(), value());
    vec(
        point.prop_map(|(step, loss, learning_rate, grad_norm)| LogPoint {
            step,
            loss,
            learning_rate,
            grad_norm,
        }),
        0..20,
    )
}

fn any_problem() -> impl Strategy<Value = Problem> {
    (".*", proptest::option::of(".*"), any::<Option<u64>>(), ".*", ".*").prop_map(
        |(path, tensor, offset, detail, remedy)| Problem {
            kind: ProblemKind::Truncated,
            path: PathBuf::from(path),
            tensor,
            offset,
            detail,
            remedy,
        },
    )
}

fn any_facts() -> impl Strategy<Value = CheckpointFacts> {
    let file = (".*", any::<u64>(), any::<i64>());
    let file = file.prop_map(|(path, bytes, modified_ns)| FileStamp {
        path: PathBuf::from(path),
        bytes,
        modified_ns,
    });
    (".*", ".*", any_f64(), vec(file, 0..4)).prop_map(|(path, layout, timestamp_seconds, files)| {
        CheckpointFacts {
            path: PathBuf::from(path),
            layout,
            step_source: StepSource::Inside,
            timestamp_seconds,
            files,
        }
    })
}

prop_compose! {
    /// Any reading at all.
    pub fn any_reading()(
        (run, attempt, step) in ("[a-c]", 0u32..3, any::<u64>()),
        checkpoint in any_facts(),
        family in ".*",
        (log, global_step, max_steps, epoch) in (any_log(), any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<f64>>()),
        tensors in vec(any_tensor(), 0..6),
        subjects in vec(any_subject(), 0..4),
        skipped in vec((".*", any::<u64>(), ".*"), 0..3),
        tied in vec((".*", ".*"), 0..3),
        remarks in vec(".*", 0..3),
        problems in vec(any_problem(), 0..3),
        previous in any::<Option<u64>>(),
    ) -> Reading {
        Reading {
            key: key(&run, attempt, step),
            checkpoint,
            family,
            trainer: TrainerState { global_step, max_steps, epoch, log },
            tensors,
            subjects,
            skipped: skipped.into_iter().map(|(name, elements, reason)| SkippedTensor { name, elements, reason }).collect(),
            tied,
            remarks,
            problems,
            previous: previous.map(Step),
        }
    }
}

/// A generator of plain numbers: the same seed, the same numbers.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next number of splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Close to a standard normal: the sum of twelve uniform numbers, less 6.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| (self.next() >> 11) as f64 / (1u64 << 53) as f64).sum::<f64>() - 6.0
    }
}

/// A checkpoint that looks like one of a real model: `tensors` tensors, `metrics` metrics each, sketches
/// of `sketch` numbers. Equal arguments give equal readings.
pub fn model_reading(
    run: &str,
    step: u64,
    tensors: usize,
    metrics: &[&'static str],
    sketch: usize,
) -> Reading {
    let mut numbers = Numbers(step << 20 | tensors as u64);
    let one = |(index, numbers): (usize, &mut Numbers)| {
        let samples = metrics.iter().enumerate().map(|(which, &metric)| {
            let value = match which % 5 {
                0 => 0.0,
                1 => f64::from(numbers.normal() as f32),
                _ => 0.02 * (1.0 + 0.1 * numbers.normal()),
            };
            (metric, value)
        });
        TensorReading {
            facts: TensorFacts {
                name: Arc::from(format!("transformer.h.{}.part.{}.weight", index / 12, index % 12)),
                dtype: Dtype::F32,
                shape: vec![768, 768],
                meaning: Meaning {
                    role: Role::MlpUp,
                    category: Category::FeedForward,
                    layer: Some(index as u32 / 12),
                    guessed: false,
                    inputs_first: true,
                },
                content_hash: 0,
            },
            samples: samples.collect(),
            absent: [("bowley_skewness", Reason::NotMatrix)].into(),
            sketch: (sketch > 0).then(|| Sketch {
                version: 1,
                exact: false,
                values: (0..sketch).map(|_| numbers.normal() as f32).collect(),
            }),
            quantiles: if sketch > 0 {
                (0..128).map(|i| (i as f32 - 63.5) * 0.001 + numbers.normal() as f32 * 1e-5).collect()
            } else {
                Vec::new()
            },
            spectrum: Vec::new(),
        }
    };
    let mut list = Vec::new();
    for index in 0..tensors {
        let mut tensor = one((index, &mut numbers));
        tensor.facts.content_hash = numbers.next();
        list.push(tensor);
    }
    let log = (1..=step / 5).map(|line| LogPoint {
        step: line * 5,
        loss: Some(10.0 / line as f64),
        learning_rate: Some(1e-3),
        grad_norm: (line % 7 != 0).then_some(1.5),
    });
    Reading {
        key: key(run, 0, step),
        checkpoint: CheckpointFacts {
            path: PathBuf::from(format!("/runs/{run}/checkpoint-{step}")),
            layout: "hf_trainer".into(),
            step_source: StepSource::Name,
            timestamp_seconds: 1.7e9 + step as f64,
            files: vec![FileStamp {
                path: "model.safetensors".into(),
                bytes: 500_000_000,
                modified_ns: step as i64,
            }],
        },
        family: "gpt2".into(),
        trainer: TrainerState {
            global_step: Some(step),
            max_steps: Some(10_000),
            epoch: Some(0.1),
            log: log.collect(),
        },
        tensors: list,
        subjects: vec![SubjectReading {
            subject: Subject::Layer(0),
            samples: [("elements", 12.0)].into(),
            lists: [("ward_heights", vec![0.5, 0.25, step as f64])].into(),
            absent: Default::default(),
        }],
        skipped: Vec::new(),
        tied: Vec::new(),
        remarks: Vec::new(),
        problems: Vec::new(),
        previous: None,
    }
}

/// The same reading with a spectrum in every second of its tensors: the even ones at even steps.
pub fn with_spectra(mut reading: Reading) -> Reading {
    let step = reading.key.step.0;
    let whose_turn =
        reading.tensors.iter_mut().enumerate().filter(|(index, _)| *index as u64 % 2 == step % 2);
    for (index, tensor) in whose_turn {
        let mut numbers = Numbers(step << 8 | index as u64);
        let mut share = 0.05;
        tensor.spectrum = (0..48)
            .map(|_| {
                share *= 1.0 - 0.02 * (numbers.next() >> 40) as f32 / (1 << 24) as f32;
                share
            })
            .collect();
    }
    reading
}

/// A finding of a run, opened at a step.
pub fn finding(run: &str, step: u64, id: &str) -> Finding {
    Finding {
        id: FindingId(id.into()),
        run: RunId::new(run),
        attempt: Attempt(0),
        step: Step(step),
        severity: Severity::Warning,
        detector: "non_gaussian_drift".into(),
        tensors: vec!["transformer.h.0.part.1.weight".into()],
        summary: "the shape of one tensor leaves its own history".into(),
        cause: "a learning rate that is too high".into(),
        remedy: "look at the learning rate".into(),
        evidence: vec![Evidence {
            subject: Subject::Tensor("transformer.h.0.part.1.weight".into()),
            metric: "ks_statistic".into(),
            value: Some(0.3),
            expected: "0.02 to 0.05".into(),
        }],
        dissent: vec!["std is as before".into()],
        confidence: 0.9,
        opened_at: 1.7e9 + step as f64,
        resolved_step: None,
        last_good_step: step.checked_sub(1).map(Step),
    }
}
