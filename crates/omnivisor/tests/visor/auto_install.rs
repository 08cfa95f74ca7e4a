//! Releases that nobody put into place: found by their tag, fetched while the old one runs, and launched as that was.

use std::fs;

use fakenode::Profile;
use fakenode::vega::Role;
use ov_testkit::{GitHubServer, wait_until};

use super::support::{Node, for_both_flavours};

const ASSET: &str = "core.tar";

for_both_flavours! {
    fn a_release_that_is_missing_is_fetched_ahead_and_launched_as_the_one_before(flavour) {
        let server = GitHubServer::default();
        let mut node = Node::with_data_node(flavour);
        server.publish("v0.2.0", &[node.packed(ASSET, &Profile::new("v0.2.0"))]);
        node.fetch_from(&server, ASSET);
        node.propose(&["v0.2.0@100000"]);
        node.start();
        wait_until("the upgrade to be armed", || node.plans().contains("armed"));
        assert_eq!(node.current(), node.home().join("genesis"));
        let text = fs::read_to_string(node.path("home/v0.2.0/run-config.toml")).unwrap();
        assert_eq!(text, node.run_config("v0.2.0"));
        node.propose(&[&format!("v0.2.0@{}", node.height() + 20)]);
        node.wait_for_blocks_of("v0.2.0");
        assert_eq!(node.launched(Role::DataNode), ["v0.1.0", "v0.2.0"]);
        assert_eq!(node.current(), node.home().join("v0.2.0"));
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn a_half_made_folder_is_in_nobodys_way_and_a_whole_one_is_not_touched(flavour) {
        let server = GitHubServer::default();
        let mut node = Node::new(flavour);
        server.publish("v0.2.0", &[node.packed(ASSET, &Profile::new("v0.2.0"))]);
        server.publish("v0.3.0", &[node.packed(ASSET, &Profile::new("v9.9.9"))]);
        node.fetch_from(&server, ASSET);
        fs::create_dir(node.path("home/v0.2.0")).unwrap();
        fs::write(node.path("home/v0.2.0/core.tar"), "half").unwrap();
        node.stage("v0.3.0");
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_blocks_of("v0.2.0");
        node.propose(&[&format!("v0.3.0@{}", node.height() + 20)]);
        node.wait_for_blocks_of("v0.3.0");
        node.stop();
        assert_eq!(node.violations(), Vec::<String>::new());
    }
}
