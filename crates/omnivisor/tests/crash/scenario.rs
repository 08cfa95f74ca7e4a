//! What the node is taken through while the program dies: each scenario knows its next move from what it sees, so that
//! it goes on after any death as a person would.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::LazyLock;

use fakenode::Profile;
use ov_client::ClientError;
use ov_testkit::{Reply, Server, TestNode};
use ov_types::api::{NewPlan, NewSnapshot, PlanPhase, RestoreSnapshot, Status, UnitOrder};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Height, ReleaseName, Trigger, UnitName, UnitState};

const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// Quick everywhere: the matrix has hundreds of cases.
const CONFIGURATION: &str = r#"
[validator]
key = "config/priv_validator_key.json"
sign-state = "data/priv_validator_state.json"

[upgrade]
retry-first = "50ms"

[upgrade.prove]
soak = "SOAK"
within = "20s"
exits = 0

[upgrade.migrate]
program = "{release}/bin/fakenode"
args = ["version"]

[unit.main.back-off]
first = "50ms"

[unit.main.crash-loop]
count = 20
"#;

/// Something that the node is taken through.
#[derive(Debug)]
pub(super) struct Scenario {
    /// What it is called in reports.
    pub(super) name: &'static str,
    /// The release that runs when it is over.
    pub(super) ends_with: &'static str,
    /// The home, before any daemon.
    pub(super) home: fn() -> TestNode,
    /// Makes the next move, if it is time for one; true when everything is done.
    pub(super) advance: fn(&TestNode) -> Result<bool, ClientError>,
    /// What else must hold in the end.
    pub(super) check: fn(&TestNode),
    /// Places that it comes by, each with the visits at which the suite kills the program.
    pub(super) points: &'static [(&'static str, &'static [u32])],
}

/// All scenarios.
pub(super) const SCENARIOS: [&Scenario; 6] = [&GOOD, &BAD, &WITHDRAWN, &FETCHED, &BY_HAND, &FULL_JOURNAL];

/// A good release is committed.
pub(super) const GOOD: Scenario = Scenario {
    name: "good",
    ends_with: "v2",
    home: || home_with(&Profile::new("v2"), "60ms"),
    advance: |node| go_to_v2(node, Trigger::Now, Outcome::Committed),
    check: |node| assert_eq!(node.client().snapshots().unwrap().len(), 1, "one snapshot was taken"),
    points: &[
        ("daemon.found", &[1]),
        ("daemon.decided", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        ("daemon.event-kept", &[1, 5, 9]),
        ("daemon.launching", &[1, 2]),
        ("daemon.launched", &[1, 2]),
        ("daemon.proof-begun", &[1]),
        ("daemon.proven", &[1]),
        ("journal.written", &[1, 4, 8, 12]),
        ("journal.synced", &[1, 3, 6, 9, 12]),
        ("release.built", &[1]),
        ("release.placed", &[1]),
        ("release.committed", &[1]),
        ("release.switched", &[1]),
        ("vault.snapshot-built", &[1]),
        ("vault.snapshot-taken", &[1]),
        ("shim-after-launching-record", &[1, 2]),
        ("shim-after-spawn", &[1, 2]),
        ("shim-before-exit-record", &[1]),
        ("shim-after-exit-record", &[1]),
        ("step.stage.begin", &[1]),
        ("step.stage.applied", &[1]),
        ("step.stage.verified", &[1]),
        ("step.examine.begin", &[1]),
        ("step.examine.applied", &[1]),
        ("step.examine.verified", &[1]),
        ("step.recheck.begin", &[1]),
        ("step.recheck.applied", &[1]),
        ("step.recheck.verified", &[1]),
        ("step.keep.begin", &[1]),
        ("step.keep.applied", &[1]),
        ("step.keep.verified", &[1]),
        ("step.switch.begin", &[1]),
        ("step.switch.applied", &[1]),
        ("step.switch.verified", &[1]),
        ("step.migrate.begin", &[1]),
        ("step.migrate.applied", &[1]),
        ("step.migrate.verified", &[1]),
        ("step.commit.begin", &[1]),
        ("step.commit.applied", &[1]),
        ("step.commit.verified", &[1]),
    ],
};

/// A release that raises the data's format and crashes is rolled back, with the data.
pub(super) const BAD: Scenario = Scenario {
    name: "bad",
    ends_with: "v1",
    // It never lives as long as it would have to.
    home: || home_with(&Profile::new("v2").with("data_format", 2).with("crash_after", 1), "10s"),
    advance: |node| go_to_v2(node, Trigger::Now, Outcome::RolledBack),
    check: |node| {
        assert_eq!(fs::read_to_string(node.path("data/format")).unwrap().trim(), "1", "the old format");
        assert!(kept_data(node), "the new release's data is kept aside");
    },
    points: &[
        ("daemon.decided", &[10, 12, 14, 16, 18, 20]),
        ("daemon.launching", &[3]),
        ("daemon.launched", &[3]),
        ("journal.synced", &[13, 15, 17, 19]),
        ("release.switched", &[1, 2]),
        ("vault.restore-built", &[1]),
        ("vault.swap-marked", &[1]),
        ("vault.swap-begun", &[1]),
        ("vault.swap-named", &[1]),
        ("vault.swap-done", &[1]),
        ("shim-before-exit-record", &[2]),
        ("shim-after-exit-record", &[2]),
        ("step.migrate.undo", &[1]),
        ("step.migrate.undone", &[1]),
        ("step.switch.undo", &[1]),
        ("step.switch.undone", &[1]),
        ("step.keep.undo", &[1]),
        ("step.keep.undone", &[1]),
        ("step.recheck.undo", &[1]),
        ("step.recheck.undone", &[1]),
        ("step.examine.undo", &[1]),
        ("step.examine.undone", &[1]),
        ("step.stage.undo", &[1]),
        ("step.stage.undone", &[1]),
    ],
};

/// A plan is taken back after everything is prepared.
pub(super) const WITHDRAWN: Scenario = Scenario {
    name: "withdrawn",
    ends_with: "v1",
    home: || home_with(&Profile::new("v2"), "60ms"),
    advance: |node| {
        let far = Trigger::Height { height: Height(1 << 40) };
        let armed = node.client().plans(false)?.into_iter().find(|plan| plan.phase == PlanPhase::Armed);
        if let Some(armed) = armed {
            let _ = node.client().cancel_plan(armed.plan.id)?;
        }
        go_to_v2(node, far, Outcome::Withdrawn)
    },
    check: |node| {
        let left: Vec<_> =
            fs::read_dir(node.path("releases")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let ours = |name: &&std::ffi::OsString| name.to_string_lossy().contains("v2");
        assert_eq!(left.iter().find(ours), None, "nothing of the plan is left");
    },
    points: &[
        ("daemon.decided", &[3, 4, 5]),
        ("release.hidden", &[1]),
        ("release.withdrawn", &[1]),
        ("step.examine.undo", &[1]),
        ("step.examine.undone", &[1]),
        ("step.stage.undo", &[1]),
        ("step.stage.undone", &[1]),
        ("step.stage.applied", &[1]),
    ],
};

/// A release is fetched from a server that breaks off once, and committed.
pub(super) const FETCHED: Scenario = Scenario {
    name: "fetched",
    ends_with: "v2",
    home: || home_with(&Profile::new("v2"), "60ms"),
    advance: |node| go_to_v2_from(node, Trigger::Now, Outcome::Committed, breaking_server().url("/v2")),
    check: |node| {
        let provenance = fs::read_to_string(node.path("releases/v2.release.json")).unwrap();
        assert!(provenance.contains(&breaking_server().url("/v2")), "{provenance}");
    },
    points: &[
        ("fetch.kept", &[1]),
        ("fetch.downloaded", &[1]),
        ("fetch.verified", &[1]),
        ("fetch.unpacked", &[1]),
        ("fetch.placed", &[1]),
        ("release.built", &[1]),
        ("release.placed", &[1]),
        ("release.committed", &[1]),
        ("step.stage.applied", &[1]),
    ],
};

/// A server that knows parts, and breaks off in the middle of whatever is asked for from its beginning.
fn breaking_server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        Profile::new("v2").install_single_file(folder.path(), Path::new(PROGRAM)).unwrap();
        let program = fs::read(folder.path().join("bin/fakenode")).unwrap();
        Server::new(move |question, _| {
            let reply = Reply::file(question, &program, "\"1\"");
            if question.header("range").is_some() { reply } else { reply.cut(program.len() / 2) }
        })
    });
    &SERVER
}

/// A snapshot is taken by hand, and restored after the node went on.
pub(super) const BY_HAND: Scenario = Scenario {
    name: "by-hand",
    ends_with: "v1",
    home: || home_with(&Profile::new("v2"), "60ms"),
    advance: |node| {
        let status = node.client().status()?;
        let snapshots = node.client().snapshots()?;
        match (is_at(&status, 3), snapshots.first()) {
            (true, None) => drop(node.client().take_snapshot(&NewSnapshot::default())?),
            (true, Some(snapshot)) if kept_data(node) => return Ok(snapshot.complete),
            (true, Some(snapshot)) if is_at(&status, snapshot.height.unwrap_or_default().0 + 3) => {
                let confirmation = RestoreSnapshot { confirm: status.node, height: snapshot.height };
                let _ = node.client().restore_snapshot(&snapshot.id, &confirmation)?;
            }
            _ => {}
        }
        Ok(false)
    },
    check: |_| {},
    points: &[
        ("daemon.work-begun", &[1, 2]),
        ("daemon.work-done", &[1, 2]),
        ("daemon.decided", &[1, 2]),
        ("vault.snapshot-built", &[1]),
        ("vault.snapshot-taken", &[1]),
        ("vault.restore-built", &[1]),
        ("vault.swap-marked", &[1]),
        ("vault.swap-begun", &[1]),
        ("vault.swap-named", &[1]),
        ("vault.swap-done", &[1]),
        ("shim-after-spawn", &[2]),
    ],
};

/// A daemon takes over a journal that has grown too long, and begins a new segment.
pub(super) const FULL_JOURNAL: Scenario = Scenario {
    name: "full-journal",
    ends_with: "v1",
    home: || {
        let node = home_with(&Profile::new("v2"), "60ms");
        super::full::fill_journal(&node.path(".omnivisor/journal"));
        node
    },
    advance: |node| {
        if is_at(&node.client().status()?, 3) && segments(node) < 2 {
            // Anything that is written down will do.
            for order in [UnitOrder::Suspend, UnitOrder::Resume] {
                let _ = node.client().unit(&UnitName::main(), order)?;
            }
        }
        Ok(segments(node) > 1 && is_at(&node.client().status()?, 3))
    },
    check: |node| assert_eq!(segments(node), 2, "the long segment and the one that restates it"),
    points: &[("journal.rotated", &[1]), ("journal.opened", &[1]), ("daemon.decided", &[1])],
};

/// A home with v1 in place, and the release that the plan is to lead to. Key and sign state are there from the
/// beginning, as after `init` of a real node: one without the other is never launched.
fn home_with(next: &Profile, soak: &str) -> TestNode {
    let node = TestNode::new(Path::new(PROGRAM), &["--sign"], &CONFIGURATION.replace("SOAK", soak));
    node.start_with(&Profile::new("v1"));
    for (path, text) in [
        ("config/priv_validator_key.json", format!("{{\"address\": \"{}\"}}", node.address())),
        ("data/priv_validator_state.json", r#"{"height": "0", "round": 0, "step": 0}"#.to_owned()),
    ] {
        let path = node.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let _ = node.make_release(next);
    node
}

/// Plans the upgrade if nobody has; true when it is over, which it must be in this way.
fn go_to_v2(node: &TestNode, trigger: Trigger, wanted: Outcome) -> Result<bool, ClientError> {
    go_to_v2_from(node, trigger, wanted, node.path("incoming/v2").to_str().unwrap().to_owned())
}

/// The same, from there.
fn go_to_v2_from(node: &TestNode, trigger: Trigger, wanted: Outcome, source: String) -> Result<bool, ClientError> {
    match node.client().plans(true)?.first().map(|plan| plan.phase.clone()) {
        Some(PlanPhase::Ended { outcome, because }) => {
            assert_eq!(outcome, wanted, "{because:?}");
            Ok(true)
        }
        Some(PlanPhase::NeedsOperator { because }) => panic!("a person is asked: {because:?}"),
        Some(_) => Ok(false),
        None => {
            if is_at(&node.client().status()?, 3) {
                let _ = node.client().add_plan(&NewPlan {
                    release: ReleaseName::new("v2").unwrap(),
                    trigger,
                    on_failure: Some(FailurePolicy::Rollback),
                    source: Some(source),
                    sha256: None,
                    keep: None,
                    replaces: None,
                })?;
            }
            Ok(false)
        }
    }
}

/// Main is up, and the node at this height or above.
fn is_at(status: &Status, height: u64) -> bool {
    let up = status.units.iter().any(|unit| unit.name.is_main() && unit.state == UnitState::Up);
    up && status.height.is_some_and(|seen| seen.0 >= height)
}

/// Files of the journal.
fn segments(node: &TestNode) -> usize {
    let names = fs::read_dir(node.path(".omnivisor/journal")).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| !name.to_string_lossy().starts_with('.')).count()
}

/// A restore has put other data aside.
fn kept_data(node: &TestNode) -> bool {
    let names = fs::read_dir(node.home()).unwrap().map(|entry| entry.unwrap().file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with("data.before-restore-"))
}
