//! What a tensor is in its model.
//!
//! A checkpoint is a list of names and shapes. [`understand()`] gives each name a role, a layer and a
//! category, tells which way matrices are stored, and cuts attention projections into heads. What a
//! model family calls its tensors is data ([`FAMILIES`], one table a family), not code; a user may add
//! tables of their own. Names that no family knows fall back on patterns and shapes, and say so.
//!
//! Layers count on through the stacks of a model: a decoder's first layer follows its encoder's last.
//! The configuration is believed only as far as the shapes bear it out; where they do not, nothing is
//! cut and a remark says why.

mod choose;
mod config;
mod families;
mod family;
mod guess;
mod heads;
mod names;
mod tied;
mod understand;

pub use families::FAMILIES;
pub use family::{Family, Part, Stack, Tag, TiedPair};
pub use understand::{understand, understand_with};
