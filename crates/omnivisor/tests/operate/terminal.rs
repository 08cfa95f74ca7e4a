//! At a terminal: what a person sees and is asked, and that the terminal is given back as it was.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

use ov_testkit::{TestNode, wait_for, wait_until};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::support::running;

/// A program at a terminal of its own.
struct Terminal {
    ours: OwnedFd,
    program: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    fn run(node: &TestNode, args: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        let mut command = node.command(args);
        command.env_remove("NO_COLOR").env("TERM", "xterm-256color");
        let program = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (kept, mut reader) = (Arc::clone(&shown), File::from(ours.try_clone().unwrap()));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { ours, program, shown }
    }

    fn shows(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
    }

    /// Whether the terminal is one to type commands at.
    fn is_cooked(&self) -> bool {
        let modes = tcgetattr(self.ours.as_fd()).unwrap().local_modes;
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What a full-screen program says when it takes the terminal, and when it gives it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

#[test]
fn the_terminal_is_given_back_however_watch_ends() {
    let mut node = running(&[], "");
    for end in ["q", "TERM", "INT", "HUP"] {
        let mut terminal = Terminal::run(&node, &["watch"]);
        wait_until("the view to be drawn", || terminal.shows(TAKEN) && terminal.shows("main"));
        assert!(!terminal.is_cooked(), "it reads keys");
        if end == "q" {
            File::from(terminal.ours.try_clone().unwrap()).write_all(b"q").unwrap();
        } else {
            let pid = terminal.program.id().to_string();
            let sent = std::process::Command::new("kill").args([&format!("-{end}"), &pid]).status().unwrap();
            assert!(sent.success());
        }
        let status = wait_for("the view to end", || terminal.program.try_wait().unwrap());
        assert!(status.success(), "{end}: {status}");
        wait_until("the terminal to be given back", || terminal.shows(GIVEN_BACK));
        assert!(terminal.is_cooked(), "{end}: the terminal stays unusable");
    }
    node.stop();
}

#[test]
fn a_terminal_gets_colours_and_a_pipe_does_not() {
    let mut node = running(&[], "");
    let mut terminal = Terminal::run(&node, &["status"]);
    wait_for("the status", || terminal.program.try_wait().unwrap());
    wait_until("it in colour", || terminal.shows("\u{1b}[") && terminal.shows("main"));
    assert!(!super::support::ask_well(&node, &["status"]).contains('\u{1b}'));
    node.stop();
}

#[test]
fn whoever_restores_is_asked_for_the_name_and_only_about_what_is_there() {
    let mut node = running(&[], "");
    let mut terminal = Terminal::run(&node, &["snapshot", "restore", "no-such-one"]);
    let status = wait_for("the refusal", || terminal.program.try_wait().unwrap());
    assert_eq!(status.code(), Some(2));
    wait_until("the reason", || terminal.shows("find snapshot no-such-one"));
    assert!(!terminal.shows("Type the node's name"));
    super::support::ask_well(&node, &["snapshot", "create"]);
    let id = node.client().snapshots().unwrap()[0].id.to_string();
    let mut terminal = Terminal::run(&node, &["snapshot", "restore", &id]);
    wait_until("the question", || terminal.shows("Type the node's name to go on: "));
    assert!(terminal.shows(&format!("gives way to snapshot {id} of v1 at height")));
    File::from(terminal.ours.try_clone().unwrap()).write_all(b"yes\n").unwrap();
    let status = wait_for("the refusal", || terminal.program.try_wait().unwrap());
    assert_eq!(status.code(), Some(7), "that is not its name");
    node.stop();
}
