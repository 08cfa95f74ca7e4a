//! "Units: `main` and any number of helpers, with order and conditions (start after main is up / ready; only when …)".

use std::fs;

use fakenode::lifecycle::{Step, read};
use ov_testkit::wait_until;
use ov_types::api::UnitOrder;
use ov_types::{EventKind, UnitState};

use super::common::{events, name, order, position, second_node, shell, started, starts, wait_for_starts};

fn is_started(unit: &str) -> impl Fn(&EventKind) -> bool {
    let unit = name(unit);
    move |kind| matches!(kind, EventKind::UnitStarted { unit: started, .. } if *started == unit)
}

#[test]
fn main_waits_until_the_helper_it_needs_is_ready_and_says_so() {
    let helper = shell("sleep 600");
    let ready = "program = \"/usr/bin/test\"\nargs = [\"-e\", \"{home}/open\"]\nevery = \"20ms\"\n";
    let more = format!("[unit.database]\n{helper}[unit.database.ready]\n{ready}");
    let mut node = started("after = { database = \"ready\" }", &[], &more);
    node.wait_for_state("database", UnitState::Up);
    let main = node.unit("main");
    assert_eq!(main.state, UnitState::Waiting);
    assert_eq!(main.waiting_for.as_deref(), Some("unit database to be ready"));
    fs::write(node.path("open"), "").unwrap();
    node.wait_for_up("main");
    let events = events(&node);
    let ready = position(&events, "database ready", |kind| matches!(kind, EventKind::UnitReady { .. }));
    assert!(ready < position(&events, "main started", is_started("main")));
    node.stop();
}

#[test]
fn helpers_start_when_main_is_up_or_when_it_is_ready() {
    let (early, late) = (shell("sleep 600"), shell("sleep 600"));
    let more = format!(
        "[unit.early]\n{early}after = {{ main = \"up\" }}\n[unit.late]\n{late}after = {{ main = \"ready\" }}\n\
         [unit.main.ready]\nprogram = \"/usr/bin/test\"\nargs = [\"-e\", \"{{home}}/open\"]\nevery = \"20ms\"\n"
    );
    let mut node = started("", &[], &more);
    node.wait_for_up("early");
    assert_eq!(node.unit("late").state, UnitState::Waiting);
    fs::write(node.path("open"), "").unwrap();
    node.wait_for_up("late");
    let events = events(&node);
    let main = position(&events, "main started", is_started("main"));
    let ready = position(&events, "main ready", |kind| matches!(kind, EventKind::UnitReady { .. }));
    assert!(main < position(&events, "early started", is_started("early")));
    assert!(ready < position(&events, "late started", is_started("late")));
    node.stop();
}

#[test]
fn a_bound_helper_follows_main_down_and_up_and_an_unbound_one_stays() {
    let (bound, free) = (shell("sleep 600"), shell("sleep 600"));
    let more =
        format!("[unit.bound]\n{bound}with = {{ main = \"up\" }}\n[unit.free]\n{free}after = {{ main = \"up\" }}\n");
    let mut node = started("", &[], &more);
    node.wait_for_up("bound");
    let free = node.wait_for_up("free");
    order(&node, "main", UnitOrder::Stop);
    wait_until("main and the bound helper to be down", || {
        node.unit("main").state == UnitState::Down && node.unit("bound").pid.is_none()
    });
    assert_eq!(node.unit("free").pid, Some(free));
    assert_eq!(node.unit("free").state, UnitState::Up);
    order(&node, "main", UnitOrder::Start);
    wait_for_starts(&node, "bound", 2);
    assert_eq!(starts(&node, "free"), 1);
    assert_eq!(node.unit("free").pid, Some(free));
    node.stop();
}

#[test]
fn a_bound_helper_is_launched_again_after_main_crashed() {
    let helper = shell("sleep 600");
    let more = format!("[unit.bound]\n{helper}with = {{ main = \"up\" }}\n");
    let mut node = started("", &[], &more);
    node.wait_for_up("bound");
    let pid = node.wait_for_up("main");
    super::common::kill("KILL", pid);
    wait_for_starts(&node, "main", 2);
    wait_for_starts(&node, "bound", 2);
    node.wait_for_up("bound");
    node.stop();
}

#[test]
fn units_stop_in_the_reverse_order_of_their_start() {
    let helper = second_node(", \"--stop-delay-ms\", \"400\"");
    let more = format!("[unit.helper]\n{helper}after = {{ main = \"up\" }}\n");
    let mut node = started("", &[], &more);
    node.wait_for_up("helper");
    wait_until("the helper to work", || {
        read(&node.path("helper")).is_ok_and(|entries| entries.iter().any(|entry| entry.step == Step::Started))
    });
    node.wait_for_height(1);
    assert!(node.stop().status.success());
    let stopped = |home: &std::path::Path| {
        let entries = read(home).unwrap();
        entries.iter().find(|entry| entry.step == Step::Stopped).expect("it stopped by itself").monotonic_ns
    };
    assert!(stopped(&node.path("helper")) < stopped(node.home()), "main waits for who needs it");
    node.check_data();
}
