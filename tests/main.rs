//! Integration tests: one binary, one module a theme.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

/// Training runs, the daemon and real servers, for the tests below.
mod util;

/// Tables in documents that are made from registries.
mod doc;

/// Who gets in: passwords, tokens, certificates, and clients that misbehave.
mod access;
/// What is on disk, when it is complete, which attempt it is.
mod checkpoint;
/// What `deploy/` ships, held against the real tools and the registries.
mod deploy;
/// Judgement as data: scripts, entries, the page made from them.
mod detect;
/// Documents made from the registries.
mod docs;
mod formats;
mod hostile;
/// Values against an independent reference.
mod measure_golden;
/// Families of models against what transformers saves.
mod model;
/// The text of a scrape and its budget.
mod scrape_golden;
/// The whole stack on loopback, with real servers.
mod stack;
/// Arrows, sizes, registries, words.
mod tidy;
/// What trainers themselves wrote.
mod trainers;

/// What is kept, and what comes back of it after crashes, damage and upgrades.
mod store;

/// Killed at random points, opened again: nothing lost, nothing twice.
mod crash;
/// The page, in a real browser.
mod page;
/// The running daemon and what trainers do to it.
mod watch;
