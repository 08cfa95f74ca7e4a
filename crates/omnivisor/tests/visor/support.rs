//! A home in Visor's layout, the network that its core is part of, and the drop-in that looks after both processes.
//! Whatever was started is gone when it is dropped.

use std::fs;
use std::ops::{Deref, DerefMut};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use fakenode::vega::{self, Launch, Role};
use fakenode::{Profile, lifecycle};
use ov_testkit::{Asset, DropIn, GitHubServer, wait_until};
use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// A member of the family: the table in run-config files, the program's name, and the member of the core's answer.
pub(super) type Flavour = &'static str;

/// The same tests for every member of the family.
macro_rules! for_both_flavours {
    ($($(#[$about:meta])* fn $name:ident($flavour:ident) $body:block)*) => {$(
        mod $name {
            use super::*;
            fn test($flavour: $crate::visor::support::Flavour) $body
            $(#[$about])*
            #[test]
            fn vega() { test("vega") }
            $(#[$about])*
            #[test]
            fn zeta() { test("zeta") }
        }
    )*};
}
pub(super) use for_both_flavours;

/// What `config.toml` says where a test says nothing else: as patient as the original, but quick.
const CONFIG: [(&str, &str); 6] = [
    ("maxNumberOfFirstConnectionRetries", "20"),
    ("maxNumberOfRestartConnectionRetries", "20"),
    ("maxNumberOfRestarts", "3"),
    ("restartsDelaySeconds", "0"),
    ("stopDelaySeconds", "0"),
    ("stopSignalTimeoutSeconds", "10"),
];

pub(super) struct Node {
    drop_in: DropIn,
    folder: tempfile::TempDir,
    flavour: Flavour,
    is_streaming: bool,
    /// Behind what every core, or data node, of a release that is installed from now on is called with.
    pub(super) core_words: Vec<String>,
    pub(super) data_node_words: Vec<String>,
    address: String,
    /// Where releases are asked for.
    github: Option<String>,
}

impl Node {
    /// A home whose first release is `v0.1.0`, a core alone.
    pub(super) fn new(flavour: Flavour) -> Self {
        Self::begin(flavour, false)
    }

    /// The same with a data node, which the core streams its events to.
    pub(super) fn with_data_node(flavour: Flavour) -> Self {
        Self::begin(flavour, true)
    }

    fn begin(flavour: Flavour, is_streaming: bool) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let address = format!("127.{}.{}.{}:26657", 1 + process / 256 % 250, process % 256, 1 + count % 254);
        let folder = tempfile::Builder::new().prefix("omnivisor-test-").tempdir().unwrap();
        let (core_words, data_node_words) = (Vec::new(), Vec::new());
        let node = Self {
            drop_in: DropIn::new(folder.path()),
            folder,
            flavour,
            is_streaming,
            core_words,
            data_node_words,
            address,
            github: None,
        };
        for part in ["home", "bin", "tendermint/config"] {
            fs::create_dir_all(node.path(part)).unwrap();
        }
        symlink(PROGRAM, node.path("bin/visor")).unwrap();
        let rpc = format!("[rpc]\nladdr = \"tcp://{}\"\n", node.address);
        fs::write(node.path("tendermint/config/config.toml"), rpc).unwrap();
        node.configure(&[]);
        node.install("genesis", &Profile::new("v0.1.0"));
        node
    }

    /// Something that belongs to this network: the home of the drop-in is `home`, that of the core `vega`.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.path().join(inside)
    }

    pub(super) fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.path("witness")
    }

    fn text(&self, inside: &str) -> String {
        self.path(inside).to_str().unwrap().to_owned()
    }

    /// Writes `config.toml` anew, with other values for some keys; releases are put there by hand.
    pub(super) fn configure(&self, changes: &[(&str, &str)]) {
        let value = |(key, value): &(&str, &str)| {
            let changed = changes.iter().find(|(name, _)| name == key);
            format!("{key} = {}\n", changed.map_or(*value, |(_, value)| value))
        };
        let known: String = CONFIG.iter().map(value).collect();
        fs::write(self.path("home/config.toml"), format!("{known}[autoInstall]\nenabled = false\n")).unwrap();
    }

    /// Puts a release and its `run-config.toml` into a place of the home.
    pub(super) fn install(&self, place: &str, profile: &Profile) {
        let folder = self.home().join(place);
        self.profile(profile).install_as(&folder, self.flavour, PROGRAM.as_ref()).unwrap();
        fs::write(folder.join("run-config.toml"), self.run_config(place)).unwrap();
    }

    /// The same under its version.
    pub(super) fn stage(&self, version: &str) {
        self.install(version, &Profile::new(version));
    }

    /// A release that is part of this network.
    pub(super) fn profile(&self, profile: &Profile) -> Profile {
        let profile = profile.clone().with("witness", self.text("witness"));
        let profile = if self.is_streaming { profile.with("broker", self.text("broker.sock")) } else { profile };
        if profile.switches.contains_key("block_ms") { profile } else { profile.with("block_ms", 20) }
    }

    /// What `run-config.toml` says in a release of this name.
    pub(super) fn run_config(&self, name: &str) -> String {
        let flavour = self.flavour;
        let list = |words: Vec<String>| {
            let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
            quoted.join(", ")
        };
        let (home, tendermint) = (self.text("vega"), self.text("tendermint"));
        let core = ["start", "--home", &home, "--tendermint-home", &tendermint, "--comet", "--http", &self.address];
        let core = core.map(str::to_owned).into_iter().chain([
            "--admin.server.socket-path".to_owned(),
            self.text("vega.sock"),
            "--admin.server.http-path".to_owned(),
            "/rpc".to_owned(),
        ]);
        let core = list(core.chain(self.core_words.iter().cloned()).collect());
        let socket = self.text("vega.sock");
        let data_node = self.is_streaming.then(|| {
            let words = ["datanode", "start", "--home", &home].map(str::to_owned).into_iter();
            let words = list(words.chain(self.data_node_words.iter().cloned()).collect());
            format!("\n[data_node]\n  [data_node.binary]\n    path = {flavour:?}\n    args = [{words}]\n")
        });
        format!(
            "name = {name:?}\n\n[{flavour}]\n  [{flavour}.binary]\n    path = {flavour:?}\n    args = [{core}]\n  \
             [{flavour}.rpc]\n    socketPath = {socket:?}\n    httpPath = \"/rpc\"\n{}",
            data_node.unwrap_or_default()
        )
    }

    /// A call of `visor`.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin/visor"));
        command.args(words).stdin(Stdio::null()).env_clear().env("PATH", "/usr/bin:/bin");
        command.current_dir(self.folder.path());
        command.envs(self.github.iter().map(|api| ("OMNIVISOR_GITHUB_API", api)));
        command
    }

    /// From its next start on, releases that are missing are fetched from there: this file, with the program in it.
    pub(super) fn fetch_from(&mut self, server: &GitHubServer, asset: &str) {
        self.github = Some(server.address().to_owned());
        let config = fs::read_to_string(self.path("home/config.toml")).unwrap();
        let section = format!(
            "enabled = true\nrepositoryOwner = \"owner\"\nrepository = \"node\"\n[autoInstall.asset]\nname = {asset:?}\nbinaryName = {:?}\n",
            self.flavour
        );
        fs::write(self.path("home/config.toml"), config.replace("enabled = false\n", &section)).unwrap();
    }

    /// A release as its publisher packs it: the program and nothing else of a home.
    pub(super) fn packed(&self, asset: &str, profile: &Profile) -> Asset {
        let folder = tempfile::tempdir().unwrap();
        let release = folder.path().join("release");
        let program = self.profile(profile).install_as(&release, self.flavour, PROGRAM.as_ref()).unwrap();
        // A file of its own: other tests make links to the one of all, and tar sees that it changes.
        fs::copy(PROGRAM, folder.path().join("copy")).unwrap();
        fs::rename(folder.path().join("copy"), program).unwrap();
        let mut command = Command::new("tar");
        let done = command.args(["-cf", "packed", "-C", "release", "."]).current_dir(folder.path()).status().unwrap();
        assert!(done.success());
        Asset::new(asset, &fs::read(folder.path().join("packed")).unwrap())
    }

    pub(super) fn call(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// `omnivisor …` on the home.
    pub(super) fn omnivisor(&self, words: &[&str]) -> Output {
        let mut command = Command::new(PROGRAM);
        command.arg("--home").arg(self.home()).args(words).env_remove("OMNIVISOR_HOME").stdin(Stdio::null());
        command.output().unwrap()
    }

    /// The plans that are known, as a list in JSON.
    pub(super) fn plans(&self) -> String {
        String::from_utf8(self.omnivisor(&["plan", "list", "--json"]).stdout).unwrap()
    }

    /// What became of upgrades, in JSON.
    pub(super) fn upgrades(&self) -> String {
        String::from_utf8(self.omnivisor(&["upgrade", "history", "--json"]).stdout).unwrap()
    }

    /// `visor run` on the home.
    pub(super) fn start(&mut self) {
        let command = self.command(&["run", "--home", &self.text("home")]);
        self.drop_in.start(command);
    }

    /// A second `visor run`.
    pub(super) fn start_another(&self) -> Output {
        self.call(&["run", "--home", &self.text("home")])
    }

    /// What `current` says, letter for letter.
    pub(super) fn current(&self) -> PathBuf {
        fs::read_link(self.path("home/current")).unwrap()
    }

    /// Tells a core, a data node or the commands what holds from now on, above all that their release says.
    pub(super) fn tell(&self, role: Role, switches: &Value) {
        vega::tell(&self.witness(), role, switches.as_object().unwrap()).unwrap();
    }

    /// These proposals, each `tag@height`, have the votes that they need, and no others.
    pub(super) fn propose(&self, accepted: &[&str]) {
        self.tell(Role::Core, &serde_json::json!({ "upgrades": accepted }));
    }

    /// The last height that anybody carried out.
    pub(super) fn height(&self) -> u64 {
        vega::blocks(&self.witness()).unwrap().last().map_or(0, |span| span.to)
    }

    pub(super) fn wait_for_height(&self, height: u64) {
        wait_until(&format!("height {height}"), || self.height() >= height);
    }

    /// Waits until a version carried out blocks.
    pub(super) fn wait_for_blocks_of(&self, version: &str) {
        wait_until(&format!("a block of {version}"), || {
            vega::blocks(&self.witness()).unwrap().last().is_some_and(|span| span.version == version)
        });
    }

    /// Which version carried out which blocks, in order: `v0.1.0: 1-25`.
    pub(super) fn blocks(&self) -> Vec<String> {
        let spans = vega::blocks(&self.witness()).unwrap();
        spans.iter().map(|span| format!("{}: {}-{}", span.version, span.from, span.to)).collect()
    }

    /// The last block of the data node's history, asked as an operator does.
    pub(super) fn latest_segment(&self) -> Option<u64> {
        let mut command = Command::new(self.home().join("current").join(self.flavour));
        command.args(["datanode", "network-history", "latest-history-segment", "--output=json", "--home"]);
        let output = command.arg(self.path("vega")).env_clear().output().unwrap();
        let answer: Value = serde_json::from_slice(&output.stdout).ok()?;
        answer["LatestSegment"]["to_height"].as_u64()
    }

    /// Every launch of one part of the program.
    pub(super) fn launches(&self, role: Role) -> Vec<Launch> {
        let all = vega::launches(&self.witness()).unwrap();
        all.into_iter().filter(|launch| launch.role == role).collect()
    }

    /// Which versions of one part were launched, in order.
    pub(super) fn launched(&self, role: Role) -> Vec<String> {
        self.launches(role).into_iter().map(|launch| launch.version).collect()
    }

    /// Has the core crash once.
    pub(super) fn crash(&self) {
        let crashes = || self.life("core").into_iter().filter(|step| *step == lifecycle::Step::Crashed).count();
        let before = crashes();
        self.tell(Role::Core, &serde_json::json!({ "crash": true }));
        wait_until("the end of the core", || crashes() > before);
        self.tell(Role::Core, &serde_json::json!({}));
    }

    /// The process of the core that was launched last.
    pub(super) fn core_pid(&self) -> u32 {
        lifecycle::read(&self.witness().join("core")).unwrap().last().unwrap().pid
    }

    /// What a part noted of its life: `core` or `data-node`.
    pub(super) fn life(&self, part: &str) -> Vec<lifecycle::Step> {
        let entries = lifecycle::read(&self.witness().join(part)).unwrap();
        entries.into_iter().map(|entry| entry.step).collect()
    }

    /// Every rule that was broken.
    pub(super) fn violations(&self) -> Vec<String> {
        let all = vega::violations(&self.witness()).unwrap();
        all.into_iter().map(|violation| format!("{} at {}", violation.kind, violation.height)).collect()
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

/// The height that a core was told to begin with, if it was told one.
pub(super) fn pinned_height(launch: &Launch) -> Option<u64> {
    let at = launch.arguments.iter().position(|word| word == "--snapshot.load-from-block-height")?;
    launch.arguments.get(at + 1)?.parse().ok()
}
