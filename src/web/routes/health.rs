//! Is the program alive, has it seen everything that was there when it started, and the scrape.

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::{Answer, Route};
use crate::export::{self, SnapshotCollector};
use crate::web::app::Site;
use crate::web::guard::StatusOnly;

/// Health and the scrape.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/healthz",
        summary: "Alive: the server answers",
        query: &[],
        answer: Answer::Text("text/plain"),
        handler: || get(healthz),
    },
    Route {
        path: "/readyz",
        summary: "Ready: what was there at the start is weighed or queued; 503 before",
        query: &[],
        answer: Answer::Text("text/plain"),
        handler: || get(readyz),
    },
    Route {
        path: "/metrics",
        summary: "The scrape, as Prometheus text or OpenMetrics",
        query: &[],
        answer: Answer::Text("text/plain"),
        handler: || get(metrics),
    },
];

/// Alive: the server answers.
async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: the first scan is done, and what it found is weighed or queued; 503 before.
async fn readyz(State(app): State<Site>, stranger: Option<Extension<StatusOnly>>) -> impl IntoResponse {
    let snapshot = app.snapshots.borrow().clone();
    let is_good = snapshot.store_trouble.is_none() && snapshot.ready;
    if stranger.is_some() && !is_good {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready\n".to_owned());
    }
    match (&snapshot.store_trouble, snapshot.ready) {
        (Some(trouble), _) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("nothing can be stored: {trouble}\n"))
        }
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "the first scan is not done\n".to_owned()),
        (None, true) => (StatusCode::OK, "ready\n".to_owned()),
    }
}

/// The scrape: fresh samples of the published state, in the form that the scraper asks for.
async fn metrics(State(app): State<Site>, headers: HeaderMap) -> impl IntoResponse {
    let snapshot = app.snapshots.borrow().clone();
    app.counters.scrapes.increment();
    let wanted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("");
    let format = export::negotiate(wanted);
    let live = app.live.borrow().clone();
    let families = SnapshotCollector::new(&snapshot, &app.catalog, &app.counters, &live.export).families();
    ([(header::CONTENT_TYPE, format.content_type())], format.render(&families))
}
