//! No checkpoint for long. Needs a clock, so only the daemon asks, and replay never does.
//!
//! The question is asked of every run again and again, so it needs no history: times and steps of the newest
//! checkpoints are enough.

use crate::terms::{Attempt, Finding, RunId, Severity, Step, Subject};

use super::compatibility::stalled_training_rule;
use super::entry::{Entry, Parameters, evidence};
use super::invariants::overdue_checkpoint::RULE;
use super::settings::Settings;
use super::state::{Case, Exhibit, State};

/// Id of the finding that knows the run's rhythm.
pub const OVERDUE: &str = RULE.entry.id;

/// All that only a clock can tell.
static WAITING: [&Entry; 2] = [&RULE.entry, &stalled_training_rule::RULE.entry];

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

    /// Ids of the detectors by which the next checkpoint is overdue at `now_seconds` (since 1970). A run that
    /// reached its planned end is the caller's to leave out.
    pub fn overdue_by(&self, now_seconds: f64, settings: &Settings) -> impl Iterator<Item = &'static str> {
        let due = WAITING.map(|entry| self.is_due(entry, now_seconds, settings).then_some(entry.id));
        due.into_iter().flatten()
    }

    fn is_due(&self, entry: &'static Entry, now_seconds: f64, settings: &Settings) -> bool {
        let enabled = settings.detectors.get(entry.id).and_then(|choice| choice.enabled);
        let limit = self.limit(entry, settings);
        let waits = limit.is_some_and(|limit| now_seconds - self.newest_seconds > limit);
        let is_planned = || {
            settings.expected.iter().any(|expected| {
                expected.tensors.is_empty() && expected.covers(&self.run, entry.id, self.newest.0)
            })
        };
        enabled.unwrap_or(entry.enabled) && waits && !is_planned()
    }

    /// Seconds after which the next checkpoint is overdue.
    fn limit(&self, entry: &'static Entry, settings: &Settings) -> Option<f64> {
        let choice = settings.detectors.get(entry.id);
        let parameters = Parameters { entry, overrides: choice.map(|choice| &choice.parameters) };
        if entry.id == stalled_training_rule::RULE.entry.id {
            return Some(parameters.get("threshold"));
        }
        Some((self.usual? * parameters.get("intervals")).max(parameters.get("seconds_min")))
    }
}

/// The findings about waiting that open at the time `now_seconds` (since 1970). The next reading resolves
/// them.
pub fn overdue(rhythm: &Rhythm, now_seconds: f64, state: &mut State, settings: &Settings) -> Vec<Finding> {
    let is_told = |entry: &Entry| state.open.iter().any(|case| case.detector == entry.id);
    let new = WAITING.into_iter().filter(|entry| rhythm.is_due(entry, now_seconds, settings));
    let new: Vec<&'static Entry> = new.filter(|entry| !is_told(entry)).collect();
    let cases: Vec<Case> =
        new.iter().map(|entry| waiting(rhythm, entry, now_seconds, state, settings)).collect();
    let findings = cases.iter().map(Case::finding).collect();
    state.open.extend(cases);
    findings
}

fn waiting(
    rhythm: &Rhythm,
    entry: &'static Entry,
    now_seconds: f64,
    state: &State,
    settings: &Settings,
) -> Case {
    let waited = now_seconds - rhythm.newest_seconds;
    let limit = rhythm.limit(entry, settings).unwrap_or_default();
    let usual = rhythm.usual.map_or(String::new(), |usual| format!("; usual is {usual:.0} s"));
    let chosen = settings.detectors.get(entry.id).and_then(|choice| choice.severity);
    let severity: Severity = chosen.unwrap_or(entry.severity);
    let text = format!("{}\0{}\0{}\0\0{}", rhythm.run, rhythm.attempt, entry.id, rhythm.newest);
    Case {
        id: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())),
        run: rhythm.run.as_str().to_owned(),
        attempt: rhythm.attempt.0,
        detector: entry.id.to_owned(),
        step: rhythm.newest.0,
        severity: severity as u8,
        tensors: Vec::new(),
        named_before: 0,
        summary: format!("no checkpoint after step {} for {waited:.0} s{usual}", rhythm.newest),
        cause: entry.cause.to_owned(),
        remedy: entry.remedy.to_owned(),
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
    }
}
