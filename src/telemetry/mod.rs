//! Our own logs and counters: one struct an event, which logs and counts.
