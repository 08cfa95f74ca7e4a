//! Faults of a machine, which no test can bring about on the one that it runs on; and that every fault has its test.

use std::path::PathBuf;

use ov_chains::shape::LimitShape;
use ov_sys::SimDisk;
use ov_sys::disk::Room;
use ov_types::KeepMethod;

use super::super::{host, service, storage};
use super::*;

const MIB: u64 = 1 << 20;

#[test]
fn each_fault_of_a_machine_is_found() {
    let restart = |policy, pause, interval, burst| service::judge_restart("a.service", policy, pause, interval, burst);
    let inodes = |inodes_free| {
        storage::judge_inodes("data", &Room { free: 1, total: 1, inodes_free, noexec: false, read_only: false })
    };
    for (id, severity, verdict) in [
        ("host.arch", Severity::Warning, host::judge_arch("aarch64", "x86_64")),
        ("host.arch", Severity::Ok, host::judge_arch("i686", "x86")),
        ("host.kernel", Severity::Error, host::judge_kernel("5.3.18")),
        ("host.kernel", Severity::Warning, host::judge_kernel("5.10.0-26-amd64")),
        ("host.kernel", Severity::Unknown, host::judge_kernel("microkernel")),
        ("host.kernel", Severity::Ok, host::judge_kernel("6.1.0")),
        ("host.time", Severity::Warning, host::judge_time(b"no")),
        ("host.time", Severity::Unknown, host::judge_time(b"")),
        ("host.service-stop", Severity::Error, service::judge_stop("a.service", "simple", "1min 30s", 600_000)),
        ("host.service-stop", Severity::Ok, service::judge_stop("a.service", "notify-reload", "1s", 600_000)),
        ("host.service-stop", Severity::Ok, service::judge_stop("a.service", "exec", "infinity", 600_000)),
        ("host.service-stop", Severity::Ok, service::judge_stop("a.service", "exec", "10min", 600_000)),
        ("host.service-kill", Severity::Warning, service::judge_kill("a.service", "control-group")),
        ("host.service-kill", Severity::Ok, service::judge_kill("a.service", "process")),
        ("host.service-restart", Severity::Warning, restart("no", "100ms", "10s", "5")),
        // What systemd does unless it is told otherwise.
        ("host.service-restart", Severity::Warning, restart("on-failure", "100ms", "10s", "5")),
        ("host.service-restart", Severity::Warning, restart("always", "10s", "infinity", "5")),
        ("host.service-restart", Severity::Ok, restart("always", "5s", "10s", "5")),
        ("host.service-restart", Severity::Ok, restart("always", "0us", "0us", "5")),
        ("host.service-restart", Severity::Ok, restart("always", "100ms", "10s", "0")),
        ("host.service-restart", Severity::Unknown, restart("always", "soon", "10s", "5")),
        ("host.linger", Severity::Warning, service::judge_linger("a.service", b"no")),
        ("host.linger", Severity::Ok, service::judge_linger("a.service", b"yes")),
        ("host.linger", Severity::Unknown, service::judge_linger("a.service", b"")),
        ("disk.inodes", Severity::Error, inodes(999)),
        ("disk.inodes", Severity::Warning, inodes(9_999)),
        ("disk.inodes", Severity::Ok, inodes(u64::MAX)),
    ] {
        assert!(ids().any(|known| known == id), "{id} is no finding");
        assert_eq!(verdict.severity, severity, "{id}: {verdict:?}");
        let asks = severity >= Severity::Warning;
        assert_eq!(asks, !verdict.fix.is_empty(), "{id}: {verdict:?}");
    }
}

fn plant(disk: &SimDisk, path: &Path, bytes: &[u8]) {
    ov_sys::durable::make_directories(disk, path.parent().unwrap(), 0o755).unwrap();
    disk.plant(path, bytes, 0o644).unwrap();
}

/// What is found on a machine that is made up, with the node of a home.
fn on(disk: &SimDisk, home: &Home, id: &str) -> Severity {
    let clock = SimClock::new(Moment::default());
    let input = on_machine(disk, home, &clock, Layout::of_home(home.folder.path()));
    let check = CHECKS.iter().find(|check| check.id == id).unwrap();
    (check.look)(&input).into_iter().map(|verdict| verdict.severity).max().unwrap()
}

#[test]
fn a_machine_with_too_little_is_found() {
    let (disk, mut home) = (SimDisk::new(1), Home::new());
    assert_eq!(on(&disk, &home, "host.cgroup"), Severity::Warning, "it has no cgroups of the second kind");
    for (available, severity) in [(600 * 1024, Severity::Ok), (100 * 1024, Severity::Warning)] {
        let text = format!("MemTotal: 2000000 kB\nMemAvailable: {available} kB\nSwapFree: 0 kB\n");
        let _ = disk.remove_file(Path::new("/proc/meminfo"));
        plant(&disk, Path::new("/proc/meminfo"), text.as_bytes());
        assert_eq!(on(&disk, &home, "host.memory"), severity, "host.memory with {available} kB");
    }
    let main = home.shape.units.get_mut(&UnitName::main()).unwrap();
    main.launch.limits = vec![LimitShape { resource: "nofile".to_owned(), soft: Some(1_024), hard: None }];
    assert_eq!(on(&disk, &home, "host.descriptors"), Severity::Warning);
}

#[test]
fn a_snapshot_that_cannot_be_taken_as_wanted_is_found() {
    let (disk, mut home) = (SimDisk::new(1), Home::new());
    plant(&disk, &home.shape.layout.data.join("1.sst"), &vec![1; 8 << 20]);
    plant(&disk, &home.shape.layout.snapshots.join("note"), b"");
    disk.set_can_reflink(false);
    home.shape.keep.method = KeepMethod::Reflink;
    assert_eq!(on(&disk, &home, "disk.reflink"), Severity::Error);
    home.shape.keep.method = KeepMethod::Copy;
    assert_eq!(on(&disk, &home, "disk.snapshot"), Severity::Ok);
    disk.set_capacity(Some(40 * MIB));
    assert_eq!(on(&disk, &home, "disk.snapshot"), Severity::Error, "there is no room for it");
}

/// Rust files below a folder.
fn sources(folder: PathBuf, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// A check that no test has ever seen complain may not be able to. The name of each stands in some test, and at most so
/// many lines later what it was found to be.
#[test]
fn every_name_is_provoked_by_a_test() {
    const LINES: usize = 5;
    const BAD: [&str; 5] = ["Severity::Error", "Severity::Warning", "\"error\"", "\"warning\"", "expected, \"{name}\""];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for folder in ["daemon/src/doctor", "release/tests", "omnivisor/tests"] {
        sources(root.join(folder), &mut files);
    }
    files.retain(|file| file.components().any(|part| part.as_os_str().to_string_lossy().starts_with("tests")));
    let texts: Vec<String> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let lines: Vec<Vec<&str>> = texts.iter().map(|text| text.lines().collect()).collect();
    let is_provoked = |id: &&str| {
        let quoted = format!("\"{id}\"");
        lines.iter().flat_map(|lines| lines.windows(LINES)).any(|window| {
            window[0].contains(&quoted) && window.iter().any(|line| BAD.iter().any(|bad| line.contains(bad)))
        })
    };
    let idle: Vec<&str> = ids().filter(|id| !is_provoked(id)).collect();
    assert!(idle.is_empty(), "no test has these complain: {idle:?}");
}
