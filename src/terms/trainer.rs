//! What the trainer itself wrote about the run.

use serde::Serialize;

/// One line of the trainer's log. Values that the trainer wrote as NaN or Inf are kept as such.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LogPoint {
    /// Step at which it was logged.
    pub step: u64,
    /// Training loss.
    pub loss: Option<f64>,
    /// Learning rate.
    pub learning_rate: Option<f64>,
    /// Gradient norm before clipping.
    pub grad_norm: Option<f64>,
}

/// State of the trainer at a checkpoint. `Default` is "the trainer left nothing".
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TrainerState {
    /// Step that the state file names.
    pub global_step: Option<u64>,
    /// Planned number of steps.
    pub max_steps: Option<u64>,
    /// Epoch, fractional.
    pub epoch: Option<f64>,
    /// Lines of the log up to this checkpoint, by step; at most the newest
    /// [`TrainerState::LOG_POINTS_MAX`].
    pub log: Vec<LogPoint>,
}

impl TrainerState {
    /// Longest log that is kept in memory: at one line per 10 steps this covers a million steps.
    pub const LOG_POINTS_MAX: usize = 100_000;

    /// Newest logged loss.
    pub fn loss(&self) -> Option<f64> {
        self.log.iter().rev().find_map(|point| point.loss)
    }

    /// Newest logged learning rate.
    pub fn learning_rate(&self) -> Option<f64> {
        self.log.iter().rev().find_map(|point| point.learning_rate)
    }

    /// Newest logged gradient norm.
    pub fn grad_norm(&self) -> Option<f64> {
        self.log.iter().rev().find_map(|point| point.grad_norm)
    }
}
