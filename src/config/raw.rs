//! What the user typed: one struct a section, every key with its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::range;
use crate::terms::Planned;

/// The whole document.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Raw {
    /// Address of the page, the scrape and the API.
    pub listen: Option<String>,
    /// Directory of the store.
    pub store: Option<PathBuf>,
    /// How checkpoints are noticed.
    pub watch: Watch,
    /// What is measured.
    pub weigh: Weigh,
    /// How it is judged.
    pub detect: Detect,
    /// Families of models that the program does not know; see docs/families.md.
    pub families: Vec<crate::model::Family>,
    /// What is exported.
    pub export: Export,
    /// Whether the last good checkpoint outlives rotation.
    pub last_good: LastGood,
    /// The HTTP side.
    pub web: Web,
    /// Where readings are kept.
    pub keep: Keep,
    /// Our own log.
    pub log: Log,
}

/// How checkpoints are noticed and when they count.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Watch {
    pub mode: Mode,
    #[serde(deserialize_with = "range::pause_seconds")]
    pub rescan_interval_seconds: f64,
    #[serde(deserialize_with = "range::pause_seconds")]
    pub poll_interval_seconds: f64,
    #[serde(deserialize_with = "range::pause_seconds")]
    pub settle_seconds: f64,
    #[serde(deserialize_with = "range::time_seconds")]
    pub broken_after_seconds: f64,
    #[serde(deserialize_with = "range::time_seconds")]
    pub drain_timeout_seconds: f64,
    #[serde(deserialize_with = "range::depth")]
    pub depth_max: usize,
    pub bare_files: bool,
    pub follow_symlinks_out: bool,
    #[serde(deserialize_with = "range::runs")]
    pub runs_in_memory: usize,
}

/// Events or polling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Mode {
    #[default]
    Auto,
    Events,
    Poll,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            rescan_interval_seconds: 30.0,
            poll_interval_seconds: 5.0,
            settle_seconds: 0.5,
            broken_after_seconds: 60.0,
            drain_timeout_seconds: 20.0,
            depth_max: 8,
            bare_files: true,
            follow_symlinks_out: false,
            runs_in_memory: 16,
        }
    }
}

/// What is measured, and what it may cost.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Weigh {
    #[serde(deserialize_with = "range::tier")]
    pub tier: u8,
    pub rows: bool,
    #[serde(deserialize_with = "range::threads")]
    pub threads: usize,
    #[serde(deserialize_with = "range::sketch_elements")]
    pub sketch_elements: usize,
    #[serde(deserialize_with = "range::quantiles")]
    pub quantiles: usize,
    #[serde(deserialize_with = "range::time_seconds")]
    pub spectra_budget_seconds: f64,
    pub bytes_per_second: u64,
    pub spare_page_cache: bool,
    pub optimizer_states: bool,
}

impl Default for Weigh {
    fn default() -> Self {
        Self {
            tier: 3,
            rows: true,
            threads: 2,
            sketch_elements: 1024,
            quantiles: 128,
            spectra_budget_seconds: 10.0,
            bytes_per_second: 0,
            spare_page_cache: true,
            optimizer_states: true,
        }
    }
}

/// How it is judged.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Detect {
    pub baseline: Option<String>,
    pub detectors: BTreeMap<String, DetectorChoice>,
    pub expected: Vec<Planned>,
}

/// Choices for one detector: the two general ones, and its own parameters by name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
#[allow(missing_docs)]
pub struct DetectorChoice {
    pub enabled: Option<bool>,
    pub severity: Option<String>,
    #[serde(flatten)]
    pub parameters: BTreeMap<String, f64>,
}

/// What is exported.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Export {
    pub tensor_metrics: Vec<String>,
    pub head_metrics: Vec<String>,
    #[serde(deserialize_with = "range::series")]
    pub series_max: usize,
    pub labels: BTreeMap<String, String>,
    #[serde(deserialize_with = "range::time_seconds")]
    pub idle_seconds: f64,
    pub labels_from_environment: BTreeMap<String, String>,
    pub page_url: Option<String>,
    pub targets: Vec<Target>,
}

/// A receiver of notices or readings. The name and the kind are all that every target has.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Target {
    pub name: String,
    pub kind: String,
    pub url: Option<String>,
    pub url_file: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub directory: Option<PathBuf>,
    #[serde(default)]
    pub command: Vec<String>,
    pub severity_min: Option<String>,
    pub resolved: Option<bool>,
    pub per_run_hour_max: Option<u32>,
}

impl Default for Export {
    fn default() -> Self {
        let settings = crate::export::Settings::default();
        Self {
            tensor_metrics: settings.tensor_metrics,
            head_metrics: settings.head_metrics,
            series_max: settings.series_max,
            labels: settings.labels,
            idle_seconds: settings.idle_max.as_secs_f64(),
            labels_from_environment: BTreeMap::new(),
            page_url: None,
            targets: Vec::new(),
        }
    }
}

/// Whether the last good checkpoint outlives rotation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct LastGood {
    pub directory: Option<PathBuf>,
    #[serde(deserialize_with = "range::kept")]
    pub checkpoints: usize,
    #[serde(deserialize_with = "range::gibibytes")]
    pub gibibytes_max: f64,
}

impl Default for LastGood {
    fn default() -> Self {
        Self { directory: None, checkpoints: 1, gibibytes_max: 0.0 }
    }
}

/// The HTTP side.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Web {
    pub hosts: Vec<String>,
    #[serde(deserialize_with = "range::pause_seconds")]
    pub request_timeout_seconds: f64,
    #[serde(deserialize_with = "range::connections")]
    pub connections_max: usize,
    pub config_file: Option<PathBuf>,
    pub read_token_file: Option<PathBuf>,
    pub read_token_variable: Option<String>,
    pub change_token_file: Option<PathBuf>,
    pub change_token_variable: Option<String>,
}

impl Default for Web {
    fn default() -> Self {
        let settings = crate::web::Settings::default();
        Self {
            hosts: settings.hosts,
            request_timeout_seconds: settings.request_timeout.as_secs_f64(),
            connections_max: settings.connections_max,
            config_file: None,
            read_token_file: None,
            read_token_variable: None,
            change_token_file: None,
            change_token_variable: None,
        }
    }
}

/// Where readings are kept.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Keep {
    #[serde(deserialize_with = "range::mebibytes")]
    pub cache_mebibytes: u64,
    #[serde(deserialize_with = "range::mebibytes")]
    pub free_mebibytes_min: u64,
    pub retention: Retention,
}

impl Default for Keep {
    fn default() -> Self {
        let settings = crate::store::Settings::default();
        Self {
            cache_mebibytes: settings.cache_bytes >> 20,
            free_mebibytes_min: settings.free_bytes_min >> 20,
            retention: Retention::default(),
        }
    }
}

/// What of old readings is kept; the kinds are those of `store::KEEP_KINDS`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Retention {
    #[serde(deserialize_with = "range::pause_seconds")]
    pub interval_seconds: f64,
    pub bulk_mebibytes_max: Option<u64>,
    pub sketches: KeepChoice,
    pub quantiles: KeepChoice,
    pub tier_one: KeepChoice,
    pub tier_two: KeepChoice,
    pub tier_three: KeepChoice,
}

impl Default for Retention {
    fn default() -> Self {
        let usual = KeepChoice::default();
        Self {
            interval_seconds: crate::store::Settings::default().tend_interval.as_secs_f64(),
            bulk_mebibytes_max: None,
            sketches: usual,
            quantiles: usual,
            tier_one: usual,
            tier_two: usual,
            tier_three: usual,
        }
    }
}

/// How much of one kind is kept. A key that is left out stays at its default; null is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct KeepChoice {
    #[serde(deserialize_with = "given")]
    pub newest: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    pub older: Option<Option<u64>>,
    #[serde(deserialize_with = "given")]
    pub days: Option<Option<f64>>,
}

/// Tells null, which is a choice, from a key that is not there.
fn given<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Our own log.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)]
pub struct Log {
    pub format: String,
    pub level: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: String::from("text"), level: String::from("info") }
    }
}
