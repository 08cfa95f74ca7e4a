//! Halts, plan files, and which version may make which block.

use crate::stage::{Stage, text, wait_for};
use fakenode::lifecycle::Step;
use fakenode::{Profile, VersionSpan};
use serde_json::{Value, json};
use std::fs;

fn v1() -> Profile {
    Profile::new("v1").with("block_ms", 1)
}

fn v2() -> Profile {
    v1_as("v2").with("handles", vec!["v2"])
}

fn v1_as(version: &str) -> Profile {
    Profile { version: version.to_owned(), ..v1() }
}

fn plan(stage: &Stage) -> Option<Value> {
    serde_json::from_slice(&fs::read(stage.data().join("upgrade-info.json")).ok()?).ok()
}

#[test]
fn the_old_version_halts_and_the_new_one_goes_on() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    let network = "--upgrades v2@10 --plan-info notes";
    for _ in 0..2 {
        let mut node = stage.start(network);
        node.await_line("UPGRADE \"v2\" NEEDED at height: 10: notes");
        assert!(node.runs(), "halted, but alive");
        assert_eq!(plan(&stage), Some(json!({"name": "v2", "height": 10, "info": "notes"})));
        assert_eq!(node.stop(), Some(0));
        assert_eq!(stage.assert_ok().last_height, 9);
    }
    stage.switch_to(&v2());
    let mut node = stage.start(&format!("{network} --crash-after 3"));
    node.await_end();
    assert!(node.output().contains("applying upgrade \"v2\" at height: 10"));
    let span = |version: &str, from, to| VersionSpan { version: version.to_owned(), from, to };
    assert_eq!(stage.assert_ok().versions, [span("v1", 1, 9), span("v2", 10, 12)]);

    stage.switch_to(&v1());
    let mut node = stage.start(network);
    node.await_line("NEEDED at height: 10");
    node.stop();
    assert_eq!(stage.assert_ok().last_height, 12);
}

#[test]
fn a_halt_can_end_the_process() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    let mut node = stage.start("--halt-at 5 --plan-name blue --halt-exit 42");
    assert_eq!(node.await_end().code(), Some(42));
    assert_eq!(plan(&stage).unwrap()["name"], "blue");
    assert_eq!(stage.steps(), [Step::Exec, Step::Started, Step::Halted]);
}

#[test]
fn a_halted_node_has_stored_the_block_that_it_cannot_carry_out() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    for (comet, height) in [("", "9"), ("--comet", "10")] {
        let mut node = stage.start(&format!("--upgrades v2@10 --http 127.0.0.1:0 {comet}"));
        node.await_line("NEEDED at height: 10");
        let status = wait_for("an answer", || node.get("/status").0.eq(&200).then(|| node.get_json("/status")));
        assert_eq!(status["result"]["sync_info"]["latest_block_height"], height);
        node.stop();
    }
}

#[test]
fn a_version_that_comes_too_early_refuses() {
    let mut stage = Stage::new();
    stage.switch_to(&v2());
    let mut node = stage.start("--upgrades v2@10");
    assert_eq!(node.await_end().code(), Some(1));
    assert!(node.output().contains("BINARY UPDATED BEFORE TRIGGER! UPGRADE \"v2\""), "{}", node.output());
    let mut node = stage.start("--upgrades v2@10 --refuse-early=false --crash-after 12");
    node.await_end();
    assert_eq!(stage.assert_ok().last_height, 12);
}

#[test]
fn two_upgrades_in_turn() {
    let mut stage = Stage::new();
    let network = "--upgrades v3@10,v2@5 --halt-exit 0";
    let v3 = v1_as("v3").with("handles", vec!["v2", "v3"]);
    for (release, expected) in [(v1(), 5), (v2(), 10)] {
        stage.switch_to(&release);
        stage.start(network).await_end();
        assert_eq!(plan(&stage).unwrap()["height"], expected);
        assert_eq!(stage.assert_ok().last_height, expected - 1);
    }
    stage.switch_to(&v3);
    stage.start(&format!("{network} --crash-after 2")).await_end();
    assert_eq!(stage.assert_ok().last_height, 11);
}

#[test]
fn a_schedule_told_at_run_time_is_part_of_the_chain() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    let mut node = stage.start("--http 127.0.0.1:0 --stop-blocks");
    assert_eq!(node.control(r#"{"upgrades": ["v2@1"], "stop_blocks": false}"#), 200);
    node.await_line("NEEDED at height: 1");
    assert_eq!(node.control(r#"{"upgrades": []}"#), 200);
    node.await_height(2);
    let height = node.get_json("/status")["result"]["sync_info"]["latest_block_height"].clone();
    let next = height.as_str().unwrap().parse::<u64>().unwrap() + 1000;
    assert_eq!(node.control(&format!(r#"{{"upgrades": ["v2@{next}"]}}"#)), 200);
    node.stop();
    let mut node = stage.start("--halt-exit 3");
    assert_eq!(node.await_end().code(), Some(3));
    assert_eq!(stage.assert_ok().last_height, next - 1);
}

#[test]
fn torn_plan_files() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    for torn in ["half", "empty"] {
        let mut node = stage.start(&format!("--halt-at 3 --plan-torn {torn}"));
        node.await_line("NEEDED");
        assert!(stage.data().join("upgrade-info.json").exists());
        assert_eq!(plan(&stage), None, "{torn}");
        node.stop();
    }
    fs::remove_file(stage.data().join("upgrade-info.json")).unwrap();
    let _node = stage.start("--halt-at 3 --plan-torn slow");
    wait_for("the first half", || {
        fs::read(stage.data().join("upgrade-info.json")).ok().filter(|half| !half.is_empty())
    });
    assert_eq!(plan(&stage), None);
    assert_eq!(wait_for("the second half", || plan(&stage))["height"], 3);
    assert_eq!(stage.start("--plan-torn quarter").await_end().code(), Some(2));
}

#[test]
fn a_version_can_end_at_a_height_without_a_plan() {
    let mut stage = Stage::new();
    stage.switch_to(&v1());
    let mut node = stage.start("--max-height 4");
    node.await_height(4);
    // Time for fifty blocks that must not come.
    std::thread::sleep(std::time::Duration::from_millis(50));
    node.stop();
    assert_eq!(stage.assert_ok().last_height, 4);
    assert!(plan(&stage).is_none());
}

#[test]
fn the_command_before_an_upgrade_ends_as_told_or_does_not_exist() {
    let mut stage = Stage::new();
    fs::create_dir(stage.home()).unwrap();
    let line = format!("pre-upgrade --home {}", stage.home().display());
    stage.switch_to(&v1());
    let output = stage.run(&line);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unknown command \"pre-upgrade\""));
    stage.switch_to(&v2().with("pre_upgrade", vec!["31", "0"]));
    for code in [31, 0, 0] {
        assert_eq!(stage.run(&line).status.code(), Some(code));
    }
    assert_eq!(fs::read_to_string(stage.home().join("pre-upgrades")).unwrap(), "v2\nv2\nv2\n");
}

#[test]
fn what_halt_height_means_is_a_matter_of_the_sdk() {
    // Each with the block that it makes last, and how it ends if it ends by itself at a refusal.
    for (sdk, last, code) in [("v0.47.5-fork-1", 10, 0), ("v0.50.9", 10, 3), ("v0.50.10", 9, 3), ("v0.53.0", 9, 3)] {
        let mut stage = Stage::new();
        stage.switch_to(&v1());
        let told = format!("--comet --halt-height 10 --sdk-version {sdk}");
        let mut node = stage.start(&format!("{told} --halt-exit 3"));
        assert_eq!(node.await_end().code(), Some(code), "{sdk}");
        assert_eq!(stage.assert_ok().last_height, last, "{sdk}");
        if code != 0 {
            let mut node = stage.start(&told);
            node.await_line("halt per configuration height 10 time 0");
            assert!(node.runs(), "{sdk}: it stands still");
            node.stop();
            assert_eq!(stage.assert_ok().last_height, last, "{sdk}");
        }
        let said = stage.run(&format!("version --long --home x --sdk-version {sdk}"));
        assert!(text(&said.stdout).contains(&format!("cosmos_sdk_version: {sdk}")), "{said:?}");
    }
    let stage = Stage::new();
    assert!(!text(&stage.run("version --long").stdout).contains("sdk"));
}
