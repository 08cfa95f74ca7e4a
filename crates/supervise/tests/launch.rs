//! Everything a spec asks for is so in the process that is launched, or the launch fails and says
//! at which stage.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use common::{Unit, pumped, script, wait_for};
use ov_supervise::{ExitStatus, ResourceLimit, ShimEvent, ShimProgram, Spec};

/// Runs it to its end and returns what it wrote.
async fn output_of(directory: &Path, spec: Spec) -> String {
    let log = directory.join("main.log");
    let mut unit = Unit::open_with(directory, &under_nohup()).await;
    unit.launch(pumped(spec, log.clone())).await;
    assert_eq!(unit.exited().await, ExitStatus::Code(0));
    unit.finish().await;
    fs::read_to_string(log).unwrap()
}

/// The shim of a daemon whose starter ignores signals: that must not reach a unit.
fn under_nohup() -> ShimProgram {
    let shim = common::program();
    let text = "trap '' HUP USR1; exec \"$0\" \"$@\"";
    let arguments = vec!["-c".into(), text.into(), shim.program.into_os_string()];
    ShimProgram { program: "/bin/sh".into(), arguments, ..shim }
}

async fn failure_of(directory: &Path, spec: Spec) -> (String, String) {
    let mut unit = Unit::open(directory).await;
    unit.shim.launch(spec).await.unwrap();
    let failure = match unit.event().await {
        ShimEvent::LaunchFailed { run: 1, stage, message } => (stage, message),
        other => panic!("not failed: {other:?}"),
    };
    // The next launch is not disturbed by it.
    unit.launch(script(2, "exit 0")).await;
    unit.empty().await;
    unit.finish().await;
    failure
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[tokio::test]
async fn the_process_is_as_the_spec_says() {
    let directory = tempfile::tempdir().unwrap();
    let text = "pwd; umask; ulimit -n; ulimit -Hn; ulimit -c; cat /proc/self/oom_score_adj; \
                cut -d' ' -f5,19 /proc/$$/stat | sed \"s/^$$ /own group, nice /\"; \
                grep -E '^Sig(Blk|Ign)' /proc/self/status | sed 's/[0-9a-f]\\{9\\}\\([0-9a-f]\\{7\\}\\)$/\\1/'; echo \"$0 $1\"; tr '\\0' '\\n' < /proc/$$/environ";
    let mut spec = script(1, text);
    spec.arguments.extend(["zero".into(), "one".into()]);
    spec.working_directory = Some("/usr".into());
    spec.umask = Some(0o027);
    spec.nice = Some(5);
    spec.oom_score_adjust = Some(321);
    spec.environment.push(("A".into(), "b=c\nd".into()));
    spec.limits = vec![
        ResourceLimit { resource: "nofile".into(), soft: Some(99), hard: Some(200) },
        ResourceLimit { resource: "core".into(), soft: Some(0), hard: None },
    ];
    let found = output_of(directory.path(), spec).await;
    let marker = format!("OMNIVISOR_UNIT={}:1", directory.path().canonicalize().unwrap().display());
    // Of the signals only those that have names: the libc keeps others for itself.
    let expected = [
        "/usr",
        "0027",
        "99",
        "200",
        "0",
        "321",
        "own group, nice 5",
        "SigBlk:\t0000000",
        "SigIgn:\t0000000",
        "zero one",
    ];
    let lines: Vec<&str> = found.lines().collect();
    assert_eq!(lines[..expected.len()], expected);
    let mut environment = lines[expected.len()..].to_vec();
    environment.sort_unstable();
    assert_eq!(environment, ["A=b=c", marker.as_str(), "PATH=/usr/bin:/bin", "d"]);
}

/// What the test itself was given without the flag that closes it is handed on all the way; what
/// belongs to daemon or shim is not.
#[tokio::test]
async fn no_file_of_daemon_or_shim_is_handed_on_but_the_leases() {
    let directory = tempfile::tempdir().unwrap();
    let lease = directory.path().join("signer.lock");
    let list = "for fd in /proc/$$/fd/*; do readlink $fd; done; exit 0";
    let without = output_of(directory.path(), script(1, list)).await;
    fs::remove_file(directory.path().join("main.log")).unwrap();
    let with = output_of(directory.path(), Spec { leases: vec![lease.clone()], ..script(1, list) }).await;
    assert_eq!(with.lines().count(), without.lines().count() + 1, "{with}");
    assert!(with.lines().any(|line| Path::new(line) == lease.canonicalize().unwrap()), "{with}");
    for line in with.lines() {
        let own = ["socket:", "anon_inode:", "shim.lock", "/run", "main.log"];
        assert!(own.iter().all(|name| !line.contains(name) || line.contains("inotify")), "{with}");
    }
}

#[tokio::test]
async fn user_and_groups_are_changed() {
    if !is_root() {
        // Nobody else may become somebody else: the launch fails, and says so.
        let directory = tempfile::tempdir().unwrap();
        let (stage, _) = failure_of(directory.path(), Spec { user: Some(0), ..script(1, "exit 0") }).await;
        assert_eq!(stage, "user");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let text = "grep -E '^(Uid|Gid|Groups)' /proc/self/status | tr -s '\\t ' ' '";
    let mut spec = Spec { user: Some(1234), group: Some(2345), ..script(1, text) };
    let none = output_of(directory.path(), spec.clone()).await;
    assert_eq!(none.replace(" \n", "\n"), "Uid: 1234 1234 1234 1234\nGid: 2345 2345 2345 2345\nGroups:\n");
    fs::remove_file(directory.path().join("main.log")).unwrap();
    spec.supplementary_groups = Some(vec![7, 8]);
    assert!(output_of(directory.path(), spec).await.contains("Groups: 7 8"));
}

#[tokio::test]
async fn a_launch_that_fails_says_where() {
    let missing = || PathBuf::from("/nowhere/at/all");
    let limit = |resource: &str| vec![ResourceLimit { resource: resource.into(), soft: Some(1), hard: Some(0) }];
    let plain = || script(1, "exit 0");
    for (stage, named, spec) in [
        ("execute", "/nowhere/at/all", Spec { program: missing(), ..plain() }),
        ("execute", "/usr", Spec { program: "/usr".into(), ..plain() }),
        ("working-directory", "/nowhere/at/all", Spec { working_directory: Some(missing()), ..plain() }),
        ("limits", "/bin/sh", Spec { limits: limit("nofile"), ..plain() }),
        ("specification", "bananas", Spec { limits: limit("bananas"), ..plain() }),
        ("lease", "/nowhere/at/all", Spec { leases: vec![missing()], ..plain() }),
        ("oom-score", "/bin/sh", Spec { oom_score_adjust: Some(5000), ..plain() }),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (found, message) = failure_of(directory.path(), spec).await;
        assert_eq!(found, stage, "{message}");
        assert!(message.contains(named), "{message}");
    }
}

#[tokio::test]
async fn a_lease_that_somebody_holds_keeps_the_unit_from_being_launched() {
    let directory = tempfile::tempdir().unwrap();
    let lease = directory.path().join("signer.lock");
    let held = fs::File::create(&lease).unwrap();
    held.lock().unwrap();
    let spec = Spec { leases: vec![lease.clone()], ..script(1, "exit 0") };
    let (stage, message) = failure_of(&directory.path().join("unit"), spec.clone()).await;
    assert_eq!(stage, "lease");
    assert!(message.contains("signer.lock"), "{message}");
    drop(held);
    // Two runs of one unit do not stand in each other's way.
    let mut unit = Unit::open(&directory.path().join("unit")).await;
    for run in 3..6 {
        unit.launch(Spec { run, ..spec.clone() }).await;
        unit.empty().await;
    }
    unit.finish().await;
}

#[tokio::test]
async fn what_the_unit_says_through_sd_notify_is_handed_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    unit.launch(Spec { notify: true, ..script(1, "exec sleep 600") }).await;
    let path = directory.path().join("notify.sock");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let socket = UnixDatagram::unbound().unwrap();
    socket.send_to(b"STATUS=almost", &path).unwrap();
    socket.send_to(b"READY=1\nSTATUS=here", &path).unwrap();
    assert_eq!(unit.event().await, ShimEvent::Notify { text: "STATUS=almost".into() });
    assert_eq!(unit.event().await, ShimEvent::Notify { text: "READY=1\nSTATUS=here".into() });
    drop(unit);
    let unit = Unit::open(directory.path()).await;
    assert_eq!((unit.state.ready, unit.state.status_text.as_deref()), (true, Some("here")));
    unit.finish().await;
}

/// Where there is no cgroup of version 2 that we may write to, the unit runs without one.
#[tokio::test]
async fn a_cgroup_is_used_where_there_may_be_one() {
    let name = format!("omnivisor-test-{}", std::process::id());
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
    let root = roots.iter().map(Path::new).find(|root| root.join("cgroup.procs").exists() && is_root());
    let cgroup = root.unwrap_or(Path::new("/nowhere")).join(name);
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let pid = unit.launch(Spec { cgroup: Some(cgroup.clone()), ..script(1, "exec sleep 600") }).await;
    drop(unit);
    let unit = Unit::open(directory.path()).await;
    if cgroup.exists() {
        assert_eq!(unit.state.cgroup.as_deref(), Some(cgroup.as_path()));
        let procs = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap();
        assert_eq!(procs.trim(), pid.to_string());
    } else {
        assert_eq!(unit.state.cgroup, None);
    }
    let shim = unit.state.shim_pid;
    unit.finish().await;
    wait_for("the end of the shim", || (!common::lives(shim)).then_some(())).await;
    assert!(!cgroup.exists());
}
