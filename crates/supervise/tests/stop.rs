//! A stop ends the whole tree, whatever the tree does.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{SIGKILL, SIGTERM, Unit, line, lives, script, wait_for};
use ov_supervise::{ExitStatus, Phase, Scope, ShimEvent, Spec};

const LONG: Duration = Duration::from_secs(600);

async fn launched(directory: &Path, text: &str) -> (Unit, u32) {
    let mut unit = Unit::open(directory).await;
    let text = text.replace("READY", "mv ready.new ready");
    let spec = Spec { working_directory: Some(directory.to_owned()), ..script(1, &text) };
    let pid = unit.launch(spec).await;
    (unit, pid)
}

fn signalled(signal: i32) -> ExitStatus {
    ExitStatus::Signal { signal, core_dumped: false }
}

#[tokio::test]
async fn the_stop_signal_reaches_the_group() {
    let directory = tempfile::tempdir().unwrap();
    let (mut unit, _) = launched(directory.path(), "sleep 600 & echo $! > ready.new; READY; wait").await;
    let child: u32 = line(&directory.path().join("ready")).await.parse().unwrap();
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, signalled(SIGTERM));
    unit.empty().await;
    assert!(!lives(child));
    unit.finish().await;
}

#[tokio::test]
async fn a_unit_that_ignores_the_signal_is_killed_after_the_grace() {
    let directory = tempfile::tempdir().unwrap();
    let text = "trap '' TERM; echo up > ready.new; READY; while :; do sleep 0.05; done";
    let (mut unit, pid) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    let begin = Instant::now();
    unit.shim.stop(SIGTERM, Duration::from_millis(300), Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, signalled(SIGKILL));
    assert!(begin.elapsed() >= Duration::from_millis(300));
    unit.empty().await;
    assert!(!lives(pid));
    unit.finish().await;
}

#[tokio::test]
async fn a_second_stop_hurries() {
    let directory = tempfile::tempdir().unwrap();
    let text = "trap '' TERM; echo up > ready.new; READY; while :; do sleep 0.05; done";
    let (mut unit, _) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    unit.shim.stop(SIGTERM, Duration::ZERO, Scope::Group).await.unwrap();
    // A later stop with a longer grace changes nothing.
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, signalled(SIGKILL));
    unit.empty().await;
    unit.finish().await;
}

#[tokio::test]
async fn a_stop_goes_on_without_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let text = "trap '' TERM; echo up > ready.new; READY; while :; do sleep 0.05; done";
    let (unit, pid) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    unit.shim.stop(SIGTERM, Duration::from_millis(200), Scope::Group).await.unwrap();
    drop(unit);
    wait_for("the end", || (!lives(pid)).then_some(())).await;
    let unit = Unit::open(directory.path()).await;
    assert_eq!(unit.state.exit, Some(signalled(SIGKILL)));
    unit.finish().await;
}

#[tokio::test]
async fn a_stopped_unit_can_follow_the_signal() {
    let directory = tempfile::tempdir().unwrap();
    let text = "trap 'exit 5' TERM; echo up > ready.new; READY; while :; do sleep 0.01; done";
    let (mut unit, pid) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    unit.shim.signal(19, Scope::Group).await.unwrap();
    let is_stopped = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok().filter(|stat| stat.contains(") T"));
    wait_for("the stop", is_stopped).await;
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, ExitStatus::Code(5));
    unit.empty().await;
    unit.finish().await;
}

#[tokio::test]
async fn a_grandchild_that_left_group_and_session_is_found_and_ended() {
    let directory = tempfile::tempdir().unwrap();
    let text =
        "(setsid sh -c 'trap \"\" TERM; echo $$ > ready.new; READY; while :; do sleep 0.05; done' &) ; exec sleep 600";
    let (mut unit, _) = launched(directory.path(), text).await;
    let grandchild: u32 = line(&directory.path().join("ready")).await.parse().unwrap();
    let begin = Instant::now();
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, signalled(SIGTERM));
    // It is not in the group, and ignores what it gets as a leftover: the leftover grace ends it.
    assert_eq!(unit.event().await, ShimEvent::Empty { run: 1 });
    assert!(begin.elapsed() >= Duration::from_secs(2));
    assert!(!lives(grandchild));
    unit.finish().await;
}

#[tokio::test]
async fn what_a_main_process_leaves_behind_is_ended_and_the_next_daemon_knows() {
    let directory = tempfile::tempdir().unwrap();
    let text = "setsid sh -c 'trap \"\" TERM; echo $$ > ready.new; READY; while :; do sleep 0.05; done' & \
                until [ -e ready ]; do sleep 0.01; done; exit 3";
    let (mut unit, _) = launched(directory.path(), text).await;
    let left: u32 = line(&directory.path().join("ready")).await.parse().unwrap();
    assert_eq!(unit.exited().await, ExitStatus::Code(3));
    assert!(lives(left));
    drop(unit);
    let mut unit = Unit::open(directory.path()).await;
    assert_eq!((unit.state.phase, unit.state.exit), (Phase::Exited, Some(ExitStatus::Code(3))));
    assert!(unit.shim.launch(script(2, "exit 0")).await.is_err());
    unit.empty().await;
    assert!(!lives(left));
    unit.launch(script(2, "exit 0")).await;
    unit.empty().await;
    unit.finish().await;
}

#[tokio::test]
async fn orphans_of_the_unit_are_reaped_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let text = "for i in 1 2 3 4 5; do (sh -c 'echo $$ >> pids; exit 0' &); done; \
                while [ $(wc -l < pids) -lt 5 ]; do sleep 0.01; done; echo up > ready.new; READY; exec sleep 600";
    let (unit, _) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    let pids = std::fs::read_to_string(directory.path().join("pids")).unwrap();
    for pid in pids.lines() {
        let is_gone = || (!Path::new(&format!("/proc/{pid}")).exists()).then_some(());
        wait_for("the reaping", is_gone).await;
    }
    unit.finish().await;
}

#[tokio::test]
async fn a_fork_bomb_is_emptied() {
    let directory = tempfile::tempdir().unwrap();
    // Each process of a chain starts its successor and ends, for ever, in 40 chains, each in
    // sessions of its own; about 200 more just sit there.
    let text = "trap '' TERM; \
        cat > chain <<'END'\ntrap '' TERM\nsleep 0.01\nsetsid sh ./chain & \nEND\n\
        i=0; while [ $i -lt 40 ]; do setsid sh ./chain & i=$((i+1)); done; \
        i=0; while [ $i -lt 200 ]; do sleep 600 & i=$((i+1)); done; \
        echo up > ready.new; READY; while :; do sleep 1; done";
    let (mut unit, _) = launched(directory.path(), text).await;
    line(&directory.path().join("ready")).await;
    let begin = Instant::now();
    unit.shim.stop(SIGTERM, Duration::from_millis(50), Scope::Group).await.unwrap();
    assert_eq!(unit.exited().await, signalled(SIGKILL));
    unit.empty().await;
    eprintln!("fork bomb emptied in {:?}", begin.elapsed());
    let mark = directory.path().as_os_str().to_str().unwrap();
    assert!(ov_supervise::orphans(directory.path()).unwrap().is_empty(), "left of {mark}");
    unit.finish().await;
}

#[tokio::test]
async fn stopping_what_does_not_run_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let unit = Unit::open(directory.path()).await;
    unit.shim.stop(SIGTERM, LONG, Scope::Group).await.unwrap();
    assert!(unit.shim.signal(SIGTERM, Scope::Group).await.is_err());
    assert!(unit.shim.stop(0, LONG, Scope::Group).await.is_err());
    unit.finish().await;
}
