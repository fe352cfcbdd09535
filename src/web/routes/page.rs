//! The page and its files.

use axum::extract::{Path, Query};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::asked::{Asked, Refusal, VERSION};
use super::{Answer, Route};
use crate::web::asset;

/// The page and its files.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/",
        summary: "The page",
        query: &[],
        answer: Answer::Text("text/html"),
        handler: || get(|headers| file(String::new(), None, headers)),
    },
    Route {
        path: "/assets/{name}",
        summary: "A file of the page",
        query: &[VERSION],
        answer: Answer::Text("application/octet-stream"),
        handler: || get(named),
    },
];

async fn named(Path(name): Path<String>, Query(asked): Query<Asked>, headers: HeaderMap) -> Response {
    file(name, asked.v, headers).await
}

async fn file(name: String, version: Option<String>, headers: HeaderMap) -> Response {
    match asset::find(&name) {
        Some(asset) => asset.answer(version.as_deref(), &headers),
        None => Refusal::missing("the page has no such file").into_response(),
    }
}
