//! What is kept: readings, findings, judge's state; the only user of sled.
