//! What a checkpoint is on disk.
//!
//! [`Scanner`] walks the watched directories and asks each of [`LAYOUTS`] what it sees: one file a
//! trainer, which knows the names that trainer uses, where the step stands and which file it writes
//! last. The result is a list of [`Candidate`]s: things that look like checkpoints. [`Settler`] decides
//! from one look to the next which of them are complete, which may still change and which are broken
//! for good. [`trainer_state()`] reads what the trainer wrote about the run, and [`recognise`] tells a
//! checkpoint that continues a run from one of a new attempt.
//!
//! The disk is the only truth here: nothing depends on file events, and nothing is remembered that a
//! look at the disk would not show again. Only names, sizes, times and small JSON files are read; the
//! weights themselves are the tensor room's matter.

mod attempts;
mod candidate;
mod disk;
mod json;
mod layouts;
mod scan;
mod settings;
mod settle;
mod trainer_state;
mod weights;

pub use attempts::{Known, Recognition, recognise};
pub use candidate::{Candidate, Error, Written};
pub use disk::is_network_file_system;
pub use layouts::{Claim, Draft, Found, LAYOUTS, Layout};
pub use scan::{Scan, Scanner, candidate_at, scan};
pub use settings::Settings;
pub use settle::{Settler, Verdict, settle_now};
pub use trainer_state::{model_config, trainer_state};
