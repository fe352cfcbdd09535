//! One checkpoint's way from settled to published, in one direction and one place: the daemon's worker
//! and `replay` both walk it, so they cannot differ.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::book::{Book, Judged};
use super::inside::with_step_inside;
use super::paced::Paced;
use super::snapshot::is_finished;
use crate::checkpoint::{self, Candidate, Known, Recognition};
use crate::measure::{self, Past, Previous, Progress};
use crate::store::{self, Store};
use crate::terms::{
    Attempt, BlockSource, CheckpointFacts, Finding, History, Memory, Problem, ProblemKind, Reading,
    ReadingKey, RunId, Said, Step, TrainerState,
};
use crate::{detect, model, tensor};

/// The rooms' settings, as far as a checkpoint's way needs them.
#[derive(Clone, Debug, Default)]
pub struct Weighing {
    /// Formats and their limits.
    pub tensor: tensor::Settings,
    /// Layouts and their limits.
    pub checkpoint: checkpoint::Settings,
    /// What is measured, with how many threads and what budget.
    pub plan: measure::Plan,
    /// The judge.
    pub detect: detect::Settings,
    /// Model families that the user added.
    pub families: Vec<model::Family>,
    /// Most bytes a second; 0 for no limit.
    pub bytes_per_second: u64,
}

/// How it ended for one checkpoint.
pub enum Outcome {
    /// It has a reading now, and these findings changed.
    Weighed {
        /// The committed reading.
        reading: Arc<Reading>,
        /// New versions of findings that were opened, changed or resolved.
        findings: Vec<Finding>,
    },
    /// This very version already has a reading.
    Known,
    /// Its files went away while they were read.
    Rotated,
    /// Its files changed while they were read: the next scan sees them anew.
    Changed,
    /// The daemon is draining.
    Stopped,
}

/// Walks checkpoints through the rooms and keeps the books.
pub struct Pipeline {
    store: Store,
    weighing: Weighing,
    stop: Arc<AtomicBool>,
    runs_in_memory: usize,
    books: BTreeMap<RunId, Book>,
    /// Runs whose judge is in memory, least recently used first.
    recent: Vec<RunId>,
    /// How it is judged, with what was announced by command as of that `Said`.
    announced: Option<(Arc<Said>, Arc<detect::Settings>)>,
}

impl Pipeline {
    /// Opens the books of every run that the store knows.
    pub fn open(
        store: Store,
        weighing: Weighing,
        stop: Arc<AtomicBool>,
        runs_in_memory: usize,
    ) -> Result<Self, store::Error> {
        let mut pipeline = Self {
            store,
            weighing,
            stop,
            runs_in_memory,
            books: BTreeMap::new(),
            recent: Vec::new(),
            announced: None,
        };
        pipeline.hear()?;
        for summary in pipeline.store.runs() {
            pipeline.book(&summary.run)?;
        }
        Ok(pipeline)
    }

    /// Weighs and judges by these settings from the next checkpoint on.
    pub fn retune(&mut self, weighing: Weighing, runs_in_memory: usize) {
        (self.weighing, self.runs_in_memory) = (weighing, runs_in_memory);
        self.announced = None;
    }

    /// Takes over what was announced since; from the next checkpoint on it is judged by that.
    pub fn hear(&mut self) -> Result<(), store::Error> {
        let said = self.store.said()?;
        if self.announced.as_ref().is_none_or(|(heard, _)| !Arc::ptr_eq(heard, &said)) {
            let settings = Arc::new(self.weighing.detect.with_announced(&said));
            self.announced = Some((said, settings));
        }
        Ok(())
    }

    /// How it is judged, as of the last [`Pipeline::hear`].
    fn judging(&self) -> Arc<detect::Settings> {
        let heard = self.announced.as_ref().map(|(_, settings)| Arc::clone(settings));
        heard.unwrap_or_else(|| Arc::new(self.weighing.detect.clone()))
    }

    /// The store that it commits to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// All books, by run.
    pub fn books(&self) -> impl Iterator<Item = &Book> {
        self.books.values()
    }

    /// The book of a run, opened where it is new.
    pub fn book(&mut self, run: &RunId) -> Result<&mut Book, store::Error> {
        match self.books.entry(run.clone()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => Ok(entry.insert(Book::open(&self.store, run)?)),
        }
    }

    /// Weighs a checkpoint at the first tier and shows it without judging or storing it.
    pub fn preview(&mut self, candidate: &Candidate, progress: &dyn Progress) -> Result<(), store::Error> {
        let candidate = &*with_step_inside(candidate, &self.weighing.tensor);
        let (trainer, _) = checkpoint::trainer_state(candidate);
        let plan = measure::Plan { tier: crate::terms::Tier::One, ..self.weighing.plan.clone() };
        let key =
            ReadingKey { run: candidate.run.clone(), attempt: Attempt::default(), step: candidate.step };
        let work = Work { key, candidate, trainer, problems: Vec::new(), previous: None, plan: &plan };
        let (reading, end) = self.scales().weigh(work, progress);
        if matches!(end, End::Whole) {
            self.book(&candidate.run)?.preview = Some(Arc::new(reading));
        }
        Ok(())
    }

    /// Takes one settled or broken checkpoint all the way. `problems` is why it is broken, if it is.
    pub fn take(
        &mut self,
        candidate: &Candidate,
        problems: Vec<Problem>,
        progress: &dyn Progress,
    ) -> Result<Outcome, store::Error> {
        let begun = Instant::now();
        if self.book(&candidate.run)?.has(candidate) {
            return Ok(Outcome::Known);
        }
        let candidate = &*with_step_inside(candidate, &self.weighing.tensor);
        let book = self.book(&candidate.run)?;
        book.directory.clone_from(&candidate.run_directory);
        let (trainer, trainer_problems) = checkpoint::trainer_state(candidate);
        let (attempt, step) = match checkpoint::recognise(&book.known, candidate, &trainer) {
            Recognition::Weighed => return Ok(Outcome::Known),
            Recognition::New { attempt, step } => (attempt, step),
        };
        let key = ReadingKey { run: candidate.run.clone(), attempt, step };
        let previous = book.previous(attempt, step).cloned();
        let problems = problems.into_iter().chain(trainer_problems).collect();
        let plan = measure::Plan { round: book.known.len() as u64, ..self.weighing.plan.clone() };
        let previous = previous.and_then(|known| still_there(&known, &self.weighing.checkpoint));
        let work = Work { key, candidate, trainer, problems, previous, plan: &plan };
        let (reading, end) = self.scales().weigh(work, progress);
        match end {
            End::Stopped => return Ok(Outcome::Stopped),
            End::Changed => return Ok(Outcome::Changed),
            End::Rotated => {
                self.book(&candidate.run)?.miss(candidate.step);
                return Ok(Outcome::Rotated);
            }
            End::Whole => {}
        }
        self.judge_and_commit(reading, begun)
    }

    /// Runs whose next checkpoint is overdue and not told so yet. Reads nothing: it is asked all the time.
    pub fn late(&self, now_seconds: f64) -> Vec<RunId> {
        let settings = &*self.judging();
        let is_late = |book: &&Book| {
            let untold =
                |rhythm: detect::Rhythm| rhythm.overdue_by(now_seconds, settings).any(|id| !book.is_told(id));
            !is_finished(book) && book.rhythm().is_some_and(untold)
        };
        self.books.values().filter(is_late).map(|book| book.run.clone()).collect()
    }

    /// Findings about waiting for one run; committed like any other.
    pub fn overdue(&mut self, run: &RunId, now_seconds: f64) -> Result<Vec<Finding>, store::Error> {
        self.hear()?;
        let (store, settings) = (self.store.clone(), self.judging());
        self.touch(run);
        let book = self.book(run)?;
        let Some(rhythm) = book.rhythm() else { return Ok(Vec::new()) };
        let attempt = book.attempt;
        let judged = book.judged(&store)?;
        let mut state = judged.state.clone();
        let findings = detect::overdue(&rhythm, now_seconds, &mut state, &settings);
        if !findings.is_empty() {
            store.record_findings(run, attempt, &findings, &state.to_bytes())?;
            judged.state = state;
            for finding in &findings {
                book.findings.insert(finding.id.clone(), Arc::new(finding.clone()));
            }
        }
        Ok(findings)
    }

    fn judge_and_commit(&mut self, mut reading: Reading, begun: Instant) -> Result<Outcome, store::Error> {
        self.hear()?;
        let (store, settings) = (self.store.clone(), self.judging());
        self.touch(&reading.key.run);
        let book = self.book(&reading.key.run)?;
        let memory = store.memory();
        let past = past(book, &reading, memory.as_ref());
        measure::remember(&mut reading.tensors, &past);
        let judged = judge_for(book, &store, reading.key.attempt)?;
        let late = is_late(&judged.history, reading.key.step);
        let (findings, state) = if late {
            judge_late(&judged.history, &reading, memory.as_ref(), &settings)
        } else {
            let mut state = judged.state.clone();
            let findings = detect::judge(&judged.history, &reading, memory.as_ref(), &mut state, &settings);
            (findings, Some(state))
        };
        let bytes = state.as_ref().unwrap_or(&judged.state).to_bytes();
        store.commit(&reading, &findings, &bytes)?;
        if let Some(state) = state {
            judged.state = state;
            judged.history.push(&reading);
        }
        let reading = Arc::new(reading);
        book.take(Arc::clone(&reading), findings.clone());
        book.duration_seconds = begun.elapsed().as_secs_f64();
        Ok(Outcome::Weighed { reading, findings })
    }

    /// Marks a run as used and lets the least recently used judges rest in the store.
    fn touch(&mut self, run: &RunId) {
        self.recent.retain(|other| other != run);
        self.recent.push(run.clone());
        while self.recent.len() > self.runs_in_memory.max(1) {
            let idle = self.recent.remove(0);
            if let Some(book) = self.books.get_mut(&idle) {
                book.judged = None;
            }
        }
    }

    fn scales(&self) -> Scales<'_> {
        Scales { weighing: &self.weighing, stop: &self.stop }
    }
}

/// What is remembered of the readings before one.
fn past(book: &Book, reading: &Reading, memory: &dyn Memory) -> Past {
    let key = &reading.key;
    let sketches = |key: &ReadingKey| memory.sketches(key);
    let previous = book.previous(key.attempt, key.step).map(|known| &known.key);
    let before = previous.and_then(|key| book.previous(key.attempt, key.step)).map(|known| &known.key);
    Past {
        first: book.first(key.attempt).and_then(sketches),
        previous: previous.and_then(sketches),
        before_previous: before.and_then(sketches),
        step: key.step,
        spectra: measure::spectra_before(&reading.tensors, book.before(key.attempt, key.step), memory),
    }
}

/// Weighs one checkpoint by itself; `previous` is what changes are measured against.
pub(super) fn weigh_alone(
    candidate: &Candidate,
    previous: Option<Candidate>,
    problems: Vec<Problem>,
    weighing: &Weighing,
    progress: &dyn Progress,
) -> Reading {
    let candidate = &*with_step_inside(candidate, &weighing.tensor);
    let (trainer, trainer_problems) = checkpoint::trainer_state(candidate);
    let key = ReadingKey { run: candidate.run.clone(), attempt: Attempt::default(), step: candidate.step };
    let previous = previous.map(|before| with_step_inside(&before, &weighing.tensor).into_owned());
    let previous = previous.map(|before| (before.step, before));
    let problems = problems.into_iter().chain(trainer_problems).collect();
    let work = Work { key, candidate, trainer, problems, previous, plan: &weighing.plan };
    let stop = Arc::new(AtomicBool::new(false));
    Scales { weighing, stop: &stop }.weigh(work, progress).0
}

/// Opens, understands and measures.
struct Scales<'a> {
    weighing: &'a Weighing,
    stop: &'a Arc<AtomicBool>,
}

impl Scales<'_> {
    /// A panic in there costs this checkpoint's values, not the daemon.
    fn weigh(&self, work: Work<'_>, progress: &dyn Progress) -> (Reading, End) {
        let candidate = work.candidate;
        let mut reading = empty_reading(&work);
        let fill = AssertUnwindSafe(|| self.fill(&mut reading, &work, progress));
        if let Err(panic) = catch_unwind(fill) {
            reading.problems.push(bug(&candidate.path, panic.as_ref()));
        }
        let end = match () {
            () if self.stop.load(Ordering::Relaxed) => End::Stopped,
            () if !work.problems.is_empty() => End::Whole,
            () => ending(candidate),
        };
        (reading, end)
    }

    fn fill(&self, reading: &mut Reading, work: &Work<'_>, progress: &dyn Progress) {
        let (candidate, weighing) = (work.candidate, self.weighing);
        let opened = tensor::open(&candidate.root, &self.files(candidate), &weighing.tensor);
        let (config, config_problems) = checkpoint::model_config(candidate);
        let map = model::understand_with(opened.source.tensors(), config.as_ref(), &weighing.families);
        reading.family.clone_from(&map.family);
        reading.remarks.clone_from(&map.remarks);
        reading.skipped = opened.skipped;
        for problem in opened.problems.into_iter().chain(config_problems) {
            if !reading.problems.contains(&problem) {
                reading.problems.push(problem);
            }
        }
        let name = |index: usize| opened.source.tensors()[index].name.to_string();
        reading.tied = map.tied.iter().map(|&(a, b)| (name(a), name(b))).chain(opened.tied).collect();
        let before = work.previous.as_ref().map(|(step, candidate)| (*step, self.reopen(candidate)));
        let previous = before.as_ref().map(|(step, source)| Previous { step: *step, source });
        reading.previous = previous.as_ref().map(|previous| previous.step);
        let source = self.paced(opened.source);
        let weighed = measure::weigh(&source, &map, previous, &reading.trainer, work.plan, progress);
        reading.tensors = weighed.tensors;
        reading.subjects = weighed.subjects;
        reading.problems.extend(weighed.problems);
        let states = self.paced(opened.optimizer);
        let (remarks, problems) =
            measure::weigh_optimizer(&states, work.plan, progress, &mut reading.subjects);
        reading.remarks.extend(remarks);
        reading.problems.extend(problems);
        if let Some((_, before)) = work.previous.as_ref().filter(|_| weighing.tensor.spare_page_cache) {
            tensor::hand_back(&before.root, &self.files(before), &weighing.tensor);
        }
    }

    /// The weights, and the optimizer's files beside them where they are wanted.
    fn files(&self, candidate: &Candidate) -> Vec<PathBuf> {
        let mut files = candidate.weights.clone();
        if self.weighing.tensor.optimizer_states {
            files.extend(candidate.optimizer_files());
        }
        files
    }

    fn reopen(&self, before: &Candidate) -> Paced {
        let weights_only = tensor::Settings { optimizer_states: false, ..self.weighing.tensor.clone() };
        self.paced(tensor::open(&before.root, &before.weights, &weights_only).source)
    }

    fn paced(&self, source: Arc<dyn BlockSource>) -> Paced {
        Paced::new(source, Arc::clone(self.stop), self.weighing.bytes_per_second)
    }
}

/// An earlier checkpoint, if its files still lie there as they were weighed.
fn still_there(known: &Known, settings: &checkpoint::Settings) -> Option<(Step, Candidate)> {
    let candidate = checkpoint::candidate_at(&known.checkpoint.path, settings).ok()?;
    (candidate.files == known.checkpoint.files).then_some((known.key.step, candidate))
}

/// One checkpoint on the scales.
struct Work<'a> {
    key: ReadingKey,
    candidate: &'a Candidate,
    trainer: TrainerState,
    problems: Vec<Problem>,
    previous: Option<(Step, Candidate)>,
    plan: &'a measure::Plan,
}

/// How the files stood when the weighing was over.
enum End {
    Whole,
    Rotated,
    Changed,
    Stopped,
}

fn ending(candidate: &Candidate) -> End {
    let base = &candidate.run_directory;
    let stamps: Option<Vec<_>> = candidate.files.iter().map(|file| stamp(&base.join(&file.path))).collect();
    match stamps {
        None => End::Rotated,
        Some(now) => {
            let same =
                candidate.files.iter().zip(now).all(|(file, now)| (file.bytes, file.modified_ns) == now);
            if same { End::Whole } else { End::Changed }
        }
    }
}

/// Size and modification time of a file as [`crate::terms::FileStamp`] has them; none where it is gone.
fn stamp(path: &Path) -> Option<(u64, i64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.len(), metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec()))
}

fn empty_reading(work: &Work<'_>) -> Reading {
    let candidate = work.candidate;
    Reading {
        key: work.key.clone(),
        checkpoint: CheckpointFacts {
            path: candidate.path.clone(),
            layout: candidate.layout.to_owned(),
            step_source: candidate.step_source,
            timestamp_seconds: candidate.timestamp_seconds,
            files: candidate.files.clone(),
        },
        family: String::from("unknown"),
        trainer: work.trainer.clone(),
        tensors: Vec::new(),
        subjects: Vec::new(),
        skipped: Vec::new(),
        tied: Vec::new(),
        remarks: Vec::new(),
        problems: work.problems.clone(),
        previous: None,
    }
}

/// The judge of the attempt that a reading belongs to; a new attempt begins with the old one's judge.
fn judge_for<'a>(
    book: &'a mut Book,
    store: &Store,
    attempt: Attempt,
) -> Result<&'a mut Judged, store::Error> {
    if attempt > book.attempt {
        let state = book.judged(store)?.state.clone();
        book.judged = Some(Judged { history: History::new(History::POINTS_MAX), state });
        book.attempt = attempt;
    }
    book.judged(store)
}

/// A checkpoint that arrived after a later one of the same attempt.
fn is_late(history: &History, step: Step) -> bool {
    history.points().last().is_some_and(|point| step < point.key.step)
}

/// A late arrival is judged by what was known before its step, with a judge of its own: the running
/// judge is already further. What it finds is over by the next step that was judged without it.
fn judge_late(
    history: &History,
    reading: &Reading,
    memory: &dyn crate::terms::Memory,
    settings: &detect::Settings,
) -> (Vec<Finding>, Option<detect::State>) {
    let step = reading.key.step;
    let mut findings =
        detect::judge(&history.before(step), reading, memory, &mut detect::State::default(), settings);
    let next = history.points().iter().map(|point| point.key.step).find(|&later| later > step);
    for finding in &mut findings {
        finding.resolved_step = next;
    }
    (findings, None)
}

fn bug(path: &Path, panic: &(dyn std::any::Any + Send)) -> Problem {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| String::from("no message"));
    Problem {
        kind: ProblemKind::Bug,
        path: path.to_owned(),
        tensor: None,
        offset: None,
        detail: format!("weighing failed inside weighbridge: {text}"),
        remedy: String::from("please report this with the log; the daemon goes on with the next checkpoint"),
    }
}
