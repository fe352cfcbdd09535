//! Who and when: runs, steps, attempts, and what a number is about.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::SubjectKind;

/// A run's name: its directory's path below the watched directory, or the directory's own name where
/// the watched directory is the run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Takes the name as it will be shown, stored and exported.
    pub fn new(name: impl AsRef<str>) -> Self {
        Self(Arc::from(name.as_ref()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Position in a run, counted in optimizer steps as the trainer counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Step(pub u64);

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which go at the run: 0 for the first, one more each time the run is resumed from an older step or
/// begun again in the same directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Attempt(pub u32);

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Names one reading. Nothing stored under a key is ever overwritten.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ReadingKey {
    /// The run.
    pub run: RunId,
    /// Which go at it.
    pub attempt: Attempt,
    /// The checkpoint's step.
    pub step: Step,
}

impl fmt::Display for ReadingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} step {}", self.run, self.step)?;
        if self.attempt.0 > 0 { write!(f, " (attempt {})", self.attempt) } else { Ok(()) }
    }
}

/// What a number is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// One named array of the checkpoint.
    Tensor(Arc<str>),
    /// One attention head; both numbers count from 0.
    Head {
        /// Depth of the attention block.
        layer: u32,
        /// Query head within it.
        head: u32,
    },
    /// One layer.
    Layer(u32),
    /// The whole model.
    Model,
}

impl Subject {
    /// What it is one of.
    pub fn kind(&self) -> SubjectKind {
        match self {
            Self::Tensor(_) => SubjectKind::Tensor,
            Self::Head { .. } => SubjectKind::Head,
            Self::Layer(_) => SubjectKind::Layer,
            Self::Model => SubjectKind::Model,
        }
    }
}
