//! Families of samples under construction, and the budget that bounds them.
//!
//! A scrape has a hundred families, a thousand subjects and tens of thousands of samples. So what belongs to a
//! family (name, HELP, TYPE) or to a subject (its labels, joined and escaped) is made once, and a sample is two
//! numbers: which labels, and the value.

use std::collections::BTreeMap;
use std::fmt::Write;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::PREFIX;
use super::text::Escaped;

/// A label of one sample.
pub type Label<'a> = (&'a str, &'a str);

/// Builds the families of one scrape, and is what the formats read.
pub struct Families {
    by_name: BTreeMap<String, FamilyId>,
    families: Vec<Family>,
    subjects: Vec<Labels>,
    fixed: Vec<(String, String)>,
    budget: usize,
    dropped: u64,
}

/// A family of this scrape.
#[derive(Clone, Copy)]
pub struct FamilyId(usize);

/// The labels of a subject of this scrape.
#[derive(Clone, Copy)]
pub struct LabelsId(usize);

/// Samples of one name.
pub struct Family {
    /// With the prefix, unless it is one of the process' own.
    pub name: String,
    /// What it is, as it was said.
    pub help: String,
    /// True for counters; all others are gauges.
    pub is_counter: bool,
    samples: Vec<(LabelsId, f64)>,
}

#[derive(Default)]
struct Labels {
    pairs: Vec<(String, String)>,
    /// As both formats write them: `{run="a",layer="0"}`, or nothing.
    joined: String,
}

impl Families {
    /// Puts the labels `fixed` on every sample and takes at most `series_max` samples within the budget.
    pub fn new(fixed: &BTreeMap<String, String>, series_max: usize) -> Self {
        let fixed = fixed.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        let (by_name, families, subjects) = (BTreeMap::new(), Vec::new(), Vec::new());
        Self { by_name, families, subjects, fixed, budget: series_max, dropped: 0 }
    }

    /// A gauge that is always there.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let (family, labels) = (self.family(name, || help.to_owned()), self.labels(labels));
        self.push(family, labels, value);
    }

    /// A counter that is always there.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let (family, labels) = (self.family(name, || help.to_owned()), self.labels(labels));
        self.families[family.0].is_counter = true;
        self.push(family, labels, value);
    }

    /// A gauge that counts against the budget, and is dropped when that is used up.
    pub fn budgeted(&mut self, family: FamilyId, labels: LabelsId, value: f64) {
        if self.budget == 0 {
            self.dropped += 1;
            return;
        }
        self.budget -= 1;
        self.push(family, labels, value);
    }

    /// Samples dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The family of that name (without prefix, unless it is one of the process' own). It is in the scrape once
    /// it has a sample.
    pub fn family(&mut self, name: &str, help: impl FnOnce() -> String) -> FamilyId {
        if let Some(&known) = self.by_name.get(name) {
            return known;
        }
        let id = FamilyId(self.families.len());
        self.by_name.insert(name.to_owned(), id);
        let prefix = if name.starts_with("process_") { "" } else { PREFIX };
        let name = format!("{prefix}{name}");
        self.families.push(Family { name, help: help(), is_counter: false, samples: Vec::new() });
        id
    }

    /// Those labels, for as many samples as the subject has.
    pub fn labels(&mut self, own: &[Label<'_>]) -> LabelsId {
        let own = own.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
        let pairs: Vec<(String, String)> = own.chain(self.fixed.iter().cloned()).collect();
        let mut joined = String::new();
        for (index, (name, value)) in pairs.iter().enumerate() {
            // Writing to a string cannot fail.
            let _ = write!(joined, "{}{name}=\"{}\"", if index == 0 { '{' } else { ',' }, Escaped(value));
        }
        if !pairs.is_empty() {
            joined.push('}');
        }
        self.subjects.push(Labels { pairs, joined });
        LabelsId(self.subjects.len() - 1)
    }

    /// The families that have samples, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = &Family> {
        let families = self.by_name.values().map(|id| &self.families[id.0]);
        families.filter(|family| !family.samples.is_empty())
    }

    /// The samples of a family: labels as both formats write them, and the value.
    pub fn samples<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = (&'a str, f64)> {
        family.samples.iter().map(|&(labels, value)| (self.subjects[labels.0].joined.as_str(), value))
    }

    /// Bytes that the families take as text, or a little more.
    pub fn text_bytes(&self) -> usize {
        const HEADER_BYTES: usize = 32;
        const VALUE_BYTES: usize = 24;
        let of = |family: &Family| {
            let labels = self.samples(family).map(|(labels, _)| labels.len());
            let lines = labels.map(|labels| family.name.len() + labels + VALUE_BYTES).sum::<usize>();
            2 * (family.name.len() + family.help.len() + HEADER_BYTES) + lines
        };
        self.iter().map(of).sum()
    }

    /// The families as `prometheus` has them, sorted by name.
    pub fn to_proto(&self) -> Vec<MetricFamily> {
        self.iter().map(|family| self.family_to_proto(family)).collect()
    }

    fn push(&mut self, family: FamilyId, labels: LabelsId, value: f64) {
        self.families[family.0].samples.push((labels, value));
    }

    fn family_to_proto(&self, family: &Family) -> MetricFamily {
        let mut out = MetricFamily::default();
        out.set_name(family.name.clone());
        out.set_help(family.help.clone());
        out.set_field_type(if family.is_counter { MetricType::COUNTER } else { MetricType::GAUGE });
        for &(labels, value) in &family.samples {
            let mut metric = Metric::default();
            if family.is_counter {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            metric.set_label(self.subjects[labels.0].pairs.iter().map(pair).collect());
            out.mut_metric().push(metric);
        }
        out
    }
}

fn pair((name, value): &(String, String)) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.clone());
    pair.set_value(value.clone());
    pair
}
