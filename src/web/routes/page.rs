//! The page.

use axum::extract::State;
use axum::response::Html;

use crate::web::app::App;

/// Runs and findings as a plain list.
pub async fn index(State(app): State<App>) -> Html<String> {
    let snapshot = app.snapshots.borrow().clone();
    let mut out = String::from(
        "<!doctype html><html lang=en><meta charset=utf-8><title>weighbridge</title><h1>weighbridge</h1><ul>",
    );
    for run in &snapshot.runs {
        let step = run.latest.as_ref().map_or("–".to_owned(), |reading| reading.key.step.to_string());
        out.push_str(&format!("<li>{} step {step}<ul>", escape(run.run.as_str())));
        for finding in &run.open {
            out.push_str(&format!("<li>{}: {}", finding.severity, escape(&finding.summary)));
        }
        out.push_str("</ul>");
    }
    Html(out)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
