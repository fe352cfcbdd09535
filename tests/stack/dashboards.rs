//! Every query of every shipped dashboard, asked of a real Prometheus that a real run feeds.

use serde_json::Value;

use crate::util::servers::Prometheus;
use crate::util::wait_for;

use super::{MATRIX, Place, scraping, shipped};

const DASHBOARDS: [&str; 3] = ["fleet", "run", "tensor"];

/// (where it stands, query) of all panels and annotations.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().into_iter().flatten() {
            found.push((panel["title"].to_string(), target["expr"].as_str().unwrap().to_owned()));
        }
    }
    found
}

/// The series and label that a variable is filled from: `label_values(series, label)`.
fn variables(dashboard: &Value) -> Vec<(String, String)> {
    let list = dashboard["templating"]["list"].as_array().unwrap();
    let definitions = list.iter().filter_map(|variable| variable["definition"].as_str());
    definitions
        .map(|definition| {
            let inner = definition.strip_prefix("label_values(").unwrap().strip_suffix(')').unwrap();
            let (series, label) = inner.rsplit_once(", ").unwrap();
            (series.to_owned(), label.to_owned())
        })
        .collect()
}

/// What Grafana puts in place of the variables.
fn filled(query: &str) -> String {
    query
        .replace("$job", "weighbridge")
        .replace("$run", "toy")
        .replace("$role", ".*")
        .replace("$tensor", MATRIX)
        .replace("$__rate_interval", "30s")
}

#[test]
fn every_panel_shows_data() {
    let place = Place::new();
    let mut run = place.run();
    run.save(10);
    run.save(20);
    let daemon = place.daemon(&[]);
    let prometheus = Prometheus::start(place.path(), &scraping(daemon.address()), &[]);
    wait_for("two readings", || {
        prometheus.value("weighbridge_checkpoints_total").filter(|&count| count == 2.0)
    });
    // A checkpoint that arrives while the daemon runs has a delay; a sick one has findings.
    run.poison("transformer.h.0.mlp.c_fc.weight", 5, f32::NAN);
    run.save(30);
    wait_for("the sick checkpoint", || prometheus.value("weighbridge_publish_delay_seconds"));
    wait_for("its finding", || (!prometheus.query("weighbridge_findings_active").is_empty()).then_some(()));

    for name in DASHBOARDS {
        let dashboard: Value =
            serde_json::from_str(&shipped(&format!("grafana/dashboards/{name}.json"))).unwrap();
        let all = queries(&dashboard);
        assert!(all.len() >= 8, "{name} has {} queries", all.len());
        for (panel, query) in all {
            // Rates need two scrapes.
            wait_for(&format!("data for {name}, panel {panel}: {}", filled(&query)), || {
                (!prometheus.query(&filled(&query)).is_empty()).then_some(())
            });
        }
        for (series, label) in variables(&dashboard) {
            let samples = prometheus.query(&filled(&series));
            assert!(
                samples.iter().any(|(labels, _)| labels[&label].is_string()),
                "{name}: {series} has no {label}"
            );
        }
        for annotation in dashboard["annotations"]["list"].as_array().unwrap() {
            let query = filled(annotation["expr"].as_str().unwrap());
            // An annotation is there for a minute after a finding: it must be a valid query, and may be empty.
            prometheus.query(&query);
        }
    }
}
