//! A node in Cosmovisor's layout with the drop-in that looks after it. Whatever was started is gone when it is dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fakenode::{Profile, Report, lifecycle};
use ov_testkit::{marked_processes, wait_for, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

pub(super) struct Node {
    home: tempfile::TempDir,
    /// Behind `run start` and the home.
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    address: String,
    running: Option<Child>,
    runs: u32,
}

impl Node {
    /// A home whose first release is `v1`, and which knows of these upgrades and halts for them with exit code 2.
    pub(super) fn new(schedule: &str) -> Self {
        Self::halting(schedule, &["--halt-exit", "2"])
    }

    /// The same with other words behind the schedule.
    pub(super) fn halting(schedule: &str, more: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.{}.{}.{}:26657", 1 + process / 256 % 250, process % 256, 1 + count % 254);
        let home = tempfile::Builder::new().prefix("omnivisor-test-").tempdir().unwrap();
        let mut arguments: Vec<String> = ["--block-ms", "20", "--http", &address].map(str::to_owned).to_vec();
        if !schedule.is_empty() {
            arguments.extend(["--upgrades".to_owned(), schedule.to_owned()]);
        }
        arguments.extend(more.iter().map(|word| (*word).to_owned()));
        let node = Self { home, arguments, variables: Vec::new(), address, running: None, runs: 0 };
        fs::create_dir(node.path("data")).unwrap();
        node.listen_at(&node.address);
        node.install("genesis", &Profile::new("v1"));
        node
    }

    /// Has the configuration of the node say where it answers.
    pub(super) fn listen_at(&self, address: &str) {
        fs::create_dir_all(self.path("config")).unwrap();
        fs::write(self.path("config/config.toml"), format!("[rpc]\nladdr = \"tcp://{address}\"\n")).unwrap();
    }

    /// Nobody is told where the node answers: its height cannot be learned from it.
    pub(super) fn answer_nobody(&self) {
        fs::write(self.path("config/config.toml"), "[rpc]\nladdr = \"\"\n").unwrap();
    }

    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.home.path().join(inside)
    }

    /// Puts a release into `cosmovisor/<place>`.
    pub(super) fn install(&self, place: &str, profile: &Profile) {
        profile.install(&self.path("cosmovisor").join(place), PROGRAM.as_ref()).unwrap();
    }

    /// Puts a release there that carries out the upgrade of its name.
    pub(super) fn stage(&self, name: &str) {
        self.install(&format!("upgrades/{name}"), &Profile::new(name).with("handles", vec![name]));
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A call of `cosmovisor`.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg0("cosmovisor").args(words).stdin(Stdio::null()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("DAEMON_HOME", self.home.path()).env("DAEMON_NAME", "fakenode");
        command.env("COSMOVISOR_COLOR_LOGS", "false");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn call(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Where the node answers.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// `omnivisor …` on the home.
    pub(super) fn omnivisor(&self, words: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(self.home.path()).args(words).env_remove("OMNIVISOR_HOME").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The node as everybody calls it who wants to confirm something.
    pub(super) fn name(&self) -> String {
        self.home.path().file_name().unwrap().to_str().unwrap().to_owned()
    }

    fn start_words(&self) -> Vec<&str> {
        let home = self.home.path().to_str().unwrap();
        ["run", "start", "--home", home].into_iter().chain(self.arguments.iter().map(String::as_str)).collect()
    }

    pub(super) fn start(&mut self) {
        assert!(self.running.is_none(), "it is running already");
        self.runs += 1;
        let mut command = self.command(&self.start_words());
        command.stdout(File::create(self.path("stdout")).unwrap()).stderr(File::create(self.path("stderr")).unwrap());
        self.running = Some(command.spawn().unwrap());
    }

    /// A second `run start`.
    pub(super) fn start_another(&self) -> Output {
        self.call(&self.start_words())
    }

    /// What the present or last `run start` wrote to standard output, the node's lines and ours.
    pub(super) fn out(&self) -> String {
        fs::read_to_string(self.path("stdout")).unwrap_or_default()
    }

    pub(super) fn err(&self) -> String {
        fs::read_to_string(self.path("stderr")).unwrap_or_default()
    }

    /// Waits until something of this was written.
    pub(super) fn wait_for_line(&self, part: &str) {
        wait_until(&format!("a line with {part:?}"), || self.out().contains(part));
    }

    pub(super) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    pub(super) fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().id()
    }

    /// Waits for the drop-in's own end; nothing of the node is left then.
    pub(super) fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.running.take().expect("it runs");
        let status = wait_for("the drop-in to end", || child.try_wait().unwrap());
        wait_until("nothing of the node to be left", || marked_processes(self.home.path()).is_empty());
        status
    }

    /// Sends a signal, once there is somebody to hear it: before, it would only end the drop-in, as kill -9 does.
    pub(super) fn signal(&self, name: &str) {
        wait_until("the drop-in to listen", || {
            let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & (1 << 14) != 0)
        });
        Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status().unwrap();
    }

    pub(super) fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Kills the drop-in and nothing else.
    pub(super) fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Kills everything, as a power cut does.
    pub(super) fn kill_all(&mut self) {
        self.kill();
        self.kill_left();
    }

    fn kill_left(&self) {
        for _ in 0..200 {
            let left = marked_processes(self.home.path());
            if left.is_empty() {
                return;
            }
            for pid in left {
                let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).stderr(Stdio::null()).status();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `current` says, letter for letter.
    pub(super) fn current(&self) -> String {
        fs::read_link(self.path("cosmovisor/current")).unwrap().to_str().unwrap().to_owned()
    }

    pub(super) fn height(&self) -> u64 {
        fakenode::verify_data(&self.path("data")).map_or(0, |report| report.last_height)
    }

    pub(super) fn wait_for_height(&self, height: u64) {
        wait_until(&format!("height {height}"), || self.height() >= height);
    }

    /// Which versions were launched, in order.
    pub(super) fn launched(&self) -> Vec<String> {
        let entries = lifecycle::read(self.home.path()).unwrap();
        entries.into_iter().filter(|it| it.step == lifecycle::Step::Exec).map(|it| it.version).collect()
    }

    /// Which version made which blocks, up to which height: `v1@59` says that `v1` made everything up to 59. Fails unless
    /// the data is whole.
    pub(super) fn blocks(&self) -> Vec<String> {
        let report: Report = fakenode::verify_home(self.home.path()).unwrap();
        assert!(report.violations.is_empty() && report.problems.is_empty(), "{report:?}");
        report.versions.iter().map(|span| format!("{}@{}", span.version, span.to)).collect()
    }

    /// The same without what the last version made, which is still making.
    pub(super) fn blocks_before_last(&self) -> Vec<String> {
        let mut all = self.blocks();
        all.pop();
        all
    }

    pub(super) fn write_plan(&self, text: &str) {
        fs::write(self.path("data/upgrade-info.json"), text).unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("standard output:\n{}\nstandard error:\n{}", self.out(), self.err());
        }
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.kill_left();
    }
}
