//! Every documented route has a method, and every method asks for a documented route.

use std::collections::BTreeSet;

use ov_types::api::{ConfirmMachine, NewDaemon, NewRelease, NewSnapshot, RestoreSnapshot};
use serde_json::Value;

use super::*;

/// What a method asks for, and a call of it.
type Case = (&'static str, fn(&Client) -> Result<(), ClientError>);

const CASES: [Case; 26] = [
    ("GET /v1/status", |client| client.status().map(drop)),
    ("GET /v1/plans?all=true", |client| client.plans(true).map(drop)),
    ("POST /v1/plans", |client| client.add_plan(&plan()).map(drop)),
    ("DELETE /v1/plans/{id}", |client| client.cancel_plan(PlanId(7)).map(drop)),
    ("POST /v1/plans/{id}/apply", |client| client.apply_plan(PlanId(7)).map(drop)),
    ("POST /v1/plans/{id}/retry", |client| client.retry_plan(PlanId(7)).map(drop)),
    ("POST /v1/upgrade/rollback?plan=7", |client| client.rollback(Some(PlanId(7))).map(drop)),
    ("GET /v1/releases", |client| client.releases().map(drop)),
    ("POST /v1/releases", |client| {
        let (name, source) = (release(), "/srv/v1".to_owned());
        client.stage_release(&NewRelease { name, source: Some(source), sha256: None }).map(drop)
    }),
    ("DELETE /v1/releases/{name}", |client| client.remove_release(&release()).map(drop)),
    ("GET /v1/snapshots", |client| client.snapshots().map(drop)),
    ("POST /v1/snapshots", |client| client.take_snapshot(&NewSnapshot::default()).map(drop)),
    ("POST /v1/snapshots/{id}/verify", |client| client.verify_snapshot(&snapshot()).map(drop)),
    ("POST /v1/snapshots/{id}/restore", |client| {
        client.restore_snapshot(&snapshot(), &RestoreSnapshot { confirm: "alpha".to_owned(), height: None }).map(drop)
    }),
    ("DELETE /v1/snapshots/{id}", |client| client.remove_snapshot(&snapshot()).map(drop)),
    ("POST /v1/machine/confirm", |client| {
        client.confirm_machine(&ConfirmMachine { confirm: "alpha".to_owned() }).map(drop)
    }),
    ("POST /v1/units/{unit}/{order}", |client| client.unit(&UnitName::main(), UnitOrder::Stop).map(drop)),
    ("GET /v1/doctor?release=v1", |client| client.doctor(Some(&release())).map(drop)),
    ("GET /v1/history?plan=7&since=1", |client| client.history(Some(PlanId(7)), Some(1)).map(drop)),
    ("POST /v1/reload", |client| client.reload().map(drop)),
    ("POST /v1/self-upgrade", |client| {
        client.self_upgrade(&NewDaemon { program: "/opt/omnivisor".to_owned() }).map(drop)
    }),
    ("POST /v1/stop?units_stay=true", |client| client.stop(true).map(drop)),
    ("GET /v1/events?since=newest", |client| client.events(Since::Newest).map(drop)),
    ("GET /v1/events?follow=true&since=7", |client| client.follow(Since::After(7)).map(drop)),
    ("GET /v1/openapi.json", |client| client.openapi().map(drop)),
    ("GET /metrics", |client| client.metrics().map(drop)),
];

fn release() -> ReleaseName {
    ReleaseName::new("v1").unwrap()
}

fn snapshot() -> SnapshotId {
    SnapshotId::new("s1").unwrap()
}

fn document() -> Value {
    serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap()
}

/// Splits at the question mark.
fn parts(route: &str) -> (&str, &str) {
    route.split_once('?').unwrap_or((route, ""))
}

#[test]
fn every_method_asks_for_what_is_documented() {
    let document = document();
    let home = Home::new();
    // Every answer is refused alike: only the requests matter here.
    let refusal = r#"{"problem":{"code":"X","summary":"x","lasting":"permanent"},"exit_code":7}"#;
    let server = home.answer(vec![json("409 Conflict", refusal); CASES.len()]);
    for (route, call) in CASES {
        assert!(matches!(call(&home.client()), Err(ClientError::Refused(_))), "{route}");
    }
    for (request, (route, _)) in server.join().unwrap().iter().zip(CASES) {
        let (asked, asked_query) = parts(request.lines().next().unwrap().strip_suffix(" HTTP/1.1").unwrap());
        let (pattern, query) = parts(route);
        assert_eq!(asked_query, query);
        assert_eq!(asked.split('/').count(), pattern.split('/').count(), "{asked}");
        let mut words = pattern.split('/').zip(asked.split('/'));
        assert!(words.all(|(word, asked)| word == asked || word.starts_with('{')), "{route}: {asked}");
        let (method, path) = pattern.split_once(' ').unwrap();
        let parameters = &document["paths"][path][method.to_lowercase()]["parameters"];
        for name in query.split('&').filter_map(|pair| Some(pair.split_once('=')?.0)) {
            let mut known = parameters.as_array().unwrap().iter();
            assert!(known.any(|known| known["name"] == name && known["in"] == "query"), "{route}: {name}");
        }
    }
}

#[test]
fn every_documented_route_has_a_method() {
    let methods: BTreeSet<String> = CASES.iter().map(|(route, _)| parts(route).0.to_owned()).collect();
    let mut documented = BTreeSet::new();
    for (path, operations) in document()["paths"].as_object().unwrap() {
        let operations = operations.as_object().unwrap().keys();
        documented.extend(operations.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    assert_eq!(methods, documented);
}
