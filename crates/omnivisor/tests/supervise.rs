//! Supervision, end to end: the real program, real processes, a real disk.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod supervise {
    mod common;

    mod adoption;
    mod ends;
    mod groups;
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
