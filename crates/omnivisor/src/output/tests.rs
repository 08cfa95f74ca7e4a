//! Whole views of a sample node, as plain text.

use ov_types::api::{DoctorReport, HistoryEntry, PlanPhase, PlanStatus, ReleaseStatus, SnapshotStatus};
use ov_types::record::{Outcome, StepFacts};
use ov_types::{Direction, Finding, Height, Moment, PlanId, Record, Severity, SnapshotId, Step};

use crate::tests::sample;

#[test]
fn status_shows_node_units_plans_and_problems() {
    let expected = "\
node     alpha (generic) in /srv/alpha
daemon   1.0.0, process 4242, took over 3d4h ago (2026-11-17 08:00:00)
release  v1
height   1234600, moved 2.3s ago, 3600 blocks/h

UNIT      STATE        PROCESS  FOR   LAUNCHES  HEALTH  LAST EXIT    NOTE
main      ready        4250     2h3m  1         good    -            -
backup    backing-off  -        -     7         -       exit code 1  launched again in 12s
uploader  parked       -        -     9         -       signal 11    ended 5 times within 1m, last with signal 11

PLAN  RELEASE  WHEN            EXPECTED             ON FAILURE  FROM      PHASE
3     v2       height 1240000  in 1h30m (13:30:00)  rollback    a person  armed

problem: failed to keep unit uploader up [OV-UNIT-004]
  because: signal 11
  state:   node `alpha` still runs v1
  next:    omnivisor logs uploader
";
    assert_eq!(super::status(&sample::status(), &sample::look()), expected);
}

#[test]
fn a_node_of_which_little_is_known_is_shown_too() {
    let mut status = sample::status();
    (status.release, status.height) = (None, None);
    status.plans.clear();
    status.problems.clear();
    status.units.truncate(1);
    let text = super::status(&status, &sample::look());
    assert!(text.contains("release  none is current\nheight   not known\n"), "{text}");
    assert!(
        text.ends_with("UNIT  STATE  PROCESS  FOR   LAUNCHES  HEALTH\nmain  ready  4250     2h3m  1         good\n")
    );
}

#[test]
fn plans_show_how_far_they_are() {
    let because = Some(sample::problem());
    let ended = |outcome| PlanPhase::Ended { outcome, because: None };
    for (phase, expected) in [
        (PlanPhase::Queued, "queued"),
        (PlanPhase::Forward { step: Step::Keep, attempt: 1, problem: None }, "keep"),
        (
            PlanPhase::Forward { step: Step::Stage, attempt: 4, problem: because },
            "stage, attempt 4, failed to keep unit uploader up: signal 11",
        ),
        (ended(Outcome::Committed), "committed 1m ago, no process for 8ms"),
        (ended(Outcome::RolledBack), "rolled back 1m ago"),
    ] {
        let ended_ms = Some(sample::NOON_MS - 60_000);
        let plan = PlanStatus { phase, ended_ms, gap_ms: Some(8), ..sample::plan() };
        assert_eq!(super::plan_phase(&plan, &sample::clock()).1, expected);
    }
}

#[test]
fn the_line_of_a_plain_watch_holds_what_matters() {
    let expected = "alpha at v1, height 1234600, main ready, backup backing-off, uploader parked, next v2 at height \
                    1240000: armed, problems: 1";
    assert_eq!(super::summary_line(&sample::status(), &sample::clock()), expected);
}

#[test]
fn events_are_one_line_each() {
    let events: String = sample::events().iter().map(|event| super::event(event, &sample::look())).collect();
    assert!(events.starts_with(
        "2026-11-20 11:59:50      1  omnivisor 1.0.0 takes over the node; found running and left alone: main\n"
    ));
    assert_eq!(events.lines().count(), 5);
}

#[test]
fn the_doctor_tells_the_worst_last() {
    let findings = vec![
        Finding::error("binary.glibc", "v2", "needs GLIBC 2.39, the host has 2.36", "build it on an older system"),
        Finding::ok("host.clock", "host", "in step"),
        Finding::warning("data.room", "/srv/alpha/data", "2.1 GiB are free", "make room"),
    ];
    let report = DoctorReport { worst: Severity::Error, findings };
    let expected = "\
ok      host.clock    host: in step
warning data.room     /srv/alpha/data: 2.1 GiB are free
        next: make room
error   binary.glibc  v2: needs GLIBC 2.39, the host has 2.36
        next: build it on an older system
1 ok, 0 unknown, 1 warning, 1 error
";
    assert_eq!(super::doctor(&report, &sample::look()), expected);
}

#[test]
fn releases_and_snapshots_are_tables() {
    let release = |name: &str, current, complete| ReleaseStatus {
        name: sample::release(name),
        complete,
        current,
        bytes: 40_000_000,
        staged_ms: Some(sample::NOON_MS - 3_600_000),
        fetched: None,
        source: Some("/srv/build/node".to_owned()),
    };
    let text = super::release_list(&[release("v1", true, true), release("v2", false, false)], &sample::look());
    let expected = "\
RELEASE  STATE       SIZE      STAGED             SOURCE
v1       current     38.1 MiB  1h ago (11:00:00)  /srv/build/node
v2       incomplete  38.1 MiB  1h ago (11:00:00)  /srv/build/node
";
    assert_eq!(text, expected);
    let snapshot = SnapshotStatus {
        id: SnapshotId::new("20261120T110000Z-3").unwrap(),
        taken_ms: sample::NOON_MS - 3_600_000,
        release: Some(sample::release("v1")),
        height: Some(Height(1_230_000)),
        reason: "upgrade 3 to v2".to_owned(),
        files: 35,
        bytes: 2_147_483_648,
        how: "reflink 32, copy 3".to_owned(),
        complete: true,
    };
    let expected = "\
SNAPSHOT            TAKEN              RELEASE  HEIGHT   SIZE     FILES  HOW                 REASON
20261120T110000Z-3  1h ago (11:00:00)  v1       1230000  2.0 GiB  35     reflink 32, copy 3  upgrade 3 to v2
";
    assert_eq!(super::snapshot_list(&[snapshot], &sample::look()), expected);
}

#[test]
fn the_history_is_told_as_sentences() {
    let at = Moment { monotonic_ms: 0, wall_ms: sample::NOON_MS };
    let plan = PlanId(3);
    let (step, direction) = (Step::Start, Direction::Forward);
    let facts = StepFacts { gap_ms: Some(9), ..StepFacts::noted("process 99") };
    let records = [
        Record::PlanAdded { at, plan: sample::plan().plan, steps: Step::ALL.to_vec(), facts: StepFacts::default() },
        Record::Triggered { at, plan, height: Some(Height(1_240_000)) },
        Record::StepDone { at, plan, step, direction, facts },
        Record::Ended { at, plan, outcome: Outcome::Committed, by: None },
        Record::MainEnded { at, status: None, height: None },
    ];
    let entries: Vec<HistoryEntry> =
        (41..).zip(records).map(|(sequence, record)| HistoryEntry { sequence, record }).collect();
    let expected = "\
NUMBER  TIME                 PLAN  WHAT
41      2026-11-20 12:00:00  3     plan to go to v2, height 1240000, learned from a person
42      2026-11-20 12:00:00  3     triggered at height 1240000
43      2026-11-20 12:00:00  3     start done: process 99, no process for 9ms
44      2026-11-20 12:00:00  3     committed
45      2026-11-20 12:00:00  -     main ended unseen
";
    assert_eq!(super::history(&entries, &sample::look()), expected);
}
