//! When an upgrade begins: at a height, at a time, now, when a person says so; and what makes it wait.

use std::time::{SystemTime, UNIX_EPOCH};

use fakenode::Profile;
use ov_testkit::{TestNode, wait_until};
use ov_types::api::{PlanPhase, UnitOrder};
use ov_types::record::Outcome;
use ov_types::{EventKind, FailurePolicy, Height, PlanId, Trigger, UnitName};

use super::support::{events, executed, finish, makers, never, plan_status, running, wait_for_armed};

#[test]
fn at_a_height_the_node_is_stopped_by_us() {
    let node = running(&[], "");
    let height = node.height().unwrap() + 30;
    let plan = node.plan(&Profile::new("v2"), Trigger::Height { height: Height(height) }, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let spans = fakenode::verify_data(&node.path("data")).unwrap().versions;
    assert_eq!(spans.len(), 2, "{spans:?}");
    assert!(spans[0].to >= height, "v1 went on to its height: {spans:?}");
    finish(node);
}

#[test]
fn at_a_time() {
    let node = running(&[], "");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let wall_ms = i64::try_from(now.as_millis()).unwrap() + 700;
    let plan = node.plan(&Profile::new("v2"), Trigger::Time { wall_ms }, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let history = node.client().history(Some(plan), None).unwrap();
    let triggered = history.iter().find_map(|entry| match &entry.record {
        ov_types::Record::Triggered { at, .. } => Some(at.wall_ms),
        _ => None,
    });
    assert!(triggered.unwrap() >= wall_ms, "not before its time");
    finish(node);
}

/// Which plans were told to be near, and how near.
fn told_near(node: &TestNode) -> Vec<(PlanId, u64)> {
    let near = |kind| match kind {
        EventKind::UpgradeNear { plan, eta_ms, .. } => Some((plan.id, eta_ms)),
        _ => None,
    };
    events(node).into_iter().filter_map(near).collect()
}

#[test]
fn it_is_told_once_that_a_trigger_comes_near_whoever_looks_after_the_node() {
    let (hour_ms, minute_ms) = (3_600_000, 60_000);
    let mut node = running(&[], "[upgrade]\nnear = [\"2h\", \"1h\", \"10m\"]\n");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let wall_ms = i64::try_from(now.as_millis()).unwrap() + hour_ms + 700;
    // The first bound is passed already, the second in a moment.
    let by_time = node.plan(&Profile::new("v2"), Trigger::Time { wall_ms }, FailurePolicy::Rollback);
    wait_until("both to be told", || told_near(&node).len() == 2);
    let told = told_near(&node);
    assert!(told.iter().all(|(plan, _)| *plan == by_time) && told[1].1 <= hour_ms.unsigned_abs(), "{told:?}");
    // By a height, as fast as the blocks come: of all bounds that are passed only the nearest is told.
    let height = Height(node.height().unwrap() + 1_000);
    let by_height = node.plan(&Profile::new("v3"), Trigger::Height { height }, FailurePolicy::Rollback);
    wait_until("the height to be told", || told_near(&node).len() == 3);
    let told = told_near(&node);
    assert!(told[2].0 == by_height && told[2].1 <= 10 * minute_ms, "{told:?}");
    node.kill_daemon();
    node.start();
    let before = node.height().unwrap();
    wait_until("the pace to be known again", || node.status().height.is_some_and(|height| height.0 >= before + 40));
    assert_eq!(told_near(&node), told, "nothing is told twice");
    finish(node);
}

#[test]
fn a_time_that_has_passed_is_due_at_once() {
    let node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), Trigger::Time { wall_ms: 1_000 }, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    finish(node);
}

#[test]
fn a_person_applies_a_plan_before_its_height() {
    let node = running(&[], "");
    let plan = node.plan(&Profile::new("v2"), never(), FailurePolicy::Rollback);
    wait_for_armed(&node, plan);
    assert_eq!(node.current(), "v1", "nothing visible changes before the trigger");
    let _ = node.client().apply_plan(plan).unwrap();
    // Its height is far; what has to move is the chain.
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(makers(&node), ["v1", "v2"]);
    finish(node);
}

#[test]
fn queued_plans_are_carried_out_one_after_the_other() {
    let node = running(&[], "");
    let first = node.height().unwrap();
    let plans: Vec<_> = [("v2", 60), ("v3", 100), ("v4", 140)]
        .into_iter()
        .map(|(release, after)| {
            let trigger = Trigger::Height { height: Height(first + after) };
            node.plan(&Profile::new(release), trigger, FailurePolicy::Rollback)
        })
        .collect();
    for plan in plans {
        assert_eq!(node.wait_for_end(plan), Outcome::Committed);
        assert!(plan_status(&node, plan).gap_ms.is_some(), "the gap is measured");
    }
    assert_eq!(node.current(), "v4");
    assert_eq!(makers(&node), ["v1", "v2", "v3", "v4"]);
    assert_eq!(executed(&node), ["v1", "v2", "v3", "v4"]);
    finish(node);
}

#[test]
fn a_due_plan_waits_while_main_is_held_or_kept_down() {
    for (before, after) in [(UnitOrder::Suspend, UnitOrder::Resume), (UnitOrder::Stop, UnitOrder::Start)] {
        let node = running(&[], "");
        let main = UnitName::main();
        let _ = node.client().unit(&main, before).unwrap();
        let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
        wait_for_armed(&node, plan);
        if before == UnitOrder::Stop {
            wait_until("main to be down", || node.unit("main").pid.is_none());
        }
        assert!(node.client().apply_plan(plan).is_err(), "a person who holds main is not overruled");
        assert_eq!(node.phase(plan), PlanPhase::Armed);
        assert_eq!(node.current(), "v1");
        let _ = node.client().unit(&main, after).unwrap();
        assert_eq!(node.wait_for_end(plan), Outcome::Committed);
        assert!(!events(&node).is_empty());
        finish(node);
    }
}
