//! A Cosmos node under `omnivisor run`: its home as the node's own `init` leaves it, releases in the family's layout.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use fakenode::Profile;
use fakenode::lifecycle::{self, Step};
use ov_testkit::{TestNode, wait_for};
use ov_types::api::PlanStatus;

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// Little time for a proof; and heights, health and failures are looked at often. The questions are the family's own.
const QUICK: &str = "
[probe.height]
http = \"http://ADDRESS/status\"
pointer = \"/result/sync_info/latest_block_height\"
every = \"50ms\"

[unit.main.health]
http = \"http://ADDRESS/health\"
every = \"50ms\"

[upgrade]
retry-first = \"50ms\"
retry-max = \"200ms\"

[upgrade.prove]
soak = \"200ms\"
within = \"20s\"

[unit.main.back-off]
first = \"20ms\"
max = \"50ms\"
";

/// A home in which the node answers at an address of its own and `genesis` is `v1`; nothing runs.
pub(super) fn home() -> TestNode {
    let node = TestNode::bare(Path::new(PROGRAM));
    fs::create_dir_all(node.path("config")).unwrap();
    fs::create_dir_all(node.path("data")).unwrap();
    fs::write(node.path("config/config.toml"), format!("[rpc]\nladdr = \"tcp://{}\"\n", node.address())).unwrap();
    install(&node, "genesis", &Profile::new("v1"));
    symlink("genesis", node.path("cosmovisor/current")).unwrap();
    node
}

/// The configuration of a node with these arguments behind `start`, and more.
pub(super) fn configuration(node: &TestNode, arguments: &[&str], more: &str) -> String {
    let words = ["start", "--block-ms", "20", "--http", node.address()].into_iter().chain(arguments.iter().copied());
    let words: Vec<&str> = words.collect();
    let is_said = |section: &&str| !more.contains(section.trim().lines().next().unwrap());
    let quick: Vec<&str> = QUICK.split("\n\n").filter(is_said).collect();
    let quick = quick.join("\n\n").replace("ADDRESS", node.address());
    format!("chain = \"cosmos\"\n\n[cosmos]\nprogram = \"fakenode\"\nargs = {words:?}\n{quick}\n{more}")
}

/// A node that runs `v1` and has made some blocks.
pub(super) fn running(arguments: &[&str], more: &str) -> TestNode {
    let mut node = home();
    node.write_configuration(&configuration(&node, arguments, more));
    node.start();
    let _ = node.wait_for_up("main");
    node.wait_for_height(3);
    node
}

/// Puts a release into `cosmovisor/<place>`.
pub(super) fn install(node: &TestNode, place: &str, profile: &Profile) {
    profile.install(&node.path("cosmovisor").join(place), PROGRAM.as_ref()).unwrap();
}

/// What `current` says, letter for letter.
pub(super) fn current(node: &TestNode) -> String {
    fs::read_link(node.path("cosmovisor/current")).unwrap().to_str().unwrap().to_owned()
}

/// The first plan for a release, once there is one.
pub(super) fn plan_for(node: &TestNode, release: &str) -> PlanStatus {
    wait_for(&format!("a plan for {release}"), || {
        let plans = node.client().plans(true).ok()?;
        plans.into_iter().find(|plan| plan.plan.release.as_str() == release)
    })
}

/// The versions that were executed, in order.
pub(super) fn launched(node: &TestNode) -> Vec<String> {
    let entries = lifecycle::read(node.home()).unwrap();
    entries.into_iter().filter(|entry| entry.step == Step::Exec).map(|entry| entry.version).collect()
}

/// Which version made which blocks, up to which height: `v1@59`. Fails unless the data is whole.
pub(super) fn blocks(node: &TestNode) -> Vec<String> {
    let report = fakenode::verify_home(node.home()).unwrap();
    assert!(report.violations.is_empty() && report.problems.is_empty(), "{report:?}");
    report.versions.iter().map(|span| format!("{}@{}", span.version, span.to)).collect()
}

/// An `omnivisor` command that has to succeed; what it printed.
pub(super) fn ask_well(node: &TestNode, words: &[&str]) -> String {
    let output = node.omnivisor(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
