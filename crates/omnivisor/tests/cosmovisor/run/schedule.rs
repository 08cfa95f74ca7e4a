//! Upgrades that people schedule, among entries that nothing can be made of and such whose height is past.

use std::fs;
use std::path::PathBuf;

use fakenode::Profile;

use super::node::Node;

/// A program of this version, somewhere else.
fn executable(node: &Node, version: &str) -> PathBuf {
    let folder = node.path("incoming").join(version);
    Profile::new(version).install_single_file(&folder, env!("CARGO_BIN_EXE_omnivisor").as_ref()).unwrap()
}

/// `add-batch-upgrade` with these names and heights.
fn add_batch(node: &Node, entries: &[(&str, u64)]) {
    let word = |(name, height): &(&str, u64)| format!("{name}:{}:{height}", executable(node, name).display());
    let list = entries.iter().map(word).collect::<Vec<_>>().join(",");
    let added = node.call(&["add-batch-upgrade", "--upgrade-list", &list]);
    assert!(added.status.success(), "{added:?}");
}

#[test]
fn a_batch_is_carried_out_one_by_one_each_at_its_height() {
    let mut node = Node::halting("", &[]);
    node.start();
    node.wait_for_height(10);
    let first = node.height() + 100;
    let second = first + 400;
    add_batch(&node, &[("v3", second), ("v2", first)]);
    node.wait_for_line("fakenode v2 started");
    assert_eq!(node.current(), "upgrades/v2");
    assert!(!node.path("data/upgrade-info.json").exists(), "the node's own file was written");
    node.wait_for_line("fakenode v3 started");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2", "v3"]);
    let spans = node.blocks();
    let last_of = |version: &str| -> u64 {
        let span = spans.iter().find_map(|span| span.strip_prefix(version)?.strip_prefix('@'));
        span.unwrap().parse().unwrap()
    };
    assert!(last_of("v1") + 1 >= first && last_of("v2") + 1 >= second, "early: {spans:?}, due {first} and {second}");
}

#[test]
fn a_node_whose_sdk_is_known_is_told_to_make_no_block_of_the_next_release() {
    for sdk in ["v0.47.13", "v0.53.4"] {
        // What governance decided on is in the list too, and the node cannot write it down any more.
        let mut node = Node::halting("v3@60", &["--comet"]);
        node.install("genesis", &Profile::new("v1").with("sdk_version", sdk));
        node.install("upgrades/v2", &Profile::new("v2").with("sdk_version", sdk));
        node.install("upgrades/v3", &Profile::new("v3").with("handles", vec!["v3"]));
        let list = r#"[{"name":"v2","height":30},{"name":"v3","height":60,"info":"notes"}]"#;
        fs::write(node.path("data/upgrade-info.json.batch"), list).unwrap();
        node.start();
        node.wait_for_height(65);
        assert!(node.stop().success());
        assert_eq!(
            (node.launched(), node.blocks_before_last()),
            (
                vec!["v1", "v2", "v3"].into_iter().map(str::to_owned).collect(),
                vec!["v1@29".to_owned(), "v2@59".to_owned()]
            ),
            "{sdk}"
        );
        let plan: serde_json::Value =
            serde_json::from_slice(&fs::read(node.path("data/upgrade-info.json")).unwrap()).unwrap();
        assert_eq!((&plan["name"], &plan["height"], &plan["info"]), (&"v3".into(), &60.into(), &"notes".into()));
    }
}

#[test]
fn entries_that_are_past_or_cannot_be_used_hold_up_nobody() {
    let mut node = Node::halting("", &[]);
    node.start();
    node.wait_for_height(40);
    add_batch(&node, &[("v2", 10), ("v3", 20)]);
    // Of two that are past, only the last fits the data.
    node.wait_for_line("fakenode v3 started");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v3"]);

    // Somebody edits the file, while nothing runs: an entry that nothing can be made of stands in front.
    let due = node.height() + 60;
    let file = node.path("data/upgrade-info.json.batch");
    node.install("upgrades/v4", &Profile::new("v4"));
    fs::write(&file, format!(r#"[{{"name":"genesis","height":1}},{{"name":"V4","height":{due}}}]"#)).unwrap();
    node.start();
    node.wait_for_line("fakenode v4 started");
    node.wait_for_line("entry 0 is not used");
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v3", "v3", "v4"]);
}
