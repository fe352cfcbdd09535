//! What is kept: readings, findings and the judge's state; the only user of sled.
//!
//! A checkpoint lives for hours, its reading for the life of the run. One commit takes a reading, the
//! findings it changed and the judge's state in one piece: after a crash all of it is there or none.
//!
//! A commit is written to the [`journal`] and synced, and from then on it is done. The [`database`] (sled) is
//! what the journal says in a form that can be searched; it is made from the journal again wherever it is
//! behind, damaged or gone. While the database cannot work (the disk is full), the [`standby`] reads the journal. What the two hold, byte by byte, is in `docs/store.md`.

mod backup;
mod book;
mod care;
mod changes;
mod codec;
mod compact;
mod database;
mod draft;
mod error;
mod handle;
mod journal;
mod keys;
mod lock;
mod migrate;
mod outbox;
mod query;
mod quiet;
mod read;
mod recover;
mod report;
mod said;
mod schema;
mod settings;
mod spectra;
mod standby;
mod tape;
mod thin;

pub use error::Error;
pub use handle::Store;
pub use migrate::{Plan, plan as migration_plan};
pub use query::{LOG_TAIL, Span};
pub use quiet::quiet_database;
pub use report::{Backup, Compacted, Damage, Repair, RunStats, RunSummary, Series, Stats, Verify};
pub use settings::{KEEP_KINDS, Keep, KeepKind, Retention, Settings};
