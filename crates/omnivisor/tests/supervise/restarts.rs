//! "Restart policies, exponential back-off with jitter and reset after stable uptime, crash-loop breaker that parks with
//! a clear reason and keeps retrying slowly if told so; exit codes that must never be restarted".

use ov_testkit::TestNode;
use ov_types::api::UnitOrder;
use ov_types::{EventKind, ExitStatus, ParkReason, UnitState};

use super::common::{events, laid_out, name, order, shell, started, starts, wait_for_event, wait_for_starts};

/// A node whose helper `job` is this script, with these keys and tables.
fn with_job(script: &str, keys: &str, tables: &str) -> TestNode {
    started("", &[], &format!("[unit.job]\n{}{keys}\n{tables}", shell(script)))
}

const QUICK: &str = "[unit.job.back-off]\nfirst = \"10ms\"\nmax = \"20ms\"\n[unit.job.crash-loop]\ncount = 1000\n";

/// The pauses of `job`, as told.
fn pauses(node: &TestNode) -> Vec<(u64, u32)> {
    let of_job = |kind: &EventKind| match kind {
        EventKind::UnitBackingOff { unit, wait_ms, failures } if *unit == name("job") => Some((*wait_ms, *failures)),
        _ => None,
    };
    events(node).iter().filter_map(of_job).collect()
}

#[test]
fn always_launches_again_also_after_success() {
    let mut node = with_job("exit 0", "restart = \"always\"", QUICK);
    wait_for_starts(&node, "job", 4);
    node.stop();
}

#[test]
fn on_failure_launches_again_until_it_succeeds() {
    let script = "echo x >> tries; test $(wc -l < tries) -ge 3";
    let mut node = with_job(script, "restart = \"on-failure\"", QUICK);
    wait_for_starts(&node, "job", 3);
    let rested = node.wait_for_state("job", UnitState::Down);
    assert_eq!(rested.last_exit, Some(ExitStatus::Code(0)));
    assert_eq!(starts(&node, "job"), 3);
    node.stop();
}

#[test]
fn never_launches_once_and_again_when_told() {
    let mut node = with_job("exit 3", "restart = \"never\"", QUICK);
    let rested = node.wait_for_state("job", UnitState::Down);
    assert_eq!(rested.last_exit, Some(ExitStatus::Code(3)));
    // The daemon had every chance to launch it again.
    node.wait_for_height(5);
    assert_eq!(starts(&node, "job"), 1);
    order(&node, "job", UnitOrder::Start);
    wait_for_starts(&node, "job", 2);
    node.stop();
}

#[test]
fn pauses_double_up_to_their_bound_within_the_jitter_and_the_first_failure_costs_none() {
    let rules =
        "[unit.job.back-off]\nfirst = \"40ms\"\nmax = \"200ms\"\njitter = 20\n[unit.job.crash-loop]\ncount = 1000\n";
    let mut node = with_job("exit 1", "", rules);
    wait_for_starts(&node, "job", 8);
    let pauses = pauses(&node);
    assert_eq!(pauses[0].1, 2, "the second failure in a row is the first that waits");
    for (waited, failures) in &pauses {
        let plain = (40u64 << (failures - 2)).min(200);
        let allowed = plain - plain / 5..=plain + plain / 5;
        assert!(allowed.contains(waited), "{waited} ms after {failures} failures");
    }
    assert!(pauses.len() >= 6 && pauses[5].0 >= 160, "{pauses:?}");
    // The pauses are really waited for: launch times lie at least so far apart.
    let listed = node.client().events(ov_client::Since::Oldest).unwrap();
    let (mut backed_off, mut launched) = (Vec::new(), Vec::new());
    for event in listed {
        match event.kind {
            EventKind::UnitBackingOff { unit, wait_ms, .. } if unit == name("job") => {
                backed_off.push((event.at_ms, i64::try_from(wait_ms).unwrap()));
            }
            EventKind::UnitStarted { unit, .. } if unit == name("job") => launched.push(event.at_ms),
            _ => {}
        }
    }
    for ((at_ms, wait_ms), next_ms) in backed_off.iter().zip(launched.iter().skip(2)) {
        // Told a moment after it was decided, on a busy machine.
        assert!(next_ms - at_ms >= wait_ms - 25, "launched {} ms after a pause of {wait_ms}", next_ms - at_ms);
    }
    node.stop();
}

#[test]
fn a_stable_run_makes_earlier_failures_forgotten() {
    let rules =
        "[unit.job.back-off]\nfirst = \"1h\"\nmax = \"1h\"\nreset = \"100ms\"\n[unit.job.crash-loop]\ncount = 3\n";
    let mut node = with_job("sleep 0.2; exit 1", "", rules);
    // Were they remembered, the second failure would wait for an hour.
    wait_for_starts(&node, "job", 6);
    assert_eq!(pauses(&node), []);
    node.stop();
}

#[test]
fn a_crash_loop_parks_with_its_reason_survives_daemons_and_ends_when_told() {
    let rules = "[unit.job.back-off]\nfirst = \"10ms\"\nmax = \"20ms\"\n\
                 [unit.job.crash-loop]\ncount = 4\nwithin = \"5m\"\nthen = \"park\"\n";
    let mut node = with_job("exit 9", "", rules);
    let parked = node.wait_for_state("job", UnitState::Parked);
    let reason = ParkReason::CrashLoop { count: 4, within_ms: Some(300_000), last: Some(ExitStatus::Code(9)) };
    assert_eq!(parked.parked, Some(reason.clone()));
    assert_eq!(starts(&node, "job"), 4);
    wait_for_event(&node, "the alarm", |kind| match kind {
        EventKind::UnitParked { reason: told, .. } if *told == reason => Some(()),
        _ => None,
    });
    let shown = node.omnivisor(&["status"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("4 times within 5m"), "{shown:?}");

    node.kill_daemon();
    node.start();
    assert_eq!(node.wait_for_state("job", UnitState::Parked).parked, Some(reason.clone()));
    assert!(node.stop().status.success());
    node.start();
    assert_eq!(node.wait_for_state("job", UnitState::Parked).parked, Some(reason));
    assert_eq!(starts(&node, "job"), 4);

    order(&node, "job", UnitOrder::Start);
    wait_for_starts(&node, "job", 5);
    // It gets a fresh chance: as many tries as before.
    wait_for_starts(&node, "job", 8);
    node.wait_for_state("job", UnitState::Parked);
    assert_eq!(starts(&node, "job"), 8);
    node.stop();
}

#[test]
fn a_crash_loop_goes_on_slowly_if_told_so() {
    let rules = "[unit.job.back-off]\nfirst = \"10ms\"\nmax = \"20ms\"\n\
                 [unit.job.crash-loop]\ncount = 3\nthen = \"retry\"\nevery = \"150ms\"\n";
    let mut node = with_job("exit 9", "", rules);
    wait_for_starts(&node, "job", 6);
    let slow: Vec<u64> = events(&node)
        .iter()
        .filter_map(|kind| match kind {
            EventKind::UnitLooping { wait_ms, reason: ParkReason::CrashLoop { last, .. }, .. } => {
                assert_eq!(*last, Some(ExitStatus::Code(9)));
                Some(*wait_ms)
            }
            _ => None,
        })
        .collect();
    assert!(slow.len() >= 3 && slow.iter().all(|wait| (120..=180).contains(wait)), "{slow:?}");
    assert_eq!(node.unit("job").parked, None);
    node.stop();
}

#[test]
fn an_exit_code_that_must_never_be_restarted_parks_at_once_whatever_the_policy() {
    let mut node = with_job("exit 129", "restart = \"always\"\nnever-restart = [2, 129]", QUICK);
    let parked = node.wait_for_state("job", UnitState::Parked);
    assert_eq!(parked.parked, Some(ParkReason::ForbiddenExit { code: 129 }));
    node.wait_for_height(5);
    assert_eq!(starts(&node, "job"), 1);
    let shown = String::from_utf8(node.omnivisor(&["status"]).stdout).unwrap();
    assert!(shown.contains("exit code 129"), "{shown}");
    node.stop();
}

#[test]
fn a_program_that_cannot_be_launched_is_told_clearly_and_tried_again() {
    let mut node = laid_out("", &[], "");
    let text = node.path("notes.txt");
    std::fs::write(&text, "just text").unwrap();
    // What no kernel takes for a program, although it is executable: the head of an ELF file, and nothing that follows.
    let foreign = node.path("foreign");
    std::fs::write(&foreign, b"\x7fELF\x02\x01\x01").unwrap();
    std::fs::set_permissions(&foreign, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let unit = |unit: &str, program: &str| {
        format!("[unit.{unit}]\nprogram = \"{program}\"\n[unit.{unit}.back-off]\nfirst = \"20ms\"\nmax = \"20ms\"\n")
    };
    let more = [unit("missing", "bin/none"), unit("text", "notes.txt"), unit("foreign", "foreign")].concat();
    super::common::configure(&node, "", &[], &more);
    node.start();
    for (job, path) in [("missing", "bin/none"), ("text", "notes.txt"), ("foreign", "foreign")] {
        let told = || {
            let of_job = |kind: &EventKind| match kind {
                EventKind::UnitNotStarted { unit, message } if *unit == name(job) => Some(message.clone()),
                _ => None,
            };
            let messages: Vec<String> = events(&node).iter().filter_map(of_job).collect();
            (messages.len() >= 3).then_some(messages)
        };
        let messages = ov_testkit::wait_for("three tries", told);
        assert!(messages[0].contains(path), "{job}: {}", messages[0]);
    }
    node.wait_for_up("main");
    assert!(node.stop().status.success());
}
