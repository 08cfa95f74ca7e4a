//! A disk without room: the daemon says so and ends, the node goes on, and the next daemon takes it over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fakenode::Profile;
use ov_testkit::{Mount, TestNode, is_alive, wait_until};

use super::support::{PROGRAM, ask, ask_well, is_root, says};

#[test]
fn a_full_disk_ends_the_daemon_and_not_the_node() {
    if !is_root("root, to mount a small file system") {
        return;
    }
    let mut node = TestNode::new(Path::new(PROGRAM), &[], "");
    node.start_with(&Profile::new("v1"));
    let state = node.path(".omnivisor");
    fs::create_dir(&state).unwrap();
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).unwrap();
    let Some(mount) = Mount::tmpfs(&state, "size=256m,mode=0700") else { return };
    node.start();
    let main = node.wait_for_up("main");
    node.wait_for_height(3);
    let reserve = state.join("reserve");
    assert!(fs::metadata(&reserve).unwrap().len() > 4 << 20, "nothing is set aside");

    // What is to be decided cannot be written down: nothing is, and the daemon ends.
    let ballast = mount.fill();
    let mut suspended = false;
    let order = |suspended: bool| if suspended { "suspend" } else { "resume" };
    wait_until("the last block of the journal to be full", || {
        let refused = ask(&node, &["unit", order(!suspended), "main"]).code != 0;
        suspended ^= !refused;
        refused
    });
    let exit = node.wait_for_exit();
    assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
    says(&exit.log, &["OV-JRN-003", "o space left", "goes on running", "free space"]);
    assert!(is_alive(main));

    // The next one has the room that was set aside, and goes on where that one ended.
    node.start();
    assert!(!reserve.exists());
    assert_eq!(node.wait_for_up("main"), main);
    assert_eq!(node.unit("main").suspended, suspended, "what was acknowledged is known, and nothing else");
    ask_well(&node, &["unit", "suspend", "main"]);
    assert!(node.unit("main").suspended);

    // Once that is used up too, a daemon says so and starts nothing.
    node.kill_daemon();
    let more = mount.fill();
    node.spawn();
    let exit = node.wait_for_exit();
    assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
    says(&exit.log, &["o space left", "goes on running"]);
    assert!(is_alive(main));

    fs::remove_file(&ballast).unwrap();
    let _ = fs::remove_file(more);
    node.start();
    assert_eq!(node.wait_for_up("main"), main);
    assert!(node.unit("main").suspended, "what was acknowledged is known");
    assert!(reserve.exists(), "room is set aside again");
    ask_well(&node, &["unit", "resume", "main"]);
    let height = node.height().unwrap();
    node.wait_for_height(height + 3);
    node.stop();
    node.check_data();
}
