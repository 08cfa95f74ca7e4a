//! Everyday work with a node: configuration, commands, the control API, webhooks, and what goes wrong around them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and one that is skipped says so"
)]

mod operate {
    mod api;
    mod bad_input;
    mod commands;
    mod configuration;
    mod custody;
    mod disk_full;
    mod doctor;
    mod error_codes;
    mod promises;
    mod signer;
    mod snapshots;
    mod support;
    mod terminal;
    mod webhooks;
}
