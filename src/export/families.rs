//! Families of samples under construction, and the budget that bounds them.

use std::collections::BTreeMap;

use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use super::PREFIX;

/// Builds the families of one scrape.
pub struct Families {
    by_name: BTreeMap<String, MetricFamily>,
    fixed: Vec<LabelPair>,
    budget: usize,
    dropped: u64,
}

/// A label of one sample.
pub type Label<'a> = (&'a str, &'a str);

impl Families {
    /// Puts the labels `fixed` on every sample and takes at most `series_max` samples within the budget.
    pub fn new(fixed: &BTreeMap<String, String>, series_max: usize) -> Self {
        let fixed = fixed.iter().map(|(name, value)| pair(name, value)).collect();
        Self { by_name: BTreeMap::new(), fixed, budget: series_max, dropped: 0 }
    }

    /// A gauge that is always there.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_gauge(gauge);
        metric.set_label(self.labels(labels));
        self.family(name, help, MetricType::GAUGE).mut_metric().push(metric);
    }

    /// A counter that is always there.
    pub fn counter(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        let mut counter = Counter::default();
        counter.set_value(value);
        let mut metric = Metric::default();
        metric.set_counter(counter);
        metric.set_label(self.labels(labels));
        self.family(name, help, MetricType::COUNTER).mut_metric().push(metric);
    }

    /// A gauge that counts against the budget, and is dropped when that is used up.
    pub fn budgeted(&mut self, name: &str, help: &str, labels: &[Label<'_>], value: f64) {
        if self.budget == 0 {
            self.dropped += 1;
            return;
        }
        self.budget -= 1;
        self.gauge(name, help, labels, value);
    }

    /// Samples dropped so far.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The families, sorted by name.
    pub fn finish(self) -> Vec<MetricFamily> {
        self.by_name.into_values().collect()
    }

    fn labels(&self, labels: &[Label<'_>]) -> Vec<LabelPair> {
        labels.iter().map(|(name, value)| pair(name, value)).chain(self.fixed.iter().cloned()).collect()
    }

    /// The family of that name (without prefix, unless it is one of the process' own).
    fn family(&mut self, name: &str, help: &str, kind: MetricType) -> &mut MetricFamily {
        // Looked up by the bare name first: a scrape has a hundred families and tens of thousands of samples.
        if !self.by_name.contains_key(name) {
            let mut family = MetricFamily::default();
            family.set_name(if name.starts_with("process_") {
                name.to_owned()
            } else {
                format!("{PREFIX}{name}")
            });
            family.set_help(help.to_owned());
            family.set_field_type(kind);
            return self.by_name.entry(name.to_owned()).or_insert(family);
        }
        self.by_name.entry(name.to_owned()).or_default()
    }
}

fn pair(name: &str, value: &str) -> LabelPair {
    let mut pair = LabelPair::default();
    pair.set_name(name.to_owned());
    pair.set_value(value.to_owned());
    pair
}
