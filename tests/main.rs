//! Integration tests: one binary, one module a theme.
#![allow(clippy::unwrap_used, clippy::expect_used)]

/// Training runs, the daemon and real servers, for the tests below.
mod util;

mod hostile;
/// The text of a scrape and its budget.
mod scrape_golden;
/// Arrows, sizes, registries, words.
mod tidy;
