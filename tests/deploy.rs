//! What `deploy/` ships, held against the real tools and against the registries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use prometheus::core::Collector;
use weighbridge::export::{Settings, SnapshotCollector};
use weighbridge::measure;
use weighbridge::telemetry::Counters;
use weighbridge::terms::Severity;

use crate::util::snapshot::{finding, said, status, with_every_metric};

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy(path)).unwrap()
}

/// Runs a tool inside `deploy/` and fails with what it printed.
#[track_caller]
fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(deploy(""))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; ./test installs it"));
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn prometheus_takes_rules_and_configuration() {
    run("promtool", &["check", "rules", "prometheus/alerts.yml", "prometheus/recording.yml"]);
    run("promtool", &["check", "config", "prometheus/prometheus.yml"]);
}

#[test]
fn alerts_fire_when_they_should() {
    run("promtool", &["test", "rules", "prometheus/rules_test.yml"]);
}

#[test]
fn alertmanager_takes_the_routes() {
    run("amtool", &["check-config", "alertmanager/alertmanager.yml"]);
    let routes = [("severity=critical", "oncall"), ("severity=warning", "everyone")];
    for (labels, receiver) in routes {
        let verify = format!("--verify.receivers={receiver}");
        run(
            "amtool",
            &["config", "routes", "test", "--config.file=alertmanager/alertmanager.yml", &verify, labels],
        );
    }
}

/// Names of the alerts that are shipped.
fn alerts() -> Vec<String> {
    let rules = read("prometheus/alerts.yml");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ").map(str::to_owned)).collect()
}

#[test]
fn every_alert_is_tested_and_has_a_page_in_the_runbook() {
    let (rules, tests) = (read("prometheus/alerts.yml"), read("prometheus/rules_test.yml"));
    let runbook = std::fs::read_to_string(deploy("../docs/runbook.md")).unwrap();
    assert!(alerts().len() >= 13);
    for alert in alerts() {
        assert!(tests.contains(&alert), "{alert} has no case in rules_test.yml");
        assert!(runbook.contains(&format!("\n## {alert}\n")), "{alert} has no section in docs/runbook.md");
        let link = format!("runbook_url: docs/runbook.md#{}", alert.to_lowercase());
        assert!(rules.contains(&link), "{alert} does not link to its section");
    }
}

/// Names of all series that the daemon can export.
pub fn exported() -> BTreeSet<String> {
    let catalog = measure::catalog();
    let mut snapshot = with_every_metric(&catalog, 30);
    let silenced = finding("rollback", Severity::Warning, &[]);
    let known = finding("bit_flip", Severity::Warning, &[]);
    snapshot.said = said("rollback", &known);
    let open = vec![silenced, known, finding("divergence", Severity::Warning, &[])];
    snapshot.runs.push(status("b", None, open));
    let all = catalog.iter().map(|def| def.name.to_owned()).collect::<Vec<_>>();
    let (counters, settings) = (Counters::default(), Settings { head_metrics: all, ..Settings::default() });
    let families = SnapshotCollector::new(&snapshot, &catalog, &counters, &settings).at(1.0).collect();
    families.iter().map(|family| family.name().to_owned()).collect()
}

/// Words of a text that look like our series.
pub fn series_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("weighbridge_"));
    words.map(str::to_owned).collect()
}

#[test]
fn rules_ask_for_series_that_exist() {
    let exported = exported();
    for file in ["prometheus/alerts.yml", "prometheus/recording.yml", "prometheus/rules_test.yml"] {
        for series in series_in(&read(file)) {
            assert!(exported.contains(&series), "{file} asks for {series}, which is not exported");
        }
    }
}

#[test]
fn dashboards_ask_for_series_that_exist_and_lead_to_each_other() {
    let exported = exported();
    let uids = ["fleet", "run", "tensor"].map(|name| {
        let text = read(&format!("grafana/dashboards/{name}.json"));
        for series in series_in(&text) {
            assert!(exported.contains(&series), "{name}.json asks for {series}, which is not exported");
        }
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        for link in dashboard["links"].as_array().unwrap() {
            let url = link["url"].as_str().unwrap();
            let known = ["$page", "/d/weighbridge-fleet", "/d/weighbridge-run", "/d/weighbridge-tensor"];
            assert!(known.contains(&url), "{name}.json links to {url}");
        }
        dashboard["uid"].as_str().unwrap().to_owned()
    });
    assert_eq!(uids, ["weighbridge-fleet", "weighbridge-run", "weighbridge-tensor"]);
}

/// All files below a directory of `deploy/`, relative to it.
fn shipped(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| match path.is_dir() {
        true => shipped(&path),
        false => vec![path.strip_prefix(deploy("")).unwrap().to_string_lossy().into_owned()],
    });
    files.collect()
}

/// Words in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_says_of_every_file_how_it_was_tested() {
    let page = std::fs::read_to_string(deploy("../docs/deploy.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| file |")).skip(2);
    let rows: Vec<Vec<&str>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let files = shipped(&deploy(""));
    let is_of = |file: &str, pattern: &str| match pattern.split_once('*') {
        Some((before, after)) => file.starts_with(before) && file.ends_with(after),
        None => file == pattern || pattern.ends_with('/') && file.starts_with(pattern),
    };
    for file in &files {
        let count = rows.iter().filter(|row| quoted(row[0]).any(|pattern| is_of(file, pattern))).count();
        assert_eq!(count, 1, "docs/deploy.md has {count} rows for deploy/{file}");
    }
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        for pattern in quoted(row[0]) {
            assert!(files.iter().any(|file| is_of(file, pattern)), "{pattern} is not shipped");
        }
        // What is tested says with which version, and what is not says so.
        assert!(row[2].starts_with("not tested") == (row[3] == "–"), "{row:?}");
        for test in quoted(row[2]).filter_map(|word| word.split(' ').find(|word| word.starts_with("tests/")))
        {
            assert!(deploy("..").join(test).exists(), "{test} is not there");
        }
    }
}
