//! Our own logs and counters: one struct an event, which logs and counts.
//!
//! Logs and counters tell the same story, so they are told in one place: an event is a struct with its
//! fields, and [`Event::emit`] writes the log line *and* moves the counter. An event that repeats for
//! the same subject is logged at most once per [`Repeats::INTERVAL`]; it is counted every time, and the
//! next line says how many were held back. [`EVENTS`] lists them for `docs/telemetry.md`.
//!
//! Rooms never log: they return problems, and the daemon, the web and the exporters tell them here.

mod counters;
mod events;
mod logging;
mod process;
mod repeats;

pub use counters::{Counter, Counters, OwnSample, ReloadState, Trouble};
pub use events::{
    CheckpointBroken, CheckpointKept, CheckpointMissed, CheckpointNotKept, CheckpointPending, ConfigRefused,
    ConfigReloaded, Delivered, DeliveryFailed, Draining, EVENTS, Event, EventEntry, Exposed, FindingChanged,
    HintsLost, QueueFull, ReadingCommitted, RequestRefused, ScanProblem, SeriesDropped, Started, Stopped,
    StoreFailed, WorkerPanicked,
};
pub use logging::{LogError, LogFormat, check_level, init_logging, set_log_level};
pub use process::{ProcessUse, now_seconds, process_use};
pub use repeats::Repeats;
