//! What several of these tests need: a running node, raw HTTP over its socket, outputs as text.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Output;
use std::time::Duration;

use fakenode::Profile;
use ov_client::Since;
use ov_testkit::{PATIENCE, TestNode, wait_for};
use ov_types::{Event, EventKind};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// A node at release `v1` that makes blocks.
pub(crate) fn running(main_args: &[&str], configuration: &str) -> TestNode {
    let mut node = TestNode::new(Path::new(PROGRAM), main_args, configuration);
    node.start_with(&Profile::new("v1"));
    node.start();
    node.wait_for_up("main");
    node.wait_for_height(3);
    node
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(!out.contains("panicked") && !err.contains("panicked"), "{out}\n{err}");
        Self { code: output.status.code().expect("it ended by itself"), out, err }
    }
}

/// Runs a command for the node.
pub(crate) fn ask(node: &TestNode, args: &[&str]) -> Ended {
    node.omnivisor(args).into()
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn ask_well(node: &TestNode, args: &[&str]) -> String {
    let ended = ask(node, args);
    assert_eq!(ended.code, 0, "{args:?}: {ended:?}");
    ended.out
}

/// Runs a command with `--json` that must succeed, and parses what it printed.
pub(crate) fn ask_json(node: &TestNode, args: &[&str]) -> serde_json::Value {
    let out = ask_well(node, &[args, &["--json"]].concat());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{args:?}: {error}: {out}"))
}

/// Fails unless all of these stand in a text.
pub(crate) fn says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "`{part}` is missing in:\n{text}");
    }
}

/// Waits for an event.
pub(crate) fn wait_for_event(node: &TestNode, what: &str, is_it: impl Fn(&EventKind) -> bool) -> Event {
    wait_for(what, || node.client().events(Since::Oldest).ok()?.into_iter().find(|event| is_it(&event.kind)))
}

/// An answer of the control API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Sends these bytes to the control socket, and reads until the daemon hangs up. Who `leaves` says that nothing follows.
pub(crate) fn raw(node: &TestNode, request: &[u8], leaves: bool) -> String {
    let mut stream = UnixStream::connect(node.path(".omnivisor/control.sock")).expect("the daemon listens");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A daemon that refuses early may hang up before it has read everything.
    let _ = stream.write_all(request);
    if leaves {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Makes one request of the control API.
pub(crate) fn http(node: &TestNode, method: &str, path: &str, body: &str) -> Answer {
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    parse(&raw(node, format!("{head}{body}").as_bytes(), false))
}

pub(crate) fn parse(answer: &str) -> Answer {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Whether this test may do what only root may; says so when it may not.
pub(crate) fn is_root(needs: &str) -> bool {
    let id = std::process::Command::new("id").arg("-u").output().expect("`id` runs");
    let is_root = id.stdout.trim_ascii() == b"0";
    if !is_root {
        println!("skipped: needs {needs}");
    }
    is_root
}

/// For what must not happen: long enough that it would have, short enough to be borne.
pub(crate) fn a_moment() {
    std::thread::sleep(Duration::from_millis(300));
}
