//! All runs as they stand, and what changes while one looks.

use std::convert::Infallible;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use serde_json::{Value, json};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt};

use super::asked::{Answered, Asked, LIMIT, OFFSET, QUERY, work};
use super::{Answer, Route};
use crate::report::{Beside, finding_json, overview};
use crate::telemetry::now_seconds;
use crate::terms::{Finding, RunStatus, Severity, Snapshot};
use crate::web::app::Site;

/// Fleet.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/state",
        summary: "All runs as they stand, those that need a person first",
        query: &[QUERY, LIMIT, OFFSET],
        answer: Answer::Json("State"),
        handler: || get(state),
    },
    Route {
        path: "/api/v1/events",
        summary: "A line for every change of the published state, as server-sent events",
        query: &[],
        answer: Answer::Text("text/event-stream"),
        handler: || get(events),
    },
];

async fn state(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let snapshot = site.snapshots.borrow().clone();
        let wanted = asked.q.as_deref().unwrap_or("").to_lowercase();
        let mut runs: Vec<_> = snapshot
            .runs
            .iter()
            .filter(|status| status.run.as_str().to_lowercase().contains(&wanted))
            .collect();
        // What needs a person first: by severity, then by how lately it moved.
        let moved =
            |status: &RunStatus| status.latest.as_ref().map_or(0.0, |r| r.checkpoint.timestamp_seconds);
        runs.sort_by(|a, b| {
            b.worst().cmp(&a.worst()).then(moved(b).total_cmp(&moved(a))).then(a.run.cmp(&b.run))
        });
        let rows = runs.into_iter().map(|status| row(site, status));
        Ok(Json(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "ready": snapshot.ready,
            "queue_checkpoints": snapshot.queue_checkpoints,
            "store_trouble": snapshot.store_trouble,
            "roots": snapshot.roots.iter().map(|root| root.to_string_lossy()).collect::<Vec<_>>(),
            "runs": asked.page(rows),
        })))
    })
    .await
}

/// Cells of the strip that shows a run's worst score over its checkpoints.
const STRIP_MAX: usize = 60;

/// One run as a row.
pub fn row(site: &Site, status: &RunStatus) -> Value {
    let mut row = overview(status);
    let steps: Vec<u64> = site
        .store
        .keys(&status.run)
        .iter()
        .filter(|k| k.attempt == status.attempt)
        .map(|k| k.step.0)
        .collect();
    let findings = site.store.findings(Some(&status.run)).unwrap_or_default();
    let cells = steps.chunks(steps.len().div_ceil(STRIP_MAX).max(1)).map(|chunk| {
        let (from, to) = (chunk[0], chunk[chunk.len() - 1]);
        let during =
            findings.iter().filter(|f| f.step.0 <= to && f.resolved_step.is_none_or(|end| end.0 > from));
        let worst = during.max_by(|a, b| score(a).total_cmp(&score(b)));
        json!([to, worst.map_or(0, |finding| finding.severity as u8 + 1), worst.map_or(0.0, score)])
    });
    let strip: Vec<Value> = cells.collect();
    if let Some(row) = row.as_object_mut() {
        row.insert("strip".to_owned(), json!(strip));
        let first = status.open.first().map(|finding| {
            let newest = |_: &_| Ok::<_, Infallible>(status.latest.clone());
            let Ok(beside) =
                Beside::new(site.said(), now_seconds()).with_kinds(std::slice::from_ref(finding), newest);
            finding_json(finding, &beside)
        });
        row.insert("first_open".to_owned(), first.unwrap_or_default());
    }
    row
}

/// How bad a finding is, 0 to 1: a third for each severity, and within it how sure the finding is.
fn score(finding: &Finding) -> f64 {
    (f64::from(finding.severity as u8) + finding.confidence) / 3.0
}

async fn events(State(site): State<Site>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let states = WatchStream::new(site.snapshots.clone()).map(Some);
    // An open page must not hold up the drain: the stream ends with the server.
    let end = WatchStream::new(site.stopping.clone()).filter(|stop| *stop).map(|_| None);
    let changes = states.merge(end).take_while(Option::is_some).filter_map(|snapshot| snapshot);
    let told = changes
        .map(|snapshot| Ok(Event::default().event("state").json_data(change(&snapshot)).unwrap_or_default()));
    Sse::new(told).keep_alive(KeepAlive::default())
}

/// What a page needs to know to see whether it must ask again.
fn change(snapshot: &Snapshot) -> Value {
    let run = |status: &std::sync::Arc<RunStatus>| {
        json!({
            "run": status.run,
            "attempt": status.attempt,
            "step": status.latest.as_ref().map(|reading| reading.key.step),
            "phase": status.phase,
            "checkpoints": status.checkpoints_total,
            "open": status.open.len(),
            "findings": status.findings_total,
            "worst": status.worst().map(Severity::name),
        })
    };
    json!({
        "ready": snapshot.ready,
        "queue_checkpoints": snapshot.queue_checkpoints,
        "runs": snapshot.runs.iter().map(run).collect::<Vec<_>>(),
    })
}
