//! Launch, end, launch again, and a daemon that comes and goes meanwhile.

mod common;

use std::time::{Duration, Instant};

use common::{SIGKILL, SIGTERM, Unit, line, lives, script, wait_for};
use ov_supervise::{ExitStatus, Phase, Scope, ShimEvent, SuperviseError, last_run};

#[tokio::test]
async fn a_unit_is_launched_ends_and_is_launched_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    assert_eq!((unit.state.phase, unit.state.run), (Phase::Empty, None));
    for (run, text, status) in [
        (1, "exit 0", ExitStatus::Code(0)),
        (2, "exit 7", ExitStatus::Code(7)),
        (3, "kill -9 $$", ExitStatus::Signal { signal: 9, core_dumped: false }),
    ] {
        unit.launch(script(run, text)).await;
        assert_eq!(unit.exited().await, status);
        assert_eq!(unit.event().await, ShimEvent::Empty { run });
        let record = last_run(directory.path()).unwrap().unwrap();
        assert_eq!((record.run, record.phase, record.exit), (run, Phase::Empty, Some(status)));
    }
    unit.finish().await;
}

#[tokio::test]
async fn a_second_launch_beside_the_first_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let pid = unit.launch(script(1, "exec sleep 600")).await;
    let refused = unit.shim.launch(script(2, "exec sleep 600")).await.unwrap_err();
    assert!(refused.to_string().contains("run 1 has not ended"), "{refused}");
    assert!(lives(pid));
    unit.finish().await;
    assert!(!lives(pid));
}

#[tokio::test]
async fn the_next_daemon_adopts_the_unit() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Unit::open(directory.path()).await;
    let pid = first.launch(script(1, "exec sleep 600")).await;
    drop(first);
    let second = Unit::open(directory.path()).await;
    assert_eq!((second.state.phase, second.state.run, second.state.pid), (Phase::Running, Some(1), Some(pid)));
    assert!(lives(pid));
    second.finish().await;
}

#[tokio::test]
async fn a_new_daemon_takes_over_while_the_old_one_is_still_there() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = Unit::open(directory.path()).await;
    let pid = first.launch(script(1, "exec sleep 600")).await;
    let second = Unit::open(directory.path()).await;
    assert_eq!(second.state.pid, Some(pid));
    assert_eq!(first.event().await, ShimEvent::Lost);
    second.finish().await;
}

#[tokio::test]
async fn an_exit_without_a_daemon_is_told_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let go = directory.path().join("go");
    let mut first = Unit::open(directory.path()).await;
    let text = format!("until [ -e {} ]; do sleep 0.01; done; exit 42", go.display());
    let pid = first.launch(script(1, &text)).await;
    drop(first);
    std::fs::write(&go, "").unwrap();
    wait_for("the end", || (!lives(pid)).then_some(())).await;
    let second = Unit::open(directory.path()).await;
    assert_eq!((second.state.phase, second.state.exit), (Phase::Empty, Some(ExitStatus::Code(42))));
    second.shim.acknowledge(1).await.unwrap();
    drop(second);
    let third = Unit::open(directory.path()).await;
    assert_eq!((third.state.run, third.state.exit), (Some(1), None));
    third.finish().await;
}

#[tokio::test]
async fn a_shim_that_nobody_needs_ends_and_its_record_remains() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let shim = unit.state.shim_pid;
    unit.launch(script(1, "exit 9")).await;
    unit.empty().await;
    drop(unit);
    wait_for("the end of the shim", || (!lives(shim)).then_some(())).await;
    let record = last_run(directory.path()).unwrap().unwrap();
    assert_eq!((record.phase, record.exit), (Phase::Empty, Some(ExitStatus::Code(9))));
    assert!(!directory.path().join("shim.sock").exists());
    // The shim after it tells it once more.
    let unit = Unit::open(directory.path()).await;
    assert_ne!(unit.state.shim_pid, shim);
    assert_eq!((unit.state.run, unit.state.exit), (Some(1), Some(ExitStatus::Code(9))));
    assert!(!unit.state.may_have_orphans);
    unit.finish().await;
}

#[tokio::test]
async fn signals_to_the_shim_do_not_end_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let pid = unit.launch(script(1, "exec sleep 600")).await;
    for signal in [1, 2, 3, 10, 12, 13, 15] {
        common::kill(unit.state.shim_pid, signal);
    }
    unit.shim.signal(SIGTERM, Scope::Main).await.unwrap();
    assert_eq!(unit.exited().await, ExitStatus::Signal { signal: SIGTERM, core_dumped: false });
    assert!(!lives(pid));
    unit.finish().await;
}

#[tokio::test]
async fn a_second_shim_of_a_unit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let unit = Unit::open(directory.path()).await;
    let output =
        std::process::Command::new(common::program().program).arg("--dir").arg(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("another shim lives"));
    unit.finish().await;
}

#[tokio::test]
async fn a_path_longer_than_a_socket_address_works() {
    let directory = tempfile::tempdir().unwrap();
    let long = directory.path().join("x".repeat(100)).join("y".repeat(100));
    let mut unit = Unit::open(&long).await;
    let mut spec = script(1, "printf '%s\\n' \"$NOTIFY_SOCKET\" > ready.new; mv ready.new ready; exec sleep 600");
    spec.working_directory = Some(long.clone());
    spec.notify = true;
    unit.launch(spec).await;
    assert!(line(&long.join("ready")).await.starts_with('@'));
    unit.finish().await;
}

#[tokio::test]
async fn garbage_does_not_disturb_the_shim() {
    use std::io::Write as _;
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let pid = unit.launch(script(1, "exec sleep 600")).await;
    let place = ov_shim::UnitDir::open(directory.path()).unwrap();
    for length in [0_usize, 1, 3, 4, 5, 64, 100_000] {
        for fill in [0_u8, 1, 0x7f, 0xff] {
            let mut stream = place.connect().unwrap();
            // The shim may hang up while we write.
            let _ = stream.write_all(&vec![fill; length]);
        }
    }
    unit.shim.signal(SIGKILL, Scope::Main).await.unwrap();
    assert_eq!(unit.exited().await, ExitStatus::Signal { signal: 9, core_dumped: false });
    assert!(!lives(pid));
    unit.finish().await;
}

#[tokio::test]
async fn relaunching_is_measured() {
    let directory = tempfile::tempdir().unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let mut times = Vec::new();
    let mut pid = unit.launch(script(1, "exec sleep 600")).await;
    for run in 2..42 {
        let begin = Instant::now();
        common::kill(pid, SIGKILL);
        unit.empty().await;
        pid = unit.launch(script(run, "exec sleep 600")).await;
        times.push(begin.elapsed());
    }
    times.sort();
    eprintln!("kill to relaunch: median {:?}, worst {:?}", times[times.len() / 2], times[times.len() - 1]);
    assert!(times[0] > Duration::ZERO);
    unit.finish().await;
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("unit");
    let (sender, _events) = tokio::sync::mpsc::channel(1);
    let open = |place: std::path::PathBuf, program| {
        let sender = sender.clone();
        async move {
            let name = ov_types::UnitName::new("main").unwrap();
            ov_supervise::Shim::open(name, &place, &program, sender).await.unwrap_err()
        }
    };
    std::fs::write(&place, "a file").unwrap();
    let error = open(place.clone(), common::program()).await;
    assert!(matches!(error, SuperviseError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("/unit`"), "{error}");

    let mut program = common::program();
    program.program = "/nowhere/at/all".into();
    let error = open(directory.path().to_owned(), program.clone()).await;
    assert!(matches!(error, SuperviseError::Start { .. }), "{error}");

    program.program = "/bin/false".into();
    let error = open(directory.path().to_owned(), program).await;
    assert!(matches!(error, SuperviseError::StartEnded { .. }), "{error}");
    assert!(error.to_string().contains("exit status: 1"), "{error}");
}
