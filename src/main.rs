//! Parses, runs, exits: everything else is in the library.
#![forbid(unsafe_code)]

fn main() {}
