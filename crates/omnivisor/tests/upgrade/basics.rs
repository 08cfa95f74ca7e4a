//! An upgrade as everybody wants it, and a bad release as everybody fears it.

use std::path::Path;

use fakenode::Profile;
use ov_testkit::TestNode;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Trigger};

const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

fn running_v1() -> TestNode {
    let mut node = TestNode::new(Path::new(PROGRAM), &[], "");
    node.start_with(&Profile::new("v1"));
    node.start();
    node.wait_for_up("main");
    node.wait_for_height(5);
    node
}

#[test]
fn a_good_release_is_committed_and_blocks_go_on() {
    let mut node = running_v1();
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(node.current(), "v2");
    let height = node.height().unwrap();
    node.wait_for_height(height + 5);
    let exit = node.stop();
    assert!(exit.status.success(), "{}", exit.log);
    node.check_data();
}

#[test]
fn a_release_that_crashes_is_rolled_back() {
    let mut node = running_v1();
    let bad = Profile::new("v2").with("crash_starts", 1_000);
    let plan = node.plan(&bad, Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::RolledBack);
    assert_eq!(node.current(), "v1");
    node.wait_for_up("main");
    let height = node.height().unwrap();
    node.wait_for_height(height + 5);
    node.stop();
    node.check_data();
}
