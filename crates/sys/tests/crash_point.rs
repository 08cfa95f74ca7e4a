//! A real process that kills itself where it was told to. This test program starts itself again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use ov_sys::crash_point;

/// What the started program does; without the variable it is an ordinary, passing test.
#[test]
fn child_that_reaches_its_points() {
    for point in ["before", "between", "between", "after"] {
        crash_point::reach(point);
        println!("passed {point}");
    }
}

fn run(crash_at: Option<&str>) -> (Option<i32>, usize) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child_that_reaches_its_points", "--nocapture", "--test-threads=1"]);
    command.env_remove(crash_point::VARIABLE);
    if let Some(point) = crash_at {
        command.env(crash_point::VARIABLE, point);
    }
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    (output.status.signal(), stdout.matches("passed").count())
}

#[test]
fn the_process_dies_at_the_visit_asked_for() {
    const SIGKILL: i32 = 9;
    assert_eq!(run(Some("before")), (Some(SIGKILL), 0));
    assert_eq!(run(Some("between")), (Some(SIGKILL), 1));
    assert_eq!(run(Some("between#2")), (Some(SIGKILL), 2));
    assert_eq!(run(Some("after#2")).0, None);
    assert_eq!(run(None).0, None);
}
