//! What the numbers mean, and how large the store is.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::asked::{Answered, work};
use super::{Answer, Route};
use crate::report::figures;
use crate::terms::MetricDef;
use crate::web::app::Site;

/// Catalogue.
pub const ROUTES: &[Route] = &[
    Route {
        path: "/api/v1/metrics",
        summary: "Every metric: what it is, formula, healthy range, sick sign",
        query: &[],
        answer: Answer::List("Metric"),
        handler: || get(metrics),
    },
    Route {
        path: "/api/v1/figures",
        summary: "Every picture of a checkpoint: title and question",
        query: &[],
        answer: Answer::List("FigureEntry"),
        handler: || get(pictures),
    },
    Route {
        path: "/api/v1/store",
        summary: "How much the store holds",
        query: &[],
        answer: Answer::Json("Store"),
        handler: || get(store),
    },
];

async fn metrics(State(site): State<Site>) -> Json<Vec<&'static MetricDef>> {
    Json(site.catalog.iter().collect())
}

async fn pictures() -> Json<Vec<Value>> {
    let views = [
        ("checkpoint", figures::checkpoint::FIGURES),
        ("tensor", figures::tensor::FIGURES),
        ("heads", figures::heads::FIGURES),
    ];
    let entries = views.into_iter().flat_map(|(view, figures)| {
        figures.iter().map(move |figure| {
            json!({
                "id": figure.id, "view": view, "title": figure.title, "question": figure.question,
                "series": figure.series,
            })
        })
    });
    Json(entries.collect())
}

async fn store(State(site): State<Site>) -> Answered<Json<Value>> {
    work(site, |site| Ok(Json(json!(site.store.stats()?)))).await
}
