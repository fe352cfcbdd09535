//! Where the families write their results: a value, or the reason why there is none.

use std::collections::BTreeMap;

use crate::terms::{MetricName, Reason, Samples};

/// Values and reasons of one subject.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sheet {
    /// What was measured.
    pub(crate) samples: Samples,
    /// What could not be had, and why.
    pub(crate) absent: BTreeMap<MetricName, Reason>,
    /// Singular values over their sum, where they were had.
    pub(crate) spectrum: Vec<f32>,
}

impl Sheet {
    /// Records a value. What is not a finite number is no value: it went beyond what a float can hold.
    pub(crate) fn put(&mut self, metric: MetricName, value: f64) {
        if value.is_finite() {
            self.samples.insert(metric, value);
        } else {
            self.lack(metric, Reason::Overflow);
        }
    }

    /// Records a value or the reason for having none.
    pub(crate) fn put_or(&mut self, metric: MetricName, value: Result<f64, Reason>) {
        match value {
            Ok(value) => self.put(metric, value),
            Err(reason) => self.lack(metric, reason),
        }
    }

    /// Records why there is no value.
    pub(crate) fn lack(&mut self, metric: MetricName, reason: Reason) {
        self.absent.insert(metric, reason);
    }

    /// Records the same reason for several metrics.
    pub(crate) fn lack_all(&mut self, metrics: &[MetricName], reason: &Reason) {
        for metric in metrics {
            self.lack(metric, reason.clone());
        }
    }
}
