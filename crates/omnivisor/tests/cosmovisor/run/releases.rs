//! What a new release has to show before it takes the old one's place: that it runs on this machine.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use ov_testkit::wait_until;

use super::node::Node;

/// Puts a program into the place of `v2` by hand.
fn put(node: &Node, text: &str) {
    let program = node.path("cosmovisor/upgrades/v2/bin/fakenode");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    let beside = node.path("beside");
    fs::write(&beside, text).unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(&beside, &program).unwrap();
}

#[test]
fn a_program_that_does_not_run_here_takes_nobodys_place() {
    let mut node = Node::new("v2@20");
    put(&node, "#!/bin/sh\nkill -SEGV $$\n");
    node.start();
    node.wait_for_line("binary.version");
    node.wait_for_line("it was killed by signal 11 before it could say its version");
    assert_eq!((node.current().as_str(), node.is_running()), ("genesis", true));
    fs::remove_dir_all(node.path("cosmovisor/upgrades/v2")).unwrap();
    node.stage("v2");
    node.wait_for_height(25);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_program_that_says_its_version_finds_no_home_to_spoil() {
    let mut node = Node::new("v2@20");
    node.set("FAKENODE_HOME", node.path("").to_str().unwrap());
    put(&node, "#!/bin/sh\ntouch \"$HOME/spoiled\" \"$FAKENODE_HOME/spoiled\" spoiled\necho version: $HOME\nexit 1\n");
    node.start();
    node.wait_for_height(10);
    wait_until("the doctor to warn", || {
        let doctor = node.omnivisor(&["doctor", "--release", "v2"]);
        let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
        told.contains("binary.version") && told.contains("it ends with 1")
    });
    assert!(!node.path("spoiled").exists() && !node.path("cosmovisor/spoiled").exists());
    assert!(!node.path(".omnivisor-doctor-home").exists(), "what it made lies about");
    node.stop();
}
