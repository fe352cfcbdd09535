//! Is the program alive, and has it seen everything that was there when it started.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;

use crate::web::app::App;

/// Alive: the server answers.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Ready: the first scan is done, and what it found is weighed or queued; 503 before.
pub async fn readyz(State(app): State<App>) -> impl IntoResponse {
    let snapshot = app.snapshots.borrow().clone();
    match (&snapshot.store_trouble, snapshot.ready) {
        (Some(trouble), _) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("nothing can be stored: {trouble}\n"))
        }
        (None, false) => (StatusCode::SERVICE_UNAVAILABLE, "the first scan is not done\n".to_owned()),
        (None, true) => (StatusCode::OK, "ready\n".to_owned()),
    }
}
