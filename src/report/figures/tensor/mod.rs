//! One tensor: its values now, against a normal, along its rows and columns, over time.

mod changes;
mod histogram;
mod over_time;
mod profiles;
mod qq;
mod singular_values;

use super::FigureDef;

pub use changes::changes;
pub use over_time::{METRICS as OVER_TIME, Moment, over_time};

/// Pictures of one tensor at one checkpoint, in the order in which they are shown.
pub static FIGURES: &[&FigureDef] = &[
    &histogram::FIGURE,
    &qq::FIGURE,
    &profiles::FIGURE,
    &singular_values::FIGURE,
    &super::checkpoint::MATRIX,
];
