//! The OpenAPI document, made from the list of routes.

use axum::Json;
use axum::routing::get;
use serde_json::{Map, Value, json};

use super::{Answer, Change, Route};

/// The document itself.
pub const ROUTES: &[Route] = &[Route {
    path: "/api/v1/openapi.json",
    summary: "This description of the API",
    query: &[],
    answer: Answer::Json("Document"),
    handler: || get(answer),
}];

async fn answer() -> Json<Value> {
    Json(document())
}

/// Everything that is served.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "weighbridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What the page itself uses. Within v1, fields are added and never renamed.",
        },
        "paths": paths(),
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// Every path with its methods.
fn paths() -> Map<String, Value> {
    let mut paths = Map::new();
    let reads = super::all().map(|route| (route.path, "get", operation(route)));
    let changes = super::changes().map(|change| (change.path, change.method, change_operation(change)));
    for (path, method, operation) in reads.chain(changes) {
        let methods = paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method.to_owned(), operation);
        }
    }
    paths
}

fn change_operation(change: &Change) -> Value {
    let mut operation = json!({
        "summary": change.summary,
        "parameters": in_path(change.path).collect::<Vec<_>>(),
        "responses": responses(&change.answer),
        "security": [{ "token": [] }],
    });
    if let Some(body) = change.body {
        let schema = json!({ "$ref": format!("#/components/schemas/{body}") });
        operation["requestBody"] =
            json!({ "required": true, "content": { "application/json": { "schema": schema } } });
    }
    operation
}

fn in_path(path: &str) -> impl Iterator<Item = Value> {
    path.split(['{', '}']).skip(1).step_by(2).map(|name| {
        let kind = if name == "step" { "integer" } else { "string" };
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
    })
}

fn responses(answer: &Answer) -> Value {
    json!({
        "200": { "description": "the answer", "content": content(answer) },
        "default": {
            "description": "why not",
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Refusal" } } },
        },
    })
}

fn operation(route: &Route) -> Value {
    let in_query = route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name, "in": "query", "required": false,
            "description": parameter.summary, "schema": { "type": parameter.kind },
        })
    });
    json!({
        "summary": route.summary,
        "parameters": in_path(route.path).chain(in_query).collect::<Vec<_>>(),
        "responses": responses(&route.answer),
    })
}

fn content(answer: &Answer) -> Value {
    let named = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    match answer {
        Answer::Text(kind) => json!({ *kind: { "schema": { "type": "string" } } }),
        Answer::Json(name) => json!({ "application/json": { "schema": named(name) } }),
        Answer::List(name) => {
            json!({ "application/json": { "schema": { "type": "array", "items": named(name) } } })
        }
        Answer::Page(name) => json!({ "application/json": { "schema": {
            "type": "object",
            "required": ["total", "offset", "next_offset", "items"],
            "properties": {
                "total": { "type": "integer" }, "offset": { "type": "integer" },
                "next_offset": { "type": ["integer", "null"] },
                "items": { "type": "array", "items": named(name) },
            },
        } } }),
    }
}

/// An object schema: every field is always there; a `?` after the type means that it may be null.
fn object(fields: &[(&str, &str)]) -> Value {
    let property = |kind: &str| match kind.strip_suffix('?') {
        Some(kind) => json!({ "type": [kind, "null"] }),
        None => json!({ "type": kind }),
    };
    json!({
        "type": "object",
        "required": fields.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "properties": fields.iter().map(|(name, kind)| ((*name).to_owned(), property(kind))).collect::<Map<_, _>>(),
    })
}

fn schemas() -> Value {
    json!({
        "Refusal": object(&[("error", "string")]),
        "Document": object(&[("openapi", "string"), ("info", "object"), ("paths", "object"), ("components", "object")]),
        "State": object(&[
            ("version", "string"), ("ready", "boolean"), ("queue_checkpoints", "integer"), ("store_trouble", "string?"),
            ("roots", "array"), ("runs", "object"),
        ]),
        "Run": object(&[
            ("run", "string"), ("status", "object?"), ("family", "string?"), ("kind", "string?"), ("regimes", "array"),
            ("expected", "array"), ("layers", "integer"), ("steps", "array"), ("tensors", "array"), ("metrics", "array"),
        ]),
        "Checkpoint": object(&[
            ("attempt", "integer"), ("step", "integer"), ("timestamp_seconds", "number"), ("bytes", "integer"),
            ("path", "string"), ("loss", "number?"), ("severity", "string?"), ("opened", "array"),
        ]),
        "Inspection": object(&[
            ("checkpoint", "object"), ("tensors", "array"), ("layers", "array"), ("model", "object"), ("answers", "array"),
        ]),
        "Summary": object(&[("checkpoint", "object"), ("model", "object"), ("answers", "array")]),
        "Tensor": object(&[
            ("name", "string"), ("dtype", "string"), ("shape", "array"), ("role", "string"), ("layer", "integer?"),
            ("category", "string"), ("guessed", "boolean"), ("content_hash", "string"), ("metrics", "object"),
            ("absent", "object"),
        ]),
        "TensorView": object(&[("tensor", "object"), ("siblings", "array"), ("figures", "array")]),
        "Figure": object(&[
            ("id", "string"), ("title", "string"), ("question", "string"), ("says", "string"), ("facts", "array"),
            ("panels", "array"), ("basis", "string"),
        ]),
        "FigureEntry": object(&[
            ("id", "string"), ("view", "string"), ("title", "string"), ("question", "string"), ("series", "array"),
        ]),
        "Series": object(&[("run", "string"), ("metric", "string"), ("points", "array")]),
        "Finding": finding(),
        "FindingView": object(&[("finding", "object"), ("figures", "array")]),
        "Hit": object(&[("kind", "string"), ("run", "string"), ("name", "string")]),
        "Metric": object(&[
            ("name", "string"), ("family", "string"), ("subject", "string"), ("unit", "string"), ("tier", "string"),
            ("help", "string"), ("formula", "string"), ("source", "string"), ("healthy", "string"), ("sick", "string"),
            ("cost", "string"), ("since", "string"),
        ]),
        "Silence": silence(&["id", "at_seconds"]),
        "SilenceWanted": silence(&[]),
        "Acknowledgement": object(&[
            ("run", "string"), ("finding", "string"), ("severity", "string"), ("at_seconds", "number"), ("why", "string"),
            ("withdrawn", "boolean"),
        ]),
        "AcknowledgementWanted": object(&[("finding", "string"), ("why", "string?")]),
        "Announcement": announcement(&["id", "at_seconds", "withdrawn"]),
        "AnnouncementWanted": announcement(&[]),
        "Distance": object(&[
            ("distance", "number"), ("relative", "number?"), ("cosine", "number"), ("standard_error", "number"),
            ("cosine_standard_error", "number"), ("tensors", "array"), ("not_compared", "array"),
        ]),
        "TensorDistance": object(&[
            ("tensor", "string"), ("distance", "number"), ("relative", "number?"), ("cosine", "number"),
            ("standard_error", "number"), ("cosine_standard_error", "number"),
        ]),
        "Way": object(&[
            ("keys", "array"), ("coordinates", "array"), ("moves", "array"), ("move_standard_errors", "array"),
            ("end_to_end", "number"), ("diffusion_exponent", "number?"), ("diffusion_standard_error", "number?"),
            ("events", "array"),
        ]),
        "Store": object(&[("schema", "integer"), ("readings", "integer"), ("findings", "integer"), ("disk_bytes", "integer")]),
    })
}

fn finding() -> Value {
    object(&[
        ("id", "string"),
        ("run", "string"),
        ("attempt", "integer"),
        ("step", "integer"),
        ("severity", "string"),
        ("detector", "string"),
        ("tensors", "array"),
        ("opened_at", "number"),
        ("resolved_step", "integer?"),
        ("summary", "string"),
        ("cause", "string"),
        ("remedy", "string"),
        ("evidence", "array"),
        ("dissent", "array"),
        ("confidence", "number"),
        ("last_good_step", "integer?"),
        ("silenced", "object?"),
        ("acknowledged", "object?"),
        ("run_kind", "string?"),
    ])
}

/// A silence; `own` are the fields that it is given.
fn silence(own: &[&'static str]) -> Value {
    let fields = [
        ("id", "string"),
        ("run", "string"),
        ("detector", "string?"),
        ("tensor", "string?"),
        ("at_seconds", "number"),
        ("until_seconds", "number"),
        ("why", "string"),
    ];
    let is_given = |name: &str| !["id", "at_seconds"].contains(&name) || own.contains(&name);
    object(&fields.into_iter().filter(|(name, _)| is_given(name)).collect::<Vec<_>>())
}

/// An announcement; `own` are the fields that it is given.
fn announcement(own: &[&'static str]) -> Value {
    let fields = [
        ("id", "string"),
        ("at_seconds", "number"),
        ("withdrawn", "boolean"),
        ("run", "string?"),
        ("detector", "string?"),
        ("tensors", "array"),
        ("frozen", "array"),
        ("from_step", "integer?"),
        ("until_step", "integer?"),
        ("why", "string"),
    ];
    object(&fields.into_iter().skip(3 - own.len()).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_that_is_named_is_there() {
        let document = document();
        let text = document.to_string();
        let mut named = 0;
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
            named += 1;
        }
        assert!(named > 20);
    }

    #[test]
    fn every_route_is_described_once() {
        let document = document();
        let methods =
            document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len());
        assert_eq!(methods.sum::<usize>(), super::super::all().count() + super::super::changes().count());
        for route in super::super::all() {
            assert!(!route.summary.ends_with('.') && !route.summary.is_empty(), "{}", route.path);
        }
    }
}
