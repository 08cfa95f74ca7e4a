//! The drop-in for Cosmovisor, as the real program under its name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed, and tells why")]

mod cosmovisor {
    mod add;
    mod init;
    mod prepare;
    mod settings;
    mod support;
    mod version;

    mod run;
}
