//! Search over runs, tensors and findings.

use axum::Json;
use axum::extract::{Query, State};
use axum::routing::get;
use serde_json::{Value, json};

use super::asked::{Answered, Asked, LIMIT, OFFSET, QUERY, RUN, work};
use super::{Answer, Route};
use crate::web::app::Site;

/// Search.
pub const ROUTES: &[Route] = &[Route {
    path: "/api/v1/search",
    summary: "Runs, tensors of the newest checkpoints and open findings whose names hold all words",
    query: &[QUERY, RUN, LIMIT, OFFSET],
    answer: Answer::Page("Hit"),
    handler: || get(search),
}];

async fn search(State(site): State<Site>, Query(asked): Query<Asked>) -> Answered<Json<Value>> {
    work(site, move |site| {
        let words: Vec<String> =
            asked.q.as_deref().unwrap_or("").to_lowercase().split_whitespace().map(str::to_owned).collect();
        let holds = |text: &str| {
            let text = text.to_lowercase();
            words.iter().all(|word| text.contains(word))
        };
        let snapshot = site.snapshots.borrow().clone();
        let mut hits = Vec::new();
        for status in
            snapshot.runs.iter().filter(|s| asked.run.as_deref().is_none_or(|run| run == s.run.as_str()))
        {
            let run = status.run.as_str();
            if holds(run) {
                hits.push(json!({ "kind": "run", "run": run, "name": run }));
            }
            for finding in
                status.open.iter().filter(|f| holds(&format!("{run} {} {}", f.detector, f.summary)))
            {
                hits.push(
                    json!({ "kind": "finding", "run": run, "name": finding.summary, "id": finding.id }),
                );
            }
            let Some(reading) = &status.latest else { continue };
            for tensor in reading.tensors.iter().filter(|t| holds(&format!("{run} {}", t.facts.name))) {
                hits.push(json!({
                    "kind": "tensor", "run": run, "name": tensor.facts.name,
                    "step": reading.key.step, "attempt": reading.key.attempt,
                }));
            }
        }
        Ok(Json(asked.page(hits.into_iter())))
    })
    .await
}
