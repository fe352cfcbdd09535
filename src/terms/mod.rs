//! The nouns that all rooms share. No input, no output, no policy.
//!
//! A [`Reading`] is one judged record of one checkpoint: what was in the file ([`TensorFacts`]), what
//! was measured ([`Samples`]) and what went wrong while doing so ([`Problem`]). A [`Finding`] is what
//! the judge says about a run. Everything that a room hands to another is defined here, so that rooms
//! never need to know each other.

mod catalog;
pub mod distance;
mod dtype;
mod finding;
mod history;
mod identity;
mod memory;
mod metric;
mod model;
mod outcome;
mod planned;
mod reading;
mod said;
mod sketch;
mod snapshot;
mod source;
mod trainer;

pub use catalog::Catalog;
pub use dtype::Dtype;
pub use finding::{Evidence, Finding, FindingId, Severity};
pub use history::{History, Point};
pub use identity::{Attempt, ReadingKey, RunId, Step, Subject};
pub use memory::{Memory, NoMemory, Sketches, Spectra, Spectrum};
pub use metric::{Family, MetricDef, MetricName, SubjectKind, Tier, Unit};
pub use model::{AttentionParts, Category, HeadAxis, HeadPart, Meaning, ModelMap, Role};
pub use outcome::{Problem, ProblemKind, Reason};
pub use planned::{Announcement, Planned};
pub use reading::{
    CheckpointFacts, FileStamp, Reading, Samples, Sketch, SkippedTensor, StepSource, SubjectReading,
    TensorFacts, TensorReading,
};
pub use said::{Acknowledgement, Quiet, Said, Silence};
pub use sketch::Comparison;
pub use snapshot::{Carried, RunPhase, RunStatus, Snapshot};
pub use source::{BlockSource, SourceError, TensorInfo};
pub use trainer::{LogPoint, TrainerState};
