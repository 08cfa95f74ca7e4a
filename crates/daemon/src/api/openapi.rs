//! The OpenAPI document, made from the table of routes and the types that cross the wire.
//!
//! It is made by a test and committed as `docs/openapi.json`, so that the daemon carries a text and no schema maker.
//! `OMNIVISOR_BLESS=1 cargo test -p ov-daemon openapi` writes it anew.

use ov_types::{Event, api};
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::answer::{EVENT_STREAM, JSON, OPEN_METRICS};
use super::route::{Gives, Route};
use super::routes::ROUTES;

/// Makes the document.
fn document() -> Value {
    let mut paths = Map::new();
    for route in &ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation(route);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Omnivisor control API",
            "version": "1",
            "description": "Served on the unix socket `.omnivisor/control.sock` in a node's home. Times are \
                            milliseconds since 1970 in UTC unless they say otherwise.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "http://localhost" }],
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn operation(route: &Route) -> Value {
    let variables = route.path.split('/').filter_map(|word| word.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = variables
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    parameters.extend(route.query.iter().map(|parameter| {
        json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.summary,
            "schema": { "type": parameter.schema },
        })
    }));
    let mut operation = json!({
        "operationId": operation_id(route),
        "summary": route.summary,
        "responses": {
            "200": { "description": "Done.", "content": content(&route.gives) },
            "default": {
                "description": "Refused, with the reason and the state of the node.",
                "content": { JSON: { "schema": reference("Refusal") } },
            },
        },
    });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some(body) = route.takes {
        operation["requestBody"] = json!({ "content": { JSON: { "schema": reference(body) } } });
    }
    operation
}

/// `post_plans_id_apply`.
fn operation_id(route: &Route) -> String {
    let words = route.path.trim_start_matches("/v1").split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    std::iter::once(route.method.to_lowercase()).chain(words.map(str::to_owned)).collect::<Vec<_>>().join("_")
}

fn content(gives: &Gives) -> Value {
    let list = |name| json!({ "type": "array", "items": reference(name) });
    match gives {
        Gives::One(name) => json!({ JSON: { "schema": reference(name) } }),
        Gives::List(name) => json!({ JSON: { "schema": list(name) } }),
        Gives::Events => json!({
            JSON: { "schema": list("Event") },
            EVENT_STREAM: { "schema": { "type": "string", "description": "`id: <index>` and `data: <Event>`" } },
        }),
        Gives::Metrics => json!({ OPEN_METRICS: { "schema": { "type": "string" } } }),
        Gives::Document => json!({ JSON: { "schema": { "type": "object" } } }),
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn schemas() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = SchemaGenerator::new(settings);
    macro_rules! add {
        ($($type:ty),* $(,)?) => { $(generator.subschema_for::<$type>();)* };
    }
    add!(
        api::Status,
        api::PlanStatus,
        api::NewPlan,
        api::ReleaseStatus,
        api::NewRelease,
        api::SnapshotStatus,
        api::NewSnapshot,
        api::RestoreSnapshot,
        api::ConfirmMachine,
        api::SnapshotReport,
        api::DoctorReport,
        api::HistoryEntry,
        api::NewDaemon,
        api::Acknowledged,
        api::ReloadReport,
        api::Refusal,
        Event,
    );
    generator.take_definitions(true)
}

/// Every reference in a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(members) => members.iter().for_each(|member| references(member, found)),
        _ => {}
    }
}

#[test]
fn the_committed_document_is_what_is_served() {
    let made = format!("{:#}\n", document());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    if std::env::var_os("OMNIVISOR_BLESS").is_some() {
        std::fs::write(path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap();
    assert!(committed == made, "docs/openapi.json is not what the routes say; write it anew with OMNIVISOR_BLESS=1");
}

#[test]
fn every_reference_leads_somewhere_and_every_name_is_used_once() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > ROUTES.len());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
    let mut ids: Vec<String> = ROUTES.iter().map(operation_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), ROUTES.len());
}
