//! Numbers from tensors: metrics by family, kernels as free functions on slices, the plan.
//!
//! Everything that is said about a checkpoint rests on the numbers made here, so each has one definition
//! (its [`MetricDef`], beside the code that computes it) and either a value or a [`Reason`]. Tier 1 is
//! one streaming pass over every tensor ([`weigh()`]): what is in it, moments, the shape of the
//! distribution, rows and columns, the change since the previous checkpoint, and a sketch that outlives
//! the file. Tiers 2 and 3 look at whole matrices: spectra, heads, positions, structure.
//!
//! A tensor's distribution travels as `cells`: its values in sorted order, in as few numbers as the
//! metrics need. Small tensors are sorted; 16-bit dtypes are counted, one cell a value; f32 is counted by
//! its top bits, and only the cells that can still move a metric are looked at again. Large tensors of
//! wider numbers go the same way in more looks (`wide`): no tensor is held whole because it is large.
//!
//! This room knows tensors as bytes with a dtype and a shape. Files, store and clock are not its matter,
//! and nothing that lies in a tensor makes it panic.
//!
//! [`Reason`]: crate::terms::Reason

#[cfg(test)]
mod agreement;
mod cells;
mod central;
mod change;
mod chunk;
mod codes;
mod counter;
mod cut;
mod decode;
mod depth;
mod elements;
mod equilibrium;
mod gather;
mod inventory;
mod job;
pub mod kernels;
mod ks;
mod lanes;
#[cfg(test)]
mod laws;
mod lmoments;
mod matrices;
mod memory;
mod moments;
mod normal;
mod optimizer;
mod plan;
mod precision;
mod quads;
mod refine;
mod registry;
mod rows;
mod shape;
mod sheet;
mod sketch;
mod small;
mod stream;
mod tails;
#[cfg(test)]
mod testing;
mod together;
mod totals;
mod weigh;
mod wide;

pub use matrices::drift::spectra_before;
pub use memory::{Past, remember};
pub use optimizer::weigh_optimizer;
pub use plan::{Plan, Previous, Progress, QUANTILES, SKETCH_LEN};
pub use weigh::{Weighed, weigh};

use crate::terms::{Catalog, MetricDef};

/// One line a family; the entries stand in the family's own file.
const FAMILIES: &[&[MetricDef]] = &[
    inventory::DEFS,
    elements::DEFS,
    shape::DEFS,
    rows::DEFS,
    precision::DEFS,
    change::DEFS,
    equilibrium::DEFS,
    memory::DEFS,
    matrices::spectrum::DEFS,
    matrices::heads::DEFS,
    matrices::positions::DEFS,
    matrices::embeddings::DEFS,
    matrices::structure::DEFS,
    matrices::adapters::DEFS,
    matrices::experts::DEFS,
    totals::DEFS,
    optimizer::DEFS,
];

/// Every metric, in the order in which they are shown.
pub static METRICS: &[&MetricDef] = &registry::flatten::<{ registry::count(FAMILIES) }>(FAMILIES);

/// The metrics, to be looked up by name.
pub fn catalog() -> Catalog {
    Catalog::new(METRICS.iter().copied())
}
