//! How much is to be measured, on how many threads.

use std::time::Duration;

use crate::terms::{BlockSource, Step, Tier};

/// Sketch length that gives distances with a standard error of 2.2 % (1 / sqrt(2 m)).
pub const SKETCH_LEN: usize = 1024;

/// Quantiles that are remembered of each tensor: 1 kB as f64, enough to redraw its histogram.
pub const QUANTILES: usize = 128;

/// What [`super::weigh()`] is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Highest tier wanted.
    pub tier: Tier,
    /// Threads that work at once; at least 1.
    pub threads: usize,
    /// Numbers in each tensor's sketch; 0 for no sketches. Readings compare only at equal lengths.
    pub sketch_len: usize,
    /// Quantiles remembered of each tensor; 0 for none.
    pub quantiles: usize,
    /// CPU time for tier 3 in this checkpoint; none for no limit.
    pub spectra_budget: Option<Duration>,
    /// Rows and columns of each matrix, which are about half of what tier 1 costs.
    pub rows: bool,
    /// Of tiers 2 and 3 the matrices' own spectra alone: no principal components, no heads, nothing that compares.
    pub spectra_alone: bool,
    /// The spectra of the previous checkpoint's matrices too, to compare with: twice the time. Where readings are
    /// remembered, [`super::remember`] compares with the last one that was had instead.
    pub spectra_of_previous: bool,
    /// Running number of the checkpoint: tier 3 goes on where the round before left off.
    pub round: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            tier: Tier::Three,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            sketch_len: SKETCH_LEN,
            quantiles: QUANTILES,
            spectra_budget: None,
            rows: true,
            spectra_alone: false,
            spectra_of_previous: false,
            round: 0,
        }
    }
}

/// The checkpoint that the change metrics compare with.
#[derive(Clone, Copy)]
pub struct Previous<'a> {
    /// Its step.
    pub step: Step,
    /// Its tensors.
    pub source: &'a dyn BlockSource,
}

/// Is told how far weighing is. `()` does not care.
pub trait Progress: Sync {
    /// So many more bytes of the checkpoint were read for the first time.
    fn bytes(&self, read: u64);
}

impl Progress for () {
    fn bytes(&self, _read: u64) {}
}
