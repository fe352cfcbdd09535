//! What is kept: readings, findings and the judge's state; the only user of sled.
//!
//! A checkpoint lives for hours, its reading for the life of the run. One commit takes a reading, the
//! findings it changed and the judge's state in one piece: after a crash all of it is there or none.

mod book;
mod changes;
mod codec;
mod database;
mod draft;
mod error;
mod handle;
mod keys;
mod lock;
mod outbox;
mod read;
mod report;
mod settings;
mod tape;

pub use error::Error;
pub use handle::Store;
pub use report::{Damage, RunSummary, Series, Stats, Verify};
pub use settings::Settings;
