//! One judged record of one checkpoint.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::{Dtype, Meaning, MetricName, Problem, ReadingKey, Reason, Subject, TrainerState};

/// Values by metric. A metric that has no value is not here but in `absent`, with the reason.
pub type Samples = BTreeMap<MetricName, f64>;

/// Where a checkpoint's step was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StepSource {
    /// From the file's or directory's name.
    Name,
    /// From the trainer's state file.
    StateFile,
    /// From inside the checkpoint's own file.
    Inside,
    /// Nothing names it: a running number.
    Sequence,
}

/// What identifies one version of one file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct FileStamp {
    /// Path relative to the run's directory.
    pub path: PathBuf,
    /// Bytes.
    pub bytes: u64,
    /// Modification time, nanoseconds since 1970.
    pub modified_ns: i64,
}

/// The checkpoint as it lay on disk.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CheckpointFacts {
    /// Absolute path of the directory or file.
    pub path: PathBuf,
    /// Name of the layout that recognised it.
    pub layout: String,
    /// Where the step was learnt.
    pub step_source: StepSource,
    /// When the trainer finished writing it: newest modification time, seconds since 1970.
    pub timestamp_seconds: f64,
    /// All its files that were looked at.
    pub files: Vec<FileStamp>,
}

impl CheckpointFacts {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// What is known of a tensor beside its metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorFacts {
    /// Full name as in the file.
    pub name: Arc<str>,
    /// Element type.
    pub dtype: Dtype,
    /// Dimensions, outermost first.
    pub shape: Vec<u64>,
    /// Its part in the model.
    #[serde(flatten)]
    pub meaning: Meaning,
    /// XXH3 of the elements' bytes; equal content, equal hash.
    pub content_hash: u64,
}

/// Linear memory of a tensor: from two of them, the distance of the tensors.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sketch {
    /// Version of the recipe and its seeds; only sketches of equal versions compare.
    pub version: u32,
    /// The numbers, or the whole tensor where it is no longer than the sketch.
    pub values: Vec<f32>,
    /// True when `values` is the whole tensor.
    pub exact: bool,
}

/// Facts, values and memory of one tensor.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TensorReading {
    /// What it is.
    pub facts: TensorFacts,
    /// What was measured.
    pub samples: Samples,
    /// What could not be had, and why.
    pub absent: BTreeMap<MetricName, Reason>,
    /// Sketch memory, where it was asked for.
    pub sketch: Option<Sketch>,
    /// Quantiles at (i + 1/2) / n, ascending: histogram memory, where it was asked for.
    pub quantiles: Vec<f32>,
    /// Singular values over their sum, largest first: empty where the full spectrum was not had.
    pub spectrum: Vec<f32>,
}

/// Values of a head, a layer or the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SubjectReading {
    /// What they are about; never [`Subject::Tensor`].
    pub subject: Subject,
    /// What was measured.
    pub samples: Samples,
    /// Ordered lists that belong to the subject, such as `ward_heights` of a layer.
    pub lists: BTreeMap<MetricName, Vec<f64>>,
    /// What could not be had, and why.
    pub absent: BTreeMap<MetricName, Reason>,
}

/// A tensor that is in the file and was not weighed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedTensor {
    /// Its name.
    pub name: String,
    /// Its elements, where known.
    pub elements: u64,
    /// Why, in words for the user.
    pub reason: String,
}

/// One judged record of one checkpoint. A broken checkpoint has a reading too: no or few tensors, and
/// the problems.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reading {
    /// Its name.
    pub key: ReadingKey,
    /// As it lay on disk.
    pub checkpoint: CheckpointFacts,
    /// Model family, or `unknown`.
    pub family: String,
    /// What the trainer wrote.
    pub trainer: TrainerState,
    /// Every tensor that was weighed, in file order.
    pub tensors: Vec<TensorReading>,
    /// Heads, layers and the model.
    pub subjects: Vec<SubjectReading>,
    /// Tensors that were not weighed.
    pub skipped: Vec<SkippedTensor>,
    /// Tied pairs by name, both in the file.
    pub tied: Vec<(String, String)>,
    /// Remarks on config against shapes.
    pub remarks: Vec<String>,
    /// Faults of the files.
    pub problems: Vec<Problem>,
    /// Step of the checkpoint that the change metrics compare with.
    pub previous: Option<super::Step>,
}

impl Reading {
    /// The tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&TensorReading> {
        self.tensors.iter().find(|tensor| &*tensor.facts.name == name)
    }

    /// Share of the checkpoint's elements that were weighed, 0 where nothing could be.
    pub fn coverage_ratio(&self) -> f64 {
        let weighed: u64 = self.tensors.iter().map(|tensor| tensor.facts.shape.iter().product::<u64>()).sum();
        let skipped: u64 = self.skipped.iter().map(|tensor| tensor.elements).sum();
        if weighed + skipped == 0 {
            return if self.skipped.is_empty() && self.problems.is_empty() { 1.0 } else { 0.0 };
        }
        weighed as f64 / (weighed + skipped) as f64
    }
}
