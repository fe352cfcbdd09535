//! The page and its files.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::asked::Refusal;
use super::{Answer, Route};
use crate::web::asset::{ASSETS, INDEX};

/// The page and its files.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/",
        summary: "The page",
        query: &[],
        answer: Answer::Text("text/html"),
        handler: || get(index),
    },
    Route {
        path: "/assets/{name}",
        summary: "A file of the page",
        query: &[],
        answer: Answer::Text("application/octet-stream"),
        handler: || get(asset),
    },
];

async fn index(headers: HeaderMap) -> Response {
    INDEX.answer(&headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.answer(&headers),
        None => Refusal::missing("the page has no such file").into_response(),
    }
}
