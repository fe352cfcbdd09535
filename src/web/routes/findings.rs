//! What was found.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::asked::{Answered, Asked, FORMAT, LIMIT, OFFSET, OPEN, RUN, Refusal, SEVERITY, work};
use super::{Answer, Route};
use crate::report::figures::run::evidence;
use crate::report::gather;
use crate::report::{Beside, finding_json, findings_jsonl, findings_text};
use crate::telemetry::now_seconds;
use crate::terms::{FindingId, RunId, Severity};
use crate::web::app::Site;

/// Findings.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/findings",
        summary: "Findings, the newest first; as text or jsonl all of them, in order of opening",
        query: &[RUN, SEVERITY, OPEN, FORMAT, LIMIT, OFFSET],
        answer: Answer::Page("Finding"),
        handler: || get(findings),
    },
    Route {
        path: "/api/v1/runs/{run}/findings/{id}",
        summary: "One finding, with its evidence plotted before and after",
        query: &[],
        answer: Answer::Json("FindingView"),
        handler: || get(finding),
    },
    Route {
        path: "/api/v1/last-good",
        summary: "Path of the run's newest checkpoint with nothing at or above warning",
        query: &[RUN],
        answer: Answer::Text("text/plain"),
        handler: || get(last_good),
    },
];

async fn findings(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Response> {
    work(site, move |site| {
        let run = asked.run.as_deref().map(RunId::new);
        let least = match asked.severity.as_deref() {
            Some(name) => Severity::from_name(name)
                .ok_or_else(|| Refusal::bad(format!("no severity is called {name}")))?,
            None => Severity::Info,
        };
        let mut found = site.store.findings(run.as_ref())?;
        found.retain(|f| f.severity >= least && (asked.open != Some(true) || f.is_open()));
        let beside =
            Beside::new(site.store.said()?, now_seconds()).with_kinds(&found, |run| site.latest(run))?;
        let text = |kind: &'static str, text: String| ([(header::CONTENT_TYPE, kind)], text).into_response();
        Ok(match asked.format.as_deref() {
            Some("text") => text("text/plain; charset=utf-8", findings_text(&found, &beside)),
            Some("jsonl") => text("application/jsonl; charset=utf-8", findings_jsonl(&found, &beside)),
            None | Some("json") => {
                found.sort_by(|a, b| b.opened_at.total_cmp(&a.opened_at).then(b.step.cmp(&a.step)));
                Json(asked.page(found.iter().map(|f| finding_json(f, &beside)))).into_response()
            }
            Some(other) => {
                return Err(Refusal::bad(format!("findings are json, jsonl or text, not {other}")));
            }
        })
    })
    .await
}

async fn finding(State(site): State<Site>, Path((run, id)): Path<(String, String)>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let run = RunId::new(run);
        let missing = || Refusal::missing(format!("run {run} has no finding {id}"));
        let finding = site.store.finding(&run, &FindingId(id.clone()))?.ok_or_else(missing)?;
        let look = |metric: &str, kind| site.columns(&run, metric, kind);
        let figure = evidence(&finding, &gather::trails(&site.catalog, &finding, look)?);
        let beside = Beside::new(site.store.said()?, now_seconds());
        let beside = beside.with_kinds(std::slice::from_ref(&finding), |run| site.latest(run))?;
        let finding = finding_json(&finding, &beside);
        Ok(Json(json!({ "finding": finding, "figures": [figure] })))
    })
    .await
}

async fn last_good(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<String> {
    let run = asked.named_run()?;
    let status = site.status(&run).ok_or_else(|| Refusal::no_run(&run))?;
    Ok(status.last_good.as_ref().map_or(String::new(), |(_, path)| format!("{}\n", path.display())))
}
