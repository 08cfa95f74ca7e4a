//! The control API over its socket: who may ask, what is answered, and that nobody waits for an upgrade.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use fakenode::Profile;
use ov_testkit::{PATIENCE, TestNode, wait_for, wait_until};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Trigger};
use serde_json::Value;

use super::support::{http, is_root, parse, raw, running, says};

#[test]
fn the_socket_is_for_the_owner_alone() {
    let mut node = running(&[], "");
    let mode = |path: &str| std::fs::metadata(node.path(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(".omnivisor"), mode(".omnivisor/control.sock")), (0o700, 0o600));
    if is_root("root, to ask as another user") {
        // Even where the modes would let him: the peer's user is checked as well.
        for path in ["", ".omnivisor", ".omnivisor/control.sock"] {
            std::fs::set_permissions(node.path(path), std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        let asked = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .args([super::support::PROGRAM, "status", "--home"])
            .arg(node.home())
            .output();
        match asked {
            Ok(output) => {
                let ended = super::support::Ended::from(output);
                assert_eq!((ended.code, ended.out.as_str()), (7, ""), "{ended:?}");
                says(&ended.err, &["OV-API-007", "only the user who runs the daemon"]);
            }
            Err(error) => println!("skipped: needs setpriv: {error}"),
        }
    }
    node.stop();
}

#[test]
fn wrong_requests_are_refused_with_a_reason_and_do_nothing() {
    let mut node = running(&[], "");
    let long = format!("{{\"release\": \"{}\"}}", "v".repeat(70_000));
    for (method, path, body, status, code) in [
        ("GET", "/v1/statuss", "", 404, "OV-API-001"),
        ("GET", "/", "", 404, "OV-API-001"),
        ("PUT", "/v1/status", "", 405, "OV-API-002"),
        ("DELETE", "/v1/plans", "", 405, "OV-API-002"),
        ("POST", "/v1/plans", "{", 400, "OV-API-003"),
        ("POST", "/v1/plans", "[]", 400, "OV-API-003"),
        ("POST", "/v1/plans", "{\"release\": \"v2\"}", 400, "OV-API-003"),
        ("POST", "/v1/plans", "{\"release\": \"../v2\", \"trigger\": {\"at\": \"now\"}}", 400, "OV-API-003"),
        ("POST", "/v1/plans", "{\"release\": \"v2\", \"trigger\": {\"at\": \"now\"}, \"x\": 1}", 400, "OV-API-003"),
        ("POST", "/v1/plans", "{\"release\": \"v2\", \"trigger\": {\"at\": \"now\"}} more", 400, "OV-API-003"),
        ("POST", "/v1/plans", "\u{0}\u{1}\u{2}", 400, "OV-API-003"),
        ("POST", "/v1/plans", long.as_str(), 413, "OV-API-004"),
        ("DELETE", "/v1/plans/one", "", 400, "OV-API-006"),
        ("DELETE", "/v1/plans/99999999999999999999", "", 400, "OV-API-006"),
        ("GET", "/v1/plans?all=maybe", "", 400, "OV-API-006"),
        ("GET", "/v1/plans?al=true", "", 400, "OV-API-006"),
        ("GET", "/v1/history?since=-1", "", 400, "OV-API-006"),
        ("GET", "/v1/events?since=%zz", "", 400, "OV-API-006"),
        ("POST", "/v1/units/main/explode", "", 400, "OV-API-006"),
        ("POST", "/v1/units/a%2Fb/stop", "", 400, "OV-API-006"),
        ("POST", "/v1/units/sidecar/stop", "", 404, "OV-API-022"),
        ("DELETE", "/v1/plans/77", "", 404, "OV-API-022"),
        ("DELETE", "/v1/releases/v77", "", 404, "OV-API-022"),
        ("POST", "/v1/snapshots/s77/verify", "", 404, "OV-API-022"),
    ] {
        let answer = http(&node, method, path, body);
        let shown = &body[..body.len().min(80)];
        assert_eq!(answer.status, status, "{method} {path} {shown:?}: {answer:?}");
        let refusal = answer.json();
        assert_eq!(refusal["problem"]["code"], code, "{method} {path} {shown:?}: {refusal}");
        assert!(!refusal["problem"]["causes"].as_array().unwrap().is_empty(), "{refusal}");
        assert!(refusal["exit_code"].as_u64().unwrap() > 0, "{refusal}");
    }
    says(&http(&node, "PUT", "/v1/status", "").head, &["allow: get"]);
    // Not even HTTP.
    for nonsense in
        [b"\r\n\r\n".to_vec(), b"\x16\x03\x01\x02\x00\x01".to_vec(), b"GET\r\n\r\n".to_vec(), vec![0xff; 40_000]]
    {
        let answer = raw(&node, &nonsense, true);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert!(node.status().plans.is_empty());
    assert!(!node.log().contains("panicked"), "{}", node.log());
    node.stop();
}

#[test]
fn every_question_is_answered_as_the_document_says() {
    let mut node = running(&[], "");
    let document = http(&node, "GET", "/v1/openapi.json", "");
    says(&document.head, &["application/json"]);
    let document = document.json();
    says(document["openapi"].as_str().unwrap(), &["3."]);
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_none() || path.contains('{') {
            continue;
        }
        let answer = http(&node, "GET", path, "");
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        if path != "/metrics" {
            answer.json();
        }
    }
    node.stop();
}

#[test]
fn nobody_waits_for_an_upgrade() {
    // The old release takes two seconds to stop, and the new one as long to answer.
    let mut node = running(&["--stop-delay-ms", "1500"], "");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    let over = AtomicBool::new(false);
    let (node_ref, over_ref) = (&node, &over);
    let slowest = std::thread::scope(|scope| {
        let askers: Vec<_> = [
            "/v1/status",
            "/v1/plans?all=true",
            "/v1/events?since=0",
            "/metrics",
            "/v1/releases",
            "/v1/snapshots",
            "/v1/history",
        ]
        .map(|path| {
            scope.spawn(move || {
                let mut slowest = Duration::ZERO;
                while !over_ref.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let answer = http(node_ref, "GET", path, "");
                    assert_eq!(answer.status, 200, "{path}: {answer:?}");
                    slowest = slowest.max(began.elapsed());
                    std::thread::sleep(Duration::from_millis(5));
                }
                slowest
            })
        })
        .into();
        assert_eq!(node_ref.wait_for_end(plan), Outcome::Committed);
        over.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().unwrap()).max().unwrap()
    });
    // Far less than the stop alone takes; on a busy machine threads wait for each other.
    assert!(slowest < Duration::from_millis(1_400), "an answer took {slowest:?}");
    node.stop();
}

#[test]
fn a_stream_begins_where_one_wants_and_goes_on() {
    let mut node = running(&[], "");
    let newest = node.client().events(ov_client::Since::Oldest).unwrap().last().unwrap().index;
    let mut stream = UnixStream::connect(node.path(".omnivisor/control.sock")).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let since = newest - 1;
    write!(stream, "GET /v1/events?follow=true&since={since} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut lines = BufReader::new(stream).lines().map(Result::unwrap);
    let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    says(&head.join("\n").to_lowercase(), &["200 ok", "text/event-stream"]);
    let mut next = || lines.by_ref().find_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    let first: Value = serde_json::from_str(&next().unwrap()).unwrap();
    assert_eq!(first["index"], newest);
    http(&node, "POST", "/v1/units/main/suspend", "");
    let second: Value = serde_json::from_str(&next().unwrap()).unwrap();
    assert_eq!((&second["event"], &second["index"]), (&Value::from("unit-suspended"), &Value::from(newest + 1)));
    // The end of the daemon ends the stream; nothing hangs.
    node.stop();
    while next().is_some() {}
}

/// The value of a metric, by its whole name with labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn check_form(text: &str) {
    assert!(text.ends_with("# EOF\n"), "{text}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
        assert!(name.starts_with("omnivisor_"), "{line}");
        assert!(value.parse::<f64>().is_ok(), "{line}");
    }
}

fn scrape(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

#[test]
fn metrics_are_served_on_both_doors_and_move() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut node = running(&[], &format!("[metrics]\nlisten = \"{free}\"\n"));
    let on_socket = |node: &TestNode| http(node, "GET", "/metrics", "").body;
    let before = wait_for("the height in the metrics", || {
        Some(on_socket(&node)).filter(|text| metric(text, "omnivisor_height").is_some_and(|height| height > 0.0))
    });
    check_form(&before);
    assert_eq!(metric(&before, "omnivisor_unit_up{unit=\"main\"}"), Some(1.0), "{before}");
    let launches = metric(&before, "omnivisor_unit_launches_total{unit=\"main\"}").unwrap();
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    wait_until("the metrics to move", || {
        let now = on_socket(&node);
        metric(&now, "omnivisor_height") > metric(&before, "omnivisor_height")
            && metric(&now, "omnivisor_unit_launches_total{unit=\"main\"}") == Some(launches + 1.0)
            && metric(&now, "omnivisor_upgrades_total{outcome=\"committed\"}") == Some(1.0)
            && metric(&now, "omnivisor_upgrade_gap_seconds").is_some_and(|gap| gap > 0.0)
    });
    let over_tcp = scrape(&free, "/metrics");
    let answer = parse(&over_tcp);
    assert_eq!(answer.status, 200);
    let body = answer.body;
    check_form(&body);
    // Nothing else is served there.
    for path in ["/v1/status", "/v1/stop", "/"] {
        let refused = parse(&scrape(&free, path));
        assert_eq!(refused.status, 403, "{refused:?}");
    }
    node.stop();
}
