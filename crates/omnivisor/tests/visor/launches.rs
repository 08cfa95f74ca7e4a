//! What the processes are launched with, and what is asked of commands before.

use fakenode::Profile;
use fakenode::vega::Role;
use ov_testkit::wait_until;
use serde_json::json;

use super::support::{Node, for_both_flavours, pinned_height};

/// The heights that all launches of the core so far were pinned to.
fn pins(node: &Node) -> Vec<Option<u64>> {
    node.launches(Role::Core).iter().map(pinned_height).collect()
}

for_both_flavours! {
    fn the_pin_of_an_upgrade_holds_until_the_new_core_is_proven_and_never_later(flavour) {
        let mut node = Node::new(flavour);
        node.install("v0.2.0", &Profile::new("v0.2.0").with("crash_starts", 1));
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        wait_until("the upgrade to be committed", || node.upgrades().contains("committed"));
        assert_eq!(pins(&node), [None, Some(30), Some(30)]);
        node.crash();
        wait_until("another launch", || node.launches(Role::Core).len() == 4);
        assert_eq!(pins(&node)[3], None);
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_core_that_failed_begins_where_its_data_node_left_off(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.start();
        node.wait_for_height(25);
        node.crash();
        wait_until("another launch", || pins(&node).len() == 2);
        let pinned = pins(&node)[1].unwrap();
        assert!(pinned >= 20 && pinned.is_multiple_of(10), "{pinned}");
        let asked = node.launches(Role::History).remove(0).arguments.join(" ");
        let home = node.path("vega").display().to_string();
        assert_eq!(
            asked,
            format!("datanode network-history latest-history-segment --output=json --home {home} --output json")
        );
        node.wait_for_height(pinned + 30);
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_core_begins_at_a_snapshot_that_it_has_where_the_history_lags(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.data_node_words.extend(["--history-blocks", "7", "--history-lag-blocks", "8"].map(str::to_owned));
        node.install("genesis", &Profile::new("v0.1.0"));
        node.tell(Role::Core, &json!({ "max_height": 37 }));
        node.start();
        node.wait_for_height(37);
        wait_until("the history", || node.latest_segment() == Some(28));
        node.crash();
        wait_until("another launch", || pins(&node).len() == 2);
        assert_eq!(pins(&node)[1], Some(20), "28 is no snapshot, and 30 is above it");
        let home = node.path("vega").display().to_string();
        let asked = node.launches(Role::Snapshots).remove(0).arguments.join(" ");
        assert_eq!(asked, format!("tools snapshot --output json --home {home}"));
        node.wait_for_height(50);
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_data_node_without_history_pins_nothing(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.tell(Role::Core, &json!({ "max_height": 5 }));
        node.start();
        node.wait_for_height(5);
        node.crash();
        wait_until("another launch", || pins(&node).len() == 2);
        assert_eq!(pins(&node), [None, None]);
    }

    fn a_release_of_another_version_never_runs(flavour) {
        let mut node = Node::new(flavour);
        node.install("v0.2.0", &Profile::new("v0.3.0"));
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_line("ready for the upgrade at height 30");
        let why = "wrong binary version provided - provided: v0.3.0, want: v0.2.0";
        wait_until("somebody to be told", || format!("{}{}{}", node.out(), node.err(), node.upgrades()).contains(why));
        assert_eq!(node.current(), node.home().join("genesis"));
        assert!(node.launched(Role::Core).iter().all(|version| version == "v0.1.0"));
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn noise_around_what_commands_print_is_no_harm(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.tell(Role::Version, &json!({ "noise": true }));
        node.stage("v0.2.0");
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        assert!(!node.launches(Role::Version).is_empty());
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
