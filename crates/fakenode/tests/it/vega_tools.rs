//! The data node of a Vega network, its history, and the commands that ask for it.

use crate::stage::{run, text, wait_for};
use crate::vega_stage::{Vega, span};
use fakenode::Profile;
use fakenode::vega::{self, Role};
use serde_json::json;
use std::time::{Duration, Instant};

const LATEST: &str = "datanode network-history latest-history-segment --output=json --output json";

#[test]
fn the_version_in_both_forms_and_with_noise() {
    let network = Vega::new();
    let v1 = network.release("v0.74.0");
    let json = text(&run(&v1, "version --output json").stdout);
    assert!(json.starts_with("{\"version\":\"v0.74.0\",\"hash\":\""), "{json}");
    assert_eq!(json.lines().count(), 1);
    assert!(text(&run(&v1, "version").stdout).starts_with("Vega CLI v0.74.0 ("));
    network.tell_to(Role::Version, json!({ "noise": true, "report_version": "v0.1" }));
    let noisy = run(&v1, "version --output json");
    let lines = text(&noisy.stdout);
    assert_eq!((lines.lines().count(), noisy.stderr.is_empty()), (3, false));
    assert!(lines.lines().nth(1).unwrap().starts_with("{\"version\":\"v0.1\""));
    network.tell_to(Role::Version, json!({ "fail_commands": ["version"] }));
    assert_eq!(run(&v1, "version").status.code(), Some(1));
    let launches = vega::launches(&network.witness()).unwrap();
    assert_eq!(launches.len(), 4);
    assert_eq!(
        (launches[0].role, launches[0].arguments.join(" ")),
        (Role::Version, "version --output json".to_owned())
    );
}

#[test]
fn commands_hang() {
    let network = Vega::new();
    let v1 = network.install(Profile::new("v1").with("hang_commands", vec!["version", "history"]));
    for line in ["version", LATEST] {
        let mut node = network.spawn(&v1, line);
        wait_for("the launch", || (!vega::launches(&network.witness()).unwrap().is_empty()).then_some(()));
        std::thread::sleep(Duration::from_millis(50));
        assert!(node.runs(), "{line}");
        node.kill();
    }
    assert_eq!(network.call(&v1, "tools snapshot").status.code(), Some(1), "there never was one");
}

#[test]
fn the_history_is_asked_of_whoever_holds_it() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let none = network.call(&v1, LATEST);
    assert_eq!(none.status.code(), Some(1));
    assert_eq!(text(&none.stdout), "{\"error\":\"no history segments found\"}\n");
    let broker = format!("--broker {}", network.path("broker.sock").display());
    let mut core = network.core(&v1, &format!("{broker} --max-height 27"));
    let mut node = network.data_node(&v1, &broker);
    core.await_height(27);
    let latest = || network.call_json(&v1, LATEST)["LatestSegment"].clone();
    let expected = json!({
        "from_height": 11, "to_height": 20,
        "history_segment_id": "QmFake00000020", "previous_history_segment_id": "QmFake00000010",
    });
    wait_for("the second segment", || (latest() == expected).then_some(()));
    assert_eq!((core.stop(), node.stop()), (Some(0), Some(0)));
    assert_eq!(latest(), expected);
    network.tell_to(Role::DataNode, json!({ "hang_http": true }));
    let node = network.data_node(&v1, "");
    node.await_line("data node v1 started");
    let mut asking = network.spawn(&v1, LATEST);
    std::thread::sleep(Duration::from_millis(50));
    assert!(asking.runs(), "it waits for an answer that does not come");
}

#[test]
fn a_history_may_lag_and_have_its_own_pace() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let broker = format!("--broker {}", network.path("broker.sock").display());
    let core = network.core(&v1, &format!("{broker} --max-height 27"));
    let _node = network.data_node(&v1, &format!("{broker} --history-blocks 6 --history-lag-blocks 10"));
    core.await_height(27);
    wait_for("the segments", || {
        (network.call_json(&v1, LATEST)["LatestSegment"]["to_height"] == json!(12)).then_some(())
    });
}

#[test]
fn an_upgrade_waits_for_the_data_node() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let broker = format!("--broker {}", network.path("broker.sock").display());
    network.tell(json!({ "upgrades": ["v2@7"] }));
    let mut core = network.core(&v1, &broker);
    std::thread::sleep(Duration::from_millis(50));
    assert!(!network.path("vega.sock").exists(), "it waits for its data node");
    let mut node = network.data_node(&v1, &broker);
    network.await_ready();
    assert_eq!(network.call_json(&v1, LATEST)["LatestSegment"]["to_height"], 7);
    core.stop();
    node.stop();
    assert_eq!(network.blocks(), [span("v1", 1, 7)]);
}

#[test]
fn a_data_node_that_missed_a_block_ends() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let mut core = network.core(&v1, "--max-height 20");
    core.await_height(20);
    core.stop();
    let broker = format!("--broker {}", network.path("broker.sock").display());
    let mut node = network.data_node(&v1, &broker);
    let _core = network.core(&v1, &broker);
    assert_eq!(node.await_end().code(), Some(1));
    assert!(node.output().contains("block height 21 is too high, the last processed block is 0"), "{}", node.output());
}

#[test]
fn a_database_needs_its_time_and_remembers_a_kill() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let started = |lives: usize| {
        let log = network.witness().join("data-node");
        let count = || fakenode::lifecycle::read(&log).unwrap_or_default().len();
        wait_for("the start", || (count() >= lives).then_some(()));
    };
    let mut node = network.data_node(&v1, "--stop-delay-ms 300");
    started(2);
    let began = Instant::now();
    assert_eq!(node.stop(), Some(0));
    assert!(began.elapsed() >= Duration::from_millis(300));
    let mut node = network.data_node(&v1, "");
    started(5);
    assert_eq!(network.violations(), Vec::<String>::new());
    assert_eq!(network.data_node(&v1, "").await_end().code(), Some(1), "one at a time");
    node.kill();
    let mut node = network.data_node(&v1, "--database-stays-dirty");
    assert_eq!(node.await_end().code(), Some(1));
    let mut node = network.data_node(&v1, "--crash-after 0 --crash-exit 5");
    assert_eq!(node.await_end().code(), Some(5));
    assert_eq!(network.violations(), ["two-data-nodes", "dirty-database", "dirty-database"]);
    let mut node = network.data_node(&v1, "");
    node.await_line("data node v1 started");
    node.stop();
    assert_eq!(network.violations().len(), 3, "a crash of its own leaves it closed");
}

#[test]
fn the_program_has_more_names_than_one() {
    let network = Vega::named("data-node");
    let v1 = network.release("v1");
    let mut node = network.spawn(&v1, "node");
    node.await_line("data node v1 started");
    assert_eq!(network.call(&v1, &LATEST["datanode ".len()..]).status.code(), Some(1));
    node.stop();
    let refused = network.call(&v1, "start --snapshot.load-from-block-height 5");
    assert!(text(&refused.stderr).contains("unknown flag `snapshot.load-from-block-height'"));
    let alone = run(env!("CARGO_BIN_EXE_fakenode").as_ref(), "zeta version --output json");
    assert!(text(&alone.stdout).starts_with("{\"version\":"));
    let beside = network.path("other");
    let line = format!("vega start --home {} --crash-starts 1", beside.display());
    assert_eq!(run(env!("CARGO_BIN_EXE_fakenode").as_ref(), &line).status.code(), Some(1));
    assert_eq!(vega::launches(&network.path("other.witness")).unwrap().len(), 1);
}
