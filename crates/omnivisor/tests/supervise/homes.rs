//! Homes that are not as one would wish: read-only, on another file system, with a very long path.

use std::fs;
use std::path::Path;
use std::process::Command;

use fakenode::Profile;
use ov_testkit::{Mount, TestNode, is_alive, wait_for};
use ov_types::UnitState;

use super::common::{PROGRAM, kill, laid_out};

/// An `omnivisor` command for another home than the test node's own.
fn omnivisor(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("--home").arg(home).args(args).env("NO_COLOR", "1");
    command
}

/// Lays a node out in another folder, with the configuration that `node` would have.
fn lay_out_in(node: &TestNode, home: &Path) {
    fs::create_dir_all(home).unwrap();
    let ready = "[unit.main.ready]\nnotify = true\nevery = \"20ms\"\n";
    fs::write(home.join("omnivisor.toml"), node.configuration(&[], ready)).unwrap();
    Profile::new("v1").install(&home.join("releases/v1"), Path::new(PROGRAM)).unwrap();
    std::os::unix::fs::symlink("releases/v1", home.join("current")).unwrap();
}

/// Runs the node of a home: up, killed and adopted, stopped.
fn lives_in(home: &Path) {
    let up = || {
        let client = ov_client::Client::new(home);
        wait_for("main to be ready", || {
            let status = client.status().ok()?;
            let main = status.units.first().filter(|main| main.state == UnitState::Ready)?;
            main.pid
        })
    };
    let mut daemon = omnivisor(home, &["run"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let pid = up();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert!(is_alive(pid));
    let mut daemon = omnivisor(home, &["run"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    assert_eq!(up(), pid);
    let asked = omnivisor(home, &["status", "--json"]).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    kill("TERM", daemon.id());
    assert!(daemon.wait().unwrap().success());
    assert!(!is_alive(pid));
}

#[test]
fn a_home_with_a_very_long_path_works() {
    let node = laid_out("", &[], "");
    let home = node.path(&["a-rather-long-name-of-a-folder-in-the-middle"; 5].join("/"));
    assert!(home.as_os_str().len() > 108 * 2, "longer than any socket's path may be");
    lay_out_in(&node, &home);
    lives_in(&home);
}

#[test]
fn a_home_on_another_file_system_works() {
    let node = laid_out("", &[], "");
    let home = node.path("elsewhere");
    fs::create_dir(&home).unwrap();
    let Some(_mounted) = Mount::tmpfs(&home, "size=256m") else { return };
    lay_out_in(&node, &home);
    lives_in(&home);
}

#[test]
fn a_read_only_home_is_refused_clearly_and_nothing_is_started() {
    let node = laid_out("", &[], "");
    let home = node.path("elsewhere");
    fs::create_dir(&home).unwrap();
    let Some(mounted) = Mount::tmpfs(&home, "size=256m") else { return };
    lay_out_in(&node, &home);
    mounted.remount("ro");
    let refused = omnivisor(&home, &["run"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("ead-only file system") && said.contains(home.to_str().unwrap()), "{said}");
    assert!(said.contains("nothing was started"), "{said}");
    assert!(ov_testkit::marked_processes(&home).is_empty(), "processes are left");
}

#[test]
fn a_home_without_a_configuration_is_refused_with_what_to_do() {
    let node = TestNode::bare(Path::new(PROGRAM));
    let refused = node.omnivisor(&["run"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(3), "{said}");
    assert!(said.contains("omnivisor.toml") && said.contains("omnivisor init"), "{said}");
}
