//! Hands stored readings over to targets, oldest first, each once: resumes from the store after any
//! downtime of either side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::notices::{Carrier, Failure, Line};
use super::senders::{SLEEP_MAX, pause};
use super::weights::reading_families_of;
use super::{ReadingWriter, Settings, Target};
use crate::store::Store;
use crate::telemetry::{Counters, Delivered, DeliveryFailed, Event};
use crate::terms::{Catalog, ReadingKey};

/// Readings handed over in one round: a store of years is sent in pieces, and a stop is heeded in between.
const BATCH_MAX: usize = 32;

/// Keeps the targets of readings up to date.
pub struct Readings {
    settings: Settings,
    store: Store,
    catalog: Arc<Catalog>,
    counters: Arc<Counters>,
    carrier: Line,
    desks: Vec<Desk>,
}

struct Desk {
    target: Target,
    writer: &'static dyn ReadingWriter,
    failures: u32,
    not_before: f64,
    taken: Option<BTreeMap<String, String>>,
}

impl Readings {
    /// For the targets among the settings that want readings.
    pub fn new(settings: &Settings, store: Store, catalog: Arc<Catalog>, counters: Arc<Counters>) -> Self {
        let desk = |target: &Target| {
            let writer = target.reading_writer()?;
            Some(Desk { target: target.clone(), writer, failures: 0, not_before: 0.0, taken: None })
        };
        let desks = settings.targets.iter().filter_map(desk).collect();
        Self { settings: settings.clone(), store, catalog, counters, carrier: Line::default(), desks }
    }

    /// True where nobody wants readings.
    pub fn is_idle(&self) -> bool {
        self.desks.is_empty()
    }

    /// Hands over what is due. Returns when to come again at the latest.
    pub fn round(&mut self, now_seconds: f64) -> Duration {
        let mut wait = SLEEP_MAX;
        let mut desks = std::mem::take(&mut self.desks);
        for desk in &mut desks {
            if now_seconds >= desk.not_before {
                match self.serve(desk) {
                    Ok(true) => wait = Duration::ZERO,
                    Ok(false) => {}
                    Err(failure) => {
                        desk.failures += 1;
                        desk.not_before = now_seconds + pause(desk.failures, &failure).as_secs_f64();
                        self.tell(desk, &failure);
                    }
                }
            }
            if desk.not_before > now_seconds {
                wait = wait.min(Duration::from_secs_f64(desk.not_before - now_seconds));
            }
        }
        self.desks = desks;
        wait
    }

    /// Hands over up to a batch; true where more is due.
    fn serve(&self, desk: &mut Desk) -> Result<bool, Failure> {
        let later = |error: crate::store::Error| Failure::Later { why: error.to_string(), after: None };
        let mut taken = match desk.taken.take() {
            Some(taken) => taken,
            None => self.store.taken(&desk.target.name).map_err(later)?,
        };
        let due = self.due(&taken);
        let result = due.iter().take(BATCH_MAX).try_for_each(|key| {
            let Some(reading) = self.store.reading_as_left(key).map_err(later)? else { return Ok(()) };
            let families = reading_families_of(&reading, &self.catalog, &self.settings);
            let samples: usize = families.iter().map(|family| family.get_metric().len()).sum();
            match self.carrier.carry(&desk.writer.write(&reading, &families), &desk.target) {
                Ok(()) => {
                    desk.failures = 0;
                    self.counters.remote_samples.add(samples as u64);
                    Delivered { target: &desk.target.name, finding: &mark(key) }.emit(&self.counters);
                }
                // The receiver read it and does not want it, and will not want it later: older than what it has.
                Err(failure @ Failure::Refused(_)) => self.tell(desk, &failure),
                Err(failure) => return Err(failure),
            }
            self.store.record_taken(&desk.target.name, &[(&mark(key), "1")]).map_err(later)?;
            taken.insert(mark(key), "1".into());
            Ok(())
        });
        desk.taken = Some(taken);
        result.map(|()| due.len() > BATCH_MAX)
    }

    /// Readings that the target has not taken, in the order of their checkpoints' times: receivers refuse
    /// samples that are older than the newest of their series.
    fn due(&self, taken: &BTreeMap<String, String>) -> Vec<ReadingKey> {
        let mut due = Vec::new();
        for summary in self.store.runs() {
            let keys = self.store.keys(&summary.run);
            due.extend(keys.into_iter().filter(|key| !taken.contains_key(&mark(key))));
        }
        due
    }

    fn tell(&self, desk: &Desk, failure: &Failure) {
        let error = failure.to_string();
        DeliveryFailed { target: &desk.target.name, error: &error, attempts: desk.failures.max(1) }
            .emit(&self.counters);
    }
}

/// How a reading is remembered.
fn mark(key: &ReadingKey) -> String {
    format!("{}/{}/{}", key.attempt, key.step, key.run)
}
