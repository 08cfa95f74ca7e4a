//! The processes that a node leaves beside and behind it.

use crate::stage::{Stage, process_status, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

fn await_pid(stage: &Stage, name: &str) -> u32 {
    let path = stage.home().join("pids").join(name);
    wait_for("a pid", || fs::read_to_string(&path).ok()?.trim().parse().ok())
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

fn await_gone(pid: u32) {
    wait_for("the end of a process", || match process_status(pid, "State") {
        Some(state) => state.starts_with('Z').then_some(()),
        None => Some(()),
    });
}

#[test]
fn children_outlive_the_node_until_told_to_stop() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 10 --children 2");
    let children = [await_pid(&stage, "child-1"), await_pid(&stage, "child-2")];
    for child in children {
        assert_eq!(process_status(child, "PPid"), Some(node.pid().to_string()));
    }
    node.stop();
    for child in children {
        assert!(process_status(child, "State").is_some());
        signal(child, Signal::SIGTERM);
        await_gone(child);
    }
}

#[test]
fn a_detached_process_has_another_parent_and_session() {
    let stage = Stage::new();
    let mut node = stage.start("--block-ms 10 --detach --helpers-ignore-term");
    node.await_height(1);
    let detached = await_pid(&stage, "detached");
    assert_ne!(process_status(detached, "PPid"), Some(node.pid().to_string()));
    let stat = fs::read_to_string(format!("/proc/{detached}/stat")).unwrap();
    let session = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap().to_owned();
    let own = fs::read_to_string("/proc/self/stat").unwrap();
    assert_ne!(session, own.rsplit_once(')').unwrap().1.split_whitespace().nth(3).unwrap());
    node.stop();
    signal(detached, Signal::SIGTERM);
    let pending = process_status(detached, "ShdPnd");
    assert_eq!(pending, Some("0000000000004000".to_owned()), "the signal should wait for ever");
    signal(detached, Signal::SIGKILL);
    await_gone(detached);
}

#[test]
fn hoppers_change_their_pids_for_a_while() {
    let stage = Stage::new();
    let _node = stage.start("--block-ms 10 --hoppers 2 --hopping-ms 500");
    let hops = || fs::read_to_string(stage.home().join("pids/hops")).unwrap_or_default();
    wait_for("hops", || (hops().lines().count() > 6).then_some(()));
    wait_for("the end of hopping", || {
        let pids: Vec<u32> = hops().lines().flat_map(str::parse).collect();
        pids.iter().all(|pid| process_status(*pid, "Name").is_none_or(|name| name != "fakenode")).then_some(())
    });
}
