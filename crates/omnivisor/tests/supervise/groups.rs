//! Units that live and die together: one that fails takes the other down with its whole grace, and both come back.

use fakenode::Profile;
use fakenode::lifecycle::{self, Step, read};
use ov_testkit::{TestNode, wait_until};
use ov_types::api::UnitOrder;
use ov_types::record::Outcome;
use ov_types::{EventKind, FailurePolicy, Trigger, UnitState};

use super::common::{
    events, kill, name, order, position, second_node, shell, started, starts, wait_for_event, wait_for_starts,
};

const TOGETHER: &str = "together = \"pair\"";
const PACE: &str = "at-once = 0\nfirst = \"300ms\"\nmax = \"300ms\"\njitter = 0\n";

/// A main that takes its time to stop, and a partner that lives and dies with it.
fn pair(partner: &str, more: &str) -> TestNode {
    let more = format!(
        "[unit.partner]\n{partner}{TOGETHER}\n[unit.partner.back-off]\n{PACE}[unit.main.back-off]\n{PACE}{more}"
    );
    started(TOGETHER, &["--stop-delay-ms", "500"], &more)
}

fn steps(home: &std::path::Path) -> Vec<lifecycle::Entry> {
    read(home).unwrap_or_default()
}

fn wait_for_step(home: &std::path::Path, step: Step, count: usize) {
    wait_until(&format!("{count} times {step:?}"), || {
        steps(home).iter().filter(|entry| entry.step == step).count() >= count
    });
}

fn pauses(node: &TestNode) -> Vec<(u64, u32)> {
    let pause = |kind: EventKind| match kind {
        EventKind::UnitBackingOff { wait_ms, failures, .. } => Some((wait_ms, failures)),
        _ => None,
    };
    events(node).into_iter().filter_map(pause).collect()
}

#[test]
fn the_other_is_stopped_with_its_grace_and_both_come_back_after_one_pause() {
    let mut node = pair(&second_node(""), "");
    for round in 1..=2 {
        let partner = node.wait_for_up("partner");
        wait_for_step(&node.path("partner"), Step::Started, round);
        wait_for_step(node.home(), Step::Started, round);
        kill("KILL", partner);
        wait_for_starts(&node, "main", round + 1);
        wait_for_starts(&node, "partner", round + 1);
        wait_for_step(node.home(), Step::Stopped, round);
        assert_eq!(pauses(&node).len(), round, "it is one failure: {:?}", pauses(&node));
    }
    assert_eq!(pauses(&node), [(300, 1), (300, 2)]);
    wait_for_step(node.home(), Step::Exec, 3);
    wait_for_step(&node.path("partner"), Step::Exec, 3);
    // Both were down before either was launched again.
    let (main, partner) = (steps(node.home()), steps(&node.path("partner")));
    let at = |entries: &[lifecycle::Entry], step, number: usize| {
        entries.iter().filter(|entry| entry.step == step).nth(number).expect("it happened").monotonic_ns
    };
    for round in 0..2 {
        let down = at(&main, Step::Stopped, round);
        assert!(down + 300_000_000 <= at(&main, Step::Exec, round + 1).min(at(&partner, Step::Exec, round + 1)));
    }
    node.stop();
    node.check_data();
}

#[test]
fn an_end_that_went_well_is_noticed_where_the_unit_has_to_run() {
    let mut node = pair(&shell("sleep 0.2"), "");
    wait_for_starts(&node, "main", 2);
    wait_for_step(node.home(), Step::Stopped, 1);
    node.stop();
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on() {
    let mut node = pair(&second_node(""), "");
    let partner = node.wait_for_up("partner");
    wait_for_step(node.home(), Step::Started, 1);
    kill("KILL", partner);
    wait_for_event(&node, "main to be stopped", |kind| match kind {
        EventKind::UnitStopping { unit } if unit.is_main() => Some(()),
        _ => None,
    });
    node.kill_daemon();
    node.start();
    wait_for_starts(&node, "partner", 2);
    wait_for_starts(&node, "main", 2);
    node.wait_for_up("main");
    assert_eq!(pauses(&node), [(300, 1)]);
    let stops = steps(node.home()).iter().filter(|entry| entry.step == Step::Stopped).count();
    assert_eq!(stops, 1, "main had its grace");
    node.stop();
}

#[test]
fn a_shim_that_is_killed_takes_both_down() {
    let mut node = pair(&second_node(""), "");
    let partner = node.wait_for_up("partner");
    wait_for_step(node.home(), Step::Started, 1);
    kill("KILL", super::common::parent_of(partner));
    wait_for_starts(&node, "partner", 2);
    wait_for_starts(&node, "main", 2);
    wait_for_step(node.home(), Step::Stopped, 1);
    assert_eq!(pauses(&node), [(300, 1)]);
    node.stop();
}

#[test]
fn what_is_said_of_one_holds_for_both() {
    let mut node = pair(&second_node(""), "");
    node.wait_for_up("main");
    node.wait_for_up("partner");
    order(&node, "partner", UnitOrder::Stop);
    let main = node.wait_for_state("main", UnitState::Down);
    assert_eq!(main.waiting_for.as_deref(), Some("`omnivisor unit start partner`"));
    node.wait_for_state("partner", UnitState::Down);
    order(&node, "partner", UnitOrder::Start);
    wait_for_starts(&node, "main", 2);
    node.wait_for_up("partner");
    order(&node, "main", UnitOrder::Restart);
    wait_for_starts(&node, "main", 3);
    wait_for_starts(&node, "partner", 3);
    assert_eq!(pauses(&node), []);
    node.stop();
}

#[test]
fn an_upgrade_stops_both_and_is_not_done_while_one_of_them_falls() {
    let partner = shell("test ! -e {home}/broken && exec sleep 600; exit 7");
    let mut node = pair(&partner, "[unit.partner.crash-loop]\ncount = 1000\n");
    node.wait_for_height(1);
    std::fs::write(node.path("broken"), "").unwrap();
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    wait_for_event(&node, "the upgrade to turn round", |kind| match kind {
        EventKind::UpgradeTurnedBack { .. } => Some(()),
        _ => None,
    });
    std::fs::remove_file(node.path("broken")).unwrap();
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    node.wait_for_up("partner");
    assert_eq!(node.current(), "v1");
    let events = events(&node);
    let begun = position(&events, "the stop", |kind| matches!(kind, EventKind::UpgradeStarted { .. }));
    let stopped = |unit: &str| {
        let unit = name(unit);
        events[begun..].iter().any(|kind| matches!(kind, EventKind::UnitStopping { unit: of } if *of == unit))
    };
    assert!(stopped("main") && stopped("partner"));
    assert!(starts(&node, "main") >= 3);
    node.stop();
}
