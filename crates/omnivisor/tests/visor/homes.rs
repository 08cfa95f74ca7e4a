//! What `run` makes of a home: of `current` above all, which no doubt may lead back to the first release.

use std::fs;
use std::os::unix::fs::symlink;

use fakenode::vega::Role;

use super::support::{Flavour, Node, for_both_flavours};

/// A home that `run` refuses for this reason, and in which nothing is launched.
fn refused(node: &mut Node, why: &str) {
    node.start();
    assert_eq!(node.wait_for_exit().code(), Some(1));
    assert!(node.err().contains(why), "{}", node.err());
    assert_eq!(node.launches(Role::Core), [], "nothing was launched");
}

/// A node that ran, and was stopped in order.
fn that_ran(flavour: Flavour) -> Node {
    let mut node = Node::new(flavour);
    node.start();
    node.wait_for_height(5);
    node.stop();
    node
}

for_both_flavours! {
    fn a_new_home_begins_with_its_first_release(flavour) {
        let node = that_ran(flavour);
        assert_eq!(node.current(), node.home().join("genesis"), "the whole path, as scripts expect");
        assert_eq!(node.launched(Role::Core), ["v0.1.0"]);
    }

    fn a_link_that_leads_nowhere_is_never_replaced(flavour) {
        let mut node = Node::new(flavour);
        symlink(node.path("home/v0.9.0"), node.path("home/current")).unwrap();
        refused(&mut node, "where nothing is");
        assert_eq!(node.current(), node.path("home/v0.9.0"));
    }

    fn a_release_that_says_nothing_of_its_launch_is_never_replaced_by_the_first(flavour) {
        let mut node = Node::new(flavour);
        fs::create_dir(node.path("home/v0.9.0")).unwrap();
        symlink(node.path("home/v0.9.0"), node.path("home/current")).unwrap();
        refused(&mut node, "missing run config in");
        assert_eq!(node.current(), node.path("home/v0.9.0"));
    }

    fn a_folder_called_current_is_refused_and_left_alone(flavour) {
        let mut node = Node::new(flavour);
        fs::create_dir(node.path("home/current")).unwrap();
        fs::write(node.path("home/current/keep"), "mine").unwrap();
        refused(&mut node, "is no link");
        assert_eq!(fs::read_to_string(node.path("home/current/keep")).unwrap(), "mine");
    }

    fn a_link_that_vanished_leads_nowhere_once_the_node_ran(flavour) {
        let mut node = that_ran(flavour);
        fs::remove_file(node.path("home/current")).unwrap();
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert!(node.err().contains("the node has run already"), "{}", node.err());
        assert!(!node.path("home/current").exists());
        assert_eq!(node.launched(Role::Core).len(), 1);
    }

    fn a_home_that_is_none_is_told_so(flavour) {
        let mut node = Node::new(flavour);
        fs::remove_dir_all(node.home()).unwrap();
        refused(&mut node, "visor is not initialized");
    }

    fn a_release_may_lie_in_a_folder_of_another_name(flavour) {
        let mut node = Node::new(flavour);
        node.install("next", &fakenode::Profile::new("v0.2.0"));
        let config = fs::read_to_string(node.path("home/config.toml")).unwrap();
        fs::write(node.path("home/config.toml"), format!("{config}[upgradeFolders]\n\"v0.2.0\" = \"next\"\n")).unwrap();
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        assert_eq!(node.current(), node.home().join("next"));
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
