//! A node in Cosmovisor's layout with the drop-in that looks after it. Whatever was started is gone when it is dropped.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fakenode::{Profile, Report, lifecycle};
use ov_testkit::{DropIn, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

pub(super) struct Node {
    drop_in: DropIn,
    home: tempfile::TempDir,
    /// Behind `run start` and the home.
    pub(super) arguments: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    address: String,
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
        let drop_in = DropIn::new(home.path());
        let node = Self { drop_in, home, arguments, variables: Vec::new(), address };
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
        let command = self.command(&self.start_words());
        self.drop_in.start(command);
    }

    /// A second `run start`.
    pub(super) fn start_another(&self) -> Output {
        self.call(&self.start_words())
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

impl Deref for Node {
    type Target = DropIn;

    fn deref(&self) -> &DropIn {
        &self.drop_in
    }
}

impl DerefMut for Node {
    fn deref_mut(&mut self) -> &mut DropIn {
        &mut self.drop_in
    }
}
