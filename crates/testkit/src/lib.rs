//! What the end-to-end tests share: a node of its own in a temporary home, under the real program.
//!
//! Everything is awaited by condition and bounded; whatever a test started is ended by pid when the [`TestNode`] is
//! dropped, the units included, whether the test passed or not. Development only.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

mod drop_in;
mod github;
mod mount;
mod node;
mod plan_service;
mod processes;
mod server;
mod terminal;

pub use drop_in::DropIn;
pub use github::{Asset, GitHubServer, Trouble};
pub use mount::Mount;
pub use node::{DaemonExit, TestNode};
pub use plan_service::{PlanService, Says};
pub use processes::{children_of, is_alive, marked_processes, start_ticks};
pub use server::{Question, Reply, Server};
pub use terminal::Terminal;

use std::time::{Duration, Instant};

/// How long anything is waited for: long enough for a busy machine, short enough to be noticed.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `look` gives something, and fails the test with `what` if it never does.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until a condition holds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    wait_for(what, || holds().then_some(()));
}
