//! How long a core may be silent, how long a halted one is left alone, and how long processes have to end.

use std::fs;
use std::time::{Duration, Instant};

use fakenode::vega::Role;
use fakenode::{Profile, lifecycle};
use ov_testkit::wait_until;
use serde_json::json;

use super::support::{Node, for_both_flavours};

/// Polls come every two seconds, the first one two seconds after the launch.
const POLL: Duration = Duration::from_secs(2);

for_both_flavours! {
    fn so_many_polls_may_fail_and_one_more_ends_the_run(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("maxNumberOfFirstConnectionRetries", "2")]);
        node.tell(Role::Core, &json!({ "admin": "text" }));
        let began = Instant::now();
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert!(began.elapsed() >= 3 * POLL, "{:?}", began.elapsed());
        assert!(node.err().contains("failed to get upgrade status for maximum amount of 2 times"), "{}", node.err());
        assert_eq!(node.violations(), Vec::<String>::new());
    }

    fn behind_a_failure_the_other_number_counts(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[
            ("maxNumberOfFirstConnectionRetries", "100000"),
            ("maxNumberOfRestartConnectionRetries", "0"),
        ]);
        node.install("genesis", &Profile::new("v0.1.0").with("crash_starts", 1));
        node.tell(Role::Core, &json!({ "admin": "null" }));
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert_eq!(node.launched(Role::Core).len(), 2);
        assert!(node.err().contains("for maximum amount of 0 times"), "{}", node.err());
    }

    fn a_core_that_takes_questions_and_never_answers_counts_as_silent(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("maxNumberOfFirstConnectionRetries", "0")]);
        node.tell(Role::Core, &json!({ "hang_http": true }));
        node.start();
        assert_eq!(node.wait_for_exit().code(), Some(1));
        assert!(node.err().contains("for maximum amount of 0 times"), "{}", node.err());
    }

    fn a_halted_core_keeps_its_peers_for_the_stop_delay(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("stopDelaySeconds", "2")]);
        node.stage("v0.2.0");
        node.propose(&["v0.2.0@30"]);
        node.start();
        node.wait_for_line("ready for the upgrade at height 30");
        let old = node.core_pid();
        let ready = Instant::now();
        wait_until("the old core to have ended", || fs::read_link(format!("/proc/{old}/exe")).is_err());
        // It may have been ready for a moment before it was seen.
        assert!(ready.elapsed() >= Duration::from_millis(1_500), "{:?}", ready.elapsed());
        node.wait_for_blocks_of("v0.2.0");
        node.stop();
    }

    fn a_process_that_does_not_end_is_killed_after_its_time_and_not_before(flavour) {
        let mut node = Node::new(flavour);
        node.configure(&[("stopSignalTimeoutSeconds", "1")]);
        node.core_words.push("--ignore-term".to_owned());
        node.install("genesis", &Profile::new("v0.1.0"));
        node.start();
        node.wait_for_height(5);
        let told = Instant::now();
        node.stop();
        assert!(told.elapsed() >= Duration::from_secs(1), "{:?}", told.elapsed());
        assert!(!node.life("core").contains(&lifecycle::Step::Stopped));
    }
}
