//! The provenance file: old ones stay readable, newer and damaged ones are refused with the place of the fault.
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use std::error::Error;
use std::path::Path;

use ov_release::fetch::{
    Address, Cancel, Credentials, FetchRequest, HttpTransport, Limits, Patience, Policy, Silence, World, fetch,
};
use ov_release::{Digest, Entry, Layout, parse_provenance};
use ov_sys::{Disk, Random, SimClock, SimDisk};
use ov_types::{Moment, ReleaseName};
use proptest::prelude::*;

const VERSION_1_0: &str = include_str!("fixtures/1.0.release.json");
const VERSION_1_1: &str = include_str!("fixtures/1.1.release.json");

fn why(text: &str) -> String {
    let error = parse_provenance(text.as_bytes()).unwrap_err();
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    format!("{error}{source}")
}

#[test]
fn what_1_0_wrote_is_read() {
    let provenance = parse_provenance(VERSION_1_0.as_bytes()).unwrap();
    assert_eq!(provenance.name.as_str(), "v1.2.3");
    assert_eq!(provenance.program, "bin/node");
    assert_eq!(provenance.source, "/source");
    assert_eq!((provenance.staged_at_ms, provenance.size), (1_795_155_975_000, 7));
    let sha256 = Digest::of(b"program");
    let path = |text: &str| text.to_owned();
    let expected = [
        Entry::Directory { path: path("bin"), mode: 0o755 },
        Entry::File { path: path("bin/node"), mode: 0o755, size: 7, sha256 },
        Entry::Link { path: path("node"), to: path("bin/node") },
    ];
    assert_eq!(provenance.entries, expected);
}

#[test]
fn what_1_1_wrote_is_read() {
    let provenance = parse_provenance(VERSION_1_1.as_bytes()).unwrap();
    let fetched = provenance.fetched.unwrap();
    assert_eq!((fetched.address.as_str(), fetched.size), ("/source/node", 7));
    assert_eq!(fetched.sha256, Digest::of(b"program"));
    assert_eq!(fetched.checksum.as_deref(), Some("md5:a9c449d4fa44e9e5a41c574ae55ce4d9"));
    assert_eq!(fetched.signer, None);
}

#[test]
fn what_is_written_now_is_what_1_1_wrote() {
    let disk = SimDisk::new(1);
    for directory in ["/home", "/source"] {
        disk.make_directory(Path::new(directory), 0o755).unwrap();
    }
    disk.plant(Path::new("/source/node"), b"program", 0o600).unwrap();
    let request = FetchRequest {
        name: ReleaseName::new("v1.2.3").unwrap(),
        program: "bin/node".to_owned(),
        inside: None,
        addresses: vec![Address::parse("/source/node?checksum=md5:a9c449d4fa44e9e5a41c574ae55ce4d9").unwrap()],
        checksum: None,
        sha256: None,
        policy: Policy::default(),
        limits: Limits::default(),
        patience: Patience::default(),
        origin: None,
        additions: Vec::new(),
    };
    let clock = SimClock::new(Moment { monotonic_ms: 1, wall_ms: 1_795_155_975_000 });
    let transport = HttpTransport::new(Silence::default());
    let world = World {
        disk: &disk,
        clock: &clock,
        transport: &transport,
        credentials: &Credentials::default(),
        cancel: &Cancel::default(),
        random: Random::new(1),
        progress: &mut |_| {},
    };
    fetch(world, &Layout::of_home(Path::new("/home")), &request).unwrap();
    let written = disk.read(Path::new("/home/releases/v1.2.3.release.json"), 1 << 20).unwrap();
    assert_eq!(String::from_utf8(written).unwrap(), VERSION_1_1);
}

#[test]
fn faults_are_named_with_their_place() {
    let with = |from: &str, to: &str| {
        assert!(VERSION_1_0.contains(from), "{from}");
        why(&VERSION_1_0.replacen(from, to, 1))
    };
    assert_eq!(with("\"major\": 1", "\"major\": 2"), "use format 2: this program reads 1.x");
    assert!(with("\"name\": \"v1.2.3\"", "\"name\": \"../v1\"").starts_with("parse it at `name`: `../v1`"));
    assert!(with("\"size\": 7", "\"size\": -7").starts_with("parse it at `size`"));
    assert_eq!(with("bin/node", "../node"), "accept `../node`: it leads out of the release");
    assert!(with("\"mode\": \"0755\"", "\"mode\": \"0644\"").ends_with("it is not the digest of the entries"));
    assert!(with("\"0755\"", "\"0888\"").contains("`0888` is not an octal mode"));
    assert!(why("").starts_with("parse it at `.`: EOF"));
    assert!(why(&VERSION_1_0[..VERSION_1_0.len() / 2]).starts_with("parse it at `"));
    assert!(why(&format!("{VERSION_1_0}x")).starts_with("parse it at `.`: trailing"));
}

#[test]
fn what_a_newer_minor_adds_is_ignored() {
    let newer = VERSION_1_0.replacen("\"minor\": 0", "\"minor\": 9, \"more\": {}", 1);
    parse_provenance(newer.replacen("\"name\"", "\"added\": [1], \"name\"", 1).as_bytes()).unwrap();
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_provenance(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic_or_lead_outside(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = VERSION_1_0.as_bytes().to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(provenance) = parse_provenance(&bytes) {
            let inside = |path: &str| !path.is_empty() && !path.starts_with('/') && !path.split('/').any(|part| part == "..");
            prop_assert!(provenance.entries.iter().all(|entry| inside(entry.path())) && inside(&provenance.program));
        }
    }
}
