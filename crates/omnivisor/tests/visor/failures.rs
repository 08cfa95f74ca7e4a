//! Processes that fail, and supervisors that end.

use fakenode::vega::Role;
use fakenode::{Profile, lifecycle};
use ov_testkit::wait_until;
use serde_json::json;

use super::support::{Node, for_both_flavours};

for_both_flavours! {
    fn the_sibling_of_a_failed_core_has_its_signal_and_its_time(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.data_node_words.extend(["--stop-delay-ms".to_owned(), "1000".to_owned()]);
        node.install("genesis", &Profile::new("v0.1.0"));
        node.start();
        node.wait_for_height(10);
        node.tell(Role::Core, &json!({ "crash": true }));
        wait_until("the end of the core", || node.life("core").contains(&lifecycle::Step::Crashed));
        node.tell(Role::Core, &json!({}));
        wait_until("both to run again", || node.launched(Role::Core).len() == 2 && node.launched(Role::DataNode).len() == 2);
        assert!(node.life("data-node").contains(&lifecycle::Step::Stopped), "{:?}", node.life("data-node"));
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_core_that_keeps_failing_ends_the_run(flavour) {
        let mut node = Node::new(flavour);
        node.install("genesis", &Profile::new("v0.1.0").with("crash_starts", 100));
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert_eq!(node.launched(Role::Core).len(), 4);
        assert!(node.err().contains("maximum number of possible restarts has been reached"), "{}", node.err());
    }

    fn a_core_that_ends_well_is_noticed_too(flavour) {
        let mut node = Node::new(flavour);
        node.start();
        node.wait_for_height(5);
        node.tell(Role::Core, &json!({ "crash": true, "crash_exit": 0 }));
        wait_until("the end of the core", || node.life("core").contains(&lifecycle::Step::Crashed));
        node.tell(Role::Core, &json!({}));
        wait_until("another launch", || node.launched(Role::Core).len() >= 2);
    }

    fn a_core_that_nobody_can_ask_ends_the_run_and_leaves_nothing(flavour) {
        let mut node = Node::with_data_node(flavour);
        node.configure(&[("maxNumberOfFirstConnectionRetries", "1")]);
        node.tell(Role::Core, &json!({ "admin": "absent" }));
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert!(node.err().contains("failed to get upgrade status for maximum amount of 1 times"), "{}", node.err());
        assert!(node.life("data-node").contains(&lifecycle::Step::Stopped), "{:?}", node.life("data-node"));
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn ready_for_no_release_is_not_fatal(flavour) {
        let mut node = Node::new(flavour);
        node.tell(Role::Core, &json!({ "admin": "null-release" }));
        node.start();
        node.wait_for_height(150);
        assert!(node.is_running());
        assert_eq!(node.launched(Role::Core).len(), 1);
        assert_eq!(node.stop().code(), Some(0));
    }

    fn no_stop_leaves_an_orphan_and_a_second_run_is_refused(flavour) {
        let mut node = Node::with_data_node(flavour);
        for signal in ["TERM", "INT"] {
            node.start();
            node.wait_for_line("data node v0.1.0 started");
            if signal == "TERM" {
                let second = node.start_another();
                assert_eq!(second.status.code(), Some(1), "{second:?}");
                assert!(node.is_running());
            }
            node.signal(signal);
            node.wait_for_exit();
        }
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
