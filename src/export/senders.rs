//! Threads that bring findings and readings to the configured targets, and what they share.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::Settings;
use super::notices::{Courier, Failure, Line};
use super::readings::Readings;
use crate::store::Store;
use crate::telemetry::{Counters, now_seconds};
use crate::terms::Catalog;

/// First pause after a failure; it doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Longest pause of our own choice: a receiver that is back hears from us within five minutes.
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// Longest sleep without a nudge: bounds what a lost one costs.
pub(super) const SLEEP_MAX: Duration = Duration::from_secs(60);

/// How long a target is left alone after so many failures in a row, the receiver's own wish included.
pub(super) fn pause(failures: u32, failure: &Failure) -> Duration {
    let doubled = PAUSE_MIN.saturating_mul(1 << failures.min(16).saturating_sub(1)).min(PAUSE_MAX);
    match failure {
        Failure::Later { after: Some(asked), .. } => doubled.max(*asked),
        _ => doubled,
    }
}

/// The running senders. They end when this is dropped; a delivery in hand is made again at the next start.
pub struct Senders {
    nudges: Vec<SyncSender<()>>,
}

impl Senders {
    /// Something new may be stored. Never waits.
    pub fn nudge(&self) {
        for nudge in &self.nudges {
            let _ = nudge.try_send(());
        }
    }
}

/// Starts what the settings ask for: one thread for notices, one for readings, none where nobody wants any.
pub fn start_senders(
    settings: &Settings,
    store: &Store,
    catalog: &Arc<Catalog>,
    counters: &Arc<Counters>,
) -> std::io::Result<Senders> {
    let (targets, page) = (settings.targets.clone(), settings.page_url.clone());
    let labels: BTreeMap<String, String> = settings.labels.clone();
    let mut courier =
        Courier::new(targets, page, labels, store.clone(), Line::default(), Arc::clone(counters));
    let mut readings = Readings::new(settings, store.clone(), Arc::clone(catalog), Arc::clone(counters));
    let mut nudges = Vec::new();
    if !courier.is_idle() {
        nudges.push(spawn("notices", move |now| courier.round(now))?);
    }
    if !readings.is_idle() {
        nudges.push(spawn("readings", move |now| readings.round(now))?);
    }
    Ok(Senders { nudges })
}

/// A thread that does a round whenever it is nudged, and after the pause that the round asked for.
fn spawn(
    name: &str,
    mut round: impl FnMut(f64) -> Duration + Send + 'static,
) -> std::io::Result<SyncSender<()>> {
    let (nudge, woken): (_, Receiver<()>) = sync_channel(1);
    let work = move || {
        loop {
            if woken.recv_timeout(round(now_seconds())) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
        }
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
    Ok(nudge)
}
