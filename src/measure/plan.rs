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

/// Is told how far weighing is, by the threads that weigh. `()` does not care.
pub trait Progress: Sync {
    /// So many more bytes of the checkpoint were read for the first time.
    fn bytes(&self, read: u64);

    /// The calling thread has a piece of tier 1 before it, a millisecond of work or so, and begins when this returns.
    fn piece(&self) {}

    /// The calling thread has tiers 2 and 3 before it and ends with them: long pieces that nobody waits for.
    fn leisure(&self) {}
}

impl Progress for () {
    fn bytes(&self, _read: u64) {}
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::super::testing::{InMemory, Random, unknown};
    use super::super::weigh;
    use super::*;
    use crate::terms::TrainerState;

    #[derive(Default)]
    struct Counts {
        bytes: AtomicU64,
        pieces: AtomicU64,
        leisure: AtomicU64,
    }

    impl Progress for Counts {
        fn bytes(&self, read: u64) {
            self.bytes.fetch_add(read, Ordering::Relaxed);
        }
        fn piece(&self) {
            self.pieces.fetch_add(1, Ordering::Relaxed);
        }
        fn leisure(&self) {
            self.leisure.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn pieces_are_told_of_and_the_end_of_tier_one_by_each_thread() {
        const ELEMENTS: u64 = 3 << 18;
        let source = InMemory::f32(&[768, 1024], &Random(8).normals(ELEMENTS as usize, 1.0));
        for (tier, leisure) in [(Tier::One, 0), (Tier::Two, 3)] {
            let (counts, plan) = (Counts::default(), Plan { tier, threads: 3, ..Plan::default() });
            weigh(&source, &unknown(), None, &TrainerState::default(), &plan, &counts);
            assert_eq!(counts.bytes.into_inner(), 4 * ELEMENTS);
            // Of a quarter of a megabyte at most, in each of two looks.
            assert!(counts.pieces.into_inner() >= 2 * 4 * ELEMENTS / (1 << 18));
            assert_eq!(counts.leisure.into_inner(), leisure);
        }
    }
}
