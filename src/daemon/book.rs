//! What the pipeline knows of one run: its readings by name, its past for the judge, and how it stands.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::carried;
use crate::checkpoint::{Candidate, Known};
use crate::detect;
use crate::store::{self, Store};
use crate::terms::{
    Attempt, CheckpointFacts, Finding, FindingId, History, LogPoint, Reading, ReadingKey, RunId, Severity,
    Step,
};

/// One run's book. Everything in it can be had from the store again.
pub struct Book {
    /// The run.
    pub run: RunId,
    /// Its directory, once a scan or a reading told.
    pub directory: PathBuf,
    /// Every reading's name, place and newest log lines.
    pub known: Vec<Known>,
    /// Which of `known` were broken.
    pub failures_total: u64,
    /// The attempt that is going on.
    pub attempt: Attempt,
    /// Its newest reading by step.
    pub latest: Option<Arc<Reading>>,
    /// A reading of the newest checkpoint that has not been judged yet: shown until its turn comes.
    pub preview: Option<Arc<Reading>>,
    /// What was not in the latest reading's budget.
    pub carried: Arc<carried::Turns>,
    /// The latest reading, filled with it: made once, not at each scrape.
    pub newest_values: Option<Arc<Reading>>,
    /// Findings by id, open and resolved.
    pub findings: BTreeMap<FindingId, Arc<Finding>>,
    /// Past and judge of the current attempt; none when they rest in the store.
    pub judged: Option<Judged>,
    /// Checkpoints that went away before they could be weighed.
    pub missed: Vec<Step>,
    /// Weighing, judging and committing the latest reading took so long.
    pub duration_seconds: f64,
    /// From a complete checkpoint to its gauges; none for what was there at start.
    pub publish_delay_seconds: Option<f64>,
}

/// What the judge remembers of an attempt.
pub struct Judged {
    /// Its past.
    pub history: History,
    /// The detectors' state.
    pub state: detect::State,
}

/// Steps that went away unread and are still told; older ones are only counted in the log.
const MISSED_MAX: usize = 100;

impl Book {
    /// Reads what the store knows of a run; an unknown run gets an empty book.
    pub fn open(store: &Store, run: &RunId) -> Result<Self, store::Error> {
        let known = known(store, run)?;
        let attempt = known.iter().map(|known| known.key.attempt).max().unwrap_or_default();
        let latest = store.latest(run)?.map(Arc::new);
        let findings: BTreeMap<_, _> = store
            .findings(Some(run))?
            .into_iter()
            .map(|finding| (finding.id.clone(), Arc::new(finding)))
            .collect();
        let directory = latest
            .as_ref()
            .and_then(|reading| reading.checkpoint.path.parent().map(PathBuf::from))
            .unwrap_or_default();
        let carried = Arc::new(carried::remembered(store, &known, attempt, latest.as_deref())?);
        Ok(Self {
            run: run.clone(),
            directory,
            newest_values: latest.as_ref().map(|latest| latest.with_carried(&carried)),
            carried,
            failures_total: store
                .runs()
                .iter()
                .find(|summary| summary.run == *run)
                .map_or(0, |summary| summary.broken),
            known,
            attempt,
            latest,
            preview: None,
            findings,
            judged: None,
            missed: Vec::new(),
            duration_seconds: 0.0,
            publish_delay_seconds: None,
        })
    }

    /// True when this very version of the checkpoint has a reading.
    pub fn has(&self, candidate: &Candidate) -> bool {
        self.known.iter().any(|known| known.checkpoint.files == candidate.files)
    }

    /// When the current attempt's checkpoints were written; none where it has none.
    pub fn rhythm(&self) -> Option<detect::Rhythm> {
        let mut times: Vec<(Step, f64)> = self
            .known
            .iter()
            .filter(|known| known.key.attempt == self.attempt)
            .map(|known| (known.key.step, known.checkpoint.timestamp_seconds))
            .collect();
        times.sort_by_key(|(step, _)| *step);
        detect::Rhythm::new(&self.run, self.attempt, &times)
    }

    /// True while a finding of that detector stands.
    pub fn is_told(&self, detector: &str) -> bool {
        self.findings.values().any(|finding| finding.is_open() && finding.detector == detector)
    }

    /// Past and judge of the current attempt, from the store where they are not in memory.
    pub fn judged(&mut self, store: &Store) -> Result<&mut Judged, store::Error> {
        if self.judged.is_none() {
            self.judged = Some(load_judged(store, &self.run, self.attempt)?);
        }
        // Just filled; the fallback is never made.
        Ok(self.judged.get_or_insert_with(|| Judged {
            history: History::new(History::POINTS_MAX),
            state: detect::State::default(),
        }))
    }

    /// The reading to compare with: the newest one before `step`, of this attempt if it has one, else of
    /// the attempt that it was resumed from.
    pub fn previous(&self, attempt: Attempt, step: Step) -> Option<&Known> {
        self.known
            .iter()
            .filter(|known| known.key.attempt <= attempt && known.key.step < step)
            .max_by_key(|known| (known.key.attempt, known.key.step))
    }

    /// The readings before that place, newest first, as [`Book::previous`] leads from each to the one before.
    pub fn before(&self, attempt: Attempt, step: Step) -> Vec<&ReadingKey> {
        let mut keys: Vec<_> = self.known.iter().map(|known| &known.key).collect();
        keys.sort_by_key(|key| std::cmp::Reverse(order(key)));
        let mut end = step;
        keys.retain(|key| {
            let leads = key.attempt <= attempt && key.step < end;
            end = if leads { key.step } else { end };
            leads
        });
        keys
    }

    /// The reading with which the run began, as far as that attempt is concerned.
    pub fn first(&self, attempt: Attempt) -> Option<&ReadingKey> {
        let known = self.known.iter().map(|known| &known.key).filter(|key| key.attempt <= attempt);
        known.min_by_key(|key| (key.step, key.attempt))
    }

    /// Takes a committed reading in.
    pub fn take(&mut self, reading: Arc<Reading>, findings: Vec<Finding>) {
        self.known.push(known_of(&reading));
        self.failures_total += u64::from(is_failure(&reading));
        self.attempt = self.attempt.max(reading.key.attempt);
        for finding in findings {
            self.findings.insert(finding.id.clone(), Arc::new(finding));
        }
        if self.preview.as_ref().is_some_and(|preview| preview.checkpoint.path == reading.checkpoint.path) {
            self.preview = None;
        }
        let newer = self.latest.as_ref().is_none_or(|latest| order(&latest.key) < order(&reading.key));
        if newer {
            self.carried = Arc::new(carried::after(&self.carried, &reading));
            self.newest_values = Some(reading.with_carried(&self.carried));
            self.latest = Some(reading);
        }
    }

    /// Notes a checkpoint that went away unread.
    pub fn miss(&mut self, step: Step) {
        if !self.missed.contains(&step) && self.missed.len() < MISSED_MAX {
            self.missed.push(step);
        }
    }

    /// Findings that stand, gravest first, then oldest first.
    pub fn open_findings(&self) -> Vec<Arc<Finding>> {
        let mut open: Vec<_> = self.findings.values().filter(|finding| finding.is_open()).cloned().collect();
        open.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.step.cmp(&b.step)).then(a.id.cmp(&b.id)));
        open
    }

    /// The newest reading at which no finding at or above warning stood.
    pub fn last_good(&self) -> Option<&Known> {
        last_good(&self.known, self.findings.values().map(Arc::as_ref))
    }
}

/// Everything that the store knows of a run's checkpoints, by attempt and step.
pub fn known(store: &Store, run: &RunId) -> Result<Vec<Known>, store::Error> {
    let facts = store.checkpoint_facts(run)?;
    Ok(facts.into_iter().map(|(key, checkpoint, log_tail)| Known { key, checkpoint, log_tail }).collect())
}

/// The newest of `known` that no finding at or above warning touches: none opened at it, none standing.
pub fn last_good<'a>(
    known: &'a [Known],
    findings: impl Iterator<Item = &'a Finding> + Clone,
) -> Option<&'a Known> {
    let touched = |key: &ReadingKey| {
        findings.clone().filter(|finding| finding.severity >= Severity::Warning).any(|finding| {
            finding.attempt == key.attempt
                && finding.step <= key.step
                && finding.resolved_step.is_none_or(|resolved| key.step < resolved)
        })
    };
    known.iter().filter(|known| !touched(&known.key)).max_by_key(|known| order(&known.key))
}

/// Attempts follow each other in time; within one, steps do.
pub fn order(key: &ReadingKey) -> (Attempt, Step) {
    (key.attempt, key.step)
}

/// A checkpoint whose files were at fault.
pub fn is_failure(reading: &Reading) -> bool {
    !reading.problems.is_empty()
}

/// The name, place and newest log lines of a reading.
pub fn known_of(reading: &Reading) -> Known {
    let log: &[LogPoint] = &reading.trainer.log;
    let checkpoint: CheckpointFacts = reading.checkpoint.clone();
    Known {
        key: reading.key.clone(),
        checkpoint,
        log_tail: log[log.len().saturating_sub(store::LOG_TAIL as usize)..].to_vec(),
    }
}

fn load_judged(store: &Store, run: &RunId, attempt: Attempt) -> Result<Judged, store::Error> {
    let history = store.history(run, attempt, History::POINTS_MAX)?;
    let state = match store.judge_state(run, attempt)? {
        // A state of a program that judged otherwise cannot be carried on; the history is still there.
        Some(bytes) => detect::State::from_bytes(&bytes).unwrap_or_default(),
        None => detect::State::default(),
    };
    Ok(Judged { history, state })
}
