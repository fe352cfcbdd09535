//! Tables, bars and small histograms for terminals.

mod findings;
mod inspect;
mod overlay;
mod paint;
mod top;

pub use findings::{finding_line, finding_line_in, findings_jsonl, findings_text};
pub use inspect::inspect_text;
pub use overlay::overlay_text;
pub(super) use paint::tail;
pub use paint::{Terminal, fitted, hung, plain};
pub use top::top_text;
