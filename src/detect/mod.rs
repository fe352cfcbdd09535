//! What the numbers mean: detectors, baseline, vote, hysteresis; pure and replayable.
//!
//! Evidence is weighed in this order: hard invariants that no healthy run breaks ([`invariants`]); bounds
//! that the optimizer cannot break at the logged learning rate; known faults' own marks in the structure of
//! the weights; departure from the run's own past in learning-rate time, with the scale pooled over
//! siblings; slow drift; the trainer's own log. Each detector is one file with one entry in [`DETECTORS`];
//! it looks at a [`View`] and returns [`Sign`]s. [`judge()`] turns signs into findings: one fault is one
//! finding, however many tensors and detectors see it.
//!
//! Nothing here reads a clock, a file or a random number: the same history gives the same findings.

mod baseline;
pub mod compatibility;
pub mod drift;
mod entry;
pub mod invariants;
mod judge;
pub mod marks;
pub mod motion;
mod overdue;
pub mod pace;
pub mod panel;
pub mod physics;
mod regime;
mod registry;
mod run_kind;
mod schedule;
mod settings;
mod state;
pub mod structure;
pub mod trainer;
pub mod unlike_baseline;
mod view;
mod vote;

pub use baseline::{BASELINE_POINTS_MAX, Baseline};
pub use entry::{Detector, Entry, Parameter, Parameters, Proof, Rule, Sign};
pub use judge::judge;
pub use overdue::{Rhythm, overdue};
pub use regime::{Change, Regime, regimes};
pub use registry::DETECTORS;
pub use run_kind::{RunKind, run_kind};
pub use schedule::Schedule;
pub use settings::{DetectorSettings, Expected, Settings};
pub use state::{Error, State};
pub use view::View;
