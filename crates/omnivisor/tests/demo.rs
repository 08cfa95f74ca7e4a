//! `omnivisor demo`, as anybody would run it: it ends well only if everything it tells has happened, and leaves nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use ov_testkit::{marked_processes, wait_until};

const NOTHING: [PathBuf; 0] = [];

/// A folder for temporary files of its own, in which the demo makes its home.
fn demo(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omnivisor"));
    command.arg("demo").args(arguments).env("TMPDIR", folder).env_remove("OMNIVISOR_HOME").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn left_in(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Nothing runs that knows of this folder.
fn assert_nothing_runs(folder: &Path) {
    assert_eq!(marked_processes(folder), [0_u32; 0], "processes are left");
}

#[test]
fn everything_it_tells_happens_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    // Somebody's own node must not be touched.
    let Output { status, stdout, stderr } = demo(folder.path(), &[]).env("OMNIVISOR_HOME", "/").output().unwrap();
    let (told, errors) = (text(&stdout), text(&stderr));
    assert!(status.success(), "{status}\n{told}\n{errors}");
    assert_eq!(errors, "");
    for line in [
        "1  A node under care",
        "2  The node is killed",
        "3  An upgrade at a height",
        "4  A bad release",
        "5  The daemon is killed in the middle of an upgrade",
        "none is lost",
        "v1 stopped at block",
        "v3 crashed",
        "snapshot upgrade-2-v3 was restored",
        "the same upgrade is committed",
        "no height was signed twice",
        "Measured",
        "omnivisor init",
    ] {
        assert!(told.contains(line), "`{line}` is missing:\n{told}");
    }
    assert!(!told.contains(['\u{1b}', '\r']), "a pipe gets no escapes:\n{told}");
    let long = told.lines().find(|line| line.chars().count() > 80 && !line.contains("demo-"));
    assert_eq!(long, None, "a line is longer than a terminal is wide");
    assert_eq!(left_in(folder.path()), NOTHING);
    assert_nothing_runs(folder.path());
}

#[test]
fn what_does_not_happen_as_told_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let Output { status, stdout, stderr } = demo(folder.path(), &["--sabotage", "good-release"]).output().unwrap();
    let (told, errors) = (text(&stdout), text(&stderr));
    assert_eq!(status.code(), Some(1), "{told}\n{errors}");
    assert!(errors.contains("A bad release") && errors.contains("was to end RolledBack"), "{errors}");
    assert!(!told.contains("Measured"), "{told}");
    // The home stays, and its logs are where it says.
    let [home] = &left_in(folder.path())[..] else { panic!("no home is left") };
    let log = home.join("daemon.log");
    assert!(errors.contains(log.to_str().unwrap()), "{errors}");
    assert!(log.metadata().unwrap().len() > 0 && home.join(".omnivisor/logs/main.log").exists());
    assert_nothing_runs(folder.path());
}

#[test]
fn told_to_end_it_tidies_up_first() {
    for signal in ["INT", "TERM"] {
        let folder = tempfile::tempdir().unwrap();
        let child = demo(folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut child = Ended(child);
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("2  The node is killed")));
        let pid = child.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
        let rest = std::thread::spawn(move || lines.count());
        let status = child.0.wait().unwrap();
        let mut errors = String::new();
        child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
        rest.join().unwrap();
        assert_eq!(status.code(), Some(1), "{errors}");
        assert!(errors.contains("it was told to end"), "{errors}");
        assert_eq!(left_in(folder.path()), NOTHING);
        assert_nothing_runs(folder.path());
    }
}

#[test]
fn a_reader_who_leaves_ends_it_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let child = demo(folder.path(), &[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Ended(child);
    let mut line = String::new();
    BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut errors = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.0.wait().unwrap().success());
    assert_eq!(errors, "");
    assert_eq!(left_in(folder.path()), NOTHING);
    wait_until("nothing to run", || marked_processes(folder.path()).is_empty());
}

#[test]
fn a_folder_with_something_in_it_is_no_place_for_a_demo() {
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("precious");
    std::fs::write(&precious, "mine").unwrap();
    let output = demo(folder.path(), &["--home", folder.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("not empty"), "{}", text(&output.stderr));
    assert_eq!(left_in(folder.path()), [precious]);
}

/// A demo that does not outlive a test that failed.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended, which is as good.
        let _ = Command::new("kill").arg(self.0.id().to_string()).stderr(Stdio::null()).status();
        let _ = self.0.wait();
    }
}
