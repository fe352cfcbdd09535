//! No checkpoint for long. Needs a clock, so only the daemon asks, and replay never does.

use crate::terms::{Finding, History, Severity, Subject};

use super::entry::{Parameters, evidence};
use super::invariants::overdue_checkpoint::RULE;
use super::settings::Settings;
use super::state::{Case, Exhibit, State};

/// Checkpoints that tell the usual interval.
const INTERVALS: usize = 20;
/// Fewer checkpoints than this have no usual interval.
const POINTS_MIN: usize = 3;

/// The finding about waiting, if it opens at the time `now_seconds` (since 1970). The next reading
/// resolves it.
pub fn overdue(history: &History, now_seconds: f64, state: &mut State, settings: &Settings) -> Vec<Finding> {
    let choice = settings.detectors.get(RULE.entry.id);
    let enabled = choice.and_then(|choice| choice.enabled).unwrap_or(RULE.entry.enabled);
    let open = state.open.iter().any(|case| case.detector == RULE.entry.id);
    let points = history.points();
    let Some(newest) = points.last().filter(|_| enabled && !open && points.len() >= POINTS_MIN) else {
        return Vec::new();
    };
    let trainer = history.trainer();
    if trainer.max_steps.is_some_and(|last| newest.key.step.0 >= last) {
        return Vec::new();
    }
    let parameters = Parameters { entry: &RULE.entry, overrides: choice.map(|choice| &choice.parameters) };
    let recent = &points[points.len().saturating_sub(INTERVALS + 1)..];
    let mut intervals: Vec<f64> =
        recent.windows(2).map(|pair| pair[1].timestamp_seconds - pair[0].timestamp_seconds).collect();
    intervals.sort_by(f64::total_cmp);
    let usual = intervals[intervals.len() / 2].max(0.0);
    let limit = (usual * parameters.get("intervals")).max(parameters.get("seconds_min"));
    let waited = now_seconds - newest.timestamp_seconds;
    if waited <= limit {
        return Vec::new();
    }
    let key = &newest.key;
    let expected = settings
        .expected
        .iter()
        .any(|expected| expected.tensors.is_empty() && expected.covers(&key.run, RULE.entry.id, key.step.0));
    if expected {
        return Vec::new();
    }
    let silence =
        settings.silences.iter().find(|silence| silence.covers(&key.run, RULE.entry.id, &[], now_seconds));
    let severity = match silence {
        Some(_) => Severity::Info,
        None => choice.and_then(|choice| choice.severity).unwrap_or(RULE.entry.severity),
    };
    let text = format!("{}\0{}\0{}\0\0{}", key.run, key.attempt, RULE.entry.id, key.step);
    let case = Case {
        id: format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes())),
        run: key.run.as_str().to_owned(),
        attempt: key.attempt.0,
        detector: RULE.entry.id.to_owned(),
        step: key.step.0,
        severity: severity as u8,
        tensors: Vec::new(),
        summary: format!("no checkpoint after step {} for {waited:.0} s; usual is {usual:.0} s", key.step),
        cause: RULE.entry.cause.to_owned(),
        remedy: RULE.entry.remedy.to_owned(),
        evidence: vec![Exhibit::new(&evidence(
            Subject::Model,
            "checkpoint_age_seconds",
            Some(waited),
            format!("at most {limit:.0} s"),
        ))],
        dissent: silence.map(|silence| format!("silenced: {}", silence.why)).into_iter().collect(),
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
