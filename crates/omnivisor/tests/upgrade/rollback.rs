//! Releases that cannot be proven, and the way back from each kind of trouble.

use std::fs;

use fakenode::Profile;
use ov_testkit::wait_until;
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Step, Trigger};

use super::support::{LONG_SOAK, QUICK, executed, finish, kept_data, makers, plan_status, reason, running, told};

const IMPATIENT: &str = "\n[upgrade.prove]\nsoak = \"150ms\"\nwithin = \"2s\"\n";

/// Has a bad release planned, and makes sure that the node is back on the old one, with the reason told.
fn is_rolled_back(bad: &Profile, configuration: &str, code: &str, why: &str) {
    let node = running(&[], &[QUICK, configuration].concat());
    let plan = node.plan(bad, Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    let because = reason(&node, plan);
    assert_eq!(because.code, code, "{because:?}");
    assert!(told(&because).contains(why), "{because:?}");
    assert_eq!(node.current(), "v1");
    assert_eq!(node.client().plans(false).unwrap(), []);
    assert!(node.path("releases/v2").is_dir(), "the bad release stays to be looked at");
    finish(node);
}

#[test]
fn a_crash_loop_after_the_switch() {
    is_rolled_back(&Profile::new("v2").with("crash_after", 2), LONG_SOAK, "OV-UPG-031", "does not stay up");
}

#[test]
fn a_crash_at_every_start() {
    is_rolled_back(&Profile::new("v2").with("crash_starts", 1_000), "", "OV-UPG-031", "does not stay up");
}

#[test]
fn death_by_signal() {
    let bad = Profile::new("v2").with("crash_after", 1).with("crash_signal", "SEGV");
    is_rolled_back(&bad, LONG_SOAK, "OV-UPG-031", "signal");
}

#[test]
fn a_wrong_version() {
    is_rolled_back(&Profile::new("v2").with("report_version", "v7"), IMPATIENT, "OV-UPG-032", "v7");
}

#[test]
fn a_height_that_does_not_move() {
    is_rolled_back(&Profile::new("v2").with("stop_blocks", true), IMPATIENT, "OV-UPG-032", "height");
}

#[test]
fn a_hang() {
    let hang = Profile::new("v2").with("hang", true);
    is_rolled_back(&hang, IMPATIENT, "OV-UPG-032", "height");
}

#[test]
fn bad_health() {
    let health = "\n[unit.main.health]\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"! grep -q v2 current/bin/fakenode.json\"]\n\
                  every = \"50ms\"\nfailures = 2\n";
    is_rolled_back(&Profile::new("v2"), &[IMPATIENT, health].concat(), "OV-UPG-032", "healthy");
}

#[test]
fn a_release_that_never_gets_ready() {
    let ready = "\n[unit.main.ready]\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"! grep -q v2 current/bin/fakenode.json\"]\n\
                 every = \"50ms\"\n";
    is_rolled_back(&Profile::new("v2"), &[IMPATIENT, ready].concat(), "OV-UPG-032", "ready");
}

#[test]
fn a_program_that_cannot_be_executed() {
    let node = running(&[], QUICK);
    let source = node.make_release(&Profile::new("v2"));
    fs::remove_file(source.join("bin/fakenode")).unwrap();
    fs::write(source.join("bin/fakenode"), "no program").unwrap();
    let plan = ov_types::api::NewPlan {
        release: super::support::name("v2"),
        trigger: Trigger::Now,
        on_failure: Some(FailurePolicy::Rollback),
        source: Some(super::support::text(&source)),
        sha256: None,
        keep: None,
        replaces: None,
    };
    let plan = node.client().add_plan(&plan).unwrap().plan.unwrap();
    let problem = super::support::wait_for_problem(&node, plan);
    assert_eq!(problem.code, "OV-UPG-015", "the doctor sees it before anything is stopped: {problem:?}");
    assert_eq!(executed(&node), ["v1"], "v1 ran on");
    let _ = node.client().cancel_plan(plan).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
    finish(node);
}

#[test]
fn data_of_a_higher_format_is_put_aside_and_the_old_data_comes_back() {
    let node = running(&["--sign"], &[QUICK, LONG_SOAK, super::sign_state::VALIDATOR].concat());
    let bad = Profile::new("v2").with("data_format", 2).with("crash_after", 3);
    let plan = node.plan(&bad, Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(fs::read_to_string(node.path("data/format")).unwrap().trim(), "1");
    let kept = kept_data(&node);
    assert_eq!(kept.len(), 1);
    let aside = fakenode::verify_data(&kept[0]).unwrap();
    assert_eq!((aside.format, aside.problems), (2, Vec::<String>::new()), "the new release's data is whole");
    assert_eq!(makers(&node), ["v1"], "no block of v2 is in the old data");
    // The heights that v2 signed are not signed again: `finish` looks for violations.
    finish(node);
}

#[test]
fn a_migration_that_dies_half_way_is_undone() {
    let node = running(&[], QUICK);
    let bad = Profile::new("v2").with("data_format", 2).with("migrate_crash", true);
    let plan = node.plan(&bad, Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(fs::read_to_string(node.path("data/format")).unwrap().trim(), "1");
    finish(node);
}

#[test]
fn a_person_turns_an_upgrade_round_while_it_is_proven() {
    let node = running(&[], "\n[upgrade.prove]\nsoak = \"40s\"\nwithin = \"50s\"\n");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_until("the proof", || matches!(node.phase(plan), PlanPhase::Forward { step: Step::Prove, .. }));
    let output = node.omnivisor(&["upgrade", "rollback", "--wait"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(reason(&node, plan).code, "OV-UPG-041");
    assert_eq!(node.current(), "v1");
    finish(node);
}

#[test]
fn a_person_goes_back_after_the_commit() {
    let node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let output = node.omnivisor(&["upgrade", "rollback", "--wait"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(node.current(), "v1");
    assert_eq!(executed(&node), ["v1", "v2", "v1"]);
    assert_eq!(makers(&node), ["v1", "v2", "v1"], "no block is lost");
    finish(node);
}

#[test]
fn there_is_no_way_back_from_raised_data_after_the_commit() {
    let node = running(&[], "");
    let plan = node.plan(&Profile::new("v2").with("data_format", 2), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let output = node.omnivisor(&["upgrade", "rollback", "--wait"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{said}");
    assert!(said.contains("snapshot restore"), "{said}");
    assert_eq!(node.current(), "v2");
    finish(node);
}

#[test]
fn one_crash_while_proving_is_forgiven() {
    let node = running(&[], QUICK);
    let plan = node.plan(&Profile::new("v2").with("crash_starts", 1), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(executed(&node), ["v1", "v2", "v2"]);
    assert!(plan_status(&node, plan).gap_ms.is_some());
    finish(node);
}
