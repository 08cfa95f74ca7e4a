//! Upgrades that people schedule, carried out: never early, never lost, whatever else is in the schedule.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fakenode::Profile;
use ov_testkit::{TestNode, marked_processes, wait_until};

/// A home with a node that `cosmovisor run start` looks after.
struct Running {
    node: TestNode,
    daemon: Option<Child>,
}

fn omnivisor() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_omnivisor"))
}

impl Running {
    fn new() -> Self {
        let node = TestNode::bare(omnivisor());
        Profile::new("v1").install(&node.path("cosmovisor/genesis"), omnivisor()).unwrap();
        symlink("genesis", node.path("cosmovisor/current")).unwrap();
        fs::create_dir_all(node.path("data")).unwrap();
        fs::create_dir_all(node.path("config")).unwrap();
        let rpc = format!("[rpc]\nladdr = \"tcp://{}\"\n", node.address());
        fs::write(node.path("config/config.toml"), rpc).unwrap();
        Self { node, daemon: None }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(omnivisor());
        command.arg0("cosmovisor").args(arguments).current_dir(self.node.home()).stdin(Stdio::null());
        command.env("DAEMON_HOME", self.node.home()).env("DAEMON_NAME", "fakenode").env("TZ", "UTC");
        command.env("COSMOVISOR_COLOR_LOGS", "false").env_remove("OMNIVISOR_HOME");
        command
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        output
    }

    fn start(&mut self) {
        let home = self.node.home().to_str().unwrap().to_owned();
        let log = fs::File::create(self.node.path("run.log")).unwrap();
        let mut command = self.command(&["run", "start", "--home", &home, "--block-ms", "20"]);
        command.args(["--http", self.node.address()]).stdout(log.try_clone().unwrap()).stderr(log);
        self.daemon = Some(command.spawn().unwrap());
    }

    /// Ends all of it, and waits until nothing is left.
    fn stop(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        let told = Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().unwrap();
        assert!(told.success());
        wait_until("the daemon to end", || daemon.try_wait().unwrap().is_some());
        wait_until("all processes to be gone", || marked_processes(self.node.home()).is_empty());
    }

    /// A program of this version, somewhere else.
    fn executable(&self, version: &str) -> PathBuf {
        let folder = self.node.path("incoming").join(version);
        Profile::new(version).install_single_file(&folder, omnivisor()).unwrap()
    }

    fn add(&self, name: &str, height: u64) {
        let executable = self.executable(name);
        let height = height.to_string();
        self.call(&["add-upgrade", name, executable.to_str().unwrap(), "--upgrade-height", &height]);
    }

    fn current(&self) -> String {
        fs::read_link(self.node.path("cosmovisor/current")).unwrap().to_str().unwrap().to_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.node.path("run.log")).unwrap_or_default()
    }

    fn height(&self) -> u64 {
        self.node.height().unwrap_or_default()
    }

    fn wait_for_current(&self, link: &str) {
        wait_until(&format!("current to be {link}; the log:\n{}", self.log()), || self.current() == link);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The node's own end takes care of whatever else is left.
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

#[test]
fn a_scheduled_upgrade_waits_for_its_height_and_then_happens_once() {
    let mut home = Running::new();
    home.start();
    wait_until("blocks", || home.height() > 5);
    let due = home.height() + 150;
    home.add("v2", due);
    assert_eq!(home.current(), "genesis");
    home.wait_for_current("upgrades/v2");
    assert!(home.height() + 1 >= due, "switched at height {}, before {due}", home.height());
    wait_until("the new release to make blocks", || home.height() > due + 20);
    let copy = fs::read_to_string(home.node.path("cosmovisor/upgrades/v2/upgrade-info.json")).unwrap();
    assert!(copy.contains("\"name\":\"v2\"") && copy.contains(&format!("\"height\":{due}")), "{copy}");
    assert!(!home.node.path("data/upgrade-info.json").exists(), "the node's own file was written");
    home.stop();
    home.node.check_data();

    // It stays in the schedule, and is not carried out again.
    home.start();
    let height = home.height();
    wait_until("blocks after the restart", || home.height() > height + 30);
    assert_eq!(home.current(), "upgrades/v2");
    home.stop();
}

#[test]
fn a_schedule_is_kept_while_nothing_runs_and_bad_entries_hold_up_nobody() {
    let mut home = Running::new();
    home.start();
    wait_until("blocks", || home.height() > 5);
    home.stop();
    let due = home.height() + 60;
    home.add("v3", due);
    // Somebody edited the file: an entry that cannot be used stands in front.
    let file = home.node.path("data/upgrade-info.json.batch");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen('[', r#"[{"name":"genesis","height":1},"#, 1)).unwrap();
    home.start();
    home.wait_for_current("upgrades/v3");
    assert!(home.height() + 1 >= due, "switched at height {}, before {due}", home.height());
    wait_until("the bad entry to be told of", || home.log().contains("entry 0 is not used"));
    home.stop();
    home.node.check_data();
}
