//! All routes, one list.

mod health;
mod page;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::app::App;
use super::guard::guard;

/// Nothing that is sent here is longer: acknowledgements and silences are a few words.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Every route behind the guard.
pub fn router(app: App) -> Router {
    let timeout =
        TimeoutLayer::with_status_code(axum::http::StatusCode::GATEWAY_TIMEOUT, app.settings.request_timeout);
    Router::new()
        .route("/", get(page::index))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics))
        .layer(timeout)
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), guard))
        .with_state(app)
}
