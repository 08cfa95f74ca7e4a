//! From nothing to a native node, from Cosmovisor's place to native use and back, with files left where they lie.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use fakenode::Profile;
use ov_testkit::{TestNode, marked_processes, wait_until};
use ov_types::PlanId;
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;

use super::support::{PROGRAM, ask_well, blocks, configuration, current, home, install, launched, plan_for};

/// The drop-in on a home, until it is dropped.
struct DropIn<'a> {
    node: &'a TestNode,
    child: Child,
}

impl<'a> DropIn<'a> {
    fn start(node: &'a TestNode, arguments: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg0("cosmovisor").args(["run", "start", "--home"]).arg(node.home()).args(arguments);
        command.args(["--block-ms", "20", "--http", node.address()]).env_clear().env("PATH", "/usr/bin:/bin");
        command.env("DAEMON_HOME", node.home()).env("DAEMON_NAME", "fakenode");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let drop_in = Self { node, child: command.spawn().unwrap() };
        wait_until("the drop-in to answer", || drop_in.node.client().status().is_ok());
        drop_in
    }

    fn stop(mut self) {
        Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
        wait_until("nothing of the node to be left", || marked_processes(self.node.home()).is_empty());
    }
}

impl Drop for DropIn<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `omnivisor init` with these words and nothing in the environment but these variables.
fn init(words: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("init").args(words).env_clear().env("PATH", "/usr/bin:/bin").envs(variables.iter().copied());
    command.stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Everything below a folder, with what links say and when files were changed.
fn everything(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().flatten() {
            let facts = entry.metadata().unwrap();
            let link = fs::read_link(entry.path()).unwrap_or_default();
            // A folder changes when something is made in it.
            let changed = if facts.is_dir() { None } else { facts.modified().ok() };
            found.push((
                entry.path(),
                format!("{changed:?} {} {}", facts.len() * u64::from(facts.is_file()), link.display()),
            ));
            if facts.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_home_is_made_from_nothing_and_upgraded() {
    let mut node = TestNode::bare(Path::new(PROGRAM));
    fs::create_dir_all(node.path("config")).unwrap();
    fs::write(node.path("config/config.toml"), format!("[rpc]\nladdr = \"tcp://{}\"\n", node.address())).unwrap();
    let first = Profile::new("v1").install_single_file(&node.path("build"), PROGRAM.as_ref()).unwrap();
    let (first, home) = (first.to_str().unwrap().to_owned(), node.home().to_str().unwrap().to_owned());
    let words = ["--chain", "cosmos", "--home", &home, "--release", "genesis", "--from", &first, "--", "start"];
    let more = ["--block-ms", "20", "--http", node.address()];
    let made = init(&[&words[..], &more].concat(), &[]);
    assert!(made.status.success(), "{made:?}");
    assert!(text(&made.stdout).contains(&format!("omnivisor run --home {home}")), "{made:?}");
    assert_eq!(current(&node), "genesis");
    assert_eq!(node.omnivisor(&["doctor"]).status.code(), Some(0), "{:?}", node.omnivisor(&["doctor"]));
    let written = fs::read_to_string(node.path("omnivisor.toml")).unwrap();
    node.write_configuration(&format!("{written}\n[upgrade.prove]\nsoak = \"1s\"\n"));
    node.start();
    let _ = node.wait_for_up("main");
    node.wait_for_height(3);
    let next = Profile::new("v2").install_single_file(&node.path("build-2"), PROGRAM.as_ref()).unwrap();
    let words = ["plan", "add", "--release", "v2", "--now", "--no-keep", "--from", next.to_str().unwrap()];
    ask_well(&node, &words);
    wait_until("the new release to run", || launched(&node) == ["v1", "v2"]);
    assert_eq!(current(&node), "upgrades/v2");
    assert!(node.stop().status.success());
}

#[test]
fn a_home_of_cosmovisor_gets_one_new_file_and_nothing_else_changes() {
    let node = home();
    let home = node.home().to_str().unwrap().to_owned();
    fs::write(node.path("cosmovisor/config.toml"), "daemon_shutdown_grace = '45s'\nunsafe_skip_backup = true\n")
        .unwrap();
    install(&node, "upgrades/v2", &Profile::new("v2"));
    let before = everything(node.home());
    let variables = [("DAEMON_HOME", home.as_str()), ("DAEMON_NAME", "fakenode"), ("UNSAFE_SKIP_BACKUP", "false")];
    let words = ["--chain", "cosmos", "--from-cosmovisor", &home, "--dry-run", "--", "start", "--trace"];
    let shown = init(&words, &variables);
    assert!(shown.status.success(), "{shown:?}");
    assert_eq!(everything(node.home()), before, "something was written");
    let shown = text(&shown.stdout);
    assert!(shown.contains("# taken over: DAEMON_SHUTDOWN_GRACE is now unit.main.stop.grace = \"45s\""), "{shown}");

    let words: Vec<&str> = words.into_iter().filter(|word| *word != "--dry-run").collect();
    let made = init(&words, &variables);
    assert!(made.status.success(), "{made:?}");
    let written = fs::read_to_string(node.path("omnivisor.toml")).unwrap();
    assert!(shown.ends_with(&written), "{shown}\n{written}");
    let new: Vec<_> = everything(node.home()).into_iter().filter(|entry| !before.contains(entry)).collect();
    assert_eq!(new.len(), 1, "{new:?}");
    let shape = ov_chains::load(&ov_sys::RealDisk, node.home(), None).unwrap();
    let args: Vec<String> = shape.units.values().next().unwrap().launch.args.iter().map(ToString::to_string).collect();
    assert_eq!(args, ["start", "--trace", "--home", &home]);
    assert!(shape.engine.upgrade.keep, "a variable wins over the file");

    let again = init(&words, &variables);
    assert_eq!(again.status.code(), Some(7), "{again:?}");
    assert_eq!(fs::read_to_string(node.path("omnivisor.toml")).unwrap(), written);
}

#[test]
fn what_a_home_does_not_say_is_found_or_asked_for() {
    let node = home();
    let home = node.home().to_str().unwrap().to_owned();
    let words = ["--from-cosmovisor", home.as_str(), "--dry-run"];
    // The environment of another node says nothing about this one.
    let other = [("DAEMON_HOME", "/elsewhere"), ("DAEMON_NAME", "other"), ("DAEMON_SHUTDOWN_GRACE", "bad")];
    let shown = init(&words, &other);
    assert!(text(&shown.stdout).contains("program = \"fakenode\""), "{shown:?}");
    let wrong = init(&words, &[("DAEMON_SHUTDOWN_GRACE", "bad"), ("DAEMON_POLL_INTERVAL", "0")]);
    let said = text(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(3), "{wrong:?}");
    assert!(said.contains("OV-CLI-015") && said.contains("SHUTDOWN_GRACE") && said.contains("POLL_INTERVAL"), "{said}");
    fs::write(node.path("cosmovisor/genesis/bin/helper.sh"), "").unwrap();
    assert!(init(&words, &[]).status.success(), "what cannot be executed is no program");
    fs::copy("/bin/true", node.path("cosmovisor/genesis/bin/another")).unwrap();
    let ambiguous = init(&words, &[]);
    assert!(ambiguous.status.code() == Some(2) && text(&ambiguous.stderr).contains("--program"), "{ambiguous:?}");
    fs::remove_file(node.path("cosmovisor/current")).unwrap();
    let lost = init(&words, &[("DAEMON_NAME", "fakenode")]);
    assert_eq!(lost.status.code(), Some(7), "{lost:?}");
    assert!(text(&lost.stderr).contains("ln -sfn upgrades/NAME"), "{lost:?}");
    assert!(!node.path("omnivisor.toml").exists());
}

#[test]
fn an_armed_upgrade_goes_on_from_the_drop_in_to_native_use_and_back() {
    let mut node = home();
    install(&node, "upgrades/v2", &Profile::new("v2"));
    let list = |height: u64| format!(r#"[{{"name":"v2","height":{height}}}]"#);
    fs::write(node.path("data/upgrade-info.json.batch"), list(1 << 30)).unwrap();
    let armed = |node: &TestNode| {
        let plan = plan_for(node, "v2").plan.id;
        wait_until("the plan to be armed", || node.phase(plan) == PlanPhase::Armed);
        assert_eq!(node.client().plans(true).unwrap().len(), 1, "one plan, whoever looks after it");
        plan
    };
    let drop_in = DropIn::start(&node, &[]);
    let plan: PlanId = armed(&node);
    drop_in.stop();
    let home = node.home().to_str().unwrap().to_owned();
    let made = init(&["--chain", "cosmos", "--from-cosmovisor", &home], &[("DAEMON_NAME", "fakenode")]);
    assert!(made.status.success(), "{made:?}");
    node.write_configuration(&configuration(&node, &[], ""));
    node.start();
    assert_eq!(armed(&node), plan);
    let height = node.height().unwrap();
    node.wait_for_height(height + 5);
    assert!(node.stop().status.success());

    let due = node.height().unwrap() + 40;
    let drop_in = DropIn::start(&node, &[]);
    assert_eq!(armed(&node), plan);
    fs::write(node.path("data/upgrade-info.json.batch"), list(due)).unwrap();
    wait_until("the upgrade by the drop-in", || current(&node) == "upgrades/v2");
    drop_in.stop();
    // The drop-in left it to be proven.
    node.start();
    let upgrade = node.client().plans(true).unwrap().into_iter().map(|plan| plan.plan.id).max().unwrap();
    assert_eq!(node.wait_for_end(upgrade), Outcome::Committed);
    let _ = node.wait_for_up("main");
    assert!(node.stop().status.success());
    assert!(blocks(&node)[0].starts_with("v1@"), "{:?}", blocks(&node));
    node.check_data();
}
