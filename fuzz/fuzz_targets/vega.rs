//! Any bytes as the files of a home in Visor's layout: what is read is safe to use, and what we write is read back.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use ov_chains::vega::{FLAVOURS, Missing, history_args, read_run_config, read_settings};

fuzz_target!(|bytes: &[u8]| {
    settings(bytes);
    run_config(bytes);
});

fn settings(bytes: &[u8]) {
    for flavour in &FLAVOURS {
        for missing in [Missing::Documented, Missing::Zero] {
            let Ok((settings, remarks)) = read_settings(bytes, Path::new("/h"), flavour, missing) else { continue };
            let install = &settings.auto_install;
            let is_told = remarks.warnings.iter().any(|warning| warning.contains("missing required auto install"));
            assert!(!install.enabled || !install.asset.is_empty() || is_told);
        }
    }
}

fn run_config(bytes: &[u8]) {
    let Ok((read, remarks)) = read_run_config(bytes) else { return };
    if !remarks.problems.is_empty() {
        return;
    }
    let again = read_run_config(read.to_text().as_bytes());
    assert!(again.is_ok_and(|(again, _)| again == read));
    let next = read.of_fetched("v9", "core");
    assert!(next.core.path == "core" && next.core.args == read.core.args);
    if let Some(data_node) = &read.data_node {
        assert!(history_args(data_node).iter().any(|word| word == "network-history"));
    }
}
