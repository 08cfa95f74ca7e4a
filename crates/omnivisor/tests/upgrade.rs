//! Upgrades, end to end: the real program, real processes, a real disk.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod upgrade {
    mod basics;
    mod by_name;
    mod fetching;
    mod halt;
    mod history;
    mod hold;
    mod hook;
    mod keep;
    mod plans;
    mod rollback;
    mod sign_state;
    mod superseding;
    mod support;
    mod triggers;
    mod trusting;
}
