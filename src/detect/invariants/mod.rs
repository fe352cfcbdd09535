//! Hard invariants: what no healthy run shows, whatever it trains. No statistics.

pub mod adapter_stays_zero;
pub mod bit_flip;
pub mod content;
pub mod file_problems;
pub mod infinite_value;
pub mod inventory;
pub mod not_a_number;
pub mod old_content;
pub mod optimizer_state_broken;
pub mod overdue_checkpoint;
pub mod requantized;
pub mod standing_still;
