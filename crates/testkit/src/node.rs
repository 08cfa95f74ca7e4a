//! A node in a temporary home: `fakenode` under the real `omnivisor`.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fakenode::Profile;
use ov_client::Client;
use ov_types::api::{NewPlan, PlanPhase, Status, UnitStatus};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, PlanId, ReleaseName, Trigger, UnitName, UnitState};

use crate::mount::unmount_below;
use crate::processes::{is_alive, kill_marked, marked_processes};
use crate::{wait_for, wait_until};

/// A node with its home, its daemon and its releases.
#[derive(Debug)]
pub struct TestNode {
    home: tempfile::TempDir,
    program: PathBuf,
    daemon: Option<Child>,
    daemons: u32,
    extra_environment: Vec<(String, String)>,
    address: String,
}

/// How a daemon ended, and what it wrote.
#[derive(Debug)]
pub struct DaemonExit {
    /// How.
    pub status: ExitStatus,
    /// Its standard error.
    pub log: String,
}

impl TestNode {
    /// A home with a configuration that suits `fakenode`: quick blocks, height and version asked for, short soak.
    /// `main_args` are added to main's arguments, `configuration` to the file. `program` is the `omnivisor` to test.
    pub fn new(program: &Path, main_args: &[&str], configuration: &str) -> Self {
        let node = Self::bare(program);
        node.write_configuration(&node.configuration(main_args, configuration));
        node
    }

    /// A home without a configuration.
    pub fn bare(program: &Path) -> Self {
        let home = tempfile::Builder::new().prefix("omnivisor-test-").tempdir().unwrap();
        let (program, address) = (program.to_owned(), own_address());
        Self { home, program, daemon: None, daemons: 0, extra_environment: Vec::new(), address }
    }

    /// The text of the usual configuration. A table that `more` has takes the place of the usual one.
    pub fn configuration(&self, main_args: &[&str], more: &str) -> String {
        let mut args = String::new();
        let usual = ["start", "--home", "{home}", "--block-ms", "20", "--http", &self.address];
        for arg in usual.iter().chain(main_args) {
            let _ = write!(args, "{arg:?}, ");
        }
        let mut text = format!("[unit.main]\nprogram = \"current/bin/fakenode\"\nargs = [{args}]\n");
        let height = format!(
            "http = \"http://{}/status\"\npointer = \"/result/sync_info/latest_block_height\"\nevery = \"50ms\"\n",
            self.address
        );
        for (table, body) in [
            ("unit.main.stop", "grace = \"20s\"\n"),
            ("probe.height", height.as_str()),
            ("probe.version", "program = \"bin/fakenode\"\nargs = [\"version\"]\n"),
            ("upgrade.prove", "soak = \"200ms\"\nwithin = \"20s\"\n"),
            ("upgrade.keep", "write-once = [\"blocks/*.sst\"]\nformat-file = \"format\"\n"),
        ] {
            if !more.contains(&format!("[{table}]")) {
                let _ = write!(text, "\n[{table}]\n{body}");
            }
        }
        text + "\n" + more
    }

    /// The address of main's web server: one of this test's own, so that tests do not meet.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Replaces the configuration, as an editor would.
    pub fn write_configuration(&self, text: &str) {
        let beside = self.path(".omnivisor.toml.swp");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.path("omnivisor.toml")).unwrap();
    }

    /// The home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in the home.
    pub fn path(&self, inside: &str) -> PathBuf {
        self.home().join(inside)
    }

    /// Sets a variable for every daemon that is started from now on.
    pub fn set_environment(&mut self, name: &str, value: &str) {
        self.extra_environment.retain(|(known, _)| known != name);
        self.extra_environment.push((name.to_owned(), value.to_owned()));
    }

    /// Forgets such a variable.
    pub fn unset_environment(&mut self, name: &str) {
        self.extra_environment.retain(|(known, _)| known != name);
    }

    // ---- releases ------------------------------------------------------------------------------------------------

    /// Lays out a release's directory outside of the releases folder, to be staged from; returns its path.
    pub fn make_release(&self, profile: &Profile) -> PathBuf {
        let directory = self.path("incoming").join(&profile.version);
        let _ = fs::remove_dir_all(&directory);
        profile.install(&directory, &self.program).unwrap();
        directory
    }

    /// Puts a release into the releases folder by hand, and makes it the current one.
    pub fn start_with(&self, profile: &Profile) {
        let directory = self.path("releases").join(&profile.version);
        profile.install(&directory, &self.program).unwrap();
        let _ = fs::remove_file(self.path("current"));
        std::os::unix::fs::symlink(format!("releases/{}", profile.version), self.path("current")).unwrap();
    }

    /// What `current` names.
    pub fn current(&self) -> String {
        let text = fs::read_link(self.path("current")).unwrap();
        text.file_name().unwrap().to_str().unwrap().to_owned()
    }

    // ---- the daemon ----------------------------------------------------------------------------------------------

    /// Starts the daemon, and waits until it answers.
    pub fn start(&mut self) {
        self.start_through(&[]);
    }

    /// The same by way of another program, which is given the daemon's command line behind its own arguments.
    pub fn start_through(&mut self, words: &[&str]) {
        self.spawn_through(words);
        let client = self.client();
        let mut daemon = self.daemon.take().unwrap();
        wait_until("the daemon to answer", || {
            if let Some(status) = daemon.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", self.log());
            }
            client.status().is_ok()
        });
        self.daemon = Some(daemon);
    }

    /// Starts the daemon without waiting for anything.
    pub fn spawn(&mut self) {
        self.spawn_through(&[]);
    }

    /// The same by way of another program.
    pub fn spawn_through(&mut self, words: &[&str]) {
        assert!(self.daemon.is_none(), "there is a daemon already");
        self.daemons += 1;
        let log = File::create(self.log_path()).unwrap();
        let mut command = self.command(&["run"]);
        if let [program, args @ ..] = words {
            let own = std::mem::replace(&mut command, Command::new(program));
            command
                .args(args)
                .arg(own.get_program())
                .args(own.get_args())
                .env_remove("OMNIVISOR_HOME")
                .env("NO_COLOR", "1");
        }
        command.envs(self.extra_environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
    }

    /// The process id of the daemon.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("a daemon").id()
    }

    /// Kills the daemon with SIGKILL, and waits for its end.
    pub fn kill_daemon(&mut self) {
        let mut daemon = self.daemon.take().expect("a daemon");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Sends the daemon a signal by name, such as `TERM`.
    pub fn signal_daemon(&self, name: &str) {
        signal(self.daemon_pid(), name);
    }

    /// Waits for the daemon's own end.
    pub fn wait_for_exit(&mut self) -> DaemonExit {
        let mut daemon = self.daemon.take().expect("a daemon");
        let status = wait_for("the daemon to end", || daemon.try_wait().unwrap());
        DaemonExit { status, log: self.log() }
    }

    /// Waits for the daemon's end, or gives up after a while and leaves it running.
    pub fn try_exit(&mut self) -> Option<DaemonExit> {
        let status = self.daemon.as_mut()?.try_wait().unwrap()?;
        self.daemon = None;
        Some(DaemonExit { status, log: self.log() })
    }

    /// Stops the daemon with SIGTERM, and makes sure that nothing of the node is left.
    pub fn stop(&mut self) -> DaemonExit {
        self.signal_daemon("TERM");
        let exit = self.wait_for_exit();
        wait_until("all processes of the node to be gone", || marked_processes(self.home()).is_empty());
        exit
    }

    /// What the last daemon wrote.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.path(&format!("daemon-{}.log", self.daemons))
    }

    // ---- asking --------------------------------------------------------------------------------------------------

    /// A client of the daemon.
    pub fn client(&self) -> Client {
        Client::new(self.home())
    }

    /// An `omnivisor` command for this home.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--home").arg(self.home()).args(args).env_remove("OMNIVISOR_HOME").env("NO_COLOR", "1");
        command
    }

    /// Runs an `omnivisor` command to its end.
    pub fn omnivisor(&self, args: &[&str]) -> Output {
        self.command(args).stdin(Stdio::null()).output().unwrap()
    }

    /// How the node is.
    pub fn status(&self) -> Status {
        self.client().status().expect("the daemon answers")
    }

    /// How a unit is.
    pub fn unit(&self, name: &str) -> UnitStatus {
        self.find_unit(name).expect("the unit is known")
    }

    /// How a unit is, unless the configuration does not name it (yet).
    pub fn find_unit(&self, name: &str) -> Option<UnitStatus> {
        let name = UnitName::new(name).unwrap();
        self.status().units.into_iter().find(|unit| unit.name == name)
    }

    /// Waits until a unit's process runs (and is ready, if something tells that); returns its process id.
    pub fn wait_for_up(&self, name: &str) -> u32 {
        wait_for(&format!("unit {name} to be up"), || {
            let unit = self.find_unit(name)?;
            if matches!(unit.state, UnitState::Up | UnitState::Ready) { unit.pid } else { None }
        })
    }

    /// Waits until a unit is in a state.
    pub fn wait_for_state(&self, name: &str, state: UnitState) -> UnitStatus {
        wait_for(&format!("unit {name} to be {state}"), || self.find_unit(name).filter(|unit| unit.state == state))
    }

    /// Queues a plan.
    pub fn plan(&self, profile: &Profile, trigger: Trigger, on_failure: FailurePolicy) -> PlanId {
        let source = self.make_release(profile).to_str().unwrap().to_owned();
        let plan = NewPlan {
            release: ReleaseName::new(profile.version.clone()).unwrap(),
            trigger,
            on_failure: Some(on_failure),
            source: Some(source),
            sha256: None,
            keep: None,
            replaces: None,
        };
        self.client().add_plan(&plan).expect("the plan is taken").plan.expect("it has a number")
    }

    /// How far a plan is.
    pub fn phase(&self, plan: PlanId) -> PlanPhase {
        let plans = self.client().plans(true).expect("the daemon answers");
        plans.into_iter().find(|known| known.plan.id == plan).expect("the plan is known").phase
    }

    /// Waits until a plan is over.
    pub fn wait_for_end(&self, plan: PlanId) -> Outcome {
        wait_for(&format!("upgrade {plan} to end"), || {
            match self.client().plans(true).ok()?.into_iter().find(|known| known.plan.id == plan)?.phase {
                PlanPhase::Ended { outcome, .. } => Some(outcome),
                _ => None,
            }
        })
    }

    /// Waits until the node is at least this high.
    pub fn wait_for_height(&self, height: u64) {
        wait_until(&format!("height {height}"), || self.height().is_some_and(|seen| seen >= height));
    }

    /// The height of the data, as its files say.
    pub fn height(&self) -> Option<u64> {
        fakenode::verify_data(&self.path("data")).ok().map(|report| report.last_height)
    }

    /// Sets switches of the running main process, as JSON.
    pub fn control(&self, switches: &impl std::fmt::Display) {
        let body = switches.to_string();
        let (address, length) = (self.address(), body.len());
        let mut stream = wait_for("main to listen", || TcpStream::connect(address).ok());
        write!(stream, "POST /control HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        let mut answer = String::new();
        // A node that was told to crash may do so before it has answered whole.
        let read = stream.read_to_string(&mut answer);
        let refused = read.is_ok() && answer.contains("\r\n") && !answer.starts_with("HTTP/1.1 200");
        assert!(!refused, "{answer}");
    }

    /// Fails unless blocks are whole and without gaps and nothing was signed twice.
    pub fn check_data(&self) {
        let report = fakenode::verify_home(self.home()).expect("the data can be read");
        assert!(report.violations.is_empty(), "signed twice: {:?}", report.violations);
        assert!(report.problems.is_empty(), "the data is damaged: {:?}", report.problems);
    }
}

/// A loopback address that no other test of this machine has now.
fn own_address() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    format!("127.{}.{}.{}:26657", 1 + process / 256 % 250, process % 256, 1 + count % 254)
}

/// Sends a process a signal by name.
pub(crate) fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status().unwrap();
    assert!(sent.success() || !is_alive(pid), "process {pid} cannot be sent {name}");
}

impl Drop for TestNode {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        kill_marked(self.home());
        unmount_below(self.home());
    }
}
