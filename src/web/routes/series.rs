//! Series of metrics, of one run or of several.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::asked::{Answered, Asked, FORMAT, LAYER, METRIC, ROLE, RUN, RUNS, Refusal, SUBJECT, TENSOR, work};
use super::{Answer, Route, runs};
use crate::report::figures::{Figure, run as figures};
use crate::report::{HistoryFormat, gather, history, history_json};
use crate::terms::{RunId, Subject};
use crate::web::app::Site;

/// Series.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/history",
        summary: "One metric over all checkpoints, as json, csv or openmetrics",
        query: &[METRIC, RUN, TENSOR, FORMAT],
        answer: Answer::List("Series"),
        handler: || get(all),
    },
    Route {
        path: "/api/v1/overlay",
        summary: "Several runs on one axis: the median of a metric over their tensors, or loss, learning_rate or grad_norm as the trainer logged them",
        query: &[RUNS, METRIC, ROLE, TENSOR, LAYER, SUBJECT],
        answer: Answer::Json("Figure"),
        handler: || get(overlay),
    },
];

async fn all(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Response> {
    work(site, move |site| {
        let name = asked.metric.as_deref().ok_or_else(|| Refusal::bad("name a metric: ?metric=…"))?;
        let metric =
            site.catalog.get(name).ok_or_else(|| Refusal::missing(format!("no metric is called {name}")))?;
        let pattern = asked.pattern()?;
        let wanted = |subject: &Subject| match (&pattern, subject) {
            (None, _) => true,
            (Some(pattern), Subject::Tensor(name)) => pattern.is_match(&**name),
            (Some(_), _) => false,
        };
        let mut series = Vec::new();
        for summary in site.store.runs() {
            if asked.run.as_deref().is_none_or(|run| run == summary.run.as_str()) {
                let found = site.store.series(&summary.run, name, &wanted)?;
                series.extend(found.into_iter().map(|series| (summary.run.clone(), series)));
            }
        }
        let text = |kind: &'static str, format| {
            ([(header::CONTENT_TYPE, kind)], history(&series, metric, format)).into_response()
        };
        Ok(match asked.format.as_deref() {
            None | Some("json") => Json(history_json(&series, metric)).into_response(),
            Some("csv") => text("text/csv; charset=utf-8", HistoryFormat::Csv),
            Some("openmetrics") => {
                text("application/openmetrics-text; version=1.0.0; charset=utf-8", HistoryFormat::Openmetrics)
            }
            Some(other) => {
                return Err(Refusal::bad(format!("a history is json, csv or openmetrics, not {other}")));
            }
        })
    })
    .await
}

async fn overlay(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Figure>> {
    work(site, move |site| {
        let metric = asked.metric.as_deref().unwrap_or("rms");
        let names = asked.runs.as_deref().ok_or_else(|| Refusal::bad("name runs: ?runs=a,b"))?;
        let mut found = Vec::new();
        for name in names.split(',').filter(|name| !name.is_empty()).take(figures::OVERLAY_RUNS_MAX) {
            let name = name.replace("%2C", ",");
            let run = RunId::new(&name);
            let columns = match figures::logged(metric, &gather::log(&site.facts(&run)?)) {
                Some(columns) => columns,
                None => Arc::unwrap_or_clone(runs::columns(site, &run, metric, &asked)?),
            };
            found.push((name, columns));
        }
        Ok(Json(figures::overlay(metric, &found)))
    })
    .await
}
