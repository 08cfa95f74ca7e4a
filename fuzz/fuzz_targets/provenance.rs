//! Any bytes as a release's provenance: refused, or all its paths stay in the release.
#![no_main]

use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(provenance) = ov_release::parse_provenance(bytes) {
        let paths = provenance.entries.iter().map(ov_release::Entry::path).chain([provenance.program.as_str()]);
        for path in paths {
            assert!(Path::new(path).components().all(|part| matches!(part, Component::Normal(_))), "{path}");
        }
    }
});
