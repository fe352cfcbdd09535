//! What the service manager is told: readiness, a line on how it goes, signs of life. Says nothing where
//! no service manager asked to be told.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::terms::{Severity, Snapshot};

/// The line to the service manager.
#[derive(Debug, Default)]
pub struct Service {
    said: String,
}

impl Service {
    /// The server listens and the daemon works.
    pub fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    /// Both threads live. Told every second, which is often enough for every sensible `WatchdogSec`.
    pub fn alive(&self) {
        if sd_notify::watchdog_enabled().is_some() {
            tell(&[NotifyState::Watchdog]);
        }
    }

    /// A reload begins; [`Service::ready`] ends it.
    pub fn reloading(&self) {
        if let Ok(now) = NotifyState::monotonic_usec_now() {
            tell(&[NotifyState::Reloading, now]);
        }
    }

    /// The drain begins, and may take so long.
    pub fn stopping(&self, drain: Duration) {
        let microseconds = u32::try_from(drain.as_micros()).unwrap_or(u32::MAX);
        tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)]);
    }

    /// How it goes, where that changed.
    pub fn status(&mut self, snapshot: &Snapshot) {
        let status = status(snapshot);
        if status != self.said {
            tell(&[NotifyState::Status(&status)]);
            self.said = status;
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // A manager that does not listen is its own trouble.
    let _ = sd_notify::notify(state);
}

fn status(snapshot: &Snapshot) -> String {
    if let Some(trouble) = &snapshot.store_trouble {
        return format!("nothing can be stored: {trouble}");
    }
    let weighed: u64 = snapshot.runs.iter().map(|run| run.checkpoints_total).sum();
    let open = |severity| {
        let findings = snapshot.runs.iter().flat_map(|run| &run.open);
        findings.filter(|finding| finding.severity == severity).count()
    };
    format!(
        "{} runs, {weighed} checkpoints weighed, {} wait; open findings: {} critical, {} warning",
        snapshot.runs.len(),
        snapshot.queue_checkpoints,
        open(Severity::Critical),
        open(Severity::Warning),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_trouble_first() {
        let mut snapshot = Snapshot::default();
        assert!(status(&snapshot).starts_with("0 runs, 0 checkpoints weighed, 0 wait"));
        snapshot.store_trouble = Some("disk full".to_owned());
        assert_eq!(status(&snapshot), "nothing can be stored: disk full");
    }
}
