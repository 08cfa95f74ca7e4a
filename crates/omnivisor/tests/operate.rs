//! Everyday work with a node: configuration, commands, the control API, webhooks, and what goes wrong around them.

mod operate {
    mod api;
    mod bad_input;
    mod commands;
    mod configuration;
    mod disk_full;
    mod doctor;
    mod error_codes;
    mod support;
    mod terminal;
    mod webhooks;
}
