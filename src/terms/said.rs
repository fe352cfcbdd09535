//! What people said: that they know of a finding, that nobody is to be called for a while, what is planned.
//!
//! What is said about findings changes none of them, nor its judgement. It only changes who is told: a finding
//! that is *quiet* stands, is shown with the reason, and calls nobody. What is planned is the judge's to know.

use std::collections::BTreeMap;

use globset::GlobMatcher;
use serde::Serialize;

use super::{Announcement, Finding, FindingId, RunId, Severity};

/// Somebody knows of a finding: it is not told again unless it grows graver. Its end is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Acknowledgement {
    /// The finding's run.
    pub run: RunId,
    /// The finding.
    pub finding: FindingId,
    /// How grave it was then.
    pub severity: Severity,
    /// When it was said, seconds since 1970.
    pub at_seconds: f64,
    /// Why, or who; may be empty.
    pub why: String,
    /// True once it was taken back.
    pub withdrawn: bool,
}

/// Nobody is called for what it matches until it ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Silence {
    /// Its name for good.
    pub id: String,
    /// Glob on the run's name.
    pub run: String,
    /// Detector; none for all.
    pub detector: Option<String>,
    /// Glob on tensor names: it matches a finding all of whose tensors match, and none without tensors.
    pub tensor: Option<String>,
    /// When it was said, seconds since 1970.
    pub at_seconds: f64,
    /// Its end, seconds since 1970. Ended early, it is the time at which that was done.
    pub until_seconds: f64,
    /// Why.
    pub why: String,
}

/// Everything that was said, ready to be asked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Said {
    /// Silences in the order in which they were made, those that are over too.
    pub silences: Vec<Silence>,
    /// Acknowledgements by finding, those taken back too.
    pub acknowledgements: BTreeMap<FindingId, Acknowledgement>,
    /// What was announced, in the order in which that was said, what was taken back too.
    pub announcements: Vec<Announcement>,
    /// Run and tensor globs of each silence.
    #[serde(skip)]
    globs: Vec<(Pattern, Option<Pattern>)>,
}

/// A glob, or a name that is taken as it is written.
#[derive(Clone, Debug)]
struct Pattern {
    text: String,
    glob: Option<GlobMatcher>,
}

impl Pattern {
    fn new(text: &str) -> Self {
        let glob = globset::Glob::new(text).ok().map(|glob| glob.compile_matcher());
        Self { text: text.to_owned(), glob }
    }

    /// A name always matches itself, brackets in it or not.
    fn matches(&self, name: &str) -> bool {
        self.text == name || self.glob.as_ref().is_some_and(|glob| glob.is_match(name))
    }
}

/// Why a finding calls nobody, if so.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet<'a> {
    /// The silence that is over it and ends last.
    pub silence: Option<&'a Silence>,
    /// That somebody knows.
    pub acknowledgement: Option<&'a Acknowledgement>,
}

impl Quiet<'_> {
    /// True where nobody is to be called.
    pub fn is_quiet(&self) -> bool {
        self.silence.is_some() || self.acknowledgement.is_some()
    }
}

impl Said {
    /// Takes what was said in any order.
    pub fn new(mut silences: Vec<Silence>, acknowledgements: Vec<Acknowledgement>) -> Self {
        silences.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds).then_with(|| a.id.cmp(&b.id)));
        let globs = silences
            .iter()
            .map(|silence| (Pattern::new(&silence.run), silence.tensor.as_deref().map(Pattern::new)))
            .collect();
        let acknowledgements =
            acknowledgements.into_iter().map(|known| (known.finding.clone(), known)).collect();
        Self { silences, acknowledgements, announcements: Vec::new(), globs }
    }

    /// The same with what was announced, in any order.
    #[must_use]
    pub fn with_announcements(mut self, mut announcements: Vec<Announcement>) -> Self {
        announcements.sort_by(|a, b| a.at_seconds.total_cmp(&b.at_seconds).then_with(|| a.id.cmp(&b.id)));
        self.announcements = announcements;
        self
    }

    /// What is announced and was not taken back.
    pub fn announced(&self) -> impl Iterator<Item = &Announcement> {
        self.announcements.iter().filter(|announcement| !announcement.withdrawn)
    }

    /// What is announced of a run.
    pub fn announced_for<'a>(&'a self, run: &'a RunId) -> impl Iterator<Item = &'a Announcement> {
        let speaks_of = |glob: &String| Pattern::new(glob).matches(run.as_str());
        self.announced().filter(move |announcement| announcement.planned.run.as_ref().is_none_or(speaks_of))
    }

    /// What was said about a finding and holds at `now_seconds` since 1970.
    pub fn of(&self, finding: &Finding, now_seconds: f64) -> Quiet<'_> {
        let over = self.silences.iter().zip(&self.globs).filter(|(silence, (run, tensor))| {
            silence.until_seconds > now_seconds
                && run.matches(finding.run.as_str())
                && silence.detector.as_ref().is_none_or(|detector| *detector == finding.detector)
                && tensor.as_ref().is_none_or(|glob| {
                    !finding.tensors.is_empty() && finding.tensors.iter().all(|name| glob.matches(name))
                })
        });
        let silence = over.map(|(silence, _)| silence);
        let known = self.acknowledgements.get(&finding.id);
        Quiet {
            silence: silence.max_by(|a, b| a.until_seconds.total_cmp(&b.until_seconds)),
            acknowledgement: known.filter(|known| !known.withdrawn && finding.severity <= known.severity),
        }
    }

    /// When the next silence ends, seconds since 1970.
    pub fn next_end(&self, now_seconds: f64) -> Option<f64> {
        let ends = self.silences.iter().map(|silence| silence.until_seconds);
        ends.filter(|end| *end > now_seconds).min_by(f64::total_cmp)
    }
}
