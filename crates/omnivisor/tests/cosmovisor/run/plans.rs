//! Plan files by all writers, in all states.

use std::fs::{self, File};
use std::time::{Duration, SystemTime};

use fakenode::Profile;

use super::node::Node;

const AHEAD: &str = r#"{"name":"v2","time":"0001-01-01T00:00:00Z","height":400}"#;

/// A node whose next release need not be waited for by the network: it may take over at any height from 400 on.
fn patient() -> Node {
    let node = Node::halting("", &[]);
    node.install("upgrades/v2", &Profile::new("v2"));
    node
}

fn text(output: &std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The plan for height 400 is armed, survives a stop and a death of everything, and is carried out at its height.
fn waits_through_restarts(mut node: Node) {
    node.wait_for_line("is armed");
    assert!(node.stop().success());
    node.start();
    node.wait_for_line("fakenode v1 started");
    node.kill_all();
    node.start();
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v1", "v1", "v2"]);
    let blocks = node.blocks();
    let last_of_old: u64 = blocks[0].strip_prefix("v1@").unwrap().parse().unwrap();
    assert!(last_of_old >= 399, "{blocks:?}");
}

#[test]
fn what_a_person_scheduled_waits_for_its_height_whatever_is_restarted() {
    let mut node = Node::halting("", &[]);
    let program = node.path("new");
    let profile = Profile::new("v2");
    profile.install_single_file(&program, env!("CARGO_BIN_EXE_omnivisor").as_ref()).unwrap();
    let program = program.join("bin/fakenode");
    node.start();
    node.wait_for_height(10);
    let added = node.call(&["add-upgrade", "v2", program.to_str().unwrap(), "--upgrade-height", "400"]);
    assert!(added.status.success(), "{}", text(&added));
    waits_through_restarts(node);
}

#[test]
fn a_plan_file_counts_by_what_is_in_it_and_not_by_its_time() {
    let mut node = patient();
    node.start();
    node.wait_for_height(20);
    // As it comes out of a backup; both have the same length and the same time.
    for (name, line) in [("v8", "is armed"), ("v2", "plan 1 to v8 is withdrawn")] {
        let place = node.path("data/plan.new");
        node.install(&format!("upgrades/{name}"), &Profile::new(name));
        fs::write(&place, AHEAD.replace("v2", name)).unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        File::options().write(true).open(&place).unwrap().set_modified(long_ago).unwrap();
        fs::rename(&place, node.path("data/upgrade-info.json")).unwrap();
        node.wait_for_line(line);
    }
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn no_program_is_started_to_watch_a_plan_that_waits() {
    let mut node = patient();
    let program = node.path("cosmovisor/genesis/bin/fakenode");
    fs::create_dir(node.path("cosmovisor/genesis/real")).unwrap();
    fs::rename(&program, node.path("cosmovisor/genesis/real/fakenode")).unwrap();
    // Whoever starts the program is written down.
    let script = format!(
        "#!/bin/sh\necho \"$*\" >> '{}'\nexec \"${{0%/*}}/../real/fakenode\" \"$@\"\n",
        node.path("calls").display()
    );
    fs::write(&program, script).unwrap();
    node.start();
    node.wait_for_height(20);
    node.write_plan(AHEAD);
    node.wait_for_line("is armed");
    node.wait_for_height(300);
    let calls = fs::read_to_string(node.path("calls")).unwrap();
    assert!(calls.lines().count() == 1 && calls.starts_with("start "), "{calls}");
    assert!(node.stop().success());
}

#[test]
fn a_plan_that_the_original_wrote_ahead_waits_for_its_height_whatever_is_restarted() {
    let mut node = patient();
    node.start();
    node.wait_for_height(20);
    node.write_plan(AHEAD);
    waits_through_restarts(node);
}

/// A node that never told anybody its height, killed at this one after a plan for height 400 was written ahead.
fn dead_at(height: u64) -> Node {
    let (first, last) = ((height - 10).to_string(), height.to_string());
    let mut node = Node::halting("", &["--comet", "--initial-height", &first, "--max-height", &last]);
    node.install("upgrades/v2", &Profile::new("v2"));
    node.answer_nobody();
    node.start();
    node.wait_for_height(height - 5);
    node.write_plan(AHEAD);
    node.wait_for_line("is armed");
    node.wait_for_height(height);
    node.kill_all();
    node.start();
    node
}

#[test]
fn a_plan_written_ahead_waits_while_the_data_of_a_dead_node_is_below_its_height() {
    for height in [120, 398] {
        let mut node = dead_at(height);
        node.wait_for_line(&format!("fakenode v1 started at height {height}"));
        assert!(node.stop().success());
        assert_eq!(node.launched(), ["v1", "v1"]);
    }
}

#[test]
fn a_plan_written_ahead_is_carried_out_at_once_where_a_dead_node_cannot_go_on_without() {
    for height in [399, 400] {
        let mut node = dead_at(height);
        node.wait_for_line(&format!("fakenode v2 started at height {height}"));
        assert!(node.stop().success());
        assert_eq!(node.launched(), ["v1", "v2"], "the old one is not launched once more");
    }
}

#[test]
fn bad_plan_files_stop_nothing_and_are_told_once() {
    let mut node = patient();
    node.start();
    node.wait_for_height(5);
    let bad = ["{\"name\":\"v2\",\"hei", "[]", r#"{"name":"../v2","height":1}"#, r#"{"name":"v2","height":-3}"#];
    for (index, text) in bad.into_iter().enumerate() {
        node.write_plan(text);
        ov_testkit::wait_until("a remark", || node.out().matches("the plan file").count() == index + 1);
    }
    let height = node.height();
    node.wait_for_height(height + 20);
    assert_eq!(node.out().matches("the plan file").count(), bad.len());
    node.write_plan(&AHEAD.replace("400", &(node.height() + 30).to_string()));
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success());
}

#[test]
fn a_plan_that_is_written_in_two_goes_is_waited_for() {
    for torn in ["slow", "empty"] {
        let mut node = Node::halting("v2@40", &["--halt-exit", "2", "--plan-torn", torn]);
        node.stage("v2");
        node.start();
        if torn == "empty" {
            assert_eq!(node.wait_for_exit().code(), Some(1), "nothing tells what it halted for");
            node.write_plan(r#"{"name":"v2","height":40}"#);
            node.start();
        }
        node.wait_for_height(50);
        assert!(node.stop().success());
        assert_eq!(node.blocks_before_last(), ["v1@39"]);
    }
}

#[test]
fn a_corrected_plan_takes_the_place_of_the_earlier_one() {
    let mut node = patient();
    node.install("upgrades/v2b", &Profile::new("v2b"));
    node.start();
    node.wait_for_height(5);
    node.write_plan(&AHEAD.replace("400", "100000"));
    node.wait_for_line("upgrade 1 to v2 is armed");
    node.write_plan(&AHEAD.replace("v2", "v2b"));
    node.wait_for_line("fakenode v2b started");
    assert_eq!(node.current(), "upgrades/v2b");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2b"]);
}

#[test]
fn a_stale_plan_is_not_carried_out() {
    let mut node = Node::halting("", &[]);
    node.install("upgrades/v2", &Profile::new("v2"));
    node.install("upgrades/v3", &Profile::new("v3"));
    std::fs::write(node.path("cosmovisor/upgrades/v3/upgrade-info.json"), r#"{"name":"v3","height":500}"#).unwrap();
    std::os::unix::fs::symlink("upgrades/v3", node.path("cosmovisor/current")).unwrap();
    node.write_plan(r#"{"name":"v2","height":20}"#);
    node.start();
    node.wait_for_height(40);
    assert!(node.out().contains("is not carried out"), "it is said");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v3"]);
}

#[test]
fn heights_that_the_node_is_told_to_skip_are_no_upgrades() {
    let mut node = Node::halting("", &[]);
    node.install("upgrades/v2", &Profile::new("v2"));
    node.write_plan(r#"{"name":"v2","height":20}"#);
    // The fake node does not know the flag, so it is given where it looks like the value of one that it knows.
    node.arguments.extend(["--plan-info".to_owned(), "--unsafe-skip-upgrades=20".to_owned()]);
    node.start();
    node.wait_for_height(60);
    assert!(node.is_running() && node.out().contains("told to skip"));
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}

#[test]
fn a_missing_link_names_the_newest_applied_upgrade_and_a_bad_one_is_refused() {
    let mut node = Node::halting("", &[]);
    node.install("upgrades/v2", &Profile::new("v2"));
    std::fs::write(node.path("cosmovisor/upgrades/v2/upgrade-info.json"), r#"{"name":"v2","height":5}"#).unwrap();
    node.start();
    node.wait_for_line("fakenode v2 started");
    assert!(node.stop().success());
    assert_eq!(node.current(), "upgrades/v2");
    std::fs::remove_file(node.path("cosmovisor/current")).unwrap();
    std::os::unix::fs::symlink("upgrades/v9", node.path("cosmovisor/current")).unwrap();
    let refused = node.start_another();
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("Error: symlink genesis current: file exists"), "{}", text(&refused));
    assert_eq!(node.current(), "upgrades/v9", "nothing was changed");
}
