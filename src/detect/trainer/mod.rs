//! The trainer's own log, and what it says about the weights.

pub mod divergence;
pub mod learning_rate_jump;
pub mod loss_not_finite;
pub mod loss_worse_than_chance;
