//! The heads of one layer, and all heads over depth.

mod maps;
mod norms;
mod similarity;

use super::FigureDef;

/// Pictures of the heads at one checkpoint, in the order in which they are shown.
pub static FIGURES: &[&FigureDef] =
    &[&norms::FIGURE, &super::checkpoint::TREES, &similarity::FIGURE, &maps::FIGURE];
