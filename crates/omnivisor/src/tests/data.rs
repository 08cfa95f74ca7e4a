//! A node as tests see it: plain data, also for the tests that run the program.

use ov_types::api::{DaemonStatus, PlanPhase, PlanStatus, Status, UnitStatus};
use ov_types::{
    Event, EventKind, ExitStatus, FailurePolicy, Height, Origin, ParkReason, Plan, PlanId, Problem, ReleaseName, RunId,
    Step, Trigger, UnitName, UnitState,
};

/// The time it is.
pub(crate) const NOON_MS: i64 = 1_795_176_000_000;

pub(crate) fn release(name: &str) -> ReleaseName {
    ReleaseName::new(name).unwrap()
}

/// A unit that is ready.
pub(crate) fn unit(name: &str) -> UnitStatus {
    UnitStatus {
        name: UnitName::new(name).unwrap(),
        state: UnitState::Ready,
        pid: Some(4250),
        run: Some(RunId(3)),
        since_ms: Some(NOON_MS - 7_380_000),
        launch_in_ms: None,
        launches: 1,
        last_exit: None,
        not_started: None,
        healthy: Some(true),
        wanted: true,
        suspended: false,
        parked: None,
        waiting_for: None,
        stop_grace_ms: 90_000,
        says: None,
    }
}

/// A plan that is armed.
pub(crate) fn plan() -> PlanStatus {
    PlanStatus {
        also: Vec::new(),
        plan: Plan {
            id: PlanId(3),
            release: release("v2"),
            trigger: Trigger::Height { height: Height(1_240_000) },
            on_failure: FailurePolicy::Rollback,
            origin: Origin::Person,
            source: None,
            info: None,
            sha256: None,
            keep: true,
            supersedes: None,
        },
        phase: PlanPhase::Armed,
        steps: Step::ALL.to_vec(),
        eta_ms: Some(5_400_000),
        gap_ms: None,
        behind: None,
        superseded: None,
        added_ms: NOON_MS - 60_000,
        ended_ms: None,
    }
}

/// A node with three units, a plan and a problem.
pub(crate) fn status() -> Status {
    let backup = UnitStatus {
        state: UnitState::BackingOff,
        pid: None,
        launch_in_ms: Some(12_000),
        launches: 7,
        last_exit: Some(ExitStatus::Code(1)),
        healthy: None,
        ..unit("backup")
    };
    let uploader = UnitStatus {
        state: UnitState::Parked,
        pid: None,
        launches: 9,
        last_exit: Some(ExitStatus::Signal(11)),
        healthy: None,
        parked: Some(ParkReason::CrashLoop { count: 5, within_ms: Some(60_000), last: Some(ExitStatus::Signal(11)) }),
        ..unit("uploader")
    };
    Status {
        node: "alpha".to_owned(),
        home: "/srv/alpha".to_owned(),
        chain: "generic".to_owned(),
        daemon: DaemonStatus {
            version: "1.0.0".to_owned(),
            pid: 4242,
            since_ms: NOON_MS - 273_600_000,
            stopping: false,
        },
        release: Some(release("v1")),
        height: Some(Height(1_234_600)),
        height_age_ms: Some(2_300),
        blocks_per_hour: Some(3_600),
        units: vec![unit("main"), backup, uploader],
        plans: vec![plan()],
        problems: vec![problem()],
    }
}

/// A problem with everything.
pub(crate) fn problem() -> Problem {
    Problem::transient("OV-UNIT-004", "keep unit uploader up")
        .cause("signal 11")
        .state("node `alpha` still runs v1")
        .hint("omnivisor logs uploader")
}

/// Some events.
pub(crate) fn events() -> Vec<Event> {
    let main = UnitName::main;
    let kinds = [
        EventKind::DaemonStarted { version: "1.0.0".to_owned(), adopted: vec![main()] },
        EventKind::UnitStarted { unit: main(), run: RunId(3), pid: 4250 },
        EventKind::UnitReady { unit: main() },
        EventKind::UpgradeArmed { plan: plan().plan, eta_ms: Some(5_400_000) },
        EventKind::NodeStuck { height: Some(Height(1_234_600)), for_ms: 90_000, restarting: false },
    ];
    (1..).zip(kinds).map(|(index, kind)| Event { index, at_ms: NOON_MS - 10_000, kind }).collect()
}
