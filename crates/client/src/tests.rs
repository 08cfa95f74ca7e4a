//! The client against daemons that are absent, well, ill and hostile.

mod routes;

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{Client, ClientError, Since};
use ov_types::api::{NewPlan, UnitOrder};
use ov_types::{EventKind, ExitCode, PlanId, ReleaseName, SnapshotId, Trigger, UnitName};
use tempfile::TempDir;

struct Home {
    _directory: TempDir,
    path: PathBuf,
}

impl Home {
    fn new() -> Self {
        Self::below("")
    }

    fn below(folders: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(folders);
        std::fs::create_dir_all(path.join(".omnivisor")).unwrap();
        Self { _directory: directory, path }
    }

    fn client(&self) -> Client {
        Client::new(&self.path).patience(Duration::from_secs(20))
    }

    fn listen(&self) -> UnixListener {
        UnixListener::bind(self.path.join(".omnivisor/control.sock")).unwrap()
    }

    /// Answers each of these texts to one connection, and gives back the requests.
    fn answer(&self, answers: Vec<Vec<u8>>) -> JoinHandle<Vec<String>> {
        let listener = self.listen();
        thread::spawn(move || answers.iter().map(|answer| answer_one(&listener.accept().unwrap().0, answer)).collect())
    }
}

fn answer_one(mut stream: &UnixStream, answer: &[u8]) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let len = stream.read(&mut piece).unwrap();
        assert!(len > 0, "the client left in the middle of its request");
        request.extend_from_slice(&piece[..len]);
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some(head_len) = text.find("\r\n\r\n") else { continue };
        let body_len = text
            .find("content-length: ")
            .map_or(0, |start| text[start + 16..].lines().next().unwrap().parse::<usize>().unwrap());
        if request.len() >= head_len + 4 + body_len {
            break;
        }
    }
    // A client that has seen enough may leave earlier.
    let _ = stream.write_all(answer);
    String::from_utf8(request).unwrap()
}

fn json(status: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn plan() -> NewPlan {
    NewPlan {
        release: ReleaseName::new("v2+build").unwrap(),
        trigger: Trigger::Now,
        on_failure: None,
        source: None,
        sha256: None,
        keep: None,
        replaces: None,
    }
}

const ACKNOWLEDGED: &str = r#"{"message":"done"}"#;

#[test]
fn no_daemon_is_told_apart_from_a_broken_one() {
    let home = Home::new();
    let error = home.client().status().unwrap_err();
    assert!(matches!(&error, ClientError::NotRunning { home: named } if *named == home.path), "{error:?}");
    assert_eq!(error.exit_code(), ExitCode::NotRunning);
    // The socket of a daemon that was killed is still there.
    drop(home.listen());
    assert!(matches!(home.client().status().unwrap_err(), ClientError::NotRunning { .. }));
    // A home whose place is taken by something else is no home that could have a daemon.
    let client = Client::new("/dev/null");
    assert!(matches!(client.status().unwrap_err(), ClientError::Connect { .. }));
}

#[test]
fn requests_are_what_the_routes_want() {
    let home = Home::new();
    let server = home.answer(vec![json("200 OK", ACKNOWLEDGED); 5]);
    let client = home.client();
    assert_eq!(client.add_plan(&plan()).unwrap().message, "done");
    client.cancel_plan(PlanId(7)).unwrap();
    client.rollback(Some(PlanId(7))).unwrap();
    client.unit(&UnitName::main(), UnitOrder::Restart).unwrap();
    client.remove_snapshot(&SnapshotId::new("s+1").unwrap()).unwrap();
    let requests = server.join().unwrap();
    let lines: Vec<&str> = requests.iter().map(|request| request.lines().next().unwrap()).collect();
    assert_eq!(
        lines,
        [
            "POST /v1/plans HTTP/1.1",
            "DELETE /v1/plans/7 HTTP/1.1",
            "POST /v1/upgrade/rollback?plan=7 HTTP/1.1",
            "POST /v1/units/main/restart HTTP/1.1",
            "DELETE /v1/snapshots/s+1 HTTP/1.1",
        ]
    );
    let body = requests[0].split("\r\n\r\n").nth(1).unwrap();
    assert_eq!(serde_json::from_str::<NewPlan>(body).unwrap(), plan());
}

#[test]
fn a_refusal_arrives_whole() {
    let home = Home::new();
    let refusal = r#"{"problem":{"code":"OV-UPG-012","summary":"cancel plan 7","causes":["it was triggered"],
        "lasting":"permanent"},"exit_code":7}"#;
    let server = home.answer(vec![json("409 Conflict", refusal)]);
    let error = home.client().cancel_plan(PlanId(7)).unwrap_err();
    assert_eq!(error.to_string(), "cancel plan 7: it was triggered");
    assert_eq!(error.exit_code(), ExitCode::Refused);
    let ClientError::Refused(refusal) = error else { panic!("{error:?}") };
    assert_eq!(refusal.problem.code, "OV-UPG-012");
    server.join().unwrap();
}

#[test]
fn what_is_no_answer_is_an_error_and_never_a_panic() {
    let home = Home::new();
    let answers = vec![
        b"\x16\x03\x01 this is no HTTP at all\r\n\r\n".to_vec(),
        json("200 OK", "{\"node\":"),
        json("200 OK", "[]"),
        json("500 Internal Server Error", "<html>"),
        json("204 No Content", ""),
    ];
    let len = answers.len();
    let server = home.answer(answers);
    for index in 0..len {
        let error = home.client().status().unwrap_err();
        assert!(matches!(error, ClientError::Protocol { .. }), "{index}: {error:?}");
    }
    server.join().unwrap();
}

#[test]
fn a_daemon_that_dies_in_the_middle_is_lost() {
    let home = Home::new();
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"node\"".to_vec();
    let server = home.answer(vec![Vec::new(), half]);
    for index in 0..2 {
        let error = home.client().status().unwrap_err();
        assert!(matches!(error, ClientError::Lost { .. }), "{index}: {error:?}");
    }
    server.join().unwrap();
}

#[test]
fn a_daemon_that_hangs_is_waited_for_only_so_long() {
    let home = Home::new();
    // The kernel accepts into the backlog; nobody ever answers.
    let _listener = home.listen();
    let client = home.client().patience(Duration::from_millis(50));
    for error in [client.status().unwrap_err(), client.follow(Since::Oldest).unwrap_err()] {
        assert!(matches!(error, ClientError::TimedOut { waited_ms: 50 }), "{error:?}");
        assert_eq!(error.exit_code(), ExitCode::TimedOut);
    }
}

#[test]
fn a_home_with_a_path_longer_than_a_socket_address_works() {
    let home = Home::below(&["a-long-folder-name"; 12].join("/"));
    assert!(home.path.as_os_str().len() > 200);
    assert!(matches!(home.client().status().unwrap_err(), ClientError::NotRunning { .. }));
    let directory = std::fs::File::open(home.path.join(".omnivisor")).unwrap();
    let path = format!("/proc/self/fd/{}/control.sock", std::os::fd::AsRawFd::as_raw_fd(&directory));
    let listener = UnixListener::bind(Path::new(&path)).unwrap();
    let server = thread::spawn(move || answer_one(&listener.accept().unwrap().0, &json("200 OK", ACKNOWLEDGED)));
    home.client().apply_plan(PlanId(1)).unwrap();
    server.join().unwrap();
}

#[test]
fn a_stream_gives_events_and_then_ends() {
    let home = Home::new();
    let body = ":\n\nid: 4\ndata: {\"index\":4,\"at_ms\":1,\"event\":\"unit-ready\",\"unit\":\"main\"}\n\n:\n\nid: 5\n\
                data: {\"index\":5,\"at_ms\":2,\"event\":\"from-the-future\",\"x\":[1]}\n\n";
    let server = home.answer(vec![json("200 OK", body)]);
    let mut stream = home.client().follow(Since::After(3)).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().kind, EventKind::UnitReady { unit: UnitName::main() });
    assert_eq!(stream.last_index(), Some(4));
    assert_eq!(stream.next().unwrap().unwrap().kind, EventKind::Unknown);
    assert!(stream.next().is_none());
    assert!(stream.next().is_none());
    let request = server.join().unwrap().remove(0);
    assert!(request.starts_with("GET /v1/events?follow=true&since=3 HTTP/1.1\r\n"), "{request}");
}

#[test]
fn a_stream_that_breaks_says_so_once() {
    let home = Home::new();
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nid: 1\ndata: {\"ind".to_vec();
    let server = home.answer(vec![cut]);
    let mut stream = home.client().follow(Since::Oldest).unwrap();
    assert!(matches!(stream.next(), Some(Err(ClientError::Lost { .. }))));
    assert!(stream.next().is_none());
    server.join().unwrap();
}

#[test]
fn names_made_from_other_peoples_words_arrive_as_they_are() {
    let home = Home::new();
    let server = home.answer(vec![json("200 OK", ACKNOWLEDGED), json("200 OK", ACKNOWLEDGED)]);
    home.client().remove_release(&ReleaseName::new("some%20spaces&more").unwrap()).unwrap();
    home.client().remove_snapshot(&SnapshotId::new("data@1").unwrap()).unwrap();
    let requests = server.join().unwrap();
    assert!(requests[0].starts_with("DELETE /v1/releases/some%2520spaces%26more HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[1].starts_with("DELETE /v1/snapshots/data%401 HTTP/1.1\r\n"), "{}", requests[1]);
}
