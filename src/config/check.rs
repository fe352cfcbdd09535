//! From what the user typed to each room's settings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::raw::{self, DetectorChoice, Raw};
use super::{AccessFiles, Error};
use crate::telemetry::LogFormat;
use crate::terms::{RunId, Severity, Tier};
use crate::{checkpoint, daemon, detect, export, measure, model, store, tensor, web};

/// Loopback, at a port that no exporter in Prometheus's list of default ports has taken.
pub const LISTEN: &str = "127.0.0.1:10190";

/// The checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the page, the scrape and the API.
    pub listen: SocketAddr,
    /// Directory of the store; none means the user's state directory.
    pub store_directory: Option<PathBuf>,
    /// The daemon's own settings; the roots come from the command line.
    pub daemon: daemon::Settings,
    /// Everything a checkpoint's way needs.
    pub weighing: daemon::Weighing,
    /// The exporters.
    pub export: export::Settings,
    /// The HTTP side.
    pub web: web::Settings,
    /// Where the keys of the HTTP side lie.
    pub access: AccessFiles,
    /// The store.
    pub store: store::Settings,
    /// Form of the log lines.
    pub log_format: LogFormat,
    /// Level, or a list of `target=level`.
    pub log_level: String,
}

impl Default for Config {
    fn default() -> Self {
        match check(Raw::default(), "") {
            Ok(config) => config,
            // The defaults pass their own check: a test says so.
            Err(error) => unreachable!("the default configuration is valid: {error}"),
        }
    }
}

/// Checks what serde could not: meanings across rooms.
pub fn check(raw: Raw, text: &str) -> Result<Config, Error> {
    let listen = raw.listen.as_deref().unwrap_or(LISTEN);
    let listen = listen.parse().map_err(|_| {
        Error::value(text, &["listen"], format!("{listen:?} is no address, write for example {LISTEN}"))
    })?;
    let log_format = raw.log.format.parse().map_err(|error| Error::value(text, &["log", "format"], error))?;
    Ok(Config {
        listen,
        store_directory: raw.store.clone(),
        daemon: daemon_settings(&raw.watch, &raw.last_good),
        weighing: weighing(&raw, text)?,
        export: export_settings(&raw.export, text)?,
        access: AccessFiles {
            web_config: raw.web.config_file,
            read_tokens: raw.web.read_token_file,
            change_tokens: raw.web.change_token_file,
            read_variable: raw.web.read_token_variable,
            change_variable: raw.web.change_token_variable,
        },
        web: web::Settings {
            hosts: raw.web.hosts,
            request_timeout: Duration::from_secs_f64(raw.web.request_timeout_seconds),
            connections_max: raw.web.connections_max,
        },
        store: store::Settings {
            cache_bytes: raw.keep.cache_mebibytes << 20,
            free_bytes_min: raw.keep.free_mebibytes_min << 20,
            retention: retention(&raw.keep.retention, text)?,
            tend_interval: Duration::from_secs_f64(raw.keep.retention.interval_seconds),
        },
        log_format,
        log_level: raw.log.level,
    })
}

/// A day's age that no checkpoint will reach: a hundred years.
const DAYS_MAX: f64 = 36_500.0;

fn retention(raw: &raw::Retention, text: &str) -> Result<store::Retention, Error> {
    let keys = ["keep", "retention"];
    if raw.bulk_mebibytes_max == Some(0) {
        let keys = [&keys[..], &["bulk_mebibytes_max"]].concat();
        return Err(Error::value(text, &keys, "0 keeps nothing; null is no limit, sketches need 1 or more"));
    }
    let mut retention = store::Retention {
        bulk_bytes_max: raw.bulk_mebibytes_max.map(|mebibytes| mebibytes.saturating_mul(1 << 20)),
        ..store::Retention::default()
    };
    let choices = [raw.sketches, raw.quantiles, raw.tier_one, raw.tier_two, raw.tier_three];
    for (kind, choice) in store::KEEP_KINDS.iter().zip(choices) {
        if let Some(Some(days)) = choice.days
            && !(0.0..=DAYS_MAX).contains(&days)
        {
            let keys = [&keys[..], &[kind.name, "days"]].concat();
            return Err(Error::value(
                text,
                &keys,
                format!("{days} is out of range, allowed is 0 to {DAYS_MAX}"),
            ));
        }
        let keep = (kind.slot)(&mut retention);
        keep.newest = choice.newest.map_or(keep.newest, |newest| newest.unwrap_or(u64::MAX));
        keep.older = choice.older.map_or(keep.older, |older| older.unwrap_or(u64::MAX));
        keep.days = choice.days.unwrap_or(keep.days);
    }
    Ok(retention)
}

fn daemon_settings(watch: &raw::Watch, good: &raw::LastGood) -> daemon::Settings {
    daemon::Settings {
        mode: match watch.mode {
            raw::Mode::Auto => daemon::Mode::Auto,
            raw::Mode::Events => daemon::Mode::Events,
            raw::Mode::Poll => daemon::Mode::Poll,
        },
        rescan_interval: Duration::from_secs_f64(watch.rescan_interval_seconds),
        poll_interval: Duration::from_secs_f64(watch.poll_interval_seconds),
        settle_interval: Duration::from_secs_f64(watch.settle_seconds),
        drain_timeout: Duration::from_secs_f64(watch.drain_timeout_seconds),
        runs_in_memory: watch.runs_in_memory,
        keeping: daemon::Keeping {
            directory: good.directory.clone(),
            checkpoints_max: good.checkpoints,
            bytes_max: (good.gibibytes_max * f64::from(1 << 30)) as u64,
        },
        ..daemon::Settings::default()
    }
}

fn weighing(raw: &Raw, text: &str) -> Result<daemon::Weighing, Error> {
    let (watch, weigh) = (&raw.watch, &raw.weigh);
    let tier = match weigh.tier {
        1 => Tier::One,
        2 => Tier::Two,
        _ => Tier::Three,
    };
    Ok(daemon::Weighing {
        tensor: tensor::Settings {
            follow_symlinks_out: watch.follow_symlinks_out,
            spare_page_cache: weigh.spare_page_cache,
            optimizer_states: weigh.optimizer_states,
        },
        checkpoint: checkpoint::Settings {
            depth_max: watch.depth_max,
            settle_seconds: watch.settle_seconds,
            quiet_seconds: watch.broken_after_seconds,
            bare_files: watch.bare_files,
            ..checkpoint::Settings::default()
        },
        plan: measure::Plan {
            tier,
            rows: weigh.rows,
            threads: weigh.threads,
            sketch_len: weigh.sketch_elements,
            quantiles: weigh.quantiles,
            spectra_budget: Some(Duration::from_secs_f64(weigh.spectra_budget_seconds)),
            ..measure::Plan::default()
        },
        detect: detect_settings(&raw.detect, text)?,
        families: families(&raw.families, text)?,
        bytes_per_second: weigh.bytes_per_second,
    })
}

fn families(families: &[model::Family], text: &str) -> Result<Vec<model::Family>, Error> {
    for family in families {
        family.check().map_err(|error| Error::value(text, &["families"], error))?;
    }
    Ok(families.to_vec())
}

fn detect_settings(raw: &raw::Detect, text: &str) -> Result<detect::Settings, Error> {
    let mut detectors = std::collections::BTreeMap::new();
    for (id, choice) in &raw.detectors {
        detectors.insert(id.clone(), detector_settings(id, choice, text)?);
    }
    let mut events = Vec::new();
    for event in &raw.expected {
        let meant = detect::Expected::of(event);
        events.extend(meant.map_err(|error| Error::value(text, &["detect", "expected"], error))?);
    }
    let baseline = raw.baseline.as_ref().map(|run| detect::Baseline::named(&RunId::new(run)));
    Ok(detect::Settings { detectors, expected: events, baseline })
}

fn detector_settings(
    id: &str,
    choice: &DetectorChoice,
    text: &str,
) -> Result<detect::DetectorSettings, Error> {
    let keys = ["detect", "detectors", id];
    let Some(detector) = detect::DETECTORS.iter().find(|detector| detector.entry().id == id) else {
        let message = "no detector of that name; `weighbridge explain` lists them";
        return Err(Error::value(text, &keys, message));
    };
    let severity = match &choice.severity {
        None => None,
        Some(word) => Some(Severity::from_name(word).ok_or_else(|| {
            let keys = [&keys[..], &["severity"]].concat();
            Error::value(text, &keys, format!("{word:?} is none of info, warning, critical"))
        })?),
    };
    for (name, &value) in &choice.parameters {
        let keys = [&keys[..], &[name.as_str()]].concat();
        let Some(parameter) = detector.entry().parameters.iter().find(|parameter| parameter.name == name)
        else {
            let known: Vec<_> = detector.entry().parameters.iter().map(|parameter| parameter.name).collect();
            let message = format!("no parameter of this detector, which has {}", known.join(", "));
            return Err(Error::value(text, &keys, message));
        };
        if !(value >= parameter.min && value <= parameter.max) {
            let message =
                format!("{value} is out of range, allowed is {} to {}", parameter.min, parameter.max);
            return Err(Error::value(text, &keys, message));
        }
    }
    Ok(detect::DetectorSettings { enabled: choice.enabled, severity, parameters: choice.parameters.clone() })
}

fn export_settings(raw: &raw::Export, text: &str) -> Result<export::Settings, Error> {
    let catalog = measure::catalog();
    let usual = export::Settings::default();
    let lists = [
        ("tensor_metrics", &raw.tensor_metrics, &usual.tensor_metrics),
        ("head_metrics", &raw.head_metrics, &usual.head_metrics),
    ];
    for (key, names, usual) in lists {
        if let Some(name) = names.iter().find(|name| !usual.contains(name) && catalog.get(name).is_none()) {
            let message = format!("no metric is called {name:?}; `weighbridge explain` lists them");
            return Err(Error::value(text, &["export", key], message));
        }
    }
    let mut labels = raw.labels.clone();
    for (label, variable) in &raw.labels_from_environment {
        // Outside a job the variable is not there, and then neither is the label.
        if let Ok(value) = std::env::var(variable) {
            labels.insert(label.clone(), value);
        }
    }
    let refuse = |error: export::TargetError| Error::value(text, &["export", "targets"], error);
    let targets = raw.targets.iter().map(target).collect::<Result<_, _>>().map_err(refuse)?;
    let settings = export::Settings {
        tensor_metrics: raw.tensor_metrics.clone(),
        head_metrics: raw.head_metrics.clone(),
        series_max: raw.series_max,
        labels,
        page_url: raw.page_url.clone(),
        targets: export::Target::check(targets).map_err(refuse)?,
        idle_max: Duration::from_secs_f64(raw.idle_seconds),
    };
    settings.check().map_err(|error| Error::value(text, &["export", "labels"], error))
}

fn target(raw: &raw::Target) -> Result<export::Target, export::TargetError> {
    let usual = export::Target::default();
    let severity_min = match &raw.severity_min {
        None => usual.severity_min,
        Some(word) => Severity::from_name(word)
            .ok_or_else(|| export::TargetError::Severity { name: raw.name.clone(), word: word.clone() })?,
    };
    Ok(export::Target {
        name: raw.name.clone(),
        kind: raw.kind.clone(),
        url: raw.url.clone().map(export::Secret),
        url_file: raw.url_file.clone(),
        token_file: raw.token_file.clone(),
        directory: raw.directory.clone(),
        command: raw.command.clone(),
        severity_min,
        resolved: raw.resolved.unwrap_or(usual.resolved),
        per_run_hour_max: raw.per_run_hour_max.unwrap_or(usual.per_run_hour_max),
    })
}
