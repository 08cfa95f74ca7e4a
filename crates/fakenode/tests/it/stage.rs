//! A place for one test: releases, a home, and the processes that the test started.

use fakenode::lifecycle::{self, Entry, Step};
use fakenode::{Profile, Report};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `condition` gives a value, or fails the test.
pub(crate) fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        sleep(Duration::from_millis(5));
    }
}

/// Runs a program to its end.
pub(crate) fn run(program: &Path, line: &str) -> Output {
    Command::new(program).args(line.split_whitespace()).output().unwrap()
}

pub(crate) struct Stage {
    folder: tempfile::TempDir,
    program: PathBuf,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), program: env!("CARGO_BIN_EXE_fakenode").into() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home().join("data")
    }

    /// The same stage with another release of the program.
    pub(crate) fn switch_to(&mut self, profile: &Profile) {
        let directory = self.path("releases").join(&profile.version);
        self.program = profile.install(&directory, Path::new(env!("CARGO_BIN_EXE_fakenode"))).unwrap();
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        run(&self.program, line)
    }

    pub(crate) fn command(&self, home: &Path, switches: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("start").arg("--home").arg(home).args(switches.split_whitespace());
        command.stdin(Stdio::null());
        command
    }

    /// Starts a node in the home of the stage, its output in a file.
    pub(crate) fn start(&self, switches: &str) -> Node {
        Node::spawn(self.command(&self.home(), switches), &self.home())
    }

    pub(crate) fn start_in(&self, home: &Path, switches: &str) -> Node {
        Node::spawn(self.command(home, switches), home)
    }

    pub(crate) fn verify(&self) -> Report {
        let output = self.run(&format!("verify --home {}", self.home().display()));
        let report: Report = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(output.status.success(), report.ok);
        report
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        lifecycle::read(&self.home()).unwrap().into_iter().map(|entry: Entry| entry.step).collect()
    }

    pub(crate) fn assert_ok(&self) -> Report {
        let report = self.verify();
        assert!(report.ok, "{report:#?}");
        report
    }
}

/// A running node; killed when the test ends.
pub(crate) struct Node {
    child: Child,
    home: PathBuf,
    output: PathBuf,
}

impl Node {
    pub(crate) fn spawn(mut command: Command, home: &Path) -> Self {
        fs::create_dir_all(home).unwrap();
        // A name for each run, so that no line of an earlier run satisfies a wait.
        let runs = fs::read_dir(home).unwrap().count();
        let output = home.join(format!("output-{runs}-{}", std::process::id()));
        let file = File::create(&output).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        Self { child: command.spawn().unwrap(), home: home.to_owned(), output }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn output(&self) -> String {
        text(&fs::read(&self.output).unwrap())
    }

    pub(crate) fn raw_output(&self) -> Vec<u8> {
        fs::read(&self.output).unwrap()
    }

    pub(crate) fn await_line(&self, part: &str) {
        wait_for(&format!("`{part}` in {}", self.output()), || self.output().contains(part).then_some(()));
    }

    pub(crate) fn await_height(&self, height: u64) {
        self.await_line(&format!("committed block height={height} "));
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = i32::try_from(self.pid()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    pub(crate) fn await_end(&mut self) -> ExitStatus {
        wait_for("the end of the node", || self.child.try_wait().unwrap())
    }

    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Asks for a graceful stop and returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        self.await_end().code()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.await_end().signal(), Some(9));
    }

    fn port(&self) -> u16 {
        self.await_line("listening on port");
        fs::read_to_string(self.home.join("http.port")).unwrap().trim().parse().unwrap()
    }

    /// Status line and body of an answer; an error when none comes in time.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port()))?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let length = body.len();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        // A node that ends meanwhile answers with nothing.
        let parts = answer.split_once("\r\n\r\n");
        let code = answer.split_whitespace().nth(1).and_then(|code| code.parse().ok());
        let (code, (_, body)) = code.zip(parts).ok_or(std::io::ErrorKind::UnexpectedEof)?;
        Ok((code, body.to_owned()))
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, "").unwrap()
    }

    pub(crate) fn get_json(&self, path: &str) -> Value {
        serde_json::from_str(&self.get(path).1).unwrap()
    }

    pub(crate) fn control(&self, body: &str) -> u16 {
        self.ask("POST", "/control", body).unwrap().0
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One line of `/proc/PID/status`, if the process is there.
pub(crate) fn process_status(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(&format!("{name}:")))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
