//! Supervision, end to end: the real program, real processes, a real disk.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod supervise {
    mod common;

    mod adoption;
    mod hard_things;
    mod helpers;
    mod homes;
    mod output;
    mod probes;
    mod processes;
    mod restarts;
    mod stopping;
    mod suspending;
    mod systemd;
    mod tallies;
    mod terminal;
}
