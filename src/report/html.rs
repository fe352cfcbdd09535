//! One self-contained HTML file: pictures, numbers, words. It opens from disk and asks nobody for anything.
//!
//! The file carries the same figures as the page's API answers, as JSON, and the same drawing code. The
//! JSON is the only place where names from a checkpoint appear; no markup is ever made from them.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use serde_json::{Value, json};

use super::figures::run::{self as pictures, Column, Compare};
use super::figures::{Choice, Figure, FigureDef, Material, checkpoint, heads};
use super::{Answer, Beside, Weights, answers, finding_json, gather, inspect_json, page};
use crate::store::{Error, Store};
use crate::terms::{Catalog, Reading, RunId, SubjectKind};

/// One checkpoint as one HTML file.
pub fn inspect_html(
    reading: &Reading,
    catalog: &Catalog,
    answers: &[Answer],
    weights: Option<Weights>,
) -> String {
    let mut sections = vec![section("Pictures", &draw(checkpoint::FIGURES, reading, weights.as_ref()))];
    sections.push(section("Heads", &draw(heads::FIGURES, reading, weights.as_ref())));
    document(&json!({
        "title": reading.key.to_string(),
        "lead": lead(reading),
        "answers": answers,
        "problems": inspect_json(reading, catalog, answers)["checkpoint"]["problems"],
        "findings": [],
        "sections": sections,
        "numbers": numbers(reading),
    }))
}

/// Metrics whose heat maps and bands a run's report shows, where the run has them.
const METRICS: [&str; 6] = ["rms", "ks_statistic", "l_kurtosis", "stable_rank", "update_ratio", "abs_max"];
/// Findings whose evidence is plotted: the gravest and newest come first.
const EVIDENCE_MAX: usize = 12;

/// A run as one HTML file: findings with their evidence, the run over its steps, its newest checkpoint. What
/// people said about findings is as of `now_seconds`, since 1970.
pub fn report_html(
    store: &Store,
    run: &RunId,
    catalog: &Catalog,
    weights: impl Fn(&Reading) -> Option<Weights>,
    now_seconds: f64,
) -> Result<Option<String>, Error> {
    let Some(reading) = store.latest(run)? else { return Ok(None) };
    let mut findings = store.findings(Some(run))?;
    let beside = Beside::of(store, &findings, now_seconds)?;
    findings.sort_by(|a, b| b.severity.cmp(&a.severity).then(b.step.cmp(&a.step)));
    let look = |metric: &str, kind| {
        let series = store.series(run, metric, &|subject| subject.kind() == kind)?;
        Ok(Arc::new(gather::columns(series, Some(&reading))))
    };
    let mut evidence = Vec::new();
    for finding in findings.iter().take(EVIDENCE_MAX) {
        let trails = gather::trails(catalog, finding, look)?;
        evidence.push(Figure { title: finding.summary.clone(), ..pictures::evidence(finding, &trails) });
    }
    let onsets = gather::onsets(&findings);
    let mut over_steps = vec![pictures::trainer(&gather::log(&store.checkpoint_facts(run)?), &onsets)];
    for metric in METRICS {
        let columns = thinned(&look(metric, SubjectKind::Tensor)?);
        if !columns.is_empty() {
            over_steps.push(pictures::heat(metric, &columns, Compare::Own, &onsets));
            over_steps.push(pictures::bands(metric, &columns, &onsets));
        }
    }
    over_steps.push(pictures::trajectory(&gather::sketches(store, run)));
    let weights = weights(&reading);
    let keys = store.keys(run);
    let text = document(&json!({
        "title": run.to_string(),
        "lead": format!("{} checkpoints, newest: {}", keys.len(), lead(&reading)),
        "answers": answers(&reading),
        "problems": [],
        "findings": findings.iter().map(|found| finding_json(found, &beside)).collect::<Vec<_>>(),
        "sections": [
            section("Findings, before and after", &evidence),
            section("Over the run", &over_steps),
            section(&format!("Weights at step {}", reading.key.step), &draw(checkpoint::FIGURES, &reading, weights.as_ref())),
            section(&format!("Heads at step {}", reading.key.step), &draw(heads::FIGURES, &reading, weights.as_ref())),
        ],
        "numbers": numbers(&reading),
    }));
    Ok(Some(text))
}

/// The picture `overlay`, as the API answers it, as one HTML file.
pub fn overlay_html(figure: &Value) -> String {
    document(&json!({
        "title": format!("{} of several runs", figure["title"].as_str().unwrap_or_default()),
        "lead": "",
        "answers": [],
        "problems": [],
        "findings": [],
        "sections": [{ "title": "On one axis", "figures": [figure] }],
        "numbers": { "metrics": [], "rows": [] },
    }))
}

/// Steps of a run that a report draws, which keeps a file of twelve pictures over a long run small.
const STEPS_MAX: usize = 300;

/// The columns at no more than [`STEPS_MAX`] steps, the newest always among them.
fn thinned(columns: &[Column]) -> Vec<Column> {
    let steps: BTreeSet<u64> =
        columns.iter().flat_map(|column| &column.points).map(|point| point.0).collect();
    let every = steps.len().div_ceil(STEPS_MAX).max(1);
    let kept: BTreeSet<u64> = steps.into_iter().rev().step_by(every).collect();
    let thin = |column: &Column| Column {
        points: column.points.iter().filter(|point| kept.contains(&point.0)).copied().collect(),
        ..column.clone()
    };
    columns.iter().map(thin).collect()
}

fn draw(figures: &[&FigureDef], reading: &Reading, weights: Option<&Weights>) -> Vec<Figure> {
    figures.iter().map(|figure| figure.figure(Material { reading, weights }, &Choice::default())).collect()
}

fn section(title: &str, figures: &[Figure]) -> Value {
    json!({ "title": title, "figures": figures })
}

fn lead(reading: &Reading) -> String {
    let mut parts = vec![reading.key.to_string(), reading.checkpoint.path.to_string_lossy().into_owned()];
    parts.push(reading.family.clone());
    parts.push(super::bytes(reading.checkpoint.bytes()));
    parts.extend(reading.trainer.loss().map(|loss| format!("loss {loss:.4}")));
    parts.join(" · ")
}

/// Every tensor's values, one row each: metrics as columns.
fn numbers(reading: &Reading) -> Value {
    let mut metrics: Vec<&str> = Vec::new();
    for name in reading.tensors.iter().flat_map(|tensor| tensor.samples.keys()) {
        if !metrics.contains(name) {
            metrics.push(name);
        }
    }
    metrics.sort_unstable();
    let row = |tensor: &crate::terms::TensorReading| {
        let values = metrics
            .iter()
            .map(|metric| super::figures::Number(*tensor.samples.get(metric).unwrap_or(&f64::NAN)));
        json!([tensor.facts.name, values.collect::<Vec<_>>()])
    };
    json!({ "metrics": metrics, "rows": reading.tensors.iter().map(row).collect::<Vec<_>>() })
}

/// In a file from disk scripts and styles can only stand inside; nothing may come from anywhere else.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                      img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'";

fn document(data: &Value) -> String {
    // No closing tag and no comment can begin inside the JSON.
    let data = data.to_string().replace('<', "\\u003c");
    let style = page::STYLE
        .replace("url(/assets/inter.woff2)", &format!("url(data:font/woff2;base64,{})", base64(page::FONT)));
    let mut out = String::with_capacity(data.len() + (256 << 10));
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    let _ = writeln!(out, "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>weighbridge</title>\n");
    let _ = writeln!(out, "<style>{style}</style>\n</head>\n<body>\n<main id=\"main\"></main>");
    out.push_str("<noscript><p class=\"empty\">This report draws with JavaScript.</p></noscript>\n");
    let _ = writeln!(out, "<script type=\"application/json\" id=\"data\">{data}</script>");
    let _ = writeln!(out, "<script>{}</script>\n</body>\n</html>", page::REPORT);
    out
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word =
            chunk.iter().enumerate().fold(0u32, |word, (i, byte)| word | u32::from(*byte) << (16 - 8 * i));
        for i in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * i) & 63) as usize];
            out.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_pads() {
        assert_eq!(base64(b"Man"), "TWFu");
        assert_eq!(base64(b"Ma"), "TWE=");
        assert_eq!(base64(b"M"), "TQ==");
    }

    #[test]
    fn long_runs_are_thinned_to_the_same_steps() {
        let column = |from: u64| Column {
            name: from.to_string(),
            layer: None,
            role: None,
            points: (from..=1500).map(|step| (step, step as f64)).collect(),
        };
        let thin = thinned(&[column(1), column(700)]);
        assert!(thin[0].points.len() <= STEPS_MAX && thin[0].points.len() > STEPS_MAX / 2);
        assert!(thin.iter().all(|column| column.points.last() == Some(&(1500, 1500.0))));
        assert!(thin[1].points.iter().all(|point| thin[0].points.contains(point)));
    }

    #[test]
    fn names_cannot_leave_the_data() {
        let text = document(&json!({ "title": "</script><script>alert(1)</script><!--" }));
        assert_eq!(text.matches("</script>").count(), 2, "only our own two scripts end");
        assert!(!text.contains("alert(1)</script>"));
    }
}
