//! A supervisor before the library of the real core: our program as `visor` looks after a fake core that opens no admin
//! socket, and a server of that library says in its place what the core's state is.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fakenode::Profile;
use fakenode::vega::{Role, launches, tell};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::{PATIENCE, Process};
use crate::processes::{naming, wait_for_end, wait_until};

const RELEASES: [&str; 2] = ["v0.1.0", "v0.2.0"];

/// One node, its supervisor, and the server that speaks for the core.
struct Scene<'a> {
    folder: &'a Path,
    server: &'a Path,
}

/// Takes the node to its next release by what the library's server says, and fails if that does not lead there.
pub(super) fn run(ours: &Path, fakenode: &Path, server: &Path, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).context("make a folder for a supervised node")?;
    let scene = Scene { folder, server };
    let outcome = scene.play(ours, fakenode);
    for pid in naming(folder) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    wait_for_end(&naming(folder), PATIENCE)?;
    outcome
}

impl Scene<'_> {
    fn play(&self, ours: &Path, fakenode: &Path) -> Result<()> {
        for (release, place) in RELEASES.into_iter().zip(["genesis", RELEASES[1]]) {
            self.install(fakenode, release, place)?;
        }
        fs::write(self.path("home/config.toml"), "restartsDelaySeconds = 1\n").context("write config.toml")?;
        let [old, new] = RELEASES;
        let accepted = json!({ "VegaReleaseTag": new, "UpgradeBlockHeight": 5 });
        let core = json!({ "admin": "absent", "upgrades": [format!("{new}@5")] });
        tell(&self.path("witness"), Role::Core, core.as_object().context("tell the core")?)?;
        let none = json!({ "VegaReleaseTag": "", "UpgradeBlockHeight": 0 });
        let speaking = self.say(&json!({ "AcceptedReleaseInfo": accepted, "ReadyToUpgrade": false }))?;
        let visor = self.path("visor");
        symlink(ours, &visor).context("give our program its name")?;
        let _supervisor = Process::start(Command::new(visor).args(["run", "--home"]).arg(self.path("home")))?;
        let checked = || self.launched(Role::Version, new) > 0;
        wait_until("the next release to be examined", PATIENCE, checked)?;
        ensure!(self.launched(Role::Core, new) == 0, "keep the old release until its core is ready");
        drop(speaking);
        let speaking = self.say(&json!({ "AcceptedReleaseInfo": accepted, "ReadyToUpgrade": true }))?;
        wait_until("the new core", PATIENCE, || self.launched(Role::Core, new) > 0)?;
        drop(speaking);
        let _speaking = self.say(&json!({ "AcceptedReleaseInfo": none, "ReadyToUpgrade": false }))?;
        ensure!(self.launched(Role::Core, old) == 1, "launch the old core once");
        let current = fs::read_link(self.path("home/current")).context("read `current`")?;
        ensure!(current == self.path("home").join(new), "find `current` at the new release");
        Ok(())
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }

    fn install(&self, fakenode: &Path, release: &str, place: &str) -> Result<()> {
        let folder = self.path("home").join(place);
        let witness = self.path("witness").to_string_lossy().into_owned();
        Profile::new(release).with("block_ms", 20).with("witness", witness).install_as(&folder, "vega", fakenode)?;
        let [home, socket] = ["vega", "admin.sock"].map(|inside| self.path(inside).to_string_lossy().into_owned());
        let text = format!(
            "name = {place:?}\n[vega.binary]\npath = \"vega\"\nargs = [\"start\", \"--home\", {home:?}]\n[vega.rpc]\n\
             socketPath = {socket:?}\nhttpPath = \"/rpc\"\n"
        );
        fs::write(folder.join("run-config.toml"), text).context("write run-config.toml")
    }

    /// Has the library's server say this from now on, in the place of whoever spoke before.
    fn say(&self, status: &Value) -> Result<Process> {
        let socket = self.path("admin.sock");
        let _ = fs::remove_file(&socket);
        Process::start(Command::new(self.server).arg(socket).arg(status.to_string()))
    }

    fn launched(&self, role: Role, version: &str) -> usize {
        let all = launches(&self.path("witness")).unwrap_or_default();
        all.iter().filter(|launch| launch.role == role && launch.version == version).count()
    }
}
