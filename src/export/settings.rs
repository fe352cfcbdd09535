//! What may be set about the numbers that go out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::notices::{Target, TargetError};

/// A setting that cannot be used.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum Error {
    /// Prometheus would refuse the label.
    #[error("label {0:?}: a label's name is letters, digits and _, does not begin with a digit or __")]
    LabelName(String),
    /// Our own labels would be overwritten.
    #[error("label {0:?} is one of weighbridge's own ({own}); choose another name", own = OWN_LABELS.join(", "))]
    LabelTaken(String),
    /// A receiver of notices cannot be used.
    #[error(transparent)]
    Target(#[from] TargetError),
}

/// Labels of our own series.
pub const OWN_LABELS: &[&str] = &[
    "run", "tensor", "role", "layer", "head", "q", "detector", "severity", "reason", "version", "job",
    "instance",
];

/// Settings of the exporters.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Metrics that every tensor has a series of (`tensor_<metric>`). All other metrics of tensors are
    /// told as quantiles a role (`role_<metric>`).
    pub tensor_metrics: Vec<String>,
    /// Metrics that every attention head has a series of (`head_<metric>`).
    pub head_metrics: Vec<String>,
    /// Most series of weights in one scrape. 50,000 is answered in a tenth of a second and is what a
    /// Prometheus server takes from one target without being sized for it.
    pub series_max: usize,
    /// Labels on every series, for example cluster or user. `job` and `instance` are Prometheus' own.
    pub labels: BTreeMap<String, String>,
    /// A finished run whose newest checkpoint is older than this has no series any more.
    pub idle_max: Duration,
    /// Address of the page as others reach it, for links in notices.
    pub page_url: Option<String>,
    /// Receivers of notices about findings.
    pub targets: Vec<Target>,
}

impl Default for Settings {
    fn default() -> Self {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        Self {
            tensor_metrics: words(&[
                "nan_elements",
                "rms",
                "abs_max",
                "ks_statistic",
                "l_kurtosis",
                "stable_rank",
                "update_ratio",
                "std",
            ]),
            head_metrics: words(&["qk_norm", "qk_logit_std", "qk_spectral_entropy", "ov_norm"]),
            series_max: 50_000,
            labels: BTreeMap::new(),
            idle_max: Duration::from_secs(24 * 60 * 60),
            page_url: None,
            targets: Vec::new(),
        }
    }
}

impl Settings {
    /// The settings, if Prometheus will take the labels and every target can be used.
    pub fn check(mut self) -> Result<Self, Error> {
        for name in self.labels.keys() {
            let mut bytes = name.bytes();
            let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
            let rest = bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !first || !rest || name.starts_with("__") {
                return Err(Error::LabelName(name.clone()));
            }
            if OWN_LABELS.contains(&name.as_str()) {
                return Err(Error::LabelTaken(name.clone()));
            }
        }
        self.targets = Target::check(self.targets)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str) -> Result<Settings, Error> {
        Settings { labels: [(name.to_owned(), "x".to_owned())].into(), ..Settings::default() }.check()
    }

    #[test]
    fn refuses_labels_that_prometheus_would() {
        assert!(with("cluster").is_ok() && with("_a1").is_ok());
        for bad in ["", "1a", "a-b", "__name__", "ä"] {
            assert_eq!(with(bad), Err(Error::LabelName(bad.to_owned())));
        }
        assert_eq!(with("run"), Err(Error::LabelTaken("run".to_owned())));
    }
}
