//! The daemon at a terminal: a unit may be talked to, Ctrl-C is one graceful stop, and the terminal is given back.

use std::fs;

use fakenode::lifecycle::{Step, read};
use ov_testkit::{Terminal, TestNode, marked_processes, wait_for, wait_until};

use super::common::{PROGRAM, laid_out, shell};

/// In the script `$OV` stands for the `omnivisor` of this node.
fn shell_at(node: &TestNode, script: &str) -> Terminal {
    let program = format!("'{PROGRAM}' --home '{}'", node.home().display());
    Terminal::shell(node.home(), &script.replace("$OV", &program))
}

fn text(node: &TestNode, file: &str) -> Option<String> {
    fs::read_to_string(node.path(file)).ok().filter(|text| text.ends_with('\n'))
}

#[test]
fn a_unit_reads_a_typed_line_and_ctrl_c_is_one_graceful_stop() {
    let prompt = "stty -echo; read -r line; echo \"$line\" > typed; \
                  trap 'echo INT >> signals' INT; trap 'echo TERM >> signals; sleep 0.3; exit 0' TERM; \
                  echo > listens; while :; do sleep 0.05; done";
    let more = format!("[unit.prompt]\n{}stdin = \"inherit\"\n[unit.prompt.stop]\ngrace = \"9m\"\n", shell(prompt));
    let node = laid_out("stdin = \"inherit\"\noutput = \"inherit\"", &[], &more);
    let mut session = shell_at(&node, "$OV run; echo $? > ended; read -r line; echo \"$line\" > read-by-shell");
    node.wait_for_height(1);
    wait_until("the prompt to hide what is typed", || !session.echoes());
    session.type_in("a pass phrase\n");
    assert_eq!(wait_for("the line", || text(&node, "typed")), "a pass phrase\n");
    wait_until("the unit to listen", || node.path("listens").exists());
    session.type_in("\u{3}");
    assert_eq!(wait_for("the daemon to end", || text(&node, "ended")), "0\n");
    assert_eq!(text(&node, "signals").as_deref(), Some("TERM\n"));
    assert!(session.echoes(), "the unit left the terminal changed");
    session.type_in("for the shell\n");
    assert_eq!(wait_for("the shell to read", || text(&node, "read-by-shell")), "for the shell\n");
    assert!(session.wait().success());
    assert!(marked_processes(node.home()).is_empty(), "processes are left");
    let steps: Vec<Step> = read(node.home()).unwrap().into_iter().map(|entry| entry.step).collect();
    assert_eq!(steps, [Step::Exec, Step::Started, Step::Stopped]);
    node.check_data();
}

#[test]
fn a_daemon_in_the_background_takes_no_input_from_whoever_is_in_front() {
    let more = format!("[unit.reader]\n{}stdin = \"inherit\"\n", shell("cat > read; echo > reader-done; sleep 600"));
    let node = laid_out("", &[], &more);
    let script = "$OV run & read -r line; echo \"$line\" > read-by-shell; kill %1; wait %1; echo $? > ended";
    let mut session = shell_at(&node, script);
    wait_until("the reader to have read what there is", || node.path("reader-done").exists());
    session.type_in("for the shell\n");
    assert_eq!(wait_for("the shell to read", || text(&node, "read-by-shell")), "for the shell\n");
    assert_eq!(fs::read_to_string(node.path("read")).unwrap(), "");
    assert_eq!(wait_for("the daemon to end", || text(&node, "ended")), "0\n");
    assert!(session.wait().success());
}
