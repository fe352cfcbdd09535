//! All routes, one list: the router and the OpenAPI document are made from it.

pub(super) mod asked;
mod catalog;
pub(super) mod checkpoints;
mod distances;
mod findings;
mod fleet;
mod health;
mod openapi;
mod page;
pub(super) mod runs;
mod said;
mod search;
mod series;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::MethodRouter;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use super::app::Site;
use super::guard::guard;

/// Nothing that is sent here is longer: acknowledgements and silences are a few words.
const BODY_BYTES_MAX: usize = 64 << 10;

/// One route's entry.
pub struct Route {
    /// Path, parameters in braces.
    pub path: &'static str,
    /// What it answers, in one sentence without a full stop.
    pub summary: &'static str,
    /// What may be asked for.
    pub query: &'static [asked::Parameter],
    /// What comes back: a schema of [`openapi`], or a media type for what is not JSON.
    pub answer: Answer,
    /// The code.
    pub handler: fn() -> MethodRouter<Site>,
}

impl Route {
    /// An entry, its fields in their order.
    pub const fn new(
        path: &'static str,
        summary: &'static str,
        query: &'static [asked::Parameter],
        answer: Answer,
        handler: fn() -> MethodRouter<Site>,
    ) -> Self {
        Self { path, summary, query, answer, handler }
    }
}

/// One change's entry. The guard lets it through only with a token.
pub struct Change {
    /// Method, as OpenAPI writes it.
    pub method: &'static str,
    /// Path, parameters in braces.
    pub path: &'static str,
    /// What it does, in one sentence without a full stop.
    pub summary: &'static str,
    /// What is sent: a schema of [`openapi`].
    pub body: Option<&'static str>,
    /// What comes back.
    pub answer: Answer,
    /// The code.
    pub handler: fn() -> MethodRouter<Site>,
}

/// What a route answers with.
pub enum Answer {
    /// JSON of that schema.
    Json(&'static str),
    /// JSON: an array of that schema.
    List(&'static str),
    /// JSON: one page of an array of that schema.
    Page(&'static str),
    /// Anything else, by its media type.
    Text(&'static str),
}

/// Everything that is served, room by room.
pub fn all() -> impl Iterator<Item = &'static Route> {
    let rooms: [&[Route]; 12] = [
        page::ROUTES,
        health::ROUTES,
        fleet::ROUTES,
        runs::ROUTES,
        checkpoints::ROUTES,
        series::ROUTES,
        findings::ROUTES,
        said::ROUTES,
        search::ROUTES,
        catalog::ROUTES,
        distances::ROUTES,
        openapi::ROUTES,
    ];
    rooms.into_iter().flatten()
}

/// Everything that can be changed.
pub fn changes() -> impl Iterator<Item = &'static Change> {
    said::CHANGES.iter()
}

/// Every route behind the guard.
pub fn router(site: Site) -> Router {
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, site.settings.request_timeout);
    let router = all().fold(Router::new(), |router, route| router.route(route.path, (route.handler)()));
    let router = changes().fold(router, |router, change| router.route(change.path, (change.handler)()));
    router
        .fallback(asked::nothing_here)
        .layer(timeout)
        // Answers are made anew each time: a level that costs more than the line saves is no gain.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .layer(RequestBodyLimitLayer::new(BODY_BYTES_MAX))
        .layer(from_fn_with_state(site.clone(), guard))
        .with_state(site)
}
