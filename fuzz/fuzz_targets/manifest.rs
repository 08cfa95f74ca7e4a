//! Any bytes as a snapshot's manifest: refused, or all its paths stay in the snapshot. And as the marker of a swap.
#![no_main]

use std::path::Component;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = ov_vault::parse_manifest(bytes) {
        for entry in &manifest.entries {
            let path = entry.path();
            assert!(path.components().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
        }
    }
    let _ = ov_vault::parse_marker(bytes);
});
