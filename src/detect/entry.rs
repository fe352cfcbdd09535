//! What a detector is: an entry that tells all about it, and a pure function that looks.

use serde::Serialize;

use crate::terms::{Evidence, Severity, Subject};

use super::view::View;

/// On what kind of proof a detector rests, in the order in which they are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Cannot be true of a healthy run whatever it trains: no statistics.
    Invariant,
    /// What the trainer's own log says was changed: the cause of whatever else is seen with it.
    Announced,
    /// A known fault's own mark in the structure of the weights.
    Structure,
    /// A bound that the optimizer cannot break at the logged learning rate.
    Physics,
    /// The trainer's own log.
    Log,
    /// Departure from the run's own past, with the scale of its siblings.
    Temporal,
    /// Slow change that adds up.
    Drift,
    /// A stored run that the user named to compare with.
    Comparison,
    /// Rules of other tools, under their names; off unless asked for.
    Compatibility,
}

/// One number that a user may change, with the range that the configuration accepts.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Parameter {
    /// Key in the configuration.
    pub name: &'static str,
    /// Value without configuration.
    pub default: f64,
    /// Smallest value accepted.
    pub min: f64,
    /// Largest value accepted.
    pub max: f64,
    /// What it does, with its unit.
    pub doc: &'static str,
}

/// All that is to be said about a detector. `explain`, `docs/detectors.md`, configuration keys and the
/// text of findings are made from it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Entry {
    /// Names the fault; label in series and key in the configuration.
    pub id: &'static str,
    /// Severity of its findings unless the configuration says otherwise.
    pub severity: Severity,
    /// What it rests on.
    pub proof: Proof,
    /// The fault in one sentence without a full stop.
    pub summary: &'static str,
    /// How it is recognised, exactly.
    pub what: &'static str,
    /// What usually causes the fault.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Measurements that it reads.
    pub evidence: &'static str,
    /// Numbers that may be changed.
    pub parameters: &'static [Parameter],
    /// False for those that must be asked for.
    pub enabled: bool,
    /// First version that had it.
    pub since: &'static str,
}

/// A detector: its entry and how it looks at a reading.
pub trait Detector: Sync {
    /// All that is to be said about it.
    fn entry(&self) -> &Entry;

    /// What it sees in the newest reading; pure, and empty for a healthy one.
    fn look(&self, view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign>;
}

/// A detector made of its entry and a function: the form that all of ours have.
pub struct Rule {
    /// All that is to be said about it.
    pub entry: Entry,
    /// How it looks.
    pub look: fn(&View<'_>, &Parameters<'_>) -> Vec<Sign>,
}

impl Detector for Rule {
    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn look(&self, view: &View<'_>, parameters: &Parameters<'_>) -> Vec<Sign> {
        (self.look)(view, parameters)
    }
}

/// A detector's parameters as configured.
pub struct Parameters<'a> {
    pub(super) entry: &'static Entry,
    pub(super) overrides: Option<&'a std::collections::BTreeMap<String, f64>>,
}

impl Parameters<'_> {
    /// The value of a parameter that the entry lists; NaN for a name that it does not list, which a test
    /// over the registry rules out.
    pub fn get(&self, name: &str) -> f64 {
        let default = self.entry.parameters.iter().find(|parameter| parameter.name == name);
        let chosen = self.overrides.and_then(|values| values.get(name)).copied();
        chosen.or(default.map(|parameter| parameter.default)).unwrap_or(f64::NAN)
    }
}

/// What a detector sees at one checkpoint.
#[derive(Clone, Debug)]
pub struct Sign {
    /// How much it matters; the entry's severity unless this case is milder or graver.
    pub severity: Severity,
    /// How far beyond the limit: 1 opens a finding, at least one half keeps an open one open.
    pub score: f64,
    /// Tensors it touches, most suspect first.
    pub tensors: Vec<String>,
    /// One sentence: what and where. The judge adds since when.
    pub summary: String,
    /// Measurements that agree, strongest first.
    pub evidence: Vec<Evidence>,
    /// Measurements or siblings that do not agree.
    pub dissent: Vec<String>,
    /// How sure, 0 to 1.
    pub confidence: f64,
    /// Replaces the entry's remedy where the case knows better, for example the remedy of a file problem.
    pub remedy: Option<String>,
}

impl Sign {
    /// A sure sign of full score; the fields that differ are set by struct update.
    pub fn sure(severity: Severity, summary: String) -> Self {
        Self {
            severity,
            score: 1.0,
            tensors: Vec::new(),
            summary,
            evidence: Vec::new(),
            dissent: Vec::new(),
            confidence: 1.0,
            remedy: None,
        }
    }
}

/// Evidence in one line.
pub fn evidence(subject: Subject, metric: &str, value: Option<f64>, expected: impl Into<String>) -> Evidence {
    Evidence {
        subject,
        metric: metric.to_owned(),
        value: value.filter(|value| value.is_finite()),
        expected: expected.into(),
    }
}
