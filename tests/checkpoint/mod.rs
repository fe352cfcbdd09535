//! Checkpoints on disk: what the scan finds, when it is complete, which attempt it belongs to.

mod attempts;
mod layouts;
mod scan;
mod settle;
mod tree;
