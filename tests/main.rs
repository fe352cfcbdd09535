//! Integration tests: one binary, one module a theme.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod hostile;
