//! A shim that was killed: its unit is found, kept from getting a twin, and ended.

mod common;

use std::path::Path;
use std::time::Duration;

use common::{SIGKILL, SIGTERM, Unit, kill, line, lives, script, wait_for};
use ov_shim::CRASH_VARIABLE;
use ov_supervise::{CrashPoint, ExitStatus, Phase, ShimEvent, Spec, end_orphans, last_run, orphans};

fn waits_for_ever(directory: &Path) -> Spec {
    let text = "setsid sleep 600 & echo $! > ready.new; mv ready.new ready; exec sleep 600";
    Spec { working_directory: Some(directory.to_owned()), ..script(1, text) }
}

#[tokio::test]
async fn a_unit_whose_shim_was_killed_is_found_and_ended_before_the_next_launch() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let pid = unit.launch(waits_for_ever(directory.path())).await;
    let child: u32 = line(&directory.path().join("ready")).await.parse().unwrap();
    kill(unit.state.shim_pid, SIGKILL);
    assert_eq!(unit.event().await, ShimEvent::Lost);
    assert!(unit.shim.launch(script(2, "exit 0")).await.is_err());

    let mut found = orphans(directory.path()).unwrap();
    let mut expected = vec![pid, child];
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let record = last_run(directory.path()).unwrap().unwrap();
    assert_eq!((record.run, record.phase, record.pid), (1, Phase::Running, Some(pid)));

    let mut next = Unit::open(directory.path()).await;
    assert!(next.state.may_have_orphans);
    assert_eq!((next.state.phase, next.state.run, next.state.exit), (Phase::Empty, Some(1), None));
    next.shim.launch(script(2, "exec sleep 600")).await.unwrap();
    match next.event().await {
        ShimEvent::LaunchFailed { run: 2, stage, .. } => assert_eq!(stage, "orphans"),
        other => panic!("launched beside an orphan: {other:?}"),
    }
    end_orphans(directory.path(), SIGTERM, Duration::from_secs(10)).await.unwrap();
    assert!(!lives(pid) && !lives(child));
    let second = next.launch(script(3, "exec sleep 600")).await;
    assert!(lives(second));
    next.finish().await;
}

#[tokio::test]
async fn orphans_that_ignore_the_signal_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let text = "trap '' TERM; echo up > ready.new; mv ready.new ready; while :; do sleep 0.05; done";
    let spec = Spec { working_directory: Some(directory.path().to_owned()), ..script(1, text) };
    let pid = unit.launch(spec).await;
    line(&directory.path().join("ready")).await;
    kill(unit.state.shim_pid, SIGKILL);
    assert_eq!(unit.event().await, ShimEvent::Lost);
    end_orphans(directory.path(), SIGTERM, Duration::from_millis(100)).await.unwrap();
    assert!(!lives(pid));
}

#[tokio::test]
async fn a_directory_without_a_run_has_no_orphans() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(orphans(directory.path()).unwrap(), Vec::<u32>::new());
    assert_eq!(orphans(&directory.path().join("missing")).unwrap(), Vec::<u32>::new());
    assert_eq!(last_run(directory.path()).unwrap(), None);
    end_orphans(directory.path(), SIGTERM, Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_lease_outlives_a_shim_that_was_killed() {
    let directory = tempfile::tempdir().unwrap();
    let lease = directory.path().join("signer.lock");
    let mut unit = Unit::open(&directory.path().join("a")).await;
    let spec = Spec { leases: vec![lease.clone()], ..script(1, "exec sleep 600") };
    let pid = unit.launch(spec.clone()).await;
    kill(unit.state.shim_pid, SIGKILL);
    assert_eq!(unit.event().await, ShimEvent::Lost);
    let mut other = Unit::open(&directory.path().join("b")).await;
    other.shim.launch(spec.clone()).await.unwrap();
    assert!(matches!(other.event().await, ShimEvent::LaunchFailed { stage, .. } if stage == "lease"));
    kill(pid, SIGKILL);
    wait_for("the end", || (!lives(pid)).then_some(())).await;
    other.launch(Spec { run: 2, ..spec }).await;
    other.finish().await;
}

/// The shim dies at each of its crash points; whoever comes next must know what runs, and must be
/// able to launch again, with never two processes of the unit at a time.
#[tokio::test]
async fn every_crash_point_is_survived() {
    for point in CrashPoint::ALL {
        let directory = tempfile::tempdir().unwrap();
        let ends = matches!(point, CrashPoint::BeforeExitRecord | CrashPoint::AfterExitRecord);
        let mut shim = std::process::Command::new(common::program().program)
            .arg("--dir")
            .arg(directory.path())
            .env(CRASH_VARIABLE, point.name())
            .spawn()
            .unwrap();
        wait_for("its socket", || directory.path().join("shim.sock").exists().then_some(())).await;
        let mut unit = Unit::open(directory.path()).await;
        assert_eq!(unit.state.shim_pid, shim.id());
        let _ = unit.shim.launch(script(1, if ends { "exit 7" } else { "exec sleep 600" })).await;
        unit.until(|event| *event == ShimEvent::Lost).await;
        assert!(!shim.wait().unwrap().success());

        let record = last_run(directory.path()).unwrap().unwrap();
        let left = orphans(directory.path()).unwrap();
        match point {
            CrashPoint::AfterLaunchingRecord => assert_eq!((record.phase, left.len()), (Phase::Launching, 0)),
            CrashPoint::AfterSpawn => assert_eq!((record.phase, left.len()), (Phase::Launching, 1)),
            CrashPoint::BeforeExitRecord => assert_eq!((record.phase, record.exit), (Phase::Running, None)),
            CrashPoint::AfterExitRecord => {
                assert_eq!((record.phase, record.exit), (Phase::Empty, Some(ExitStatus::Code(7))));
            }
        }
        end_orphans(directory.path(), SIGKILL, Duration::ZERO).await.unwrap();
        let mut next = Unit::open(directory.path()).await;
        next.launch(script(2, "exit 0")).await;
        next.empty().await;
        next.finish().await;
    }
}
