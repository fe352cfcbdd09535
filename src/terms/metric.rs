//! What a measured quantity is: the entry that help, docs, HELP lines and the JSON schema come from.

use serde::Serialize;

/// A metric's name as in JSON, store and (with a prefix) Prometheus.
pub type MetricName = &'static str;

/// Group of metrics that are computed together and fail together. The families of judgement
/// (location and scale, shape, spectrum, update, attention, ...) follow these lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Family {
    Inventory,
    Elements,
    Shape,
    Rows,
    Spectrum,
    Positions,
    Heads,
    Layers,
    Change,
    Precision,
    Embedding,
    Structure,
    Trainer,
    Model,
}

/// Unit of a metric's values; also the suffix rule of its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A plain number, in the weights' own scale.
    Weight,
    /// Dimensionless number without a bound.
    One,
    /// Share between 0 and 1.
    Ratio,
    /// A count of elements, rows, heads, ...
    Count,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}

/// How dear a metric is, and so how often it is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Tier {
    /// One streaming pass: every tensor of every checkpoint.
    #[serde(rename = "1")]
    One,
    /// Top of the spectra and heads: every tensor of every checkpoint.
    #[serde(rename = "2")]
    Two,
    /// Full spectra: under a budget, round robin.
    #[serde(rename = "3")]
    Three,
}

/// Kind of thing that a metric is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SubjectKind {
    Tensor,
    Head,
    Layer,
    Model,
}

/// One metric's entry. It is written once, beside the code that computes it; `explain`,
/// `docs/metrics.md`, the HELP lines and the JSON schema are made from it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct MetricDef {
    /// Name, in the field's standard term, unit last.
    pub name: MetricName,
    /// Group it is computed with.
    pub family: Family,
    /// What it is about.
    pub subject: SubjectKind,
    /// Unit of its values.
    pub unit: Unit,
    /// When it is had.
    pub tier: Tier,
    /// What it measures, in one sentence without a full stop: becomes the HELP line.
    pub help: &'static str,
    /// Exact definition.
    pub formula: &'static str,
    /// Paper, book or code where the definition comes from.
    pub source: &'static str,
    /// Range in healthy runs, *and where it was seen*.
    pub healthy: &'static str,
    /// What a sick value looks like and what it tells.
    pub sick: &'static str,
    /// Work beside reading the tensor.
    pub cost: &'static str,
    /// First version that had it.
    pub since: &'static str,
}
