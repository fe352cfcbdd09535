//! What people and scripts see of readings and histories: JSON, terminal text, figures, one-file HTML.
//!
//! A picture is defined once, in [`figures`], as typed data: panels, axes, marks and numbers. The page
//! draws it from the API's JSON, the HTML report carries the same JSON and the same drawing code, and
//! tests read it directly; so a picture can never show another number than the table beside it.
//!
//! Nothing here knows the daemon, the store or HTTP: everything is made from a [`crate::terms::Reading`],
//! from columns of values that the caller looked up, and, where a picture needs the weights themselves,
//! from a [`Weights`] that the caller opened while the files exist.

mod answers;
mod beside;
mod diff;
pub mod distances;
pub mod figures;
pub mod gather;
mod history;
mod html;
mod json;
mod number;
pub mod page;
mod terminal;
mod weights;

pub use answers::{Answer, Verdict, answers};
pub use beside::Beside;
pub use diff::{diff, diff_json, diff_text};
pub use history::{HistoryFormat, history, history_json, subject_words};
pub use html::{inspect_html, overlay_html, report_html};
pub use json::{finding_json, inspect_json, overview, problem_json, tensor_json};
pub use number::{bytes, count, significant, time};
pub use terminal::{
    Terminal, finding_line, finding_line_in, findings_jsonl, findings_text, fitted, hung, inspect_text,
    overlay_text, plain, top_text,
};
pub use weights::Weights;
