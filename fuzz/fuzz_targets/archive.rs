//! Any bytes as an archive of each kind: refused, or all its paths stay in the release.
#![no_main]

use std::io::Cursor;
use std::path::{Component, Path};

use libfuzzer_sys::fuzz_target;
use ov_release::fetch::{Kind, Limits, examine_archive};

fuzz_target!(|bytes: &[u8]| {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let kind = Kind::ALL[usize::from(*kind) % Kind::ALL.len()];
    // Small enough that a bomb shows as a refusal and not as a slow input.
    let limits = Limits { unpacked_bytes_max: 8 << 20, members_max: 1_000, ..Limits::default() };
    if let Ok(paths) = examine_archive(kind, &mut Cursor::new(bytes), bytes.len() as u64, &limits) {
        for path in paths {
            assert!(Path::new(&path).components().all(|part| matches!(part, Component::Normal(_))), "{path}");
        }
    }
});
