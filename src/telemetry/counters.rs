//! What the program counts about itself: plain numbers, shared by `Arc`, read at each scrape.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Repeats;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Where something went wrong: the bounded set behind the label `reason` of `errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A directory could not be scanned.
    Scan,
    /// A checkpoint's files were at fault.
    Checkpoint,
    /// The store refused.
    Store,
    /// A message could not be delivered.
    Delivery,
    /// A configuration was refused.
    Config,
    /// A good checkpoint could not be kept from rotation.
    Keep,
    /// The program itself failed.
    Bug,
}

impl Trouble {
    /// Every value, in the order of the counters.
    pub const ALL: [Trouble; 7] = [
        Trouble::Scan,
        Trouble::Checkpoint,
        Trouble::Store,
        Trouble::Delivery,
        Trouble::Config,
        Trouble::Keep,
        Trouble::Bug,
    ];

    /// The word in the label.
    pub const fn name(self) -> &'static str {
        match self {
            Trouble::Scan => "scan",
            Trouble::Checkpoint => "checkpoint",
            Trouble::Store => "store",
            Trouble::Delivery => "delivery",
            Trouble::Config => "config",
            Trouble::Keep => "keep",
            Trouble::Bug => "bug",
        }
    }
}

/// How the last reading of the configuration ended, and when one was last taken over.
#[derive(Debug, Default)]
pub struct ReloadState {
    refused: AtomicBool,
    taken_seconds: AtomicU64,
}

impl ReloadState {
    /// It was taken over.
    pub fn good(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.taken_seconds.store(now, Ordering::Relaxed);
        self.refused.store(false, Ordering::Relaxed);
    }

    /// It was refused; the old one stays.
    pub fn refused(&self) {
        self.refused.store(true, Ordering::Relaxed);
    }

    /// True when the last one was taken over.
    pub fn is_good(&self) -> bool {
        !self.refused.load(Ordering::Relaxed)
    }

    /// When one was last taken over, seconds since 1970; none where nobody reads any.
    pub fn taken_seconds(&self) -> Option<u64> {
        Some(self.taken_seconds.load(Ordering::Relaxed)).filter(|&seconds| seconds > 0)
    }
}

/// All counters of one process, and the memory of what was said lately.
#[derive(Debug, Default)]
pub struct Counters {
    errors: [Counter; Trouble::ALL.len()],
    /// Hints of the file system that were lost; the scan made up for them.
    pub hints_lost: Counter,
    /// Settled checkpoints that did not fit the queue and were left to the next scan.
    pub queue_dropped: Counter,
    /// Checkpoints that went away before they could be weighed.
    pub checkpoints_missed: Counter,
    /// Bytes of tensors read.
    pub bytes_read: Counter,
    /// Series left out of scrapes because of the hard cap.
    pub series_dropped: Counter,
    /// Scrapes answered.
    pub scrapes: Counter,
    /// Messages delivered.
    pub deliveries: Counter,
    /// Attempts to deliver that failed.
    pub delivery_failures: Counter,
    /// Samples that a remote write receiver took.
    pub remote_samples: Counter,
    /// Requests refused: wrong host, no token, too large, too slow.
    pub requests_refused: Counter,
    /// Configurations taken over after a reload.
    pub config_reloads: Counter,
    /// How the last reload ended.
    pub reload: ReloadState,
    /// Good checkpoints that were kept from rotation.
    pub checkpoints_kept: Counter,
    pub(super) repeats: Repeats,
}

/// One of our own counters as it is exported, name without prefix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OwnSample {
    /// Series name without the prefix `weighbridge_`.
    pub name: &'static str,
    /// HELP line.
    pub help: &'static str,
    /// The only label, where there is one.
    pub label: Option<(&'static str, &'static str)>,
    /// Its value.
    pub value: u64,
}

impl Counters {
    /// One more error of that kind.
    pub fn error(&self, trouble: Trouble) {
        self.errors[trouble as usize].increment();
    }

    /// Errors of that kind so far.
    pub fn errors(&self, trouble: Trouble) -> u64 {
        self.errors[trouble as usize].value()
    }

    /// Every counter, samples of one name together.
    pub fn samples(&self) -> Vec<OwnSample> {
        let errors = Trouble::ALL.map(|trouble| OwnSample {
            name: "errors_total",
            help: "Errors of the daemon itself, by where they arose",
            label: Some(("reason", trouble.name())),
            value: self.errors(trouble),
        });
        let plain =
            |name, help, counter: &Counter| OwnSample { name, help, label: None, value: counter.value() };
        let mut samples = errors.to_vec();
        samples.extend([
            plain(
                "hints_lost_total",
                "File events that were lost; the scan made up for them",
                &self.hints_lost,
            ),
            plain(
                "queue_dropped_total",
                "Checkpoints left to the next scan, the queue being full",
                &self.queue_dropped,
            ),
            plain(
                "checkpoints_missed_total",
                "Checkpoints deleted before they could be weighed",
                &self.checkpoints_missed,
            ),
            plain("read_bytes_total", "Bytes of tensors read", &self.bytes_read),
            plain("series_dropped_total", "Series left out of scrapes by the hard cap", &self.series_dropped),
            plain("scrapes_total", "Scrapes answered", &self.scrapes),
            plain("deliveries_total", "Notifications that a receiver took", &self.deliveries),
            plain(
                "delivery_failures_total",
                "Attempts to deliver a notification that failed",
                &self.delivery_failures,
            ),
            plain(
                "remote_write_samples_total",
                "Samples that a remote write receiver took",
                &self.remote_samples,
            ),
            plain(
                "requests_refused_total",
                "Requests refused for host, token, size or time",
                &self.requests_refused,
            ),
            plain("config_reloads_total", "Configurations taken over while running", &self.config_reloads),
            plain(
                "checkpoints_kept_total",
                "Good checkpoints kept from rotation by hard links",
                &self.checkpoints_kept,
            ),
        ]);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trouble_has_its_own_counter() {
        let counters = Counters::default();
        for (index, trouble) in Trouble::ALL.into_iter().enumerate() {
            for _ in 0..=index {
                counters.error(trouble);
            }
        }
        let values: Vec<_> =
            counters.samples().iter().filter(|s| s.name == "errors_total").map(|s| s.value).collect();
        assert_eq!(values, [1, 2, 3, 4, 5, 6, 7]);
    }
}
