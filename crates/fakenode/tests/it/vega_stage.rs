//! A network of the Vega family for one test: a home, releases, and a witness apart from both.

use crate::stage::{Node, text, wait_for};
use fakenode::vega::{self, Role};
use fakenode::{Profile, VersionSpan};
use serde_json::{Map, Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

pub(crate) struct Vega {
    folder: tempfile::TempDir,
    name: &'static str,
}

impl Vega {
    pub(crate) fn new() -> Self {
        Self::named("vega")
    }

    pub(crate) fn named(name: &'static str) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), name }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn witness(&self) -> PathBuf {
        self.path("witness")
    }

    /// A release with a quick chain.
    pub(crate) fn release(&self, version: &str) -> PathBuf {
        self.install(Profile::new(version).with("block_ms", 5))
    }

    pub(crate) fn install(&self, profile: Profile) -> PathBuf {
        let profile = profile.with("witness", self.witness().to_str().unwrap());
        let fakenode = Path::new(env!("CARGO_BIN_EXE_fakenode"));
        profile.install_as(&self.path(&profile.version), self.name, fakenode).unwrap()
    }

    /// A call of a release with its home; the line may hold switches.
    pub(crate) fn command(&self, program: &Path, line: &str) -> Command {
        let mut command = Command::new(program);
        command.args(line.split_whitespace()).arg("--home").arg(self.home()).stdin(Stdio::null());
        command
    }

    pub(crate) fn spawn(&self, program: &Path, line: &str) -> Node {
        Node::spawn(self.command(program, line), &self.home())
    }

    pub(crate) fn core(&self, program: &Path, line: &str) -> Node {
        self.spawn(program, &format!("start --admin.server.socket-path {} {line}", self.path("vega.sock").display()))
    }

    pub(crate) fn data_node(&self, program: &Path, line: &str) -> Node {
        self.spawn(program, &format!("datanode start {line}"))
    }

    pub(crate) fn call(&self, program: &Path, line: &str) -> Output {
        self.command(program, line).output().unwrap()
    }

    pub(crate) fn call_json(&self, program: &Path, line: &str) -> Value {
        serde_json::from_slice(&self.call(program, line).stdout).unwrap()
    }

    /// What the core is told from now on.
    pub(crate) fn tell(&self, switches: Value) {
        self.tell_to(Role::Core, switches);
    }

    pub(crate) fn tell_to(&self, role: Role, switches: Value) {
        let switches: Map<String, Value> = serde_json::from_value(switches).unwrap();
        vega::tell(&self.witness(), role, &switches).unwrap();
    }

    /// The whole answer to a request, or nothing if none comes in time.
    pub(crate) fn ask(&self, head: &str, body: &str) -> Option<String> {
        let mut stream = wait_for("the socket", || UnixStream::connect(self.path("vega.sock")).ok());
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let length = body.len();
        write!(stream, "{head}\r\nHost: unix\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(text(&answer))
    }

    pub(crate) fn post(&self, body: &str) -> Option<String> {
        self.ask("POST /rpc HTTP/1.1\r\nContent-Type: application/json", body)
    }

    /// The result of the one method there is, as the supervisor asks for it.
    pub(crate) fn status(&self) -> Value {
        let answer = self.post(r#"{"method":"protocolupgrade.UpgradeStatus","params":[null],"id":7}"#).unwrap();
        let body = answer.split_once("\r\n\r\n").unwrap().1;
        let answer: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&answer["error"], &answer["id"]), (&Value::Null, &json!(7)), "{answer}");
        answer["result"].clone()
    }

    pub(crate) fn await_ready(&self) -> Value {
        wait_for("the upgrade", || Some(self.status()).filter(|status| status["ReadyToUpgrade"] == true))
    }

    pub(crate) fn blocks(&self) -> Vec<VersionSpan> {
        vega::blocks(&self.witness()).unwrap()
    }

    pub(crate) fn violations(&self) -> Vec<String> {
        let all = vega::violations(&self.witness()).unwrap();
        all.into_iter().map(|violation| violation.kind).collect()
    }
}

pub(crate) fn span(version: &str, from: u64, to: u64) -> VersionSpan {
    VersionSpan { version: version.to_owned(), from, to }
}
