//! The API is what its own description says, and answers only whom it should.

use serde_json::Value;

use super::{SICK, Site, encode};
use crate::util::agent;

/// Fills a path's parameters with things that exist.
fn fill(path: &str, site: &Site) -> String {
    let findings = site.ask("/findings?severity=critical").unwrap();
    let id = encode(findings["items"][0]["id"].as_str().unwrap());
    let run = if path.contains("{id}") { encode(SICK) } else { "steady".to_owned() };
    let figure = if path.contains("checkpoints") { "S11" } else { "bands" };
    path.replace("{run}", &run)
        .replace("{step}", "60")
        .replace("{id}", &id)
        .replace("{figure}", figure)
        .replace("{name}", "app.js")
}

/// A query that the route needs to have an answer.
fn needed(path: &str) -> &'static str {
    match path {
        "/api/v1/history" => "?metric=rms",
        "/api/v1/overlay" => "?runs=steady&metric=rms",
        "/api/v1/last-good" | "/api/v1/report" => "?run=steady",
        "/api/v1/search" => "?q=attn",
        "/api/v1/distance" => "?run=steady&from=10&to=60",
        "/api/v1/siblings" => "?run=steady&from=60&tensor=transformer.h.0.attn.c_attn.weight",
        "/api/v1/trajectory" => "?run=steady",
        "/api/v1/runs/{run}/checkpoints/{step}/tensor" => "?tensor=transformer.wpe.weight",
        _ => "",
    }
}

/// Does a value have the shape that the schema describes? Says where it has not.
fn check(value: &Value, schema: &Value, all: &Value, place: &str) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.rsplit('/').next().unwrap();
        return check(value, &all["components"]["schemas"][name], all, &format!("{place}:{name}"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let is = |kind: &&str| match *kind {
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        other => panic!("{place}: unknown type {other}"),
    };
    assert!(kinds.iter().any(is), "{place}: {value:.80} is not {kinds:?}");
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(name).is_some(), "{place}: {name} is missing");
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        if let Some(value) = value.get(name) {
            check(value, schema, all, &format!("{place}.{name}"));
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values.iter().take(3).for_each(|value| check(value, items, all, &format!("{place}[]")));
    }
}

#[test]
fn every_route_answers_as_it_is_described() {
    let site = Site::open();
    let document = site.ask("/openapi.json").unwrap();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 20);
    for (path, operations) in paths {
        // Changes are tried where they are made; a stream has no end.
        if path.ends_with("/events") || operations.get("get").is_none() {
            continue;
        }
        let url = format!("{}{}{}", site.daemon.url, fill(path, &site), needed(path));
        let mut answer = agent().get(&url).call().unwrap_or_else(|error| panic!("{url}: {error}"));
        let content = &operations["get"]["responses"]["200"]["content"];
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        if let Some(json) = content.get("application/json") {
            assert!(kind.starts_with("application/json"), "{path}: {kind}");
            let value: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
            check(&value, &json["schema"], &document, path);
        } else if !path.starts_with("/assets") {
            let wanted = content.as_object().unwrap().keys().next().unwrap();
            assert!(kind.starts_with(wanted.as_str()), "{path}: {kind}");
        }
    }
}

#[test]
fn lists_are_cut_into_pages() {
    let site = Site::open();
    let first = site.ask("/runs/steady/checkpoints?limit=4").unwrap();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next_offset"]), (4, &serde_json::json!(4)));
    let rest = site.ask("/runs/steady/checkpoints?limit=4&offset=4").unwrap();
    assert_eq!((rest["items"].as_array().unwrap().len(), &rest["next_offset"]), (2, &Value::Null));
    assert_eq!(rest["items"][1]["step"], 60);
}

#[test]
fn strangers_are_refused_and_answers_are_guarded() {
    let site = Site::open();
    let config = ureq::Agent::config_builder().http_status_as_error(false).build();
    let agent = ureq::Agent::new_with_config(config);
    let ask = |path: &str, host: &str| {
        agent.get(format!("{}{path}", site.daemon.url)).header("host", host).call().unwrap()
    };
    assert_eq!(ask("/api/v1/state", "evil.example").status(), 421);
    let answer = ask("/", "localhost:1");
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
    assert!(header("content-security-policy").contains("default-src 'none'"));
    assert!(header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    let tag = header("etag");
    let again = agent.get(format!("{}/", site.daemon.url)).header("if-none-match", &tag).call().unwrap();
    assert_eq!(again.status(), 304);
    for path in
        ["/api/v1/runs/nobody", "/api/v1/runs/steady/checkpoints/61", "/nothing", "/assets/../Cargo.toml"]
    {
        let mut answer = ask(path, "localhost");
        assert_eq!(answer.status(), 404, "{path}");
        let body: Value = serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap();
        assert!(body["error"].is_string(), "{path}");
    }
    assert_eq!(ask("/api/v1/history?metric=nonsense", "localhost").status(), 404);
    assert_eq!(ask("/api/v1/runs/steady/figures/heat?role=nonsense", "localhost").status(), 400);
}

#[test]
fn the_page_is_light() {
    let site = Site::open();
    let mut total = 0;
    for path in ["/", "/assets/app.js", "/assets/style.css", "/assets/inter.woff2", "/assets/icon.svg"] {
        let bytes =
            ureq::get(format!("{}{path}", site.daemon.url)).call().unwrap().body_mut().read_to_vec().unwrap();
        total += bytes.len();
    }
    // Uncompressed already far below what is promised compressed.
    assert!(total < 2 << 20, "{total} bytes");
}
