//! Upgrades from an accepted proposal to the next version, and what may happen on the way.

use fakenode::vega::Role;
use fakenode::{Profile, lifecycle};
use ov_testkit::wait_until;
use serde_json::json;

use super::support::{Node, for_both_flavours, pinned_height};

for_both_flavours! {
    fn a_core_is_upgraded_at_its_height(flavour) {
        let mut node = Node::new(flavour);
        node.stage("v0.2.0");
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        node.wait_for_height(40);
        assert_eq!(node.current(), node.home().join("v0.2.0"));
        assert_eq!(node.blocks()[0], "v0.1.0: 1-30");
        let launches = node.launches(Role::Core);
        assert_eq!(launches.iter().map(pinned_height).collect::<Vec<_>>(), [None, Some(30)]);
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn both_processes_are_upgraded_together_and_the_data_node_has_its_time(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.data_node_words.extend(["--stop-delay-ms".to_owned(), "1500".to_owned()]);
        node.install("genesis", &Profile::new("v0.1.0"));
        node.stage("v0.2.0");
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        assert_eq!(node.launched(Role::DataNode), ["v0.1.0", "v0.2.0"]);
        let life = node.life("data-node");
        assert!(life.contains(&lifecycle::Step::Stopped), "{life:?}");
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_proposal_that_is_withdrawn_leaves_nothing(flavour) {
        let mut node = Node::new(flavour);
        node.stage("v0.2.0");
        node.propose(&["v0.2.0@100000"]);
        node.start();
        wait_until("the plan to be known", || node.plans().contains("v0.2.0"));
        node.propose(&[]);
        wait_until("the plan to be gone", || !node.plans().contains("v0.2.0"));
        node.stop();
        assert_eq!(node.current(), node.home().join("genesis"));
    }

    fn after_a_kill_behind_the_height_the_old_version_never_runs_again(flavour) {
        let mut node = Node::new(flavour);
        node.stage("v0.2.0");
        node.tell(Role::Core, &json!({ "upgrades": ["v0.2.0@30"], "max_height": 20 }));
        node.start();
        wait_until("the plan to be known", || node.plans().contains("v0.2.0"));
        node.propose(&["v0.2.0@30"]);
        node.wait_for_line("ready for the upgrade at height 30");
        node.kill_all();
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        node.stop();
        assert_eq!(node.blocks()[0], "v0.1.0: 1-30");
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
