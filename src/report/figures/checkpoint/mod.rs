//! S1 to S15: what a person looks at to see whether these are the weights of a model that trains well.

mod depth;
mod dimensions;
mod directions;
mod gaussian;
mod head_clusters;
mod head_norms;
mod layer_sizes;
mod layer_summary;
mod matrix;
mod neighbours;
mod parameters;
mod periodicity;
mod position_table;
mod row_spread;
mod variance;

use super::FigureDef;

pub(super) use gaussian::{histogram_panel, spread, tails};
pub use head_clusters::{Clusters, FIGURE as TREES, head_clusters};
pub(super) use head_norms::layer_head_map;
pub(super) use matrix::read;
pub use matrix::{FIGURE as MATRIX, shrink};

/// All of them, in the order in which they are shown.
pub static FIGURES: &[&FigureDef] = &[
    &parameters::FIGURE,
    &layer_sizes::FIGURE,
    &position_table::FIGURE,
    &dimensions::FIGURE,
    &variance::FIGURE,
    &periodicity::FIGURE,
    &neighbours::FIGURE,
    &gaussian::FIGURE,
    &matrix::FIGURE,
    &directions::FIGURE,
    &layer_summary::FIGURE,
    &row_spread::FIGURE,
    &head_norms::FIGURE,
    &head_clusters::FIGURE,
    &depth::FIGURE,
];
