//! One run: what it is, its checkpoints, its pictures over steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::asked::{
    Answered, Asked, COMPARE, LIMIT, METRIC, OFFSET, ROLE, RUN, Refusal, SUBJECT, TENSOR, work,
};
use super::{Answer, Route, fleet};
use crate::detect::{regimes, run_kind};
use crate::report::figures::run::{self as figures, Compare};
use crate::report::{gather, report_html};
use crate::telemetry::now_seconds;
use crate::terms::{Finding, ReadingKey, RunId, Severity, SubjectKind};
use crate::web::app::Site;
use crate::web::past::Drawn;
use crate::web::sent::Sent;

/// Runs.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/runs/{run}",
        summary: "One run: how it stands, its steps, its tensors, the metrics that it has",
        query: &[],
        answer: Answer::Json("Run"),
        handler: || get(run),
    },
    Route {
        path: "/api/v1/runs/{run}/checkpoints",
        summary: "The run's checkpoints by attempt and step",
        query: &[LIMIT, OFFSET],
        answer: Answer::Page("Checkpoint"),
        handler: || get(checkpoints),
    },
    Route {
        path: "/api/v1/report",
        summary: "A run as one HTML file",
        query: &[RUN],
        answer: Answer::Text("text/html"),
        handler: || get(report),
    },
    Route {
        path: "/api/v1/runs/{run}/figures/{figure}",
        summary: "A picture of the run over its steps: trainer, heat, bands or trajectory",
        query: &[METRIC, ROLE, TENSOR, SUBJECT, COMPARE],
        answer: Answer::Json("Figure"),
        handler: || get(figure),
    },
];

async fn run(State(site): State<Site>, Path(run): Path<String>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let run = RunId::new(run);
        let keys = site.store.keys(&run);
        let status = site.status(&run);
        if keys.is_empty() && status.is_none() {
            return Err(Refusal::no_run(&run));
        }
        let latest = site.latest(&run)?;
        let mut metrics: BTreeMap<&str, usize> = BTreeMap::new();
        let mut count = |name: &'static str| *metrics.entry(name).or_default() += 1;
        let mut tensors = Vec::new();
        let mut layers = 0;
        if let Some(reading) = &latest {
            for tensor in &reading.tensors {
                tensor.samples.keys().copied().for_each(&mut count);
                layers = layers.max(tensor.facts.meaning.layer.map_or(0, |layer| layer + 1));
                tensors.push(json!({
                    "name": tensor.facts.name, "dtype": tensor.facts.dtype, "shape": tensor.facts.shape,
                    "role": tensor.facts.meaning.role, "layer": tensor.facts.meaning.layer,
                    "category": tensor.facts.meaning.category,
                }));
            }
            reading.subjects.iter().flat_map(|s| s.samples.keys()).copied().for_each(&mut count);
        }
        let known = site.catalog.iter().filter(|def| metrics.contains_key(def.name));
        Ok(Json(json!({
            "run": run,
            "status": status.as_ref().map(|status| fleet::row(site, status)),
            "family": latest.as_ref().map(|reading| reading.family.clone()),
            "kind": latest.as_ref().and_then(|reading| run_kind(reading)),
            "regimes": latest.as_ref().map(|reading| regimes(&reading.trainer.log)).unwrap_or_default(),
            "expected": site.said().announced_for(&run).collect::<Vec<_>>(),
            "layers": layers,
            "steps": keys.iter().map(|key| json!([key.attempt, key.step])).collect::<Vec<_>>(),
            "tensors": tensors,
            "metrics": known.map(|def| json!({
                "name": def.name, "family": def.family, "subject": def.subject, "help": def.help,
                "subjects": metrics[def.name],
            })).collect::<Vec<_>>(),
        })))
    })
    .await
}

async fn report(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<impl IntoResponse> {
    work(site, move |site| {
        let run = asked.named_run()?;
        let text =
            report_html(&site.store, &run, &site.catalog, |reading| (site.weights)(reading), now_seconds())?;
        let text = text.ok_or_else(|| Refusal::no_run(&run))?;
        // Saved, not shown: its own scripts must not run beside the page's.
        let head = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_DISPOSITION, "attachment; filename=\"weighbridge-report.html\""),
        ];
        Ok((head, text))
    })
    .await
}

async fn checkpoints(
    State(site): State<Site>,
    Path(run): Path<String>,
    Query(asked): Query<Asked>,
) -> Answered<Json<Value>> {
    work(site, move |site| {
        let run = RunId::new(run);
        let facts = site.facts(&run)?;
        let findings = site.store.findings(Some(&run))?;
        let items = facts.iter().map(|(key, checkpoint, log)| {
            json!({
                "attempt": key.attempt,
                "step": key.step,
                "timestamp_seconds": checkpoint.timestamp_seconds,
                "bytes": checkpoint.bytes(),
                "path": checkpoint.path.to_string_lossy(),
                "loss": log.iter().rev().find_map(|point| point.loss),
                "severity": worst(&findings, key).map(Severity::name),
                "opened": findings.iter().filter(|f| f.attempt == key.attempt && f.step == key.step)
                    .map(|f| json!({ "id": f.id, "severity": f.severity, "detector": f.detector }))
                    .collect::<Vec<_>>(),
            })
        });
        Ok(Json(asked.page(items)))
    })
    .await
}

/// The gravest finding that was open at a checkpoint.
fn worst(findings: &[Finding], key: &ReadingKey) -> Option<Severity> {
    let open = |f: &&Finding| {
        f.attempt == key.attempt && f.step <= key.step && f.resolved_step.is_none_or(|end| end > key.step)
    };
    findings.iter().filter(open).map(|f| f.severity).max()
}

async fn figure(
    State(site): State<Site>,
    Path((run, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
    headers: HeaderMap,
) -> Answered<Response> {
    work(site, move |site| {
        let run = RunId::new(run);
        if site.store.keys(&run).is_empty() && site.status(&run).is_none() {
            return Err(Refusal::no_run(&run));
        }
        Ok(picture(site, &run, &id, asked)?.answer(&headers))
    })
    .await
}

/// The pictures of a run that its view shows first.
pub const PICTURES: [&str; 4] = ["trainer", "heat", "bands", "trajectory"];

/// A picture of a run as it is sent.
pub fn picture(site: &Site, run: &RunId, id: &str, asked: Asked) -> Answered<Sent> {
    let found = if id == "trajectory" { Vec::new() } else { site.store.findings(Some(run))? };
    let onsets = gather::onsets(&found);
    let asked = matters(id, asked);
    let metric = asked.metric.clone().unwrap_or_default();
    let compare = if asked.compare.is_some() { Compare::All } else { Compare::Own };
    let drawn = Drawn { id: id.to_owned(), asked: asked.clone(), onsets: onsets.clone() };
    site.drawn(run, drawn, || {
        let columns = || columns(site, run, &metric, &asked);
        let figure = match id {
            "trainer" => figures::trainer(&gather::log(&site.facts(run)?), &onsets),
            "heat" => figures::heat(&metric, &columns()?, compare, &onsets),
            "bands" => figures::bands(&metric, &columns()?, &onsets),
            "trajectory" => figures::trajectory(&gather::sketches(&site.store, run)),
            other => return Err(Refusal::missing(format!("no picture of a run is called {other}"))),
        };
        Sent::new(&figure).map_err(|error| Refusal::broken(error.to_string()))
    })
}

/// What of the query tells one picture from another; what is said and what goes without saying is the same.
fn matters(id: &str, asked: Asked) -> Asked {
    if !["heat", "bands"].contains(&id) {
        return Asked::default();
    }
    Asked {
        metric: Some(asked.metric.unwrap_or_else(|| "rms".to_owned())),
        compare: asked.compare.filter(|compare| id == "heat" && compare == "all"),
        role: asked.role,
        layer: asked.layer,
        tensor: asked.tensor,
        subject: asked.subject,
        ..Asked::default()
    }
}

/// Columns of a metric for the subjects that are asked for.
pub fn columns(site: &Site, run: &RunId, metric: &str, asked: &Asked) -> Answered<Arc<Vec<figures::Column>>> {
    let def =
        site.catalog.get(metric).ok_or_else(|| Refusal::missing(format!("no metric is called {metric}")))?;
    let pattern = asked.pattern()?;
    let kind = match asked.subject.as_deref() {
        None => def.subject,
        Some("tensor") => SubjectKind::Tensor,
        Some("head") => SubjectKind::Head,
        Some("layer") => SubjectKind::Layer,
        Some("model") => SubjectKind::Model,
        Some(other) => {
            return Err(Refusal::bad(format!("a subject is tensor, head, layer or model, not {other}")));
        }
    };
    let choice = asked.choice()?;
    let all = site.columns(run, metric, kind)?;
    if pattern.is_none() && choice.role.is_none() && choice.layer.is_none() {
        return Ok(all);
    }
    let named = |column: &figures::Column| {
        kind != SubjectKind::Tensor || pattern.as_ref().is_none_or(|p| p.is_match(&column.name))
    };
    let wanted = |column: &&figures::Column| {
        named(column)
            && (choice.role.is_none() || column.role == choice.role)
            && (choice.layer.is_none() || column.layer == choice.layer)
    };
    Ok(Arc::new(all.iter().filter(wanted).cloned().collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changes_a_picture_tells_it_from_another() {
        let said = Asked {
            metric: Some("rms".to_owned()),
            compare: Some("own".to_owned()),
            limit: Some(3),
            ..Asked::default()
        };
        let all = Asked { compare: Some("all".to_owned()), ..said.clone() };
        assert_eq!(matters("heat", said), matters("heat", Asked::default()));
        assert_ne!(matters("heat", all.clone()), matters("heat", Asked::default()));
        assert_eq!(matters("bands", all), matters("bands", Asked::default()));
        let other = Asked { metric: Some("std".to_owned()), ..Asked::default() };
        assert_ne!(matters("bands", other.clone()), matters("bands", Asked::default()));
        assert_eq!(matters("trajectory", other), Asked::default());
    }
}
