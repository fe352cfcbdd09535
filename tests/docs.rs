//! Documents that are made from the registries: what they say is what the code has.
//! `UPDATE_GOLDEN=1` writes them anew.

use std::fmt::Write;
use std::path::Path;

use weighbridge::export::{EXPORTERS, Kind, Settings};
use weighbridge::measure;
use weighbridge::telemetry::{Counters, EVENTS};
use weighbridge::terms::SubjectKind;

/// Compares a document with what it is made from.
#[track_caller]
fn check(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/{name} is not what the registry says; UPDATE_GOLDEN=1 writes it anew");
}

/// Words as they may stand in a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[test]
fn metrics() {
    let mut text = String::from(
        "# Metrics\n\nMade from the registry; `weighbridge explain NAME` prints the same. All statistics are over the finite\n\
         elements; a value that cannot be had is absent with its reason, never 0 and never NaN.\n",
    );
    let listed = Settings::default();
    for def in measure::catalog().iter() {
        let in_list = |names: &[String]| names.iter().any(|name| name == def.name);
        let series = match def.subject {
            SubjectKind::Tensor if in_list(&listed.tensor_metrics) => "tensor",
            SubjectKind::Tensor => "role",
            SubjectKind::Head => "head",
            SubjectKind::Layer => "layer",
            SubjectKind::Model => "model",
        };
        let chosen = def.subject != SubjectKind::Head || in_list(&listed.head_metrics);
        let series = if chosen {
            format!("`weighbridge_{series}_{}`", def.name)
        } else {
            "when listed under `export.head_metrics`".into()
        };
        let _ = write!(
            text,
            "\n## {}\n\n{}.\n\n| | |\n|---|---|\n| formula | {} |\n| source | {} |\n| healthy | {} |\n| sick | {} |\n\
             | family, tier | {:?}, {:?} |\n| cost | {} |\n| series | {series} |\n| since | {} |\n",
            def.name,
            cell(def.help),
            cell(def.formula),
            cell(def.source),
            cell(def.healthy),
            cell(def.sick),
            def.family,
            def.tier,
            cell(def.cost),
            def.since,
        );
    }
    check("metrics.md", &text);
}

#[test]
fn telemetry() {
    let mut text = String::from(
        "# Our own logs and counters\n\nMade from `src/telemetry/`. Log lines go to standard error, as text or as JSON\n\
         (`--log-format json`). An event about the same subject is logged at most once in ten seconds; it is counted every time,\n\
         and `held_back` says how many lines were left out.\n\n| message | level | when | fields | counter |\n|---|---|---|---|---|\n",
    );
    for event in EVENTS {
        let counter = event.counter.map(|name| format!("`{name}`")).unwrap_or_default();
        let _ = writeln!(
            text,
            "| {} | {} | {} | `{}` | {counter} |",
            event.message, event.level, event.when, event.fields
        );
    }
    text.push_str("\n| counter (prefix `weighbridge_`) | counts |\n|---|---|\n");
    let samples = Counters::default().samples();
    for (index, sample) in samples.iter().enumerate() {
        if index == 0 || samples[index - 1].name != sample.name {
            let label = sample.label.map(|(name, _)| format!("{{{name}}}")).unwrap_or_default();
            let _ = writeln!(text, "| `{}{label}` | {} |", sample.name, sample.help);
        }
    }
    for event in EVENTS {
        let known = event.counter.is_none_or(|name| samples.iter().any(|sample| sample.name == name));
        assert!(known, "{:?} of {:?} is no counter", event.counter, event.message);
    }
    check("telemetry.md", &text);
}

#[test]
fn every_exporter_is_described() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/export.md")).unwrap();
    for entry in EXPORTERS {
        assert!(
            page.contains(&format!("`{}`", entry.name)),
            "docs/export.md does not describe {}",
            entry.name
        );
        if !matches!(entry.kind, Kind::Scrape(_)) {
            assert!(
                page.contains(&format!("kind: {}", entry.name)),
                "docs/export.md has no example of {}",
                entry.name
            );
        }
    }
}
