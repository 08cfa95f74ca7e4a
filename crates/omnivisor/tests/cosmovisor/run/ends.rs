//! How a run ends, what runs beside it, and what is refused.

use std::process::Stdio;

use ov_testkit::{Terminal, wait_until};

use super::node::Node;

#[test]
fn exit_codes_are_the_originals_or_truthful() {
    for (code, status, truthful) in [("0", 0, 0), ("3", 1, 3)] {
        for (words, expected) in [("original", status), ("truthful", truthful)] {
            let mut node = Node::halting("", &["--crash-at", "5", "--crash-exit", code]);
            node.set("OMNIVISOR_EXIT_CODES", words);
            node.start();
            assert_eq!(node.wait_for_exit().code(), Some(expected), "{code} {words}");
            let told = if code == "0" { String::new() } else { format!("Error: exit status {code}\n") };
            assert_eq!(node.err(), told);
            assert_eq!(node.launched(), ["v1"], "systemd launches it again, not we");
        }
    }
    let mut node = Node::halting("", &["--crash-at", "5", "--crash-signal", "KILL"]);
    node.start();
    assert_eq!(node.wait_for_exit().code(), Some(1));
    assert_eq!(node.err(), "Error: signal: killed\n");
}

#[test]
fn a_stop_is_passed_on_and_told_as_the_node_took_it() {
    for signal in ["TERM", "QUIT", "INT"] {
        let mut node = Node::halting("", &[]);
        node.start();
        node.wait_for_height(5);
        node.signal(signal);
        assert!(node.wait_for_exit().success(), "{signal}");
        assert!(node.out().contains("stopped at height"), "{signal}: the node could tidy up");
    }
    let mut node = Node::halting("", &["--stop-exit", "7"]);
    node.start();
    node.wait_for_height(5);
    assert_eq!(node.stop().code(), Some(1));
    assert_eq!(node.err(), "Error: exit status 7\n");
}

#[test]
fn a_node_that_does_not_stop_is_killed_after_its_grace() {
    let mut node = Node::halting("", &["--ignore-term"]);
    node.set("DAEMON_SHUTDOWN_GRACE", "300ms");
    node.start();
    node.wait_for_height(5);
    assert_eq!(node.stop().code(), Some(1));
    assert!(node.out().contains("DAEMON_SHUTDOWN_GRACE exceeded, killing app"));
}

#[test]
fn a_crash_is_made_good_where_that_is_wanted() {
    let mut node = Node::halting("", &["--crash-starts", "2"]);
    node.set("OMNIVISOR_RESTART", "on-failure");
    node.start();
    node.wait_for_height(5);
    assert!(node.stop().success());
    assert_eq!(node.launched().len(), 3);
}

#[test]
fn other_commands_run_beside_the_node_and_another_start_does_not() {
    let mut node = Node::halting("", &[]);
    node.start();
    node.wait_for_height(5);
    let version = node.call(&["run", "version"]);
    let out = String::from_utf8(version.stdout).unwrap();
    assert!(version.status.success() && out.contains("running app args=[\"version\"]") && out.contains("v1"), "{out}");
    let home = node.path("");
    let status = node.call(&["run", "status", "--home", home.to_str().unwrap()]);
    assert!(!status.status.success(), "the fake node answers elsewhere, and its code is told");
    let second = node.start_another();
    let told = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1));
    assert!(told.starts_with("Error: take the node over: another daemon holds "), "{told}");
    assert!(node.is_running());
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}

#[test]
fn commands_before_the_first_start_need_no_data() {
    let node = Node::halting("", &[]);
    std::fs::remove_dir(node.path("data")).unwrap();
    let version = node.call(&["run", "--version"]);
    assert!(version.status.success());
    assert_eq!(node.current(), "genesis");
    assert!(!node.path(".omnivisor").exists(), "a tool leaves nothing behind");
}

#[test]
fn a_tool_reads_our_input_and_its_code_is_told() {
    let node = Node::halting("", &[]);
    let script = node.path("cosmovisor/genesis/bin/fakenode");
    std::fs::remove_file(&script).unwrap();
    std::fs::write(&script, "#!/bin/sh\nread line; echo \"$line in $(pwd): $*\"; exit 5\n").unwrap();
    let mut command = node.command(&["run", "keys", "add", "--cosmovisor-config=x"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"secret\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    let root = node.path("cosmovisor").canonicalize().unwrap();
    assert!(out.contains(&format!("secret in {}: keys add --cosmovisor-config=x\n", root.display())), "{out}");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(1), &b"Error: exit status 5\n"[..]));
}

#[test]
fn at_a_terminal_the_node_is_talked_to_and_ctrl_c_is_one_graceful_stop() {
    let node = Node::halting("", &[]);
    let program = node.path("cosmovisor/genesis/bin/fakenode");
    std::fs::remove_file(&program).unwrap();
    let script = "#!/bin/sh\n[ -t 0 ] && [ -t 1 ] && [ -t 2 ] && echo a terminal\nread -r line; echo \"it read: $line\"\n\
                  trap 'echo it ends; exit 0' TERM\ntrap 'echo it was interrupted' INT\necho it listens\n\
                  while :; do sleep 0.05; done\n";
    std::fs::write(&program, script).unwrap();
    let home = node.path("");
    let ours = format!("'{}' cosmovisor run start", env!("CARGO_BIN_EXE_omnivisor"));
    let script = format!("DAEMON_HOME='{}' DAEMON_NAME=fakenode {ours}; echo \"ended with $?\"", home.display());
    let mut terminal = Terminal::shell(&home, &script);
    wait_until("the node to see the terminal", || terminal.shows("a terminal"));
    terminal.type_in("a pass phrase\n");
    wait_until("the node to listen", || terminal.shows("it read: a pass phrase") && terminal.shows("it listens"));
    terminal.type_in("\u{3}");
    wait_until("the end", || terminal.shows("it ends") && terminal.shows("ended with 0"));
    assert!(!terminal.shows("it was interrupted"));
}
