//! Files that change while the node runs: however they are saved, what they say holds; and a release is launched as it says
//! at that moment.

use std::fs;

use fakenode::vega::Role;
use ov_testkit::wait_until;

use super::support::{Node, for_both_flavours};

/// Whether the daemon took a changed configuration in.
fn wait_for_reload(node: &Node, word: &str) {
    let events = || String::from_utf8(node.omnivisor(&["events", "--json"]).stdout).unwrap();
    wait_until(&format!("an event with {word:?}"), || events().contains(word));
}

for_both_flavours! {
    fn what_is_written_in_place_holds_for_the_launch_that_runs(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("maxNumberOfRestarts", "0")]);
        node.start();
        node.wait_for_height(5);
        node.configure(&[("maxNumberOfRestarts", "1")]);
        wait_for_reload(&node, "maxNumberOfRestarts");
        node.crash();
        wait_until("another launch", || node.launched(Role::Core).len() == 2);
        node.stop();
    }

    fn what_takes_the_files_place_by_a_rename_holds_too_and_again(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("maxNumberOfRestarts", "0")]);
        node.start();
        node.wait_for_height(5);
        let config = node.path("home/config.toml");
        for (key, from, to) in [("stopDelaySeconds", "0", "1"), ("maxNumberOfRestarts", "0", "2")] {
            let text = fs::read_to_string(&config).unwrap();
            let text = text.replace(&format!("{key} = {from}\n"), &format!("{key} = {to}\n"));
            fs::write(node.path("home/config.toml.new"), text).unwrap();
            fs::rename(node.path("home/config.toml.new"), &config).unwrap();
            wait_for_reload(&node, key);
        }
        node.crash();
        wait_until("another launch", || node.launched(Role::Core).len() == 2);
        node.stop();
    }

    fn a_file_that_cannot_be_read_leaves_what_was_and_is_told(flavour) {
        let mut node = Node::new(flavour);
        node.start();
        node.wait_for_height(5);
        fs::write(node.path("home/config.toml"), "maxNumberOfRestarts = [").unwrap();
        wait_for_reload(&node, "OV-VEG-001");
        node.crash();
        wait_until("another launch", || node.launched(Role::Core).len() == 2);
        assert!(node.is_running());
    }

    fn a_release_is_launched_as_it_says_at_that_moment(flavour) {
        let mut node = Node::new(flavour);
        node.start();
        node.wait_for_height(5);
        node.core_words.extend(["--block-ms".to_owned(), "21".to_owned()]);
        fs::write(node.path("home/genesis/run-config.toml"), node.run_config("genesis")).unwrap();
        node.crash();
        wait_until("another launch", || node.launches(Role::Core).len() == 2);
        let words: Vec<String> = node.launches(Role::Core).iter().map(|launch| launch.arguments.join(" ")).collect();
        assert!(!words[0].contains("--block-ms 21") && words[1].contains("--block-ms 21"), "{words:?}");
        node.stop();
    }
}
