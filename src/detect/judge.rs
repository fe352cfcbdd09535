//! From signs to findings: who opens, who is part of what is open already, and when it is over.
//!
//! One fault shows in many tensors and many metrics, at once and for a while after. So a reading opens at
//! most one finding per independent fault: the sign with the strongest proof opens it, the others become
//! its evidence, and signs that follow while it is open, or shortly after, are its aftermath. Only hard
//! invariants about other tensors open beside it.

use std::collections::BTreeMap;

use crate::terms::{Finding, History, Memory, Reading, Severity, Subject};

use super::entry::{Entry, Parameters, Proof, Sign};
use super::overdue::OVERDUE;
use super::registry::DETECTORS;
use super::settings::Settings;
use super::state::{Case, Exhibit, State};
use super::view::View;
use super::vote::vote;

/// Score from which a sign opens a finding.
const RAISE: f64 = 1.0;
/// Score from which a sign keeps an open finding open.
const HOLD: f64 = 0.5;
/// Readings without a sign after which a finding is resolved: hard invariants are sure at once, statistics
/// get a second look.
const QUIET_INVARIANT: u32 = 1;
/// See [`QUIET_INVARIANT`].
const QUIET_STATISTICAL: u32 = 2;
/// For so many readings after its opening a fault's aftermath belongs to it. A network that lost a part
/// needs several checkpoints to settle again.
const AFTERMATH: u32 = 8;
/// Resolved cases kept for their aftermath.
const CLOSED_MAX: usize = 32;
/// Evidence kept in a finding: the strongest come first, the rest repeats them.
const EVIDENCE_MAX: usize = 12;
/// Tensors kept in a finding.
const TENSORS_MAX: usize = 64;
/// See [`belongs`].
const WEIGHING_FAILED: &str = super::invariants::file_problems::BUG.entry.id;
/// Tainted steps kept a tensor; only the newest matter.
const TAINTED_MAX: usize = 64;

/// Whole new version of every finding that this reading opened, escalated, updated or resolved.
///
/// `history` is the attempt's past without this reading; at the first reading of a new attempt `state` is
/// that of the attempt before, whose open findings are then closed. Pure: the same arguments give the same
/// findings and the same state, byte for byte.
pub fn judge(
    history: &History,
    reading: &Reading,
    memory: &dyn Memory,
    state: &mut State,
    settings: &Settings,
) -> Vec<Finding> {
    let mut changed = change_attempt(reading, state);
    let signs = {
        let view = View::new(history, reading, memory, state, settings.baseline.as_ref());
        look(&view, settings)
    };
    let signs = without_expected(signs, reading, settings);
    let fresh = keep_open(&signs, reading, state, &mut changed);
    open_new(fresh, reading, state, &mut changed);
    resolve_quiet(reading, state, &mut changed);
    if state.open.iter().all(|case| case.severity() < Severity::Warning) {
        state.last_good_step = Some(reading.key.step.0);
    }
    state.readings += 1;
    changed.into_values().map(|case| case.finding()).collect()
}

/// Cases by order of opening and id: what the caller gets, in a fixed order.
type Changed = BTreeMap<(u64, String), Case>;

fn note(changed: &mut Changed, case: &Case) {
    changed.insert((case.step, case.id.clone()), case.clone());
}

struct Seen {
    entry: &'static Entry,
    sign: Sign,
}

/// A new attempt closes what the old one left open: its weights are gone.
fn change_attempt(reading: &Reading, state: &mut State) -> Changed {
    let mut changed = Changed::new();
    let attempt = reading.key.attempt.0;
    if state.attempt.is_some_and(|old| old != attempt) {
        for mut case in std::mem::take(&mut state.open) {
            case.resolved_step = Some(reading.key.step.0);
            note(&mut changed, &case);
        }
        *state = State::default();
    }
    state.attempt = Some(attempt);
    changed
}

fn look(view: &View<'_>, settings: &Settings) -> Vec<Seen> {
    let mut seen = Vec::new();
    for detector in DETECTORS {
        let entry = detector.entry();
        let choice = settings.detectors.get(entry.id);
        if !choice.and_then(|choice| choice.enabled).unwrap_or(entry.enabled) {
            continue;
        }
        let parameters = Parameters { entry, overrides: choice.map(|choice| &choice.parameters) };
        for mut sign in detector.look(view, &parameters) {
            if let Some(severity) = choice.and_then(|choice| choice.severity) {
                sign.severity = severity;
            }
            if !stands_alone(entry.proof) {
                add_vote(view, &mut sign);
            }
            seen.push(Seen { entry, sign });
        }
    }
    seen
}

/// Says how many families of measurements agree about the first suspect.
fn add_vote(view: &View<'_>, sign: &mut Sign) {
    let suspect = sign.tensors.first().and_then(|name| view.tensor(name));
    let counted = suspect.filter(|_| sign.score >= RAISE).and_then(|tensor| vote(view, tensor));
    if let Some(counted) = counted {
        sign.evidence.truncate(EVIDENCE_MAX - 1);
        sign.evidence.push(counted);
    }
}

/// Takes away what was announced.
fn without_expected(signs: Vec<Seen>, reading: &Reading, settings: &Settings) -> Vec<Seen> {
    let step = reading.key.step.0;
    signs
        .into_iter()
        .filter_map(|mut seen| {
            for expected in &settings.expected {
                if !expected.covers(&reading.key.run, seen.entry.id, step) {
                    continue;
                }
                if seen.sign.tensors.is_empty() && expected.tensors.is_empty() {
                    return None;
                }
                let before = seen.sign.tensors.len();
                seen.sign.tensors.retain(|tensor| !expected.covers_tensor(tensor));
                if before > 0 && seen.sign.tensors.is_empty() {
                    return None;
                }
            }
            Some(seen)
        })
        .collect()
}

/// Signs of what is open already keep it open; the others come back.
fn keep_open<'s>(
    signs: &'s [Seen],
    reading: &Reading,
    state: &mut State,
    changed: &mut Changed,
) -> Vec<&'s Seen> {
    for case in &mut state.open {
        case.age += 1;
        case.quiet += 1;
        case.named_before = case.tensors.len();
    }
    let mut fresh = Vec::new();
    for seen in signs {
        // Whatever still shows in a case's tensors says that it is not over.
        let statistical = seen.entry.proof != Proof::Invariant
            && !stands_alone(seen.entry.proof)
            && seen.sign.score >= HOLD;
        for case in state.open.iter_mut().filter(|case| {
            statistical && quiet_limit(&case.detector) > QUIET_INVARIANT && shares_tensor(seen, case)
        }) {
            case.quiet = 0;
        }
        let mine = state.open.iter_mut().find(|case| case.detector == seen.entry.id);
        match mine {
            Some(case) if seen.sign.score >= HOLD => {
                case.quiet = 0;
                let graver = seen.sign.severity as u8 > case.severity && seen.sign.score >= RAISE;
                let wider = seen.sign.tensors.iter().any(|tensor| !case.tensors.contains(tensor))
                    && case.tensors.len() < TENSORS_MAX;
                if graver {
                    case.severity = seen.sign.severity as u8;
                }
                for tensor in &seen.sign.tensors {
                    if !case.tensors.contains(tensor) && case.tensors.len() < TENSORS_MAX {
                        case.tensors.push(tensor.clone());
                    }
                }
                if graver || wider {
                    note(changed, case);
                }
                taint(&mut state.tainted, seen, reading);
            }
            _ if seen.sign.score >= RAISE => fresh.push(seen),
            _ => {}
        }
    }
    fresh
}

fn shares_tensor(seen: &Seen, case: &Case) -> bool {
    seen.sign.tensors.iter().any(|tensor| case.tensors.contains(tensor))
}

/// Does a sign belong to a case: same incident, or its aftermath?
fn belongs(seen: &Seen, case: &Case) -> bool {
    // A fault of ours, a wait, or what stands alone explains nothing that is seen in the weights.
    let explains = case.detector != WEIGHING_FAILED
        && case.detector != OVERDUE
        && !proof(&case.detector).is_some_and(stands_alone);
    if case.severity() < Severity::Warning || !explains {
        return false;
    }
    if case.resolved_step.is_some() && case.age > AFTERMATH {
        return false;
    }
    match seen.entry.proof {
        Proof::Invariant => {
            case.tensors.is_empty() && case.age == 0 || shares_tensor(seen, case) && case.age <= 1
        }
        proof if stands_alone(proof) => false,
        _ => !breaks_out(seen, case),
    }
}

/// A critical mark of a known fault is no aftermath of a mere warning that was opened earlier, on weaker proof and about
/// other tensors: a false alarm would hide it.
fn breaks_out(seen: &Seen, case: &Case) -> bool {
    let stronger = seen.sign.severity == Severity::Critical
        && case.severity() < Severity::Critical
        && proof(&case.detector).is_some_and(|weaker| seen.entry.proof < weaker);
    let known = case.tensors.iter().take(case.named_before);
    let elsewhere =
        seen.sign.tensors.first().is_none_or(|first| !known.clone().any(|tensor| tensor == first));
    stronger && elsewhere && case.age > 1
}

fn open_new(mut fresh: Vec<&Seen>, reading: &Reading, state: &mut State, changed: &mut Changed) {
    // Alerts before information, proof before statistics; within a proof the registry's order, which puts
    // the more specific fault first.
    fresh.sort_by_key(|seen| (seen.sign.severity == Severity::Info, seen.entry.proof));
    for seen in fresh {
        taint(&mut state.tainted, seen, reading);
        if seen.sign.severity > Severity::Info {
            if let Some(case) = state.open.iter_mut().rev().find(|case| belongs(seen, case)) {
                let before = case.evidence.len();
                support(case, seen);
                if case.evidence.len() > before {
                    note(changed, case);
                }
                continue;
            }
            if state.closed.iter().rev().any(|case| belongs(seen, case)) {
                continue;
            }
        }
        let case = opened(seen, reading, state);
        note(changed, &case);
        state.open.push(case);
    }
    for case in &mut state.closed {
        case.age += 1;
    }
}

/// Adds what another detector saw to a case, once a detector.
fn support(case: &mut Case, seen: &Seen) {
    let metric = format!("detector:{}", seen.entry.id);
    if case.evidence.len() >= EVIDENCE_MAX || case.evidence.iter().any(|exhibit| exhibit.metric == metric) {
        return;
    }
    let expected = seen.sign.summary.clone();
    let evidence = super::entry::evidence(Subject::Model, &metric, Some(seen.sign.score), expected);
    case.evidence.push(Exhibit::new(&evidence));
}

fn opened(seen: &Seen, reading: &Reading, state: &State) -> Case {
    let (entry, sign) = (seen.entry, &seen.sign);
    let key = &reading.key;
    let mut dissent = sign.dissent.clone();
    if dissent.is_empty() {
        dissent.extend(quiet_siblings(reading, sign));
    }
    let mut tensors = sign.tensors.clone();
    tensors.truncate(TENSORS_MAX);
    Case {
        id: finding_id(reading, entry.id, sign),
        run: key.run.as_str().to_owned(),
        attempt: key.attempt.0,
        detector: entry.id.to_owned(),
        step: key.step.0,
        severity: sign.severity as u8,
        named_before: tensors.len(),
        tensors,
        summary: sign.summary.clone(),
        cause: entry.cause.to_owned(),
        remedy: sign.remedy.clone().unwrap_or_else(|| entry.remedy.to_owned()),
        evidence: sign.evidence.iter().take(EVIDENCE_MAX).map(Exhibit::new).collect(),
        dissent,
        confidence: sign.confidence,
        opened_at: reading.checkpoint.timestamp_seconds,
        resolved_step: None,
        last_good_step: state.last_good_step,
        age: 0,
        quiet: 0,
    }
}

/// Which siblings of the most suspect tensor show nothing: the narrower a fault, the better one knows where
/// to look.
fn quiet_siblings(reading: &Reading, sign: &Sign) -> Option<String> {
    let role = reading.tensor(sign.tensors.first()?)?.facts.meaning.role;
    let siblings = || reading.tensors.iter().filter(|tensor| tensor.facts.meaning.role == role);
    let quiet =
        siblings().filter(|tensor| !sign.tensors.iter().any(|name| **name == *tensor.facts.name)).count();
    let all = siblings().count();
    (quiet > 0).then(|| format!("{quiet} of {all} tensors of the role {} show nothing of it", role.name()))
}

/// A pure function of run, attempt, detector, first suspect and opening step.
fn finding_id(reading: &Reading, detector: &str, sign: &Sign) -> String {
    let key = &reading.key;
    let suspect = sign.tensors.first().map_or("", String::as_str);
    let text = format!("{}\0{}\0{detector}\0{suspect}\0{}", key.run, key.attempt, key.step);
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(text.as_bytes()))
}

fn taint(tainted: &mut BTreeMap<String, Vec<u64>>, seen: &Seen, reading: &Reading) {
    let elsewhere =
        matches!(seen.entry.proof, Proof::Log | Proof::Announced) || stands_alone(seen.entry.proof);
    if seen.sign.severity == Severity::Info || elsewhere {
        return;
    }
    let step = reading.key.step.0;
    let whole = ["*".to_owned()];
    let names = if seen.sign.tensors.is_empty() { &whole[..] } else { &seen.sign.tensors[..] };
    for name in names {
        let steps = tainted.entry(name.clone()).or_default();
        if steps.last() != Some(&step) {
            steps.push(step);
        }
        if steps.len() > TAINTED_MAX {
            steps.remove(0);
        }
    }
}

fn resolve_quiet(reading: &Reading, state: &mut State, changed: &mut Changed) {
    let mut still_open = Vec::new();
    for mut case in std::mem::take(&mut state.open) {
        if case.quiet < quiet_limit(&case.detector) {
            still_open.push(case);
            continue;
        }
        case.resolved_step = Some(reading.key.step.0);
        note(changed, &case);
        state.closed.push(case);
    }
    state.open = still_open;
    let excess = state.closed.len().saturating_sub(CLOSED_MAX);
    state.closed.drain(..excess);
}

fn quiet_limit(detector: &str) -> u32 {
    match proof(detector) {
        Some(Proof::Invariant | Proof::Compatibility) | None => QUIET_INVARIANT,
        Some(_) => QUIET_STATISTICAL,
    }
}

fn proof(detector: &str) -> Option<Proof> {
    DETECTORS.iter().find(|known| known.entry().id == detector).map(|known| known.entry().proof)
}

/// True for what is asked for beside our own judgement: it opens findings of its own, and takes nothing from
/// what the others say.
fn stands_alone(proof: Proof) -> bool {
    matches!(proof, Proof::Comparison | Proof::Compatibility)
}
