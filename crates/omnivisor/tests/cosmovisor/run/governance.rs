//! Plans that governance passed: seen ahead, prepared, and carried out when the node halts for them.

use fakenode::Profile;
use ov_testkit::{PlanService, Says, wait_until};

use super::downloads::{info, serve, with_checksum};
use super::node::Node;

/// A node that halts at the heights of its schedule, and is asked for its plan often.
fn node(schedule: &str, service: &PlanService) -> Node {
    asking(Node::new(schedule), service)
}

fn asking(mut node: Node, service: &PlanService) -> Node {
    node.set("DAEMON_GRPC_ADDRESS", &service.address());
    node.set("OMNIVISOR_ASK_INTERVAL", "20ms");
    node
}

/// A node whose service answers JSON only.
fn over_rest(node: Node, service: &PlanService) -> Node {
    let text = format!("[grpc]\nenable = false\n[api]\nenable = true\naddress = \"tcp://{}\"\n", service.address());
    std::fs::write(node.path("config/app.toml"), text).unwrap();
    let mut node = node;
    node.set("OMNIVISOR_ASK_INTERVAL", "20ms");
    node
}

#[test]
fn a_plan_is_armed_before_the_halt_and_carried_out_at_it() {
    for grpc in [true, false] {
        let service = if grpc { PlanService::grpc() } else { PlanService::rest() };
        let mut node = Node::new("v2@250");
        node.stage("v2");
        node = if grpc { asking(node, &service) } else { over_rest(node, &service) };
        node.start();
        node.wait_for_height(5);
        service.say(Says::plan("V2", 250), 5);
        node.wait_for_line("upgrade 1 to v2 is armed");
        assert!(node.height() < 249, "it was armed ahead");
        node.wait_for_height(260);
        assert!(node.stop().success());
        assert_eq!(node.blocks_before_last(), ["v1@249"], "the node was not stopped for it");
        assert_eq!(node.launched(), ["v1", "v2"]);
        assert!(!node.out().contains("plan 2"), "one plan: {}", node.out());
        let halted = fakenode::lifecycle::read(&node.path("")).unwrap();
        assert!(halted.iter().any(|entry| entry.step == fakenode::lifecycle::Step::Halted), "it halted by itself");
    }
}

#[test]
fn a_plan_that_is_withdrawn_leaves_nothing_and_one_that_changes_takes_its_place() {
    let service = PlanService::grpc();
    let mut node = node("v3@120", &service);
    node.stage("v2");
    node.stage("v3");
    node.start();
    service.say(Says::plan("v2", 1_000_000), 1);
    node.wait_for_line("upgrade 1 to v2 is armed");
    service.say(Says::NoPlan, 2);
    node.wait_for_line("plan 1 to v2 is withdrawn");
    service.say(Says::plan("v2", 2_000_000), 3);
    node.wait_for_line("upgrade 2 to v2 is armed");
    service.say(Says::plan("v2", 3_000_000), 3);
    node.wait_for_line("plan 2 to v2 now starts when the node halts at height 3000000");
    service.say(Says::plan("v3", 120), 4);
    node.wait_for_line("plan 2 to v2 is withdrawn");
    node.wait_for_line("upgrade 3 to v3 is armed");
    // Whoever is beyond its height has carried it out, and knows nothing of a node that has not.
    service.say(Says::NoPlan, 120);
    node.wait_for_height(130);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@119"]);
    assert_eq!(node.launched(), ["v1", "v3"]);
}

#[test]
fn a_service_that_dies_takes_nothing_back_and_bad_answers_change_nothing() {
    let mut service = PlanService::grpc();
    let mut node = node("v2@250", &service);
    node.stage("v2");
    node.start();
    service.say(Says::plan("v2", 250), 1);
    node.wait_for_line("upgrade 1 to v2 is armed");
    service.stop();
    let height = node.height();
    node.wait_for_height(height + 10);
    service.start();
    service.wait_until_heard();
    for bad in [Says::Bytes(b"<html>".to_vec()), Says::Endless, Says::Refusal, Says::Bytes(vec![0xff; 5_000])] {
        service.say(bad, 2);
        service.wait_until_heard();
    }
    for unusable in [Says::plan("..", 250), Says::plan("v2", 0), Says::plan("", 250)] {
        service.say(unusable, 2);
        service.wait_until_heard();
    }
    assert!(!node.out().contains("withdrawn"), "{}", node.out());
    assert_eq!(node.out().matches("its plan is not used").count(), 3, "each is told once");
    service.say(Says::Silence, 2);
    node.wait_for_height(260);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@249"]);
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_daemon_that_is_killed_between_announcement_and_halt_is_followed_by_one_that_knows() {
    for everything in [false, true] {
        let mut service = PlanService::grpc();
        let mut node = node("v2@100", &service);
        node.stage("v2");
        node.start();
        service.say(Says::plan("v2", 100), 1);
        node.wait_for_line("upgrade 1 to v2 is armed");
        if everything {
            node.kill_all();
        } else {
            node.kill();
        }
        // The next one learns of it from the journal alone.
        service.stop();
        if !everything {
            wait_until("the node to halt alone", || node.path("data/upgrade-info.json").exists());
        }
        node.start();
        node.wait_for_height(110);
        assert!(node.stop().success());
        assert_eq!(node.blocks_before_last(), ["v1@99"]);
        assert_eq!(node.current(), "upgrades/v2");
        assert!(!node.out().contains("plan 2"), "{}", node.out());
    }
}

#[test]
fn a_schedule_and_governance_name_one_upgrade_which_waits_for_the_halt() {
    let service = PlanService::grpc();
    let mut node = node("v2@120", &service);
    node.stage("v2");
    std::fs::write(node.path("data/upgrade-info.json.batch"), r#"[{"name":"v2","height":60}]"#).unwrap();
    service.say(Says::plan("v2", 120), 1);
    node.start();
    node.wait_for_line("plan 1 to v2 now starts when the node halts at height 120");
    node.wait_for_height(130);
    assert!(node.stop().success());
    assert_eq!(node.blocks_before_last(), ["v1@119"], "the chain knows better than a list");
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn heights_that_the_node_is_told_to_skip_are_not_prepared_for() {
    let service = PlanService::grpc();
    let mut node = asking(Node::halting("", &[]), &service);
    node.install("upgrades/v2", &Profile::new("v2"));
    // The fake node does not know the flag, so it is given where it looks like the value of one that it knows.
    node.arguments.extend(["--plan-info".to_owned(), "--unsafe-skip-upgrades=90".to_owned()]);
    node.start();
    service.say(Says::plan("v2", 90), 1);
    node.wait_for_line("told to skip");
    node.wait_for_height(100);
    assert!(node.stop().success());
    assert_eq!((node.launched(), node.out().contains("is armed")), (vec!["v1".to_owned()], false));
}

#[test]
fn prepare_upgrade_gives_a_plan_that_waits_its_release_beside_the_running_node() {
    let (service, server) = (PlanService::grpc(), serve());
    let mut node = node("", &service);
    let info = info(&with_checksum(&server.url("/v2")));
    service.say(Says::Plan { name: "v2".to_owned(), height: 1_000_000, info }, 1);
    node.start();
    node.wait_for_line("plan 1 waits");
    let prepared = node.call(&["prepare-upgrade"]);
    assert!(prepared.status.success(), "{prepared:?}");
    node.wait_for_line("upgrade 1 to v2 is armed");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}

#[test]
fn a_release_is_fetched_by_what_governance_says_of_it_and_again_when_that_is_mended() {
    let (service, server) = (PlanService::grpc(), serve());
    let mut node = node("", &service);
    node.set("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true");
    let says = |info: String| Says::Plan { name: "v2".to_owned(), height: 1_000_000, info };
    service.say(says(info(&format!("{}?checksum=sha256:{}", server.url("/v2"), "0".repeat(64)))), 1);
    node.start();
    node.wait_for_line("plan 1 waits");
    service.say(says(info(&with_checksum(&server.url("/v2")))), 2);
    node.wait_for_line("upgrade 1 to v2 is armed");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}
