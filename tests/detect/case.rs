//! The language of the scripts, line by line:
//!
//! ```text
//! # comment
//! series checkpoints=24 every=25 layers=3 seed=1 optimizer=adam|sgd schedule=cosine|constant|restarts dtype=F32 experts=4 adapters=true
//! at 16 TENSORS metric = 3          one checkpoint, counted from 1; `16..` from there on, `16..18` three of them
//! at 16.. TENSORS metric *= 1.2     also += and -=; `^=` multiplies once more at every further checkpoint
//! at 16 head L.H metric = 0         a head instead of tensors (globs)
//! at 16 layer L metric = 0          a layer that has metrics of its own
//! at 16 model metric = 0            the model's own metrics
//! at 16 TENSORS drop                also: hash_of 5, equals TENSOR, sketch_of TENSOR, shape 8x8, dtype BF16, role ROLE
//! at 16 problem truncated FILE      also: unreadable, malformed, missing, bug
//! at 16 wait 800                    so many seconds go by after the checkpoint, and the daemon looks at its clock
//! at 16.. log loss = 5.6            also learning_rate, grad_norm; NaN may be given
//! tied A B
//! baseline PROPERTIES                a stored run to compare with: those of `series`, and size=1.5 for its weights
//! enable DETECTOR
//! parameter DETECTOR NAME VALUE
//! expected DETECTOR TENSORS from STEP
//! expect DETECTOR at 16 [critical|warning] [first TENSORS] [resolved 17|open] [families 2] [pace]
//! ```

use std::path::Path;

use globset::Glob;
use weighbridge::detect::{Baseline, Expected, Settings};
use weighbridge::terms::{
    Dtype, Evidence, Finding, History, Problem, ProblemKind, Reading, Role, RunId, Severity, Subject,
    SubjectReading, TensorReading,
};

use super::synthetic::Series;

/// A parsed script.
pub struct Case {
    pub name: String,
    pub expected: Vec<Expectation>,
    series: Series,
    changes: Vec<Change>,
    settings: Settings,
    tied: Vec<(String, String)>,
}

/// A finding that must come.
pub struct Expectation {
    pub detector: String,
    pub checkpoint: usize,
    severity: Option<Severity>,
    first: Option<String>,
    resolved: Option<Option<usize>>,
    /// Families of measurements that agree.
    families: Option<f64>,
    /// Does it say when a limit is reached?
    pace: bool,
}

struct Change {
    from: usize,
    to: usize,
    words: Vec<String>,
}

impl Case {
    pub fn parse(path: &Path) -> Result<Self, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
        let mut case = Self {
            name,
            expected: Vec::new(),
            series: Series::default(),
            changes: Vec::new(),
            settings: Settings::default(),
            tied: Vec::new(),
        };
        for (number, line) in text.lines().enumerate() {
            let words: Vec<&str> = line.split('#').next().unwrap_or_default().split_whitespace().collect();
            case.line(&words).ok_or_else(|| format!("{}:{}: cannot read: {line}", case.name, number + 1))?;
        }
        Ok(case)
    }

    fn line(&mut self, words: &[&str]) -> Option<()> {
        let choice =
            |settings: &mut Settings, id: &str| settings.detectors.entry(id.to_owned()).or_default().clone();
        match words {
            [] => {}
            ["series", rest @ ..] => {
                for pair in rest {
                    property(&mut self.series, pair.split_once('=')?)?;
                }
            }
            ["at", when, rest @ ..] => {
                let (from, to) = range(when)?;
                self.changes.push(Change {
                    from,
                    to,
                    words: rest.iter().map(|&word| word.to_owned()).collect(),
                });
            }
            ["baseline", rest @ ..] => {
                let mut series = Series { checkpoints: self.series.checkpoints, ..Series::default() };
                for pair in rest {
                    property(&mut series, pair.split_once('=')?)?;
                }
                self.settings.baseline = Some(stored(&series));
            }
            ["tied", a, b] => self.tied.push(((*a).to_owned(), (*b).to_owned())),
            ["enable", id] => {
                let mut chosen = choice(&mut self.settings, id);
                chosen.enabled = Some(true);
                self.settings.detectors.insert((*id).to_owned(), chosen);
            }
            ["parameter", id, name, value] => {
                let mut chosen = choice(&mut self.settings, id);
                chosen.parameters.insert((*name).to_owned(), value.parse().ok()?);
                self.settings.detectors.insert((*id).to_owned(), chosen);
            }
            ["expected", id, tensors, "from", step] => self.settings.expected.push(Expected {
                detector: Some((*id).to_owned()),
                tensors: vec![(*tensors).to_owned()],
                from_step: Some(step.parse().ok()?),
                ..Expected::default()
            }),
            ["expect", id, "at", checkpoint, rest @ ..] => {
                let mut expectation = Expectation {
                    detector: (*id).to_owned(),
                    checkpoint: checkpoint.parse().ok()?,
                    severity: None,
                    first: None,
                    resolved: None,
                    families: None,
                    pace: false,
                };
                let mut rest = rest.iter();
                while let Some(&word) = rest.next() {
                    match word {
                        "first" => expectation.first = Some((*rest.next()?).to_owned()),
                        "resolved" => expectation.resolved = Some(Some(rest.next()?.parse().ok()?)),
                        "families" => expectation.families = Some(rest.next()?.parse().ok()?),
                        "pace" => expectation.pace = true,
                        "open" => expectation.resolved = Some(None),
                        severity => expectation.severity = Some(Severity::from_name(severity)?),
                    }
                }
                self.expected.push(expectation);
            }
            _ => return None,
        }
        Some(())
    }

    pub fn settings(&self) -> Settings {
        self.settings.clone()
    }

    /// Step of a checkpoint, counted from 1.
    pub fn step(&self, checkpoint: usize) -> u64 {
        checkpoint as u64 * self.series.every
    }

    /// Seconds that go by after a checkpoint, counted from 1, until the clock is asked.
    pub fn waits(&self, checkpoint: usize) -> impl Iterator<Item = f64> + '_ {
        let here = move |change: &&Change| (change.from..=change.to).contains(&checkpoint);
        self.changes.iter().filter(here).filter_map(|change| match &change.words[..] {
            [word, seconds] if word == "wait" => seconds.parse().ok(),
            _ => None,
        })
    }

    /// All readings, broken as the script says.
    pub fn readings(&self) -> impl Iterator<Item = Reading> + '_ {
        (1..=self.series.checkpoints).map(|checkpoint| {
            let mut reading = self.series.reading(checkpoint - 1);
            reading.tied.clone_from(&self.tied);
            for change in &self.changes {
                // The log is the past's too: what was logged stays logged.
                let logged = change.words.first().is_some_and(|word| word == "log");
                if checkpoint >= change.from && (checkpoint <= change.to || logged) {
                    let words: Vec<&str> = change.words.iter().map(String::as_str).collect();
                    self.apply(&mut reading, change, checkpoint, &words)
                        .unwrap_or_else(|| panic!("{}: cannot apply {words:?}", self.name));
                }
            }
            reading
        })
    }

    fn apply(&self, reading: &mut Reading, change: &Change, checkpoint: usize, words: &[&str]) -> Option<()> {
        match words {
            // The clock is no part of a reading: see `Case::waits`.
            ["wait", _] => {}
            ["problem", kind, file] => {
                reading.problems.push(problem(kind, file)?);
                if *kind != "bug" && !file.ends_with("state.json") {
                    reading.tensors.clear();
                    reading.subjects.clear();
                }
            }
            ["log", field, operator, value] => {
                let steps =
                    self.step(change.from - 1) + 1..=self.step(change.to.min(self.series.checkpoints));
                for point in reading.trainer.log.iter_mut().filter(|point| steps.contains(&point.step)) {
                    let slot = match *field {
                        "loss" => &mut point.loss,
                        "learning_rate" => &mut point.learning_rate,
                        _ => &mut point.grad_norm,
                    };
                    *slot = Some(changed(slot.unwrap_or(0.0), operator, value.parse().ok()?, 1)?);
                }
            }
            ["head", place, metric, operator, value] => {
                let (layer, head) = place.split_once('.')?;
                let subject = Subject::Head { layer: layer.parse().ok()?, head: head.parse().ok()? };
                let reading = reading.subjects.iter_mut().find(|reading| reading.subject == subject)?;
                let (name, old) = reading.samples.iter_mut().find(|(name, _)| *name == metric)?;
                let _ = name;
                *old = changed(*old, operator, value.parse().ok()?, checkpoint - change.from + 1)?;
            }
            ["layer", layer, metric, operator, value] => {
                let subject = Subject::Layer(layer.parse().ok()?);
                let reading = reading.subjects.iter_mut().find(|reading| reading.subject == subject)?;
                let metric = weighbridge::measure::catalog().intern(metric)?;
                let old = reading.samples.entry(metric).or_insert(0.0);
                *old = changed(*old, operator, value.parse().ok()?, checkpoint - change.from + 1)?;
            }
            ["model", metric, operator, value] => {
                let metric = weighbridge::measure::catalog().intern(metric)?;
                let of_model = |reading: &SubjectReading| reading.subject == Subject::Model;
                if !reading.subjects.iter().any(of_model) {
                    reading.subjects.push(SubjectReading {
                        subject: Subject::Model,
                        samples: Default::default(),
                        lists: Default::default(),
                        absent: Default::default(),
                    });
                }
                let model = reading.subjects.iter_mut().find(|reading| of_model(reading))?;
                let old = model.samples.entry(metric).or_insert(0.0);
                *old = changed(*old, operator, value.parse().ok()?, checkpoint - change.from + 1)?;
            }
            [tensors, "drop"] => {
                let glob = Glob::new(tensors).ok()?.compile_matcher();
                reading.tensors.retain(|tensor| !glob.is_match(&*tensor.facts.name));
            }
            [tensors, rest @ ..] => {
                let glob = Glob::new(tensors).ok()?.compile_matcher();
                let others = self.series.reading(checkpoint - 1).tensors;
                for tensor in reading.tensors.iter_mut().filter(|tensor| glob.is_match(&*tensor.facts.name)) {
                    self.alter(tensor, &others, checkpoint - change.from + 1, rest)?;
                }
            }
            [] => return None,
        }
        Some(())
    }

    fn alter(
        &self,
        tensor: &mut TensorReading,
        others: &[TensorReading],
        turn: usize,
        words: &[&str],
    ) -> Option<()> {
        let find = |name: &str| others.iter().find(|other| &*other.facts.name == name);
        match words {
            ["hash_of", checkpoint] => {
                let old = self.series.reading(checkpoint.parse::<usize>().ok()? - 1);
                tensor.facts.content_hash = old.tensor(&tensor.facts.name)?.facts.content_hash;
            }
            ["equals", name] => tensor.facts.content_hash = find(name)?.facts.content_hash,
            ["sketch_of", name] => tensor.sketch.clone_from(&find(name)?.sketch),
            ["shape", shape] => {
                tensor.facts.shape =
                    shape.split('x').map(|length| length.parse().ok()).collect::<Option<_>>()?;
            }
            ["role", role] => tensor.facts.meaning.role = Role::from_name(role)?,
            ["dtype", dtype] => tensor.facts.dtype = Dtype::from_name(dtype)?,
            [metric, operator, value] => {
                let metric = weighbridge::measure::catalog().intern(metric)?;
                // What a tensor has not can only be set.
                let old = match *operator {
                    "=" => tensor.samples.entry(metric).or_insert(0.0),
                    _ => tensor.samples.get_mut(metric)?,
                };
                *old = changed(*old, operator, value.parse().ok()?, turn)?;
            }
            _ => return None,
        }
        Some(())
    }
}

impl Expectation {
    pub fn hold(&self, case: &Case, finding: &Finding) -> Result<(), String> {
        let name = &case.name;
        if self.severity.is_some_and(|severity| severity != finding.severity) {
            return Err(format!("{name}: {} is {}", self.detector, finding.severity));
        }
        if let Some(glob) = &self.first {
            let matcher = Glob::new(glob).map_err(|error| error.to_string())?.compile_matcher();
            if !finding.tensors.first().is_some_and(|tensor| matcher.is_match(tensor)) {
                return Err(format!("{name}: {} blames {:?} first", self.detector, finding.tensors.first()));
            }
        }
        let counted = finding.evidence.iter().find(|evidence| evidence.metric == "metric_families");
        let families = counted.and_then(|evidence| evidence.value);
        if self.families.is_some() && self.families != families {
            return Err(format!("{name}: {} has the vote of {families:?} families", self.detector));
        }
        let says_when = |evidence: &Evidence| evidence.expected.contains("at this pace reaches");
        if self.pace && !finding.evidence.iter().any(says_when) {
            return Err(format!("{name}: {} does not say when: {:?}", self.detector, finding.evidence));
        }
        if let Some(resolved) = self.resolved {
            let step = resolved.map(|checkpoint| case.step(checkpoint));
            if finding.resolved_step.map(|step| step.0) != step {
                return Err(format!("{name}: {} resolved at {:?}", self.detector, finding.resolved_step));
            }
        }
        Ok(())
    }
}

fn changed(old: f64, operator: &str, value: f64, turn: usize) -> Option<f64> {
    Some(match operator {
        "=" => value,
        "*=" => old * value,
        "+=" => old + value,
        "-=" => old - value,
        "^=" => old * value.powi(turn as i32),
        _ => return None,
    })
}

fn range(when: &str) -> Option<(usize, usize)> {
    match when.split_once("..") {
        None => when.parse().ok().map(|only| (only, only)),
        Some((from, "")) => from.parse().ok().map(|from| (from, usize::MAX)),
        Some((from, to)) => Some((from.parse().ok()?, to.parse().ok()?)),
    }
}

fn problem(kind: &str, file: &str) -> Option<Problem> {
    let kind = match kind {
        "truncated" => ProblemKind::Truncated,
        "unreadable" => ProblemKind::Unreadable,
        "malformed" => ProblemKind::Malformed,
        "missing" => ProblemKind::Missing,
        "bug" => ProblemKind::Bug,
        _ => return None,
    };
    Some(Problem {
        kind,
        path: file.into(),
        tensor: None,
        offset: Some(512),
        detail: "data ends early".to_owned(),
        remedy: "save again".to_owned(),
    })
}

fn property(series: &mut Series, (key, value): (&str, &str)) -> Option<()> {
    match key {
        "checkpoints" => series.checkpoints = value.parse().ok()?,
        "every" => series.every = value.parse().ok()?,
        "layers" => series.layers = value.parse().ok()?,
        "seed" => series.seed = value.parse().ok()?,
        "optimizer" => series.sgd = value == "sgd",
        "schedule" => series.schedule = value.to_owned(),
        "dtype" => series.dtype = Dtype::from_name(value)?,
        "size" => series.size = value.parse().ok()?,
        "experts" => series.experts = value.parse().ok()?,
        "adapters" => series.adapters = value.parse().ok()?,
        _ => return None,
    }
    Some(())
}

/// The whole series as another run, as the store has it.
fn stored(series: &Series) -> Baseline {
    let mut history = History::new(History::POINTS_MAX);
    (0..series.checkpoints).for_each(|index| history.push(&series.reading(index)));
    Baseline::new(&RunId::new("stored"), &history)
}
