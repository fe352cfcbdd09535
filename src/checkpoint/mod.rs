//! What a checkpoint is on disk.
//!
//! [`Scanner`] walks the watched directories and asks each of [`LAYOUTS`] what it sees: one file a
//! trainer, which knows the names that trainer uses, where the step stands and which file it writes
//! last. The result is a list of [`Candidate`]s: things that look like checkpoints. [`Settler`] decides
//! from one look to the next which of them are complete, which may still change and which are broken
//! for good. [`trainer_state`] reads what the trainer wrote about the run, and [`recognise`] tells a
//! checkpoint that continues a run from one of a new attempt.
//!
//! The disk is the only truth here: nothing depends on file events, and nothing is remembered that a
//! look at the disk would not show again. Only names, sizes, times and small JSON files are read; the
//! weights themselves are the tensor room's matter.

mod attempts;
mod candidate;
mod hf_trainer;
mod scan;
mod settings;
mod settle;
mod trainer_state;

pub use attempts::{Known, Recognition, recognise};
pub use candidate::{Candidate, Error, Written, candidate_at};
pub use scan::{Scan, Scanner, is_network_file_system, scan};
pub use settings::Settings;
pub use settle::{Settler, Verdict, settle_now};
pub use trainer_state::{model_config, trainer_state};

/// One trainer's way of laying out checkpoints on disk.
pub trait Layout: Sync {
    /// Short name, shown with each checkpoint.
    fn name(&self) -> &'static str;
    /// What lies on disk, in one line for the table of layouts.
    fn on_disk(&self) -> &'static str;
    /// When a checkpoint counts as complete, in one line for the table of layouts.
    fn complete_when(&self) -> &'static str;
}

/// Every layout, in the order in which they are asked.
pub static LAYOUTS: &[&dyn Layout] = &[&hf_trainer::HfTrainer];
