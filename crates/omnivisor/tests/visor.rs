//! The drop-in for Visor, as the real program under its names.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and tells why")]

mod visor {
    mod auto_install;
    mod crash;
    mod examine;
    mod failures;
    mod homes;
    mod init;
    mod launches;
    mod patience;
    mod place;
    mod processes;
    mod reload;
    mod settings;
    mod support;
    mod upgrades;
    mod version;
}
