//! The JSON of `inspect` and of the API: the shape that users' scripts rely on.

use std::collections::{BTreeMap, HashSet};

use serde_json::{Map, Value, json};

use super::{Answer, Beside};
use crate::detect::run_kind;
use crate::terms::{
    Catalog, Category, Finding, MetricName, Problem, Reading, Reason, RunStatus, Samples, Severity, Subject,
    SubjectReading, TensorReading, Unit,
};

/// One reading as JSON: `checkpoint`, `tensors`, `layers` (with their heads), `model` and `answers`.
/// Values are as measured, not rounded; what could not be had stands under `absent` with its reason.
pub fn inspect_json(reading: &Reading, catalog: &Catalog, answers: &[Answer]) -> Value {
    json!({
        "checkpoint": checkpoint(reading),
        "tensors": reading.tensors.iter().map(|tensor| tensor_json(tensor, catalog)).collect::<Vec<_>>(),
        "layers": layers(reading, catalog),
        "model": model(reading, catalog),
        "answers": answers,
    })
}

fn checkpoint(reading: &Reading) -> Value {
    json!({
        "run": reading.key.run,
        "attempt": reading.key.attempt,
        "step": reading.key.step,
        "previous_step": reading.previous,
        "path": reading.checkpoint.path.to_string_lossy(),
        "layout": reading.checkpoint.layout,
        "step_source": reading.checkpoint.step_source,
        "timestamp_seconds": reading.checkpoint.timestamp_seconds,
        "bytes": reading.checkpoint.bytes(),
        "files": reading.checkpoint.files.iter().map(|file| json!({
            "path": file.path.to_string_lossy(), "bytes": file.bytes,
        })).collect::<Vec<_>>(),
        "loss": reading.trainer.loss(),
        "learning_rate": reading.trainer.learning_rate(),
        "grad_norm": reading.trainer.grad_norm(),
        "epoch": reading.trainer.epoch,
        "max_steps": reading.trainer.max_steps,
        "problems": reading.problems.iter().map(problem_json).collect::<Vec<_>>(),
    })
}

/// One tensor's facts, values and absences.
pub fn tensor_json(tensor: &TensorReading, catalog: &Catalog) -> Value {
    let facts = &tensor.facts;
    json!({
        "name": facts.name,
        "dtype": facts.dtype,
        "shape": facts.shape,
        "role": facts.meaning.role,
        "layer": facts.meaning.layer,
        "category": facts.meaning.category,
        "guessed": facts.meaning.guessed,
        // A 64-bit number would lose its last digits in JavaScript.
        "content_hash": format!("{:016x}", facts.content_hash),
        "metrics": samples_json(&tensor.samples, catalog),
        "absent": absent_json(&tensor.absent),
    })
}

fn layers(reading: &Reading, catalog: &Catalog) -> Vec<Value> {
    let mut layers: BTreeMap<u32, Map<String, Value>> = BTreeMap::new();
    let entry = |layers: &mut BTreeMap<u32, Map<String, Value>>, layer: u32| {
        layers.entry(layer).or_insert_with(|| {
            Map::from_iter([
                ("layer".to_owned(), json!(layer)),
                ("ward_heights".to_owned(), json!([])),
                ("heads".to_owned(), json!([])),
            ])
        });
    };
    for subject in &reading.subjects {
        match subject.subject {
            Subject::Layer(layer) => {
                entry(&mut layers, layer);
                if let Some(row) = layers.get_mut(&layer) {
                    for (name, list) in &subject.lists {
                        row.insert((*name).to_owned(), json!(list));
                    }
                    row.insert("metrics".to_owned(), samples_json(&subject.samples, catalog));
                    row.insert("absent".to_owned(), absent_json(&subject.absent));
                }
            }
            Subject::Head { layer, head } => {
                entry(&mut layers, layer);
                let heads =
                    layers.get_mut(&layer).and_then(|row| row.get_mut("heads")).and_then(Value::as_array_mut);
                if let Some(heads) = heads {
                    heads.push(head_json(head, subject, catalog));
                }
            }
            Subject::Tensor(_) | Subject::Model => {}
        }
    }
    layers.into_values().map(Value::Object).collect()
}

fn head_json(head: u32, subject: &SubjectReading, catalog: &Catalog) -> Value {
    let mut row = Map::from_iter([("head".to_owned(), json!(head))]);
    if let Value::Object(samples) = samples_json(&subject.samples, catalog) {
        row.extend(samples);
    }
    if !subject.absent.is_empty() {
        row.insert("absent".to_owned(), absent_json(&subject.absent));
    }
    Value::Object(row)
}

fn model(reading: &Reading, catalog: &Catalog) -> Value {
    let inventory = Inventory::of(reading);
    let mut row = json!({
        "family": reading.family,
        "kind": run_kind(reading),
        "tensors": reading.tensors.len(),
        "elements": inventory.elements,
        "bytes": inventory.bytes,
        "categories": inventory.categories.iter().map(|(category, share)| json!({
            "category": category, "tensors": share.tensors, "elements": share.elements, "bytes": share.bytes,
        })).collect::<Vec<_>>(),
        "tied": reading.tied,
        "coverage_ratio": reading.coverage_ratio(),
        "skipped": reading.skipped,
        "remarks": reading.remarks,
    });
    if let (Some(subject), Some(row)) =
        (reading.subjects.iter().find(|subject| subject.subject == Subject::Model), row.as_object_mut())
    {
        row.insert("metrics".to_owned(), samples_json(&subject.samples, catalog));
        row.insert("absent".to_owned(), absent_json(&subject.absent));
    }
    row
}

/// Totals over a checkpoint; of tied tensors that are both in the file, the second is not counted again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Elements, tied ones once.
    pub elements: u64,
    /// Bytes in their own dtypes, tied ones once.
    pub bytes: u64,
    /// The same by category, in the order of [`Category::ALL`].
    pub categories: Vec<(Category, Share)>,
    /// Names that repeat another tensor.
    pub repeats: HashSet<String>,
}

/// One category's part of the [`Inventory`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Tensors, tied ones once.
    pub tensors: u64,
    /// Elements.
    pub elements: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Inventory {
    /// Counts a reading's tensors.
    pub fn of(reading: &Reading) -> Self {
        let repeats: HashSet<String> = reading.tied.iter().map(|(_, second)| second.clone()).collect();
        let mut shares: BTreeMap<Category, Share> = BTreeMap::new();
        for tensor in &reading.tensors {
            if repeats.contains(&*tensor.facts.name) {
                continue;
            }
            let elements = tensor.facts.shape.iter().product::<u64>();
            let share = shares.entry(tensor.facts.meaning.category).or_default();
            share.tensors += 1;
            share.elements += elements;
            share.bytes += elements * tensor.facts.dtype.bytes() as u64;
        }
        Self {
            elements: shares.values().map(|share| share.elements).sum(),
            bytes: shares.values().map(|share| share.bytes).sum(),
            categories: shares.into_iter().collect(),
            repeats,
        }
    }
}

/// Counts as whole numbers, everything else as measured.
fn samples_json(samples: &Samples, catalog: &Catalog) -> Value {
    let value = |name: MetricName, value: f64| {
        let whole = matches!(catalog.get(name).map(|def| def.unit), Some(Unit::Count | Unit::Bytes));
        if whole && value.fract() == 0.0 && value.abs() < 2f64.powi(53) {
            json!(value as i64)
        } else {
            json!(value)
        }
    };
    Value::Object(samples.iter().map(|(name, &sample)| ((*name).to_owned(), value(name, sample))).collect())
}

fn absent_json(absent: &BTreeMap<MetricName, Reason>) -> Value {
    Value::Object(
        absent.iter().map(|(name, reason)| ((*name).to_owned(), json!(reason.to_string()))).collect(),
    )
}

/// A file's fault as JSON.
pub fn problem_json(problem: &Problem) -> Value {
    json!({
        "kind": problem.kind,
        "path": problem.path.to_string_lossy(),
        "tensor": problem.tensor,
        "offset": problem.offset,
        "detail": problem.detail,
        "remedy": problem.remedy,
    })
}

/// A finding as JSON: the fields that `findings --format jsonl` promises, and all others. `silenced` and
/// `acknowledged` say why it calls nobody, if so, and `run_kind` what kind of run it is of.
pub fn finding_json(finding: &Finding, beside: &Beside) -> Value {
    let quiet = beside.quiet(finding);
    json!({
        "id": finding.id,
        "run": finding.run,
        "attempt": finding.attempt,
        "step": finding.step,
        "severity": finding.severity,
        "detector": finding.detector,
        "tensors": finding.tensors,
        "opened_at": finding.opened_at,
        "resolved_step": finding.resolved_step,
        "summary": finding.summary,
        "cause": finding.cause,
        "remedy": finding.remedy,
        "evidence": finding.evidence,
        "dissent": finding.dissent,
        "confidence": finding.confidence,
        "last_good_step": finding.last_good_step,
        "silenced": quiet.silence,
        "acknowledged": quiet.acknowledgement,
        "run_kind": beside.kind(finding),
    })
}

/// A run as one row: what it does, how far it is, how it is.
pub fn overview(status: &RunStatus) -> Value {
    let latest = status.latest.as_deref();
    let count =
        |severity: Severity| status.open.iter().filter(|finding| finding.severity == severity).count();
    json!({
        "run": status.run,
        "directory": status.directory.to_string_lossy(),
        "attempt": status.attempt,
        "phase": status.phase,
        "step": latest.map(|reading| reading.key.step),
        "max_steps": latest.and_then(|reading| reading.trainer.max_steps),
        "timestamp_seconds": latest.map(|reading| reading.checkpoint.timestamp_seconds),
        "family": latest.map(|reading| reading.family.clone()),
        "kind": latest.and_then(run_kind),
        "elements": latest.map(|reading| Inventory::of(reading).elements),
        "coverage_ratio": latest.map(Reading::coverage_ratio),
        "loss": latest.and_then(|reading| reading.trainer.loss()),
        "losses": status.losses.iter().map(|(step, loss)| json!([step, finite(*loss)])).collect::<Vec<_>>(),
        "worst": status.worst().map(Severity::name),
        "open": {
            "critical": count(Severity::Critical), "warning": count(Severity::Warning), "info": count(Severity::Info),
        },
        "findings_total": status.findings_total,
        "last_good": status.last_good.as_ref().map(|(step, path)| json!({
            "step": step, "path": path.to_string_lossy(),
        })),
        "checkpoints_total": status.checkpoints_total,
        "checkpoint_failures_total": status.checkpoint_failures_total,
        "publish_delay_seconds": status.publish_delay_seconds,
        "duration_seconds": status.duration_seconds,
        "pending": status.pending.iter().map(|(path, why)| json!([path.to_string_lossy(), why])).collect::<Vec<_>>(),
        "missed": status.missed,
    })
}

fn finite(value: f64) -> Option<f64> {
    Some(value).filter(|value| value.is_finite())
}
