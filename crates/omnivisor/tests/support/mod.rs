//! A daemon that answers from a script, and the real program run against it.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use ov_types::Event;
use serde::Serialize;

/// One request as it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Method and path with its query.
    pub(crate) line: String,
    pub(crate) body: String,
}

#[derive(Debug)]
struct Route {
    line: String,
    /// The last one is given again and again.
    answers: VecDeque<(u16, String)>,
}

#[derive(Debug, Default)]
struct Script {
    routes: Vec<Route>,
    asked: Vec<Asked>,
    events: Vec<Event>,
}

/// A home with a daemon that answers from a script. It stops answering when dropped.
#[derive(Debug)]
pub(crate) struct FakeDaemon {
    home: tempfile::TempDir,
    script: Arc<Mutex<Script>>,
}

impl FakeDaemon {
    pub(crate) fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join(".omnivisor")).unwrap();
        let listener = UnixListener::bind(home.path().join(".omnivisor/control.sock")).unwrap();
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { home, script }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    /// Answers this request so; given several times, in that order, and the last one from then on.
    pub(crate) fn on<T: Serialize>(&self, line: &str, status: u16, answer: &T) -> &Self {
        let answer = (status, serde_json::to_string(answer).unwrap());
        let mut script = self.script.lock().unwrap();
        match script.routes.iter_mut().find(|route| route.line == line) {
            Some(route) => route.answers.push_back(answer),
            None => script.routes.push(Route { line: line.to_owned(), answers: VecDeque::from([answer]) }),
        }
        self
    }

    /// The events that were and will be.
    pub(crate) fn events(&self, events: Vec<Event>) -> &Self {
        self.script.lock().unwrap().events = events;
        self
    }

    /// What was asked so far, except for the event stream.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.script.lock().unwrap().asked.clone()
    }

    /// Takes the socket away, as a daemon that ended.
    pub(crate) fn vanish(&self) {
        std::fs::remove_file(self.home().join(".omnivisor/control.sock")).unwrap();
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        run_in(self.home(), arguments)
    }
}

fn answer(stream: UnixStream, script: &Mutex<Script>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        head.push(line.trim_end().to_owned());
    }
    let length = head.iter().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let line = head[0].trim_end_matches(" HTTP/1.1").to_owned();
    let mut stream = reader.into_inner();
    if line.starts_with("GET /v1/events?follow=true") {
        follow(&mut stream, script);
        return;
    }
    let (status, text) = {
        let mut script = script.lock().unwrap();
        let found = script.routes.iter_mut().find(|route| route.line == line).map(|route| {
            let is_last = route.answers.len() == 1;
            if is_last { route.answers[0].clone() } else { route.answers.pop_front().unwrap() }
        });
        script.asked.push(Asked { line: line.clone(), body: String::from_utf8(body).unwrap() });
        found.unwrap_or_else(|| (500, format!("{{\"unscripted\": {line:?}}}")))
    };
    let length = text.len();
    let _ = write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{text}");
}

/// Sends all events, and holds the line until the reader leaves.
fn follow(stream: &mut UnixStream, script: &Mutex<Script>) {
    let events = script.lock().unwrap().events.clone();
    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    for event in events {
        let _ = write!(stream, "id: {}\ndata: {}\n\n", event.index, serde_json::to_string(&event).unwrap());
    }
    let _ = stream.read(&mut [0]);
}

/// How a run of the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program, with an environment of its own.
pub(crate) fn program(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omnivisor"));
    command.args(arguments).current_dir(home).stdin(Stdio::null());
    command.env_clear().env("TZ", "UTC").env("OMNIVISOR_HOME", home);
    command
}

/// Runs the program for a home.
pub(crate) fn run_in(home: &Path, arguments: &[&str]) -> Ended {
    program(home, arguments).output().unwrap().into()
}
