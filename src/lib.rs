//! weighbridge weighs every checkpoint that a training run writes.
//!
//! The modules below stand in the order in which one checkpoint meets them: it is found and settled
//! ([`checkpoint`]), opened ([`tensor`]), understood ([`model`]), measured ([`measure`]), judged
//! ([`detect`]), committed ([`store`]) and published by the [`daemon`]. [`terms`] holds the nouns that
//! all rooms share. The rooms never import each other; `ARCHITECTURE.md` has the table, and a test
//! holds the code to it.
#![forbid(unsafe_code)]

pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod detect;
pub mod export;
pub mod measure;
pub mod model;
pub mod report;
pub mod store;
pub mod telemetry;
pub mod tensor;
pub mod terms;
pub mod web;
