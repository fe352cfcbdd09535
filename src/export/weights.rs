//! Series of weights: everything in a scrape that counts against the budget.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use prometheus::proto::MetricFamily;

use super::Settings;
use super::collector::reading_families;
use super::families::{Families, FamilyId, LabelsId};
use crate::terms::{Catalog, Finding, MetricName, Reading, RunStatus, Samples, Subject, TensorReading};

/// Quantiles over the tensors of a role, with the label's value.
const QUANTILES: [(f64, &str); 3] = [(0.05, "0.05"), (0.5, "0.5"), (0.95, "0.95")];

/// Samples of one reading alone, for receivers that take each checkpoint with its own time.
pub(super) fn reading_families_of(
    reading: &Reading,
    catalog: &Catalog,
    settings: &Settings,
) -> Vec<MetricFamily> {
    let mut out = Families::new(&settings.labels, settings.series_max);
    reading_families(&mut out, reading);
    let mut weights = Weights::new(&mut out, catalog, settings);
    for class in [Weights::model, Weights::roles, Weights::tensors, Weights::heads] {
        class(&mut weights, &[], reading);
    }
    out.to_proto()
}

/// Adds the series of readings, class by class.
pub(super) struct Weights<'a> {
    out: &'a mut Families,
    catalog: &'a Catalog,
    /// The short lists with their families: they are looked up once a scrape, not once a sample.
    of_tensors: Vec<(&'a str, FamilyId)>,
    of_heads: Vec<(&'a str, FamilyId)>,
}

impl<'a> Weights<'a> {
    /// Adds to `out`.
    pub fn new(out: &'a mut Families, catalog: &'a Catalog, settings: &'a Settings) -> Self {
        let mut listed = |metrics: &'a [String], prefix, about| {
            let metrics = metrics.iter().map(String::as_str);
            metrics.map(|metric| (metric, family(out, catalog, prefix, metric, about))).collect()
        };
        let of_tensors = listed(&settings.tensor_metrics, "tensor", "each tensor");
        let of_heads = listed(&settings.head_metrics, "head", "each attention head");
        Self { out, catalog, of_tensors, of_heads }
    }

    /// Tensors that open findings name: by name, whatever else is dropped.
    pub fn offenders(&mut self, open: &[Arc<Finding>], reading: &Reading) {
        let named = offenders(open);
        for tensor in reading.tensors.iter().filter(|tensor| named.contains(&*tensor.facts.name)) {
            self.tensor(reading, tensor);
        }
    }

    /// All other tensors, with the short list.
    pub fn tensors(&mut self, open: &[Arc<Finding>], reading: &Reading) {
        let named = offenders(open);
        for tensor in reading.tensors.iter().filter(|tensor| !named.contains(&*tensor.facts.name)) {
            self.tensor(reading, tensor);
        }
    }

    fn tensor(&mut self, reading: &Reading, tensor: &TensorReading) {
        let labels = self.labels(reading, tensor);
        add_listed(self.out, &self.of_tensors, labels, &tensor.samples);
    }

    fn labels(&mut self, reading: &Reading, tensor: &TensorReading) -> LabelsId {
        let layer = tensor.facts.meaning.layer.map(|layer| layer.to_string()).unwrap_or_default();
        let role = tensor.facts.meaning.role.name();
        self.out.labels(&[
            ("run", reading.key.run.as_str()),
            ("tensor", &*tensor.facts.name),
            ("role", role),
            ("layer", &layer),
        ])
    }

    /// Metrics of layers and of the whole model: few, and all of them.
    pub fn model(&mut self, _: &[Arc<Finding>], reading: &Reading) {
        let run = ("run", reading.key.run.as_str());
        for subject in &reading.subjects {
            let (prefix, about, labels) = match &subject.subject {
                Subject::Model => ("model", "the whole model", self.out.labels(&[run])),
                Subject::Layer(number) => {
                    ("layer", "each layer", self.out.labels(&[run, ("layer", &number.to_string())]))
                }
                Subject::Head { .. } | Subject::Tensor(_) => continue,
            };
            for (metric, &value) in &subject.samples {
                let family = family(self.out, self.catalog, prefix, metric, about);
                self.out.budgeted(family, labels, value);
            }
        }
    }

    /// Quantiles over the tensors of a role, of every metric that is not on the short list.
    pub fn roles(&mut self, _: &[Arc<Finding>], reading: &Reading) {
        let listed: HashSet<&str> = self.of_tensors.iter().map(|&(metric, _)| metric).collect();
        let mut roles: BTreeMap<&str, Vec<&TensorReading>> = BTreeMap::new();
        for tensor in &reading.tensors {
            roles.entry(tensor.facts.meaning.role.name()).or_default().push(tensor);
        }
        let run = ("run", reading.key.run.as_str());
        let help = || "Tensors of the role in the latest checkpoint".to_owned();
        for (role, tensors) in &roles {
            let family = self.out.family("role_tensors", help);
            let labels = self.out.labels(&[run, ("role", role)]);
            self.out.budgeted(family, labels, tensors.len() as f64);
        }
        for (role, tensors) in roles {
            let labels = QUANTILES
                .map(|(quantile, word)| (quantile, self.out.labels(&[run, ("role", role), ("q", word)])));
            for (metric, values) in sorted_values(&tensors, &listed) {
                let about = "the tensors of a role, as quantiles";
                let family = family(self.out, self.catalog, "role", metric, about);
                for (quantile, labels) in labels {
                    self.out.budgeted(family, labels, quantile_of(&values, quantile));
                }
            }
        }
    }

    /// How old the values are that are had in turns; see [`RunStatus::carried`].
    pub fn ages(&mut self, status: &RunStatus) {
        let Some(reading) = &status.latest else { return };
        let help = || "Steps since the tensor's full spectrum was last in a checkpoint's budget".to_owned();
        for tensor in &reading.tensors {
            let Some(carried) = status.carried.get(&tensor.facts.name) else { continue };
            let family = self.out.family("tensor_spectrum_age_steps", help);
            let labels = self.labels(reading, tensor);
            let age = reading.key.step.0.saturating_sub(carried.step.0);
            self.out.budgeted(family, labels, age as f64);
        }
    }

    /// Every attention head, with the short list.
    pub fn heads(&mut self, _: &[Arc<Finding>], reading: &Reading) {
        for subject in &reading.subjects {
            let Subject::Head { layer, head } = subject.subject else { continue };
            let (layer, head) = (layer.to_string(), head.to_string());
            let run = ("run", reading.key.run.as_str());
            let labels = self.out.labels(&[run, ("layer", &layer), ("head", &head)]);
            add_listed(self.out, &self.of_heads, labels, &subject.samples);
        }
    }
}

fn add_listed(out: &mut Families, listed: &[(&str, FamilyId)], labels: LabelsId, samples: &Samples) {
    for &(metric, family) in listed {
        if let Some(&value) = samples.get(metric) {
            out.budgeted(family, labels, value);
        }
    }
}

/// The family of a metric of such subjects.
fn family(out: &mut Families, catalog: &Catalog, prefix: &str, metric: &str, about: &str) -> FamilyId {
    out.family(&format!("{prefix}_{metric}"), || {
        let what = catalog.get(metric).map_or(metric, |def| def.help);
        format!("{what}: {about}, of the latest checkpoint")
    })
}

/// The values of each metric over some tensors, ascending; but for the metrics that are listed.
fn sorted_values(tensors: &[&TensorReading], listed: &HashSet<&str>) -> BTreeMap<MetricName, Vec<f64>> {
    let mut by_metric: HashMap<MetricName, Vec<f64>> = HashMap::new();
    for (&metric, &value) in tensors.iter().flat_map(|tensor| &tensor.samples) {
        by_metric.entry(metric).or_default().push(value);
    }
    by_metric.retain(|metric, _| !listed.contains(metric));
    by_metric.values_mut().for_each(|values| values.sort_by(f64::total_cmp));
    by_metric.into_iter().collect()
}

fn offenders(open: &[Arc<Finding>]) -> HashSet<&str> {
    open.iter().flat_map(|finding| finding.tensors.iter().map(String::as_str)).collect()
}

/// Linear interpolation between the two nearest values, as numpy does by default. `sorted` is not empty.
fn quantile_of(sorted: &[f64], quantile: f64) -> f64 {
    let place = quantile * (sorted.len() - 1) as f64;
    let below = sorted[place.floor() as usize];
    let above = sorted[place.ceil() as usize];
    below + (above - below) * place.fract()
}
