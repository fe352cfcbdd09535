//! No checkpoint for long. Needs a clock, so only the daemon asks, and replay never does.
//!
//! The question is asked of every run again and again, so it needs no history: times and steps of the newest
//! checkpoints are enough.

use crate::terms::{Attempt, Finding, RunId, Severity, Step, Subject};

use super::entry::{Parameters, evidence};
use super::invariants::overdue_checkpoint::RULE;
use super::settings::Settings;
use super::state::{Case, Exhibit, State};

/// Id of the finding.
pub const OVERDUE: &str = RULE.entry.id;

/// Checkpoints that tell the usual interval.
const INTERVALS: usize = 20;
/// Fewer checkpoints than this have no usual interval.
const POINTS_MIN: usize = 3;

/// When the checkpoints of an attempt were written.
#[derive(Clone, Debug)]
pub struct Rhythm {
    run: RunId,
    attempt: Attempt,
    newest: Step,
    /// When the newest was written, seconds since 1970.
    newest_seconds: f64,
    /// Median interval, seconds; none for too few checkpoints.
    usual: Option<f64>,
}

impl Rhythm {
    /// From step and time (seconds since 1970) of the attempt's checkpoints, in order of steps; none where
    /// there is no checkpoint.
    pub fn new(run: &RunId, attempt: Attempt, checkpoints: &[(Step, f64)]) -> Option<Self> {
        let (newest, newest_seconds) = *checkpoints.last()?;
        let recent = &checkpoints[checkpoints.len().saturating_sub(INTERVALS + 1)..];
        let mut intervals: Vec<f64> = recent.windows(2).map(|pair| pair[1].1 - pair[0].1).collect();
        intervals.sort_by(f64::total_cmp);
        let usual = intervals.get(intervals.len() / 2).map(|interval| interval.max(0.0));
        let usual = usual.filter(|_| checkpoints.len() >= POINTS_MIN);
        Some(Self { run: run.clone(), attempt, newest, newest_seconds, usual })
    }

    /// Is the next checkpoint overdue at `now_seconds` (since 1970)? A run that reached its planned end is
    /// the caller's to leave out.
    pub fn is_overdue(&self, now_seconds: f64, settings: &Settings) -> bool {
        let choice = settings.detectors.get(RULE.entry.id);
        let enabled = choice.and_then(|choice| choice.enabled).unwrap_or(RULE.entry.enabled);
        let limit = self.limit(settings);
        let waits = limit.is_some_and(|limit| now_seconds - self.newest_seconds > limit);
        let is_planned = || {
            settings.expected.iter().any(|expected| {
                expected.tensors.is_empty() && expected.covers(&self.run, RULE.entry.id, self.newest.0)
            })
        };
        enabled && waits && !is_planned()
    }

    /// Seconds after which the next checkpoint is overdue.
    fn limit(&self, settings: &Settings) -> Option<f64> {
        let choice = settings.detectors.get(RULE.entry.id);
        let parameters =
            Parameters { entry: &RULE.entry, overrides: choice.map(|choice| &choice.parameters) };
        Some((self.usual? * parameters.get("intervals")).max(parameters.get("seconds_min")))
    }
}

/// The finding about waiting, if it opens at the time `now_seconds` (since 1970). The next reading
/// resolves it.
pub fn overdue(rhythm: &Rhythm, now_seconds: f64, state: &mut State, settings: &Settings) -> Vec<Finding> {
    let open = state.open.iter().any(|case| case.detector == RULE.entry.id);
    if open || !rhythm.is_overdue(now_seconds, settings) {
        return Vec::new();
    }
    let (usual, limit) = (rhythm.usual.unwrap_or_default(), rhythm.limit(settings).unwrap_or_default());
    let waited = now_seconds - rhythm.newest_seconds;
    let chosen = settings.detectors.get(RULE.entry.id).and_then(|choice| choice.severity);
    let severity: Severity = chosen.unwrap_or(RULE.entry.severity);
    let text = format!("{}\0{}\0{}\0\0{}", rhythm.run, rhythm.attempt, RULE.entry.id, rhythm.newest);
    let case = Case {
        id: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())),
        run: rhythm.run.as_str().to_owned(),
        attempt: rhythm.attempt.0,
        detector: RULE.entry.id.to_owned(),
        step: rhythm.newest.0,
        severity: severity as u8,
        tensors: Vec::new(),
        summary: format!(
            "no checkpoint after step {} for {waited:.0} s; usual is {usual:.0} s",
            rhythm.newest
        ),
        cause: RULE.entry.cause.to_owned(),
        remedy: RULE.entry.remedy.to_owned(),
        evidence: vec![Exhibit::new(&evidence(
            Subject::Model,
            "checkpoint_age_seconds",
            Some(waited),
            format!("at most {limit:.0} s"),
        ))],
        dissent: Vec::new(),
        confidence: 1.0,
        opened_at: now_seconds,
        resolved_step: None,
        last_good_step: state.last_good_step,
        age: 0,
        quiet: 0,
    };
    let finding = case.finding();
    state.open.push(case);
    vec![finding]
}
