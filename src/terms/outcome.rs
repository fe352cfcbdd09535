//! Four outcomes that must never be mixed up: *not yet* is the checkpoint room's `Pending`; *broken* is
//! a [`Problem`]; *not applicable* is a [`Reason`]; a bug is a caught panic, told as a problem of
//! [`ProblemKind::Bug`].

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Why a metric has no value. Shown beside the metric, never counted as a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// All finite elements are equal.
    Constant,
    /// Fewer elements (rows, singular values, ...) than the definition needs.
    TooFew {
        /// How many it needs at least.
        needs: u64,
    },
    /// The metric needs every element finite and at least one is NaN or Inf.
    NotFinite,
    /// All elements are zero.
    AllZero,
    /// The metric is defined for matrices only.
    NotMatrix,
    /// There is no earlier checkpoint, or it does not have this tensor in this shape.
    NoPrevious,
    /// The model has no such part, or it is not known where it lies.
    NotApplicable(&'static str),
    /// Left out of this checkpoint to stay inside the budget; its turn comes.
    OverBudget,
    /// A value came out that is not a finite number, for example 1e30 squared.
    Overflow,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Constant => f.write_str("all elements are equal"),
            Reason::TooFew { needs } => write!(f, "needs at least {needs}"),
            Reason::NotFinite => f.write_str("holds NaN or Inf"),
            Reason::AllZero => f.write_str("all elements are zero"),
            Reason::NotMatrix => f.write_str("not a matrix"),
            Reason::NoPrevious => f.write_str("no earlier checkpoint to compare with"),
            Reason::NotApplicable(why) => write!(f, "not applicable: {why}"),
            Reason::OverBudget => f.write_str("not in this checkpoint's budget"),
            Reason::Overflow => f.write_str("value is beyond what a float can hold"),
        }
    }
}

/// What kind of fault a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// A file could not be opened or read.
    Unreadable,
    /// A file is shorter or longer than its header says.
    Truncated,
    /// A header, index or state file does not parse or contradicts itself.
    Malformed,
    /// A file or tensor that the index names is not there.
    Missing,
    /// The file breaks a limit or tries something that no honest trainer does.
    Hostile,
    /// The files went away while they were read.
    Rotated,
    /// The program itself failed; the panic was caught.
    Bug,
}

/// A fault of a checkpoint's files, told with place and remedy. It becomes a finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind of fault.
    pub kind: ProblemKind,
    /// File it lies in, relative to the checkpoint where possible.
    pub path: PathBuf,
    /// Tensor it touches, where one can be named.
    pub tensor: Option<String>,
    /// Byte offset in the file, where one can be named.
    pub offset: Option<u64>,
    /// What is wrong: lowercase, no full stop, with what was expected and what was found.
    pub detail: String,
    /// What the user can do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        if let Some(tensor) = &self.tensor {
            write!(f, "tensor {tensor}: ")?;
        }
        f.write_str(&self.detail)?;
        if let Some(offset) = self.offset {
            write!(f, " (byte {offset})")?;
        }
        Ok(())
    }
}
