//! What a unit writes is what is in its files, byte for byte, and nothing that happens to the files
//! stops the unit.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{SIGKILL, SIGTERM, Unit, kill, line, pumped, script, wait_for};
use ov_supervise::{ExitStatus, LogSettings, Output, ShimEvent, Spec};

fn with_settings(spec: Spec, settings: LogSettings) -> Spec {
    Spec { output: Output::Pump(settings), ..spec }
}

/// The rotated files in order, and the current one last.
fn files(log: &Path) -> Vec<PathBuf> {
    let prefix = format!("{}.", log.file_name().unwrap().to_str().unwrap());
    let mut files: Vec<PathBuf> = fs::read_dir(log.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&prefix))
        .collect();
    files.sort();
    files.extend(log.exists().then(|| log.to_owned()));
    files
}

fn content(log: &Path) -> Vec<u8> {
    files(log).iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Numbered lines of different length.
fn numbered(count: usize) -> Vec<u8> {
    (0..count).flat_map(|number| format!("{number} {}\n", "x".repeat(number % 300)).into_bytes()).collect()
}

#[tokio::test]
async fn output_and_errors_go_to_the_log_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    unit.launch(pumped(script(1, "echo one; echo two >&2; printf three"), log.clone())).await;
    unit.exited().await;
    assert_eq!(content(&log), b"one\ntwo\nthree");
    unit.empty().await;
    unit.launch(pumped(script(2, "echo four"), log.clone())).await;
    unit.exited().await;
    assert_eq!(content(&log), b"one\ntwo\nthreefour\n");
    unit.finish().await;
}

#[tokio::test]
async fn rotated_files_and_the_current_one_are_the_whole_stream() {
    let directory = tempfile::tempdir().unwrap();
    let (log, source) = (directory.path().join("main.log"), directory.path().join("source"));
    let bytes = numbered(20_000);
    fs::write(&source, &bytes).unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let settings = LogSettings { path: log.clone(), bytes_max: 100_000, ..LogSettings::default() };
    unit.launch(with_settings(script(1, &format!("cat {}", source.display())), settings)).await;
    assert_eq!(unit.exited().await, ExitStatus::Code(0));
    assert!(content(&log) == bytes, "other bytes came out");
    let rotated = files(&log);
    assert!(rotated.len() > 20, "{} files", rotated.len());
    for path in &rotated[..rotated.len() - 1] {
        let part = fs::read(path).unwrap();
        assert!(part.ends_with(b"\n") && part.len() >= 100_000 && part.len() < 101_000, "{}", path.display());
    }
    unit.finish().await;
}

#[tokio::test]
async fn fifty_megabytes_without_a_newline_pass_byte_for_byte() {
    let directory = tempfile::tempdir().unwrap();
    let (log, source) = (directory.path().join("main.log"), directory.path().join("source"));
    // Not a single newline, and no period that could hide a lost or repeated piece.
    let mut state = 7_u64;
    let bytes: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    })
    .filter(|byte| *byte != b'\n')
    .take(50_000_000)
    .collect();
    fs::write(&source, &bytes).unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let settings = LogSettings { path: log.clone(), bytes_max: 8_000_000, ..LogSettings::default() };
    unit.launch(with_settings(script(1, &format!("cat {}", source.display())), settings)).await;
    assert_eq!(unit.exited().await, ExitStatus::Code(0));
    assert!(content(&log) == bytes, "other bytes came out");
    assert_eq!(files(&log).len(), 7);
    unit.finish().await;
}

#[tokio::test]
async fn no_byte_is_lost_or_repeated_when_daemons_come_and_go() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    let settings = LogSettings { path: log.clone(), bytes_max: 50_000, ..LogSettings::default() };
    let text = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done";
    unit.launch(with_settings(script(1, text), settings)).await;
    for _ in 0..20 {
        drop(unit);
        unit = Unit::open(directory.path()).await;
    }
    let shim = unit.state.shim_pid;
    if unit.state.exit.is_none() {
        unit.exited().await;
    }
    let expected: Vec<u8> = (0..20_000).flat_map(|number| format!("line {number}\n").into_bytes()).collect();
    assert!(content(&log) == expected, "other bytes came out");
    assert_eq!(Unit::open(directory.path()).await.state.shim_pid, shim);
    Unit::open(directory.path()).await.finish().await;
}

#[tokio::test]
async fn only_the_newest_rotated_files_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (log, source) = (directory.path().join("main.log"), directory.path().join("source"));
    let bytes = numbered(20_000);
    fs::write(&source, &bytes).unwrap();
    // One that a compressor has worked on counts too; what only looks similar is left alone.
    let old = [directory.path().join("main.log.20200101T000000Z-000007.gz"), directory.path().join("main.log.bak")];
    for path in &old {
        fs::write(path, "old").unwrap();
    }
    let mut unit = Unit::open(directory.path()).await;
    let settings = LogSettings { path: log.clone(), bytes_max: 100_000, keep: 3, ..LogSettings::default() };
    unit.launch(with_settings(script(1, &format!("cat {}", source.display())), settings)).await;
    unit.exited().await;
    assert!(!old[0].exists() && old[1].exists());
    fs::remove_file(&old[1]).unwrap();
    let kept = files(&log);
    assert_eq!(kept.len(), 4);
    assert!(bytes.ends_with(&content(&log)));
    unit.finish().await;
}

#[tokio::test]
async fn the_log_is_rotated_when_asked_and_when_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    let text = "printf half; until [ -e go ]; do sleep 0.01; done; echo line; echo next; exec sleep 600";
    let spec = Spec { working_directory: Some(directory.path().to_owned()), ..script(1, text) };
    unit.launch(pumped(spec, log.clone())).await;
    wait_for("half a line", || fs::read(&log).ok().filter(|bytes| bytes == b"half")).await;
    unit.shim.rotate().await.unwrap();
    // Not in the middle of a line.
    fs::write(directory.path().join("go"), "").unwrap();
    let rotated = match unit.until(|event| matches!(event, ShimEvent::Rotated { .. })).await {
        ShimEvent::Rotated { path } => path,
        other => panic!("{other:?}"),
    };
    assert_eq!(fs::read(&rotated).unwrap(), b"halfline\n");
    wait_for("the next line", || fs::read(&log).ok().filter(|bytes| bytes == b"next\n")).await;
    let settings = LogSettings { path: log.clone(), rotate_every_seconds: 1, ..LogSettings::default() };
    unit.shim.log_settings(settings).await.unwrap();
    unit.until(|event| matches!(event, ShimEvent::Rotated { .. })).await;
    assert_eq!(content(&log), b"halfline\nnext\n");
    unit.finish().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_does_not_stop_the_unit_and_the_loss_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("logs");
    let log = place.join("main.log");
    fs::write(&place, "in the way").unwrap();
    let mut unit = Unit::open(directory.path()).await;
    let text = "head -c 5000000 /dev/zero; echo done > ready.new; mv ready.new ready; \
                until [ -e go ]; do sleep 0.01; done; echo after; exec sleep 600";
    let spec = Spec { working_directory: Some(directory.path().to_owned()), ..script(1, text) };
    unit.launch(pumped(spec, log.clone())).await;
    assert_eq!(line(&directory.path().join("ready")).await, "done");
    assert!(matches!(unit.event().await, ShimEvent::LogLost { .. }));
    fs::remove_file(&place).unwrap();
    fs::create_dir(&place).unwrap();
    match unit.until(|event| matches!(event, ShimEvent::LogLost { .. })).await {
        ShimEvent::LogLost { bytes, .. } => assert_eq!(bytes, 5_000_000),
        other => panic!("{other:?}"),
    }
    fs::write(directory.path().join("go"), "").unwrap();
    let text = wait_for("the log", || fs::read_to_string(&log).ok().filter(|text| text.ends_with("after\n"))).await;
    assert!(text.starts_with("[omnivisor] 5000000 bytes of output were lost: "), "{text}");
    assert_eq!(text.lines().count(), 2);
    drop(unit);
    let unit = Unit::open(directory.path()).await;
    assert_eq!((unit.state.lost_bytes, unit.state.log_path.as_deref()), (5_000_000, Some(log.as_path())));
    unit.finish().await;
}

/// The limit on the length of files stands for a disk that is full.
#[tokio::test]
async fn a_full_disk_takes_what_fits_and_the_rest_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut shim = std::process::Command::new("/bin/sh")
        .args(["-c", "ulimit -f 4096; exec \"$0\" --dir \"$1\""])
        .arg(common::program().program)
        .arg(directory.path())
        .spawn()
        .unwrap();
    wait_for("its socket", || directory.path().join("shim.sock").exists().then_some(())).await;
    let mut unit = Unit::open(directory.path()).await;
    assert_eq!(unit.state.shim_pid, shim.id());
    unit.launch(pumped(script(1, "head -c 10000000 /dev/zero; exit 4"), log.clone())).await;
    assert_eq!(unit.exited().await, ExitStatus::Code(4));
    unit.empty().await;
    let kept = fs::metadata(&log).unwrap().len();
    drop(unit);
    let unit = Unit::open(directory.path()).await;
    assert!(kept > 0);
    assert_eq!(kept + unit.state.lost_bytes, 10_000_000);
    unit.finish().await;
    assert!(shim.wait().unwrap().success());
}

#[tokio::test]
async fn a_log_that_was_removed_or_cut_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    let text = "echo first; for i in 1 2; do until [ -e go$i ]; do sleep 0.01; done; echo $i; done; exec sleep 600";
    let spec = Spec { working_directory: Some(directory.path().to_owned()), ..script(1, text) };
    unit.launch(pumped(spec, log.clone())).await;
    let has = |text: &'static str| {
        let log = log.clone();
        move || fs::read_to_string(&log).ok().filter(|found| found == text)
    };
    wait_for("first", has("first\n")).await;
    fs::remove_file(&log).unwrap();
    fs::write(directory.path().join("go1"), "").unwrap();
    wait_for("the new file", has("1\n")).await;
    fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    fs::write(directory.path().join("go2"), "").unwrap();
    wait_for("the cut file", has("2\n")).await;
    unit.finish().await;
}

#[tokio::test]
async fn a_unit_that_makes_its_output_non_blocking_does_not_harm_the_next_run() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    unit.launch(pumped(script(1, "dd if=/dev/zero bs=1 count=1 oflag=nonblock 2>/dev/null"), log.clone())).await;
    unit.empty().await;
    let text = "grep flags: /proc/self/fdinfo/1";
    unit.launch(pumped(script(2, text), log.clone())).await;
    unit.exited().await;
    let flags = String::from_utf8(content(&log)).unwrap();
    let flags = u32::from_str_radix(flags.rsplit(char::is_whitespace).nth(1).unwrap(), 8).unwrap();
    assert_eq!(flags & 0o4000, 0, "O_NONBLOCK");
    unit.finish().await;
}

#[tokio::test]
async fn a_shim_killed_while_it_pumps_leaves_what_it_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("main.log");
    let mut unit = Unit::open(directory.path()).await;
    let text = "i=0; while echo line $i; do i=$((i+1)); done";
    let pid = unit.launch(pumped(script(1, text), log.clone())).await;
    wait_for("some lines", || fs::metadata(&log).ok().filter(|file| file.len() > 1000)).await;
    kill(unit.state.shim_pid, SIGKILL);
    wait_for("the end of the shim", || (!common::lives(unit.state.shim_pid)).then_some(())).await;
    // It writes on, until nothing more fits into the pipe; it is ended in order, as any orphan.
    assert!(common::lives(pid));
    ov_supervise::end_orphans(directory.path(), SIGTERM, Duration::from_secs(10)).await.unwrap();
    assert!(!common::lives(pid));
    let text = fs::read_to_string(&log).unwrap();
    for (number, line) in text.lines().enumerate().take(100) {
        assert_eq!(line, format!("line {number}"));
    }
}

#[tokio::test]
async fn inherited_input_and_output_are_those_of_the_shim() {
    let directory = tempfile::tempdir().unwrap();
    let (input, output) = (directory.path().join("input"), directory.path().join("output"));
    fs::write(&input, "hello\n").unwrap();
    let mut shim = std::process::Command::new(common::program().program)
        .arg("--dir")
        .arg(directory.path())
        .stdin(fs::File::open(&input).unwrap())
        .stdout(fs::File::create(&output).unwrap())
        .stderr(fs::File::options().append(true).open(&output).unwrap())
        .spawn()
        .unwrap();
    wait_for("its socket", || directory.path().join("shim.sock").exists().then_some(())).await;
    let mut unit = Unit::open(directory.path()).await;
    let text = "cat; readlink /proc/self/fd/2";
    unit.launch(Spec { inherit_stdin: true, ..script(1, text) }).await;
    unit.empty().await;
    assert_eq!(fs::read_to_string(&output).unwrap(), format!("hello\n{}\n", output.canonicalize().unwrap().display()));
    // Without being asked for, nothing is read.
    unit.launch(script(2, "readlink /proc/self/fd/0")).await;
    unit.empty().await;
    assert!(fs::read_to_string(&output).unwrap().ends_with("\n/dev/null\n"));
    unit.finish().await;
    assert!(shim.wait().unwrap().success());
}
