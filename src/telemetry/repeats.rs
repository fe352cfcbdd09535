//! Holds back what is said over and over: a directory that cannot be read is scanned every few seconds,
//! and one line about it every few seconds buries the line that matters.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Remembers when each (event, subject) was last said.
#[derive(Debug, Default)]
pub struct Repeats {
    said: Mutex<HashMap<(&'static str, String), Said>>,
}

#[derive(Debug)]
struct Said {
    at: Instant,
    held_back: u64,
}

impl Repeats {
    /// An event about the same subject is said at most once in this time.
    pub const INTERVAL: Duration = Duration::from_secs(10);

    /// Subjects remembered at once. Beyond it the memory starts afresh: some lines more are better than
    /// a map that grows with every checkpoint of a run of months.
    pub const SUBJECTS_MAX: usize = 1024;

    /// Whether to say it now: none = hold it back; otherwise how many were held back since the last line.
    pub fn admit(&self, event: &'static str, subject: &str, now: Instant) -> Option<u64> {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.len() >= Self::SUBJECTS_MAX {
            said.clear();
        }
        match said.get_mut(&(event, subject.to_owned())) {
            Some(entry) if now.saturating_duration_since(entry.at) < Self::INTERVAL => {
                entry.held_back += 1;
                None
            }
            Some(entry) => {
                entry.at = now;
                Some(std::mem::take(&mut entry.held_back))
            }
            None => {
                said.insert((event, subject.to_owned()), Said { at: now, held_back: 0 });
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_first_holds_back_the_next_and_owns_up_later() {
        let repeats = Repeats::default();
        let start = Instant::now();
        assert_eq!(repeats.admit("scan", "a", start), Some(0));
        assert_eq!(repeats.admit("scan", "a", start + Duration::from_secs(1)), None);
        assert_eq!(repeats.admit("scan", "a", start + Duration::from_secs(9)), None);
        assert_eq!(repeats.admit("scan", "b", start + Duration::from_secs(9)), Some(0), "another subject");
        assert_eq!(repeats.admit("store", "a", start + Duration::from_secs(9)), Some(0), "another event");
        assert_eq!(repeats.admit("scan", "a", start + Duration::from_secs(10)), Some(2));
        assert_eq!(repeats.admit("scan", "a", start + Duration::from_secs(20)), Some(0));
    }

    #[test]
    fn forgets_rather_than_grows() {
        let repeats = Repeats::default();
        let start = Instant::now();
        for index in 0..3 * Repeats::SUBJECTS_MAX {
            assert_eq!(repeats.admit("scan", &index.to_string(), start), Some(0));
        }
        assert!(repeats.said.lock().unwrap().len() <= Repeats::SUBJECTS_MAX);
    }
}
