//! At a terminal: what a person sees and is asked, and that the terminal is given back as it was.

use ov_testkit::{Terminal, TestNode, wait_until};

use super::support::running;

fn at_terminal(node: &TestNode, args: &[&str]) -> Terminal {
    Terminal::run(node.command(args).env_remove("NO_COLOR").env("TERM", "xterm-256color"))
}

/// What a full-screen program says when it takes the terminal, and when it gives it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN_BACK: &str = "\u{1b}[?1049l";

#[test]
fn the_terminal_is_given_back_however_watch_ends() {
    let mut node = running(&[], "");
    for end in ["q", "TERM", "INT", "HUP"] {
        let mut terminal = at_terminal(&node, &["watch"]);
        wait_until("the view to be drawn", || terminal.shows(TAKEN) && terminal.shows("main"));
        assert!(!terminal.is_cooked(), "it reads keys");
        if end == "q" {
            terminal.type_in("q");
        } else {
            terminal.signal(end);
        }
        let status = terminal.wait();
        assert!(status.success(), "{end}: {status}");
        wait_until("the terminal to be given back", || terminal.shows(GIVEN_BACK));
        assert!(terminal.is_cooked(), "{end}: the terminal stays unusable");
    }
    node.stop();
}

#[test]
fn a_terminal_gets_colours_and_a_pipe_does_not() {
    let mut node = running(&[], "");
    let mut terminal = at_terminal(&node, &["status"]);
    terminal.wait();
    wait_until("it in colour", || terminal.shows("\u{1b}[") && terminal.shows("main"));
    assert!(!super::support::ask_well(&node, &["status"]).contains('\u{1b}'));
    node.stop();
}

#[test]
fn whoever_restores_is_asked_for_the_name_and_only_about_what_is_there() {
    let mut node = running(&[], "");
    let mut terminal = at_terminal(&node, &["snapshot", "restore", "no-such-one"]);
    let status = terminal.wait();
    assert_eq!(status.code(), Some(2));
    wait_until("the reason", || terminal.shows("find snapshot no-such-one"));
    assert!(!terminal.shows("Type the node's name"));
    super::support::ask_well(&node, &["snapshot", "create"]);
    let id = node.client().snapshots().unwrap()[0].id.to_string();
    let mut terminal = at_terminal(&node, &["snapshot", "restore", &id]);
    wait_until("the question", || terminal.shows("Type the node's name to go on: "));
    assert!(terminal.shows(&format!("gives way to snapshot {id} of v1 at height")));
    terminal.type_in("yes\n");
    let status = terminal.wait();
    assert_eq!(status.code(), Some(7), "that is not its name");
    node.stop();
}
