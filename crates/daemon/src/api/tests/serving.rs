//! What well-behaved peers get.

use std::os::fd::AsRawFd;
use std::path::Path;

use ov_types::ExitCode;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::super::route::Gives;
use super::super::routes::ROUTES;
use super::*;

fn document() -> Value {
    serde_json::from_str(include_str!("../../../../../docs/openapi.json")).unwrap()
}

fn body_for(schema: Option<&str>) -> Value {
    match schema {
        None | Some("NewSnapshot") => Value::Null,
        Some("NewPlan") => json!({ "release": "v2", "trigger": { "at": "height", "height": 100 } }),
        Some("NewRelease") => json!({ "name": "v2", "source": "/tmp/v2" }),
        Some("NewDaemon") => json!({ "program": "/opt/omnivisor" }),
        Some("RestoreSnapshot" | "ConfirmMachine") => json!({ "confirm": "alpha" }),
        Some(other) => panic!("no body for {other}"),
    }
}

/// Compares an object with the schema of its type: nothing that is promised is missing, nothing else is there.
fn check(document: &Value, name: &str, value: &Value) {
    let schema = &document["components"]["schemas"][name];
    for key in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(key.as_str().unwrap()).is_some(), "{name} lacks {key}: {value}");
    }
    for key in value.as_object().unwrap().keys() {
        assert!(schema["properties"].get(key).is_some(), "{name} has {key}: {value}");
    }
}

#[tokio::test]
async fn every_route_is_served_as_the_document_says() {
    let daemon = Daemon::start().await;
    daemon.push();
    let document = document();
    let documented: usize =
        document["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(documented, ROUTES.len());
    for route in &ROUTES {
        assert!(document["paths"][route.path].get(route.method.to_lowercase()).is_some());
        let path = route.path.replace("{id}", "7").replace("{name}", "v2").replace("{unit}", "main");
        let path = path.replace("{order}", "restart");
        let body = body_for(route.takes);
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = daemon.ask(route.method, &path, &body).await;
        assert_eq!(answer.status, 200, "{} {path}: {answer:?}", route.method);
        match route.gives {
            Gives::One(name) => check(&document, name, &answer.json()),
            Gives::List(name) => {
                let list = answer.json();
                assert!(!list.as_array().unwrap().is_empty());
                list.as_array().unwrap().iter().for_each(|item| check(&document, name, item));
            }
            Gives::Events => assert_eq!(answer.json()[0]["event"], "unit-ready"),
            Gives::Metrics => assert!(answer.body.ends_with("# EOF\n")),
            Gives::Document => assert_eq!(answer.json(), document),
        }
    }
    daemon.finish().await;
}

#[tokio::test]
async fn what_is_asked_arrives() {
    let daemon = Daemon::start().await;
    for (method, path, body, message) in [
        ("DELETE", "/v1/plans/7", "", "cancel 7"),
        ("POST", "/v1/plans/7/apply", "", "apply 7"),
        ("POST", "/v1/plans/7/retry", "", "retry 7"),
        ("POST", "/v1/upgrade/rollback", "", "rollback None"),
        ("POST", "/v1/upgrade/rollback?plan=7", "", "rollback Some(PlanId(7))"),
        ("DELETE", "/v1/releases/v1+b%2D1", "", "remove v1+b-1"),
        ("POST", "/v1/snapshots", "", "snapshot None"),
        ("POST", "/v1/snapshots", r#"{"reason":"why"}"#, "snapshot Some(\"why\")"),
        ("POST", "/v1/snapshots/s1/restore", r#" {"confirm":"alpha"} "#, "restore s1 of alpha"),
        ("POST", "/v1/units/main/suspend", "", "suspend main"),
        ("POST", "/v1/self-upgrade", r#"{"program":"/opt/omnivisor"}"#, "become /opt/omnivisor"),
        ("POST", "/v1/stop", "", "stop, units stay: false"),
        ("POST", "/v1/stop?units_stay=true", "", "stop, units stay: true"),
    ] {
        let answer = daemon.ask(method, path, body).await;
        assert_eq!((answer.status, &answer.json()["message"]), (200, &json!(message)), "{method} {path}");
    }
    assert_eq!(daemon.ask("GET", "/v1/plans", "").await.json().as_array().unwrap().len(), 1);
    assert_eq!(daemon.ask("GET", "/v1/plans?all=true", "").await.json().as_array().unwrap().len(), 2);
    assert_eq!(daemon.ask("GET", "/v1/doctor?release=v9", "").await.json()["findings"][0]["subject"], "v9");
    let entry = daemon.ask("GET", "/v1/history?plan=7&since=41", "").await.json()[0].clone();
    assert_eq!((&entry["sequence"], &entry["record"]["plan"]), (&json!(42), &json!(7)));
    daemon.finish().await;
}

#[tokio::test]
async fn refusals_say_what_is_wrong_and_where() {
    let daemon = Daemon::start().await;
    for (method, path, body, status, exit_code, words) in [
        ("GET", "/v1/plan", "", 404, ExitCode::Usage, &["`/v1/plan`", "GET /v1/plans"][..]),
        ("PUT", "/v1/plans", "", 405, ExitCode::Usage, &["GET, POST"]),
        ("DELETE", "/v1/plans/404", "", 404, ExitCode::Refused, &["no plan", "404"]),
        ("DELETE", "/v1/plans/seven", "", 400, ExitCode::Usage, &["`id`", "`seven`", "whole number"]),
        ("DELETE", "/v1/releases/%2e%2e", "", 400, ExitCode::Usage, &["`..` is not a release name"]),
        ("DELETE", "/v1/releases/%zz", "", 400, ExitCode::Usage, &["`%zz`"]),
        ("POST", "/v1/units/main/jump", "", 400, ExitCode::Usage, &["`jump`", "stop, start, restart"]),
        ("GET", "/v1/plans?al=true", "", 400, ExitCode::Usage, &["`al`", "knows `all`"]),
        ("GET", "/v1/plans?all=yes", "", 400, ExitCode::Usage, &["`all`", "`yes`", "`true` or `false`"]),
        ("GET", "/v1/plans?all=true&all=false", "", 400, ExitCode::Usage, &["twice"]),
        ("GET", "/v1/events?since=x", "", 400, ExitCode::Usage, &["`since`", "`x`"]),
        ("POST", "/v1/plans", "", 400, ExitCode::Usage, &["missing field `release`"]),
        ("POST", "/v1/plans", "{\n \"release\": }", 400, ExitCode::Usage, &["`release`", "line 2 column 13"]),
        ("POST", "/v1/releases", r#"{"name":"v2","sorce":"/x"}"#, 400, ExitCode::Usage, &["`sorce`", "`source`"]),
        (
            "POST",
            "/v1/plans",
            r#"{"release":"v2","trigger":{"at":"height"}}"#,
            400,
            ExitCode::Usage,
            &["`trigger`: missing field `height` at line 1 column"],
        ),
        ("POST", "/v1/releases", r#"{"name":"../v2"}"#, 400, ExitCode::Usage, &["`name`: ", "`../v2`"]),
        ("POST", "/v1/snapshots", "{} {}", 400, ExitCode::Usage, &["trailing"]),
    ] {
        let answer = daemon.ask(method, path, body).await;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        let refusal = answer.refusal();
        assert_eq!(refusal.exit_code, exit_code.number(), "{answer:?}");
        assert_eq!(refusal.problem.state, "nothing was done");
        let text = format!("{} ({})", refusal.problem, refusal.problem.hint);
        for word in words {
            assert!(text.contains(word), "{method} {path}: no {word} in {text}");
        }
        assert_eq!(status == 405, answer.head.contains("\r\nallow: "));
    }
    daemon.finish().await;
}

#[tokio::test]
async fn a_connection_takes_one_request_after_another() {
    let daemon = Daemon::start().await;
    let one = "GET /v1/releases HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /v1/releases HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let text = daemon.send(format!("{one}{one}{last}").as_bytes()).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    daemon.finish().await;
}

#[tokio::test]
async fn many_peers_are_served_at_once_and_one_after_another() {
    let daemon = Arc::new(Daemon::start().await);
    let mut peers = tokio::task::JoinSet::new();
    // Three times as many as there are places.
    for _ in 0..200 {
        let daemon = daemon.clone();
        peers.spawn(async move { daemon.ask("GET", "/v1/status", "").await.status });
    }
    let statuses = timeout(PATIENCE, peers.join_all()).await.unwrap();
    assert_eq!(statuses, [200; 200]);
    Arc::into_inner(daemon).unwrap().finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_task_that_is_busy_or_gone_is_told() {
    let (daemon, queue) = Daemon::start_alone().await;
    let busy = daemon.ask("GET", "/v1/status", "").await;
    assert_eq!(busy.status, 503);
    assert_eq!(busy.refusal().exit_code, ExitCode::TimedOut.number());
    assert!(busy.refusal().problem.to_string().contains("the daemon is busy: no answer within 10s"), "{busy:?}");
    drop(queue);
    let gone = daemon.ask("GET", "/v1/status", "").await;
    assert_eq!((gone.status, gone.refusal().exit_code), (503, ExitCode::NotRunning.number()));
    daemon.finish().await;
}

#[tokio::test]
async fn an_answer_under_way_is_given_before_the_end() {
    let (mut daemon, mut queue) = Daemon::start_alone().await;
    let stream = daemon.connect().await;
    let asked = tokio::spawn(exchange(stream, b"GET /v1/snapshots HTTP/1.1\r\nhost: x\r\n\r\n"));
    let Some(Request::Snapshots { reply }) = timeout(PATIENCE, queue.recv()).await.unwrap() else {
        panic!("something else was asked")
    };
    drop(daemon.stop.take());
    tokio::task::yield_now().await;
    reply.send(Ok(Vec::new())).unwrap();
    assert_eq!(Answer::read(&asked.await.unwrap()).unwrap().json(), json!([]));
    daemon.finish().await;
}

#[tokio::test]
async fn only_metrics_are_served_on_tcp() {
    let daemon = Daemon::start().await;
    for (path, status) in [("/metrics", 200), ("/v1/status", 403), ("/v1/nothing", 403)] {
        let stream = TcpStream::connect(daemon.metrics).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let answer = Answer::read(&exchange(stream, request.as_bytes()).await).unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    daemon.finish().await;
}

#[tokio::test]
async fn the_socket_is_private_and_takes_the_place_of_an_old_one() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control.sock");
    for _ in 0..2 {
        // Dropping it leaves the socket behind, as a killed daemon does.
        let _listeners = Listeners::open(&RealDisk, directory.path(), None).await.unwrap();
        assert_eq!(RealDisk.facts(&socket).unwrap().unwrap().mode, 0o600);
        UnixStream::connect(&socket).await.unwrap();
    }
    let error = Listeners::open(&RealDisk, &directory.path().join("missing"), None).await.unwrap_err();
    assert!(error.to_string().contains("missing/control.sock"), "{error}");
}

#[tokio::test]
async fn a_path_longer_than_a_socket_address_works() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join(["a-long-folder-name"; 12].join("/"));
    ov_sys::durable::make_directories(&RealDisk, &state, 0o700).unwrap();
    let listeners = Listeners::open(&RealDisk, &state, None).await.unwrap();
    let opened = std::fs::File::open(&state).unwrap();
    let path = format!("/proc/self/fd/{}/control.sock", opened.as_raw_fd());
    UnixStream::connect(Path::new(&path)).await.unwrap();
    listeners.control.accept().await.unwrap();
}
