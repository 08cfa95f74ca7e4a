//! A disk without room: the daemon says so and ends, the node goes on, and the next daemon takes it over.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use fakenode::Profile;
use ov_testkit::{TestNode, is_alive, wait_until};

use super::support::{PROGRAM, ask, ask_well, is_root, says};

/// A file system of its own, unmounted when dropped.
pub(crate) struct Mount {
    at: PathBuf,
}

impl Mount {
    /// Mounts an empty one in memory, where that is allowed.
    pub(crate) fn tmpfs(at: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
        let good = mounted.is_ok_and(|output| output.status.success());
        if !good {
            println!("skipped: needs the right to mount");
        }
        good.then(|| Self { at: at.to_owned() })
    }

    /// Mounts a new file system of this kind from a file, where that is allowed and the program that makes it is there.
    /// The file has no name any more when this returns.
    pub(crate) fn image(at: &Path, kind: &str, options: &[&str], bytes: u64) -> Option<Self> {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(bytes).unwrap();
        let done = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let good = done(Command::new(format!("mkfs.{kind}")).args(options).arg(image.path()))
            && done(Command::new("mount").args(["-t", kind, "-o", "loop"]).arg(image.path()).arg(at));
        if !good {
            println!("skipped: needs mkfs.{kind}, and the right to mount a file");
        }
        good.then(|| Self { at: at.to_owned() })
    }

    pub(crate) fn remount(&self, option: &str) {
        let options = format!("remount,{option}");
        let done = Command::new("mount").args(["-o", &options]).arg(&self.at).status().unwrap();
        assert!(done.success(), "remount {option}");
    }

    /// Takes all room there is.
    pub(crate) fn fill(&self) -> PathBuf {
        let count = fs::read_dir(&self.at).map_or(0, Iterator::count);
        let path = self.at.join(format!("ballast-{count}"));
        let block = vec![1; 64 * 1024];
        let mut file = fs::File::create(&path).unwrap();
        for size in [block.len(), 4096, 1] {
            while std::io::Write::write_all(&mut file, &block[..size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.at).status();
    }
}

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
