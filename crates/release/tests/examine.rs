//! What the doctor says of programs: this test's own program, as it is and with single facts of it falsified.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::path::{Path, PathBuf};

use ov_release::{
    Digest, Host, Layout, Source, StageRequest, examine, examine_release, parse_elf, rollback_target, stage, switch,
};
use ov_sys::{Disk, RealDisk, SimDisk};
use ov_types::{Finding, ReleaseName, Severity, worst};
use proptest::prelude::*;

fn own_program() -> Vec<u8> {
    std::fs::read(std::env::current_exe().unwrap()).unwrap()
}

/// A directory with one executable of these bytes.
fn program(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    RealDisk.create(&path, 0o755).unwrap().write_all(bytes).unwrap();
    (directory, path)
}

/// Puts other bytes of the same length in the place of every occurrence.
fn falsified(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = own_program();
    let mut found = false;
    for at in 0..=bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from.as_bytes() {
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            found = true;
        }
    }
    assert!(found, "the test's own program does not contain {from}");
    bytes
}

fn findings_of(bytes: &[u8]) -> Vec<Finding> {
    let (_directory, path) = program(bytes);
    examine(&RealDisk, &path, &Host::this(), None)
}

fn find<'a>(findings: &'a [Finding], id: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.id == id).unwrap_or_else(|| panic!("no {id} in {findings:#?}"))
}

#[test]
fn a_program_that_runs_here_is_found_fit() {
    let facts = parse_elf(&own_program()).unwrap();
    assert!(facts.interpreter.is_some(), "this test is about dynamically linked programs: {facts:?}");
    let findings = findings_of(&own_program());
    assert_eq!(worst(&findings), Severity::Ok, "{findings:#?}");
    for id in ["executable", "owner", "noexec", "digest", "machine", "interpreter", "needed", "glibc"] {
        find(&findings, &format!("binary.{id}"));
    }
    assert!(find(&findings, "binary.glibc").message.contains("this host has GLIBC_2."));
}

#[test]
fn a_library_that_is_not_here_is_named() {
    let findings = findings_of(&falsified("libc.so.6", "libq.so.6"));
    let needed = find(&findings, "binary.needed");
    assert_eq!(needed.severity, Severity::Error);
    assert!(needed.message.contains("`libq.so.6`"), "{needed:?}");
}

#[test]
fn a_glibc_that_is_too_old_is_told_with_both_versions() {
    let needed = parse_elf(&own_program()).unwrap().versions_needed;
    let (_, version) = needed.iter().find(|(_, version)| version.starts_with("GLIBC_2.")).unwrap();
    let newer = version.replacen("GLIBC_2", "GLIBC_9", 1);
    let findings = findings_of(&falsified(version, &newer));
    let glibc = find(&findings, "binary.glibc");
    assert_eq!(glibc.severity, Severity::Error);
    assert!(glibc.message.contains(&newer) && glibc.message.contains("this host has GLIBC_2."), "{glibc:?}");
}

#[test]
fn a_loader_that_is_not_here_is_named() {
    let interpreter = parse_elf(&own_program()).unwrap().interpreter.unwrap().display().to_string();
    let other = interpreter.replacen("/ld", "/xx", 1);
    let finding = findings_of(&falsified(&interpreter, &other));
    let finding = find(&finding, "binary.interpreter");
    assert_eq!(finding.severity, Severity::Error);
    assert!(finding.message.contains(&other), "{finding:?}");
}

#[test]
fn a_library_is_not_taken_for_a_static_program() {
    let mut bytes = own_program();
    let number = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0_usize, |number, byte| number << 8 | usize::from(*byte))
    };
    // The program header of type 3, which names the loader, becomes one of type 0, which means nothing.
    let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let mut headers = (0..count).map(|index| first + index * size);
    let header = headers.find(|at| number(*at, 4) == 3).unwrap();
    bytes[header] = 0;
    let findings = findings_of(&bytes);
    assert_eq!(find(&findings, "binary.interpreter").severity, Severity::Error);
}

#[test]
fn a_program_for_another_processor_is_refused() {
    let mut bytes = own_program();
    bytes[18..20].copy_from_slice(&[0xF3, 0xFF]);
    let findings = findings_of(&bytes);
    assert_eq!(find(&findings, "binary.machine").severity, Severity::Error);
}

/// A static program with nothing in it but the note that it needs these levels of x86-64, one bit each.
fn program_for(levels: u32) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |number: u64, len: usize| bytes.extend(&number.to_le_bytes()[..len]);
    // An executable for EM_X86_64, with one program header behind the 64 bytes of this one.
    for (number, len) in [(2, 2), (62, 2), (1, 4), (0, 8), (64, 8), (0, 8), (0, 4), (64, 2), (56, 2), (1, 2), (64, 2)] {
        put(number, len);
    }
    put(0, 4);
    // PT_NOTE: flags, place, addresses, size and alignment of what follows.
    for (number, len) in [(4, 4), (4, 4), (120, 8), (120, 8), (120, 8), (32, 8), (32, 8), (8, 8)] {
        put(number, len);
    }
    // A note of type NT_GNU_PROPERTY_TYPE_0 with one property: GNU_PROPERTY_X86_ISA_1_NEEDED.
    for (number, len) in [(4, 4), (16, 4), (5, 4), (0x55_4e47, 4), (0xc000_8002, 4), (4, 4), (levels.into(), 4), (0, 4)]
    {
        put(number, len);
    }
    bytes
}

#[test]
fn a_program_for_a_newer_processor_is_told_with_both_levels() {
    let check = |levels, has| {
        let (_directory, path) = program(&program_for(levels));
        let host = Host { machine: (62, "x86_64"), x86_64_level: has, ..Host::this() };
        examine(&RealDisk, &path, &host, None).into_iter().find(|finding| finding.id == "binary.cpu")
    };
    let newer = check(0b0100, 2).unwrap();
    assert_eq!((newer.id.as_str(), newer.severity), ("binary.cpu", Severity::Error));
    assert!(newer.message.contains("needs x86-64-v3") && newer.message.contains("is x86-64-v2"), "{newer:?}");
    for (levels, has, expected) in [
        (0b0111, 2, Some(Severity::Error)),
        (0b0100, 3, Some(Severity::Ok)),
        (0b1000, 3, Some(Severity::Error)),
        (0b0001, 1, Some(Severity::Ok)),
        (0b1111, 4, Some(Severity::Ok)),
        (0, 1, None),
        (0b1000, 0, None),
    ] {
        assert_eq!(check(levels, has).map(|finding| finding.severity), expected, "{levels:04b} {has}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_level_of_this_processor_is_what_its_flags_say() {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags")).unwrap();
    let has = |flag: &str| flags.split_whitespace().any(|known| known == flag);
    let level = Host::this().x86_64_level;
    assert_eq!(level >= 2, has("sse4_2") && has("popcnt") && has("cx16"));
    assert_eq!(level >= 3, has("avx2") && has("bmi2") && has("movbe"));
    assert_eq!(level >= 4, has("avx512f") && has("avx512vl"));
}

#[test]
fn libraries_beside_the_program_are_found_where_the_environment_points() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    RealDisk.create(&path, 0o755).unwrap().write_all(&falsified("libc.so.6", "libq.so.6")).unwrap();
    let real = Host::this();
    // A file of that name that is no library does not count.
    let library = directory.path().join("libq.so.6");
    RealDisk.create(&library, 0o644).unwrap().write_all(b"no library").unwrap();
    let host = Host { library_path: vec![directory.path().to_owned()], ..real };
    let findings = examine(&RealDisk, &path, &host, None);
    assert_eq!(find(&findings, "binary.needed").severity, Severity::Error);
    RealDisk.remove_file(&library).unwrap();
    RealDisk.create(&library, 0o644).unwrap().write_all(&own_program()).unwrap();
    let findings = examine(&RealDisk, &path, &host, None);
    let message = &find(&findings, "binary.needed").message;
    assert!(!message.contains("`libq.so.6` (needed"), "{message}");
}

#[test]
fn permissions_and_digests_are_looked_at() {
    let (_directory, path) = program(&own_program());
    let check = |mode, id: &str| {
        RealDisk.set_mode(&path, mode).unwrap();
        find(&examine(&RealDisk, &path, &Host::this(), None), id).severity
    };
    assert_eq!(check(0o644, "binary.executable"), Severity::Error);
    assert_eq!(check(0o744, "binary.executable"), Severity::Warning);
    assert_eq!(check(0o757, "binary.owner"), Severity::Warning);
    assert_eq!(check(0o4755, "binary.owner"), Severity::Warning);
    let expected = |digest| find(&examine(&RealDisk, &path, &Host::this(), Some(digest)), "binary.digest").severity;
    assert_eq!(expected(Digest::of(&own_program())), Severity::Ok);
    assert_eq!(expected(Digest::of(b"another")), Severity::Error);
}

#[test]
fn scripts_need_their_interpreter_and_other_files_are_no_programs() {
    let script = |text: &str| find(&findings_of(text.as_bytes()), "binary.interpreter").severity;
    assert_eq!(script("#!/bin/sh\nexit 0\n"), Severity::Ok);
    assert_eq!(script("#! /bin/sh -e"), Severity::Ok);
    assert_eq!(script("#!/no/such/thing\n"), Severity::Error);
    assert_eq!(script("#!\n"), Severity::Error);
    assert_eq!(find(&findings_of(b"hello"), "binary.machine").severity, Severity::Error);
    assert_eq!(find(&findings_of(b""), "binary.machine").severity, Severity::Error);
    let missing = examine(&RealDisk, Path::new("/no/such/program"), &Host::this(), None);
    assert_eq!(find(&missing, "binary.executable").severity, Severity::Error);
    let directory = examine(&RealDisk, Path::new("/"), &Host::this(), None);
    assert_eq!(find(&directory, "binary.executable").severity, Severity::Error);
}

#[test]
fn a_release_is_examined_as_a_whole() {
    let home = tempfile::tempdir().unwrap();
    let layout = Layout::of_home(home.path());
    let name = ReleaseName::new("v1").unwrap();
    let source = Source::File(std::env::current_exe().unwrap());
    let program = Some("bin/node".to_owned());
    let request = StageRequest {
        name: name.clone(),
        source,
        program,
        sha256: None,
        origin: None,
        additions: Vec::new(),
        now_ms: 0,
    };
    stage(&RealDisk, &layout, &request).unwrap();
    switch(&RealDisk, &layout, &name).unwrap();
    let findings = examine_release(&RealDisk, &layout, &name, &Host::this());
    assert_eq!(worst(&findings), Severity::Ok, "{findings:#?}");
    assert_eq!(rollback_target(&RealDisk, &layout, &name).severity, Severity::Ok);
    RealDisk.truncate(&home.path().join("releases/v1/bin/node"), 100).unwrap();
    let findings = examine_release(&RealDisk, &layout, &name, &Host::this());
    assert_eq!(find(&findings, "release.complete").severity, Severity::Error);
    let target = rollback_target(&RealDisk, &layout, &name);
    assert_eq!(target.severity, Severity::Error);
    assert!(target.message.contains("has another size"), "{target:?}");
}

#[test]
fn a_loader_in_another_release_is_told() {
    // The falsified loader lies below the releases folder of a home with a very short name.
    let interpreter = parse_elf(&own_program()).unwrap().interpreter.unwrap().display().to_string();
    let stem = "/r/v1/";
    let other = format!("{stem}{}", "x".repeat(interpreter.len() - stem.len()));
    let disk = SimDisk::new(1);
    disk.make_directory(Path::new("/r"), 0o755).unwrap();
    disk.plant(Path::new("/program"), &falsified(&interpreter, &other), 0o755).unwrap();
    let layout = Layout::new("/r".into(), "/current".into());
    for (name, expected) in [("v1", false), ("v2", true)] {
        let name = ReleaseName::new(name).unwrap();
        let source = Source::File("/program".into());
        let request = StageRequest {
            name: name.clone(),
            source,
            program: None,
            sha256: None,
            origin: None,
            additions: Vec::new(),
            now_ms: 0,
        };
        stage(&disk, &layout, &request).unwrap();
        let findings = examine_release(&disk, &layout, &name, &Host::this());
        assert_eq!(findings.iter().any(|finding| finding.id == "binary.self-contained"), expected, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse_elf(&bytes);
        let mut with_magic = b"\x7fELF\x02\x01\x01".to_vec();
        with_magic.extend(bytes);
        let _ = parse_elf(&with_magic);
    }

    #[test]
    fn damaged_programs_are_read_or_refused(
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
        cut in proptest::option::of(any::<proptest::sample::Index>()),
        region in 0..3_usize,
    ) {
        thread_local! {
            static PROGRAM: Vec<u8> = own_program();
        }
        PROGRAM.with(|program| {
            let mut bytes = program.clone();
            // The headers are at the beginning, the table of sections at the end.
            let len = bytes.len();
            let region = [0..2048, len - 8192..len, 0..len][region].clone();
            for (at, value) in damage {
                bytes[region.start + at.index(region.len())] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            let _ = parse_elf(&bytes);
        });
    }
}
