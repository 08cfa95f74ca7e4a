//! The manifest and the marker of a swap: old ones stay readable, and no bytes do harm.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::path::{Component, Path};

use ov_sys::{Disk, SimDisk};
use ov_types::{Height, ReleaseName, SnapshotId};
use ov_vault::{
    About, Attributes, DataRules, Entry, Globs, How, Method, TakeRequest, parse_manifest, parse_marker, take,
};
use proptest::prelude::*;

const MANIFEST_1_0: &str = include_str!("fixtures/1.0.manifest.json");
const MARKER_1_0: &str = include_str!("fixtures/1.0.swap.json");

fn about() -> About {
    About {
        release: Some(ReleaseName::new("v1.2.3").unwrap()),
        height: Some(Height(42)),
        data_format: Some("7".to_owned()),
        reason: "before upgrade 3".to_owned(),
    }
}

#[test]
fn what_1_0_wrote_is_read() {
    let manifest = parse_manifest(MANIFEST_1_0.as_bytes()).unwrap();
    let summary = &manifest.summary;
    assert_eq!((summary.id.as_str(), summary.taken_at_ms), ("s1", 1_795_155_975_000));
    assert_eq!((summary.files, summary.size, summary.copied, summary.sealed), (2, 16, 7, false));
    assert_eq!(summary.about, about());
    let attributes = |mode| Attributes { mode, uid: 0, gid: 0 };
    assert_eq!(manifest.root, attributes(0o750));
    let paths: Vec<_> = manifest.entries.iter().map(|entry| entry.path().to_str().unwrap()).collect();
    assert_eq!(paths, ["db", "db/1.sst", "db/50%", "latest"]);
    assert!(matches!(&manifest.entries[0], Entry::Directory { attributes, .. } if attributes.mode == 0o755));
    let Entry::File { size, how, blake3, .. } = &manifest.entries[1] else { unreachable!() };
    assert_eq!((*size, *how, blake3), (9, How::Link, &None));
    let Entry::File { how, blake3: Some(blake3), .. } = &manifest.entries[2] else { unreachable!() };
    assert_eq!((*how, blake3.len()), (How::Copy, 64));
}

#[test]
fn what_is_written_now_is_what_1_0_wrote() {
    let disk = SimDisk::new(1);
    for (directory, mode) in [("/home", 0o755), ("/home/data", 0o750), ("/home/data/db", 0o755)] {
        disk.make_directory(Path::new(directory), mode).unwrap();
    }
    disk.plant(Path::new("/home/data/db/1.sst"), b"immutable", 0o644).unwrap();
    disk.plant(Path::new("/home/data/db/50%"), b"mutable", 0o600).unwrap();
    disk.make_link(Path::new("db/1.sst"), Path::new("/home/data/latest")).unwrap();
    let rules = DataRules { write_once: Globs::new(["*.sst"]).unwrap(), ..DataRules::default() };
    let request = TakeRequest {
        data: Path::new("/home/data"),
        snapshots: Path::new("/home/snapshots"),
        id: SnapshotId::new("s1").unwrap(),
        outside: None,
        rules: &rules,
        method: Method::HardLink,
        about: about(),
        now_ms: 1_795_155_975_000,
    };
    take(&disk, &request, &mut |_| {}).unwrap();
    let written = disk.read(Path::new("/home/snapshots/s1/manifest.json"), 1 << 20).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), MANIFEST_1_0);
}

#[test]
fn markers_name_only_what_lies_beside_them() {
    parse_marker(MARKER_1_0.as_bytes()).unwrap();
    for (from, to) in [
        (".data.restoring-s1", "../other"),
        (".data.restoring-s1", "a/b"),
        ("data.before-restore-s1", "/etc"),
        ("data.before-restore-s1", ""),
        ("\"major\":1", "\"major\":2"),
        ("42", "-42"),
    ] {
        assert!(MARKER_1_0.contains(from));
        assert!(parse_marker(MARKER_1_0.replace(from, to).as_bytes()).is_err(), "{to}");
    }
}

fn damaged(text: &str, damage: Vec<(proptest::sample::Index, u8)>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, value) in damage {
        let at = at.index(bytes.len());
        bytes[at] = value;
    }
    bytes
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_manifest(&bytes);
        let _ = parse_marker(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic_or_lead_outside(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let _ = parse_marker(&damaged(MARKER_1_0, damage.clone()));
        if let Ok(manifest) = parse_manifest(&damaged(MANIFEST_1_0, damage)) {
            for entry in &manifest.entries {
                prop_assert!(entry.path().components().all(|part| matches!(part, Component::Normal(_))));
            }
        }
    }
}
