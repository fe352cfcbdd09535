//! Bounds of the optimizer, and speed against one's own past.

pub mod abnormal_speed;
pub mod impossible_update;
pub mod optimizer_state_lost;
