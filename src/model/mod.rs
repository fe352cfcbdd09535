//! What a tensor is in its model.
//!
//! A checkpoint is a list of names and shapes. [`understand`] gives each name a role, a layer and a
//! category, tells which way matrices are stored, and cuts attention projections into heads. What a
//! model family calls its tensors is data ([`FAMILIES`], one table a family), not code; a user may add
//! tables of their own. Names that no family knows fall back on patterns and shapes, and say so.

mod family;
mod understand;

pub use family::Family;
pub use understand::{understand, understand_with};

/// Every family that comes with the program, in the order in which they are tried.
pub static FAMILIES: &[&Family] = &[];
