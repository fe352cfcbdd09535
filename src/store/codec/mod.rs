//! How nouns become bytes and back, exactly: floats by their bits, text and paths as they are.
//!
//! Nothing here knows the database or the journal. Each part starts with its own form number, so that a
//! later program can still read what an older one wrote; decoding checks every length before it
//! allocates, because these bytes come from a disk.

mod bytes;
mod column;
mod finding;
mod head;
mod intern;
mod log;
mod memory;
mod planes;
mod roster;
mod said;

pub(super) use bytes::{Malformed, Reader, Writer};
pub(super) use column::{Column, column_len, read_column, write_column};
pub(super) use finding::{read_finding, write_finding};
pub(super) use head::{Head, LogRange, read_head, write_head};
pub(super) use intern::intern;
pub(super) use log::{read_log, same_points, write_log};
pub(super) use memory::{read_lists, read_sketches, write_lists, write_sketches};
pub(super) use roster::{Absences, Roster, read_absences, read_roster, write_absences, write_roster};
pub(super) use said::{
    read_acknowledgement, read_announcement, read_silence, write_acknowledgement, write_announcement,
    write_silence,
};
