//! What the tests of upgrades share.

use std::fs;
use std::path::{Path, PathBuf};

use fakenode::Profile;
use fakenode::lifecycle::{self, Step};
use ov_client::Since;
use ov_testkit::{TestNode, wait_for, wait_until};
use ov_types::api::{NewPlan, PlanPhase, PlanStatus};
use ov_types::{EventKind, FailurePolicy, Height, PlanId, Problem, ReleaseName, Trigger};

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// Rules that leave no time: for tests in which something fails and is tried again.
pub(super) const QUICK: &str = r#"
[upgrade]
retry-first = "50ms"
retry-max = "200ms"

[unit.main.back-off]
first = "20ms"
max = "50ms"

[unit.main.crash-loop]
count = 1000
"#;

/// A proof that takes longer than any release lives that is told to crash, however busy the machine is.
pub(super) const LONG_SOAK: &str = "\n[upgrade.prove]\nsoak = \"20s\"\nwithin = \"50s\"\n";

/// A scout for the file that a halting node writes.
pub(super) const SCOUT: &str = "\n[scout.plan-file]\npath = \"data/upgrade-info.json\"\n";

/// A node that runs v1 under these rules, and has made some blocks.
pub(super) fn running(main_args: &[&str], configuration: &str) -> TestNode {
    running_as(&Profile::new("v1"), main_args, configuration)
}

/// The same, with a first release of another nature.
pub(super) fn running_as(first: &Profile, main_args: &[&str], configuration: &str) -> TestNode {
    let mut node = TestNode::new(Path::new(PROGRAM), main_args, configuration);
    node.start_with(first);
    node.start();
    let _ = node.wait_for_up("main");
    node.wait_for_height(3);
    node
}

/// The plan to go to a release that lies ready to be staged.
pub(super) fn wish(node: &TestNode, profile: &Profile, trigger: Trigger) -> NewPlan {
    NewPlan {
        release: name(&profile.version),
        trigger,
        on_failure: Some(FailurePolicy::Rollback),
        source: Some(text(&node.make_release(profile))),
        sha256: None,
        keep: None,
        replaces: None,
    }
}

pub(super) fn name(release: &str) -> ReleaseName {
    ReleaseName::new(release).unwrap()
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// A height that the node does not reach in a test.
pub(super) fn never() -> Trigger {
    Trigger::Height { height: Height(1 << 40) }
}

pub(super) fn plan_status(node: &TestNode, plan: PlanId) -> PlanStatus {
    node.client().plans(true).unwrap().into_iter().find(|known| known.plan.id == plan).unwrap()
}

/// Waits until everything is prepared.
pub(super) fn wait_for_armed(node: &TestNode, plan: PlanId) {
    wait_until("the plan to be armed", || node.phase(plan) == PlanPhase::Armed);
}

/// Waits until a step towards the new release has failed, and says why.
pub(super) fn wait_for_problem(node: &TestNode, plan: PlanId) -> Problem {
    wait_for("a step to fail", || match node.phase(plan) {
        PlanPhase::Forward { problem, .. } => problem,
        _ => None,
    })
}

/// Why an upgrade that is over was not committed.
pub(super) fn reason(node: &TestNode, plan: PlanId) -> Problem {
    match node.phase(plan) {
        PlanPhase::Ended { because: Some(because), .. } => because,
        other => panic!("it has no reason: {other:?}"),
    }
}

/// Everything that a problem tells, in one text.
pub(super) fn told(problem: &Problem) -> String {
    format!("{problem:?}")
}

/// What the daemon says when it refuses.
pub(super) fn refusal<T: std::fmt::Debug>(answer: Result<T, ov_client::ClientError>) -> String {
    match answer {
        Err(ov_client::ClientError::Refused(refusal)) => told(&refusal.problem),
        other => panic!("it was not refused: {other:?}"),
    }
}

/// The kinds of everything that happened.
pub(super) fn events(node: &TestNode) -> Vec<EventKind> {
    node.client().events(Since::Oldest).unwrap().into_iter().map(|event| event.kind).collect()
}

/// Which version made which blocks, in order. A node that runs may be moving blocks from one file to another just now,
/// so it is read until it is whole.
pub(super) fn makers(node: &TestNode) -> Vec<String> {
    wait_for("the data to be whole", || {
        let report = fakenode::verify_data(&node.path("data")).ok()?;
        let whole = report.problems.is_empty() && !report.versions.is_empty();
        whole.then(|| report.versions.into_iter().map(|span| span.version).collect())
    })
}

/// The versions that were executed, in order.
pub(super) fn executed(node: &TestNode) -> Vec<String> {
    let entries = lifecycle::read(node.home()).unwrap();
    entries.into_iter().filter(|entry| entry.step == Step::Exec).map(|entry| entry.version).collect()
}

/// The names in a folder, sorted; none if it is missing.
pub(super) fn names_in(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Directories beside the data that restores have put aside.
pub(super) fn kept_data(node: &TestNode) -> Vec<PathBuf> {
    let names = names_in(node.home()).into_iter().filter(|name| name.starts_with("data.before-restore-"));
    names.map(|name| node.path(&name)).collect()
}

/// Ends a test well: blocks go on, nothing is left after the stop, and the data is whole.
pub(super) fn finish(mut node: TestNode) {
    let _ = node.wait_for_up("main");
    let height = node.height().unwrap();
    node.wait_for_height(height + 2);
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    node.check_data();
}
