//! `omnivisor doctor`, with and without a daemon: everything that can be brought about here is found, by its name.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fakenode::Profile;
use ov_testkit::{Mount, TestNode, wait_until};
use serde_json::Value;

use super::support::{PROGRAM, ask, is_root, running, says};

/// A node that is set up and not started.
fn prepared(configuration: &str) -> TestNode {
    let node = TestNode::new(Path::new(PROGRAM), &[], configuration);
    node.start_with(&Profile::new("v1"));
    fs::create_dir_all(node.path("data")).unwrap();
    fs::write(node.path("data/format"), "1").unwrap();
    node
}

/// The findings, after checking that the exit code fits them.
fn findings(node: &TestNode, args: &[&str]) -> Vec<Value> {
    let ended = ask(node, &[&["doctor", "--json"], args].concat());
    let report: Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(ended.code, if report["worst"] == "error" { 6 } else { 0 }, "{report}");
    report["findings"].as_array().unwrap().clone()
}

/// Fails unless a finding of that name and severity is there; returns what it says, and what to do.
fn finds(node: &TestNode, args: &[&str], id: &str, severity: &str) -> String {
    let findings = findings(node, args);
    let found = findings.iter().find(|finding| finding["id"] == id && finding["severity"] == severity);
    let found = found.unwrap_or_else(|| panic!("no {severity} {id} among {findings:#?}"));
    assert!(severity == "ok" || severity == "unknown" || found["fix"].is_string(), "{found}");
    format!("{}: {}", found["subject"].as_str().unwrap(), found["message"].as_str().unwrap())
}

fn errors(findings: &[Value]) -> Vec<&Value> {
    findings.iter().filter(|finding| finding["severity"] == "error").collect()
}

#[test]
fn a_good_node_is_well_with_and_without_its_daemon() {
    let mut node = running(&[], "");
    let names = |findings: &[Value]| -> BTreeSet<String> {
        findings.iter().map(|finding| finding["id"].as_str().unwrap().to_owned()).collect()
    };
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md")).unwrap();
    let with = findings(&node, &[]);
    assert!(errors(&with).is_empty(), "{with:#?}");
    for name in names(&with) {
        assert!(page.contains(&format!("`{name}`")), "{name} is not in docs/doctor.md");
    }
    // The daemon is gone, the node runs: its processes are still no strangers.
    node.kill_daemon();
    let without = findings(&node, &[]);
    assert!(errors(&without).is_empty(), "{without:#?}");
    assert_eq!(names(&with), names(&without));
    let text = ask(&node, &["doctor"]);
    assert_eq!(text.code, 0, "{text:?}");
    says(&text.out, &["ok", "host.arch", "0 error"]);
    node.start();
    node.stop();
    assert!(errors(&findings(&node, &[])).is_empty());
}

/// A program of this machine that needs its C library, changed by `change`.
fn changed_program(node: &TestNode, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read("/bin/true").unwrap();
    change(&mut bytes);
    let folder = node.path("incoming/changed");
    fs::create_dir_all(folder.join("bin")).unwrap();
    let path = folder.join("bin/fakenode");
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn replace_all(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    let places: Vec<usize> =
        (0..bytes.len().saturating_sub(from.len())).filter(|at| bytes[*at..].starts_with(from)).collect();
    assert!(!places.is_empty(), "it does not contain {:?}", String::from_utf8_lossy(from));
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
}

/// What is done to a program to make it unfit.
type Change = fn(&mut Vec<u8>);

#[test]
fn a_release_that_cannot_run_here_is_found_before_anything_depends_on_it() {
    let mut node = running(&[], "");
    let cases: [(&str, &str, Change); 5] = [
        ("alien", "binary.machine", |bytes| bytes[18..20].copy_from_slice(&243_u16.to_le_bytes())),
        ("cut", "binary.machine", |bytes| bytes.truncate(40)),
        ("lonely", "binary.needed", |bytes| replace_all(bytes, b"libc.so.6\0", b"libq.so.6\0")),
        ("voiceless", "binary.interpreter", |bytes| replace_all(bytes, b"/ld-linux", b"/no-linux")),
        ("script", "binary.interpreter", |bytes| *bytes = b"#!/no/such/shell\nexit 0\n".to_vec()),
    ];
    for (name, id, change) in cases {
        let source = changed_program(&node, change);
        let ended = ask(&node, &["upgrade", "prepare", name, "--from", &source]);
        assert_eq!(ended.code, 6, "{name}: {ended:?}");
        says(&ended.out, &[id]);
        finds(&node, &["--release", name], id, "error");
    }
    // Its execute bit was lost after it was staged.
    let v2 = node.make_release(&Profile::new("v2"));
    assert_eq!(ask(&node, &["upgrade", "prepare", "v2", "--from", v2.to_str().unwrap()]).code, 0);
    let program = node.path("releases/v2/bin/fakenode");
    fs::remove_file(&program).unwrap();
    fs::write(&program, "").unwrap();
    says(&finds(&node, &["--release", "v2"], "release.complete", "error"), &["bin/fakenode"]);
    finds(&node, &["--release", "v2"], "config.programs", "error");
    finds(&node, &["--release", "v3"], "release.complete", "error");
    // A plan for such a release is not armed, and the node runs on.
    let main = node.wait_for_up("main");
    let ended = ask(&node, &["plan", "add", "--release", "lonely", "--now"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    wait_until("the plan to be blocked", || ask(&node, &["status"]).out.contains("OV-UPG-015"));
    assert_eq!(node.unit("main").pid, Some(main));
    node.stop();
}

#[test]
fn what_the_configuration_names_must_be_there() {
    let node = prepared(
        "[unit.helper]\nprogram = \"bin/absent\"\nuser = \"nobody-of-this-name\"\nenv-file = [\"secrets.env\"]\n\
         [[webhook]]\nurl-file = \"hook-url\"\n[validator]\nkey = \"key.json\"\nsign-state = \"data/state.json\"\n",
    );
    fs::write(node.path("hook-url"), "https://hooks.example/x").unwrap();
    fs::set_permissions(node.path("hook-url"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(node.path("key.json"), "{}").unwrap();
    fs::set_permissions(node.path("key.json"), fs::Permissions::from_mode(0o604)).unwrap();
    says(&finds(&node, &[], "config.programs", "error"), &["unit helper", "bin/absent"]);
    says(&finds(&node, &[], "config.users", "error"), &["nobody-of-this-name"]);
    says(&finds(&node, &[], "config.environment", "error"), &["secrets.env"]);
    says(&finds(&node, &[], "config.secrets", "warning"), &["hook-url", "0644"]);
    says(&finds(&node, &[], "data.key-mode", "error"), &["key.json", "0604"]);
    fs::write(node.path("secrets.env"), "no variable here\n").unwrap();
    says(&finds(&node, &[], "config.environment", "error"), &["secrets.env", "1"]);
    fs::remove_file(node.path("hook-url")).unwrap();
    says(&finds(&node, &[], "config.secrets", "warning"), &["hook-url", "cannot be read"]);
}

#[test]
fn what_was_signed_must_not_be_lost_or_lower() {
    let validator =
        "[validator]\nkey = \"config/priv_validator_key.json\"\nsign-state = \"data/priv_validator_state.json\"\n";
    let mut node = running(&["--sign"], validator);
    node.stop();
    finds(&node, &[], "data.sign-state", "ok");
    let path = node.path("data/priv_validator_state.json");
    let whole = fs::read_to_string(&path).unwrap();
    let mut state: Value = serde_json::from_str(&whole).unwrap();
    for (content, what) in [
        (whole[..whole.len() / 2].to_owned(), "torn"),
        (String::new(), "empty"),
        (
            {
                state["height"] = Value::from("1");
                state.to_string()
            },
            "lower",
        ),
    ] {
        fs::write(&path, content).unwrap();
        says(&finds(&node, &[], "data.sign-state", "error"), &["priv_validator_state.json"]);
        // The validator is not launched with it either.
        node.start();
        wait_until(&format!("main to be parked for a {what} state"), || node.unit("main").parked.is_some());
        assert_eq!(node.unit("main").pid, None);
        node.stop();
    }
    fs::write(&path, &whole).unwrap();
    finds(&node, &[], "data.sign-state", "ok");
    node.start();
    assert_eq!(ask(&node, &["unit", "start", "main", "--wait=1m"]).code, 0);
    node.stop();
    node.check_data();
}

#[test]
fn strangers_on_the_database_and_the_port_are_found() {
    let mut node = running(&[], "");
    node.stop();
    assert!(errors(&findings(&node, &[])).is_empty());
    // This test is the stranger.
    let database =
        fs::File::options().read(true).write(true).create(true).truncate(false).open(node.path("data/LOCK")).unwrap();
    database.lock().unwrap();
    says(&finds(&node, &[], "data.lock", "error"), &["LOCK", &std::process::id().to_string()]);
    drop(database);
    finds(&node, &[], "data.lock", "ok");
    let port = TcpListener::bind(node.address()).unwrap();
    says(&finds(&node, &[], "config.ports", "error"), &["port 26657"]);
    drop(port);
    finds(&node, &[], "config.ports", "ok");
}

#[test]
fn disks_that_are_full_or_forbid_programs_are_found() {
    let node = prepared("");
    if !is_root("root, to mount file systems") {
        return;
    }
    let data = node.path("data");
    let Some(_small) = Mount::tmpfs(&data, "size=8m") else { return };
    fs::write(data.join("format"), "1").unwrap();
    says(&finds(&node, &[], "disk.free", "error"), &["data"]);
    let mut node = prepared("");
    let releases = node.path("releases");
    let Some(mount) = Mount::tmpfs(&releases, "size=512m") else { return };
    Profile::new("v1").install(&releases.join("v1"), Path::new(PROGRAM)).unwrap();
    node.start();
    node.wait_for_up("main");
    node.stop();
    mount.remount("noexec");
    finds(&node, &[], "disk.noexec", "error");
    finds(&node, &[], "binary.noexec", "error");
    mount.remount("exec");
    finds(&node, &[], "disk.noexec", "ok");
    mount.remount("ro");
    says(&finds(&node, &[], "disk.read-only", "error"), &["releases"]);
}

#[test]
fn without_data_a_person_is_warned() {
    let node = prepared("");
    fs::remove_dir_all(node.path("data")).unwrap();
    finds(&node, &[], "data.directory", "warning");
    fs::create_dir(node.path("data")).unwrap();
    finds(&node, &[], "data.directory", "warning");
    finds(&node, &[], "data.format", "warning");
}

/// A cgroup, removed when dropped.
struct Cgroup(std::path::PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        // From the innermost outwards, as far as they are ours.
        for folder in self.0.ancestors().take(3) {
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Lays a program out that says this.
fn program_that_says(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, format!("#!/bin/sh\ncat <<END\n{text}\nEND\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_service_that_would_not_leave_the_node_alone_is_found() {
    if !is_root("root, to make a cgroup") {
        return;
    }
    let node = prepared("");
    // As if a user's own systemd had started it, with what that does unless it is told otherwise.
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let root = mounts.lines().find_map(|line| line.strip_prefix("cgroup2 ")?.split(' ').next());
    let own = format!("omnivisor-test-{}/user@1000.service/node.service", std::process::id());
    let own = root.map(|root| Path::new(root).join(own)).filter(|own| fs::create_dir_all(own).is_ok());
    let Some(cgroup) = own.map(Cgroup) else {
        println!("skipped: needs a cgroup v2 that may be written");
        return;
    };
    let programs = node.path("programs");
    fs::create_dir(&programs).unwrap();
    let asked = "Type=simple\nTimeoutStopUSec=1s\nKillMode=control-group\nRestart=on-failure\nRestartUSec=100ms\n\
                 StartLimitIntervalUSec=10s\nStartLimitBurst=5";
    program_that_says(&programs, "systemctl", asked);
    program_that_says(&programs, "loginctl", "no");
    let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
    let mut command = std::process::Command::new("/bin/sh");
    command.args(["-c", enter]).arg(&cgroup.0).arg(PROGRAM).arg("--home").arg(node.home()).args(["doctor", "--json"]);
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let output = command.env("PATH", path).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let found = |id: &str| {
        let mut findings = report["findings"].as_array().unwrap().iter();
        findings.find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("no {id} in {report}")).clone()
    };
    for (id, severity, message) in [
        ("host.service-stop", "error", "kills everything after 1s"),
        ("host.service-kill", "warning", "KillMode=control-group"),
        ("host.service-restart", "warning", "after 5 starts within 10s"),
        ("host.linger", "warning", "last session"),
    ] {
        let finding = found(id);
        assert_eq!(
            (&finding["severity"], &finding["subject"]),
            (&severity.into(), &"node.service".into()),
            "{finding}"
        );
        says(finding["message"].as_str().unwrap(), &[message]);
    }
}
