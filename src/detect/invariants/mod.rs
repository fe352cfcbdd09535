//! Hard invariants: what no healthy run shows, whatever it trains. No statistics.

pub mod infinite_value;
pub mod not_a_number;
pub mod overdue_checkpoint;
