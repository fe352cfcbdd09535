//! Tables, bars and small histograms for terminals.

mod inspect;
mod paint;

pub use inspect::inspect_text;
pub use paint::Terminal;
