//! The drop-in for Visor, as the real program under its names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and tells why")]

mod visor {
    mod crash;
    mod examine;
    mod failures;
    mod init;
    mod launches;
    mod place;
    mod settings;
    mod support;
    mod upgrades;
    mod version;
}
