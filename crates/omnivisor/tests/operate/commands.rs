//! The commands: what they print for people and programs, how they end, and what they say when nobody is there.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use fakenode::Profile;
use ov_testkit::{TestNode, is_alive, wait_for, wait_until};
use ov_types::{FailurePolicy, Trigger, UnitState};
use serde_json::Value;

use super::support::{PROGRAM, ask, ask_json, ask_well, running, says};

#[test]
fn status_plans_and_history_for_people_and_programs() {
    let mut node = running(&[], "");
    let plan = node.plan(
        &Profile::new("v2"),
        Trigger::Height { height: ov_types::Height(1_000_000) },
        FailurePolicy::Rollback,
    );
    wait_until("the plan to be armed", || node.phase(plan) == ov_types::api::PlanPhase::Armed);
    let status = wait_for("the height's pace", || {
        let status = ask_json(&node, &["status"]);
        (status["blocks_per_hour"].is_number() && status["plans"][0]["eta_ms"].is_number()).then_some(status)
    });
    assert_eq!((&status["release"], &status["units"][0]["name"]), (&Value::from("v1"), &Value::from("main")));
    let text = ask_well(&node, &["status"]);
    says(&text, &["UNIT", "main", "up", "height", "blocks/h", "v2", "height 1000000", "armed", "in "]);
    says(&ask_well(&node, &["plan", "list"]), &["PLAN", "v2", "height 1000000", "rollback", "armed"]);
    assert_eq!(ask_json(&node, &["plan", "list"])[0]["plan"]["release"], "v2");
    says(&ask_well(&node, &["upgrade", "apply", &plan.to_string(), "--wait=1m"]), &["plan 1 to v2: committed"]);
    // It was begun long before its height; the snapshot says of which one the data is.
    let height = ask_json(&node, &["snapshot", "list"])[0]["height"].as_u64();
    assert!(height.is_some_and(|height| (1..1_000_000).contains(&height)), "{height:?}");
    assert_eq!(ask_well(&node, &["plan", "list"]), "");
    says(&ask_well(&node, &["plan", "list", "--all"]), &["v2", "committed"]);
    says(&ask_well(&node, &["upgrade", "history"]), &["switch", "prove", "commit"]);
    says(&ask_well(&node, &["release", "list"]), &["v1", "v2"]);
    assert_eq!(ask_json(&node, &["release", "list"]).as_array().unwrap().len(), 2);
    let online = ask_json(&node, &["upgrade", "history"]);
    node.stop();
    // The journal speaks without a daemon too.
    let offline = ask_json(&node, &["upgrade", "history"]);
    assert!(offline.as_array().unwrap().starts_with(online.as_array().unwrap()));
}

#[test]
fn snapshots_are_taken_checked_restored_and_removed() {
    let mut node = running(&[], "");
    let id = ask_json(&node, &["snapshot", "create", "--reason", "a test"])["snapshot"].as_str().unwrap().to_owned();
    says(&ask_well(&node, &["snapshot", "list"]), &[&id, "a test", "v1"]);
    says(&ask_well(&node, &["snapshot", "verify", &id]), &[&id, "as it was taken"]);
    let ended = ask(&node, &["snapshot", "restore", &id, "--confirm", "another"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    let name = ask_json(&node, &["status"])["node"].as_str().unwrap().to_owned();
    ask_well(&node, &["snapshot", "restore", &id, "--confirm", &name]);
    node.wait_for_up("main");
    ask_well(&node, &["snapshot", "remove", &id]);
    let ended = ask(&node, &["snapshot", "verify", &id]);
    assert_eq!(ended.code, 7, "{ended:?}");
    says(&ended.err, &[&id, "no snapshot"]);
    node.stop();
    node.check_data();
}

#[test]
fn units_are_stopped_started_held_and_let_go() {
    let mut node = running(&[], "");
    let first = node.wait_for_up("main");
    says(&ask_well(&node, &["unit", "stop", "main", "--wait=1m"]), &["unit main is down"]);
    assert!(!is_alive(first));
    says(&ask_well(&node, &["status"]), &["kept down"]);
    ask_well(&node, &["unit", "suspend", "main"]);
    ask_well(&node, &["unit", "start", "main"]);
    says(&ask_well(&node, &["status"]), &["launches are held"]);
    says(&ask_well(&node, &["unit", "resume", "main"]), &["main"]);
    let second = node.wait_for_up("main");
    assert_eq!(ask_json(&node, &["unit", "restart", "main", "--wait=1m"])["state"], "up");
    assert_ne!(node.wait_for_up("main"), second);
    let ended = ask(&node, &["unit", "stop", "sidecar"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    says(&ended.err, &["sidecar", "the node has: main"]);
    node.stop();
}

#[test]
fn a_plan_whose_release_is_not_there_says_so_at_once() {
    let mut node = running(&[], "");
    let out = ask_well(&node, &["plan", "add", "--release", "v9", "--height", "100000"]);
    says(&out, &["plan 1", "not staged yet", "omnivisor upgrade prepare v9 --from PATH"]);
    node.stop();
}

#[test]
fn what_keeps_a_unit_down_is_a_problem_with_a_way_out() {
    let helper = "[unit.helper]\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"exit 7\"]\nnever-restart = [7]\n";
    let mut node = running(&[], helper);
    node.wait_for_state("helper", UnitState::Parked);
    let status = ask_well(&node, &["status"]);
    says(&status, &["problem: failed to keep unit helper up", "exit code 7", "omnivisor unit start helper"]);
    let log = node.stop().log;
    let line = |text: &str| log.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {log}"));
    says(line("unit helper ended with exit code 7"), &["WARN"]);
    says(line("unit helper is parked"), &["ERROR"]);
    says(line("unit main is told to stop"), &["INFO"]);
}

#[test]
fn orders_that_make_no_sense_now_are_refused_and_change_nothing() {
    let mut node = running(&[], "");
    for (args, code, parts) in [
        (vec!["plan", "add", "--release", "v1", "--now"], 7, vec!["v1", "runs already", "nothing was changed"]),
        (vec!["plan", "add", "--release", "v2", "--height", "1"], 7, vec!["height 1", "later height"]),
        (vec!["plan", "add", "--release", "v2", "--from", "nowhere", "--now"], 7, vec!["nowhere"]),
        (vec!["plan", "cancel", "7"], 7, vec!["find plan `7`", "nothing was done"]),
        (vec!["upgrade", "apply", "7"], 7, vec!["find plan `7`", "nothing was done"]),
        (vec!["upgrade", "rollback", "7"], 7, vec!["find plan `7`"]),
        (vec!["upgrade", "rollback"], 7, vec!["no upgrade is under way"]),
        (vec!["release", "remove", "v1"], 7, vec!["v1", "nothing was removed"]),
        (vec!["release", "remove", "v9"], 7, vec!["v9"]),
        (vec!["snapshot", "verify", "s9"], 7, vec!["s9"]),
        (vec!["plan", "add", "--release", "a/b", "--now"], 2, vec!["a/b"]),
        (vec!["plan", "add", "--release", "v2"], 2, vec!["--height"]),
        (vec!["events", "--since", "soon"], 2, vec!["--since"]),
        (vec!["stats"], 2, vec!["status"]),
    ] {
        let ended = ask(&node, &args);
        assert_eq!((ended.code, ended.out.as_str()), (code, ""), "{args:?}: {ended:?}");
        says(&ended.err, &parts);
    }
    assert!(node.status().plans.is_empty());
    assert_eq!(node.current(), "v1");
    node.stop();
}

#[test]
fn without_a_daemon_it_is_told_what_runs_and_what_to_do() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    node.kill_daemon();
    let home = node.home().display().to_string();
    for args in [
        vec!["status"],
        vec!["plan", "list"],
        vec!["unit", "stop", "main"],
        vec!["reload"],
        vec!["stop"],
        vec!["watch"],
        vec!["snapshot", "create"],
        vec!["self-upgrade"],
    ] {
        let ended = ask(&node, &args);
        assert_eq!((ended.code, ended.out.as_str()), (5, ""), "{args:?}: {ended:?}");
        let running = format!("main (process {main}) goes on running, but nobody looks after it");
        says(&ended.err, &[&running, &format!("omnivisor run --home {home}"), "OV-CLI-005"]);
    }
    let ended = ask(&node, &["status", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&ended.err).unwrap()["exit_code"], 5);
    // These need none.
    says(&ask_well(&node, &["logs", "-n", "1"]), &["\n"]);
    says(&ask_well(&node, &["events"]), &["unit main runs as process"]);
    assert!(ask_json(&node, &["upgrade", "history"]).is_array());
    let doctor = ask(&node, &["doctor"]);
    assert!([0, 6].contains(&doctor.code), "{doctor:?}");
    node.start();
    node.stop();
    says(&ask(&node, &["status"]).err, &["nothing of the node runs"]);
}

#[test]
fn what_happened_can_be_read_with_a_broken_configuration_and_no_daemon() {
    let mut node = running(&[], "");
    node.stop();
    std::fs::write(node.path("omnivisor.toml"), "[unit.main]\nporgram = 1\n").unwrap();
    let logs = ask(&node, &["logs", "-n", "1"]);
    assert_eq!((logs.code, logs.out.lines().count()), (0, 1), "{logs:?}");
    says(&logs.err, &["porgram", "main.log"]);
    says(&ask_well(&node, &["events", "-n", "1"]), &["main ended"]);
    assert!(!ask_json(&node, &["upgrade", "history"]).as_array().unwrap().is_empty());
    let logs = ask(&node, &["logs", "no-such-unit"]);
    assert_eq!(logs.code, 3, "{logs:?}");
    says(&logs.err, &["porgram", "state:   nothing was done"]);
}

#[test]
fn the_daemons_own_lines_are_as_the_command_line_says() {
    let mut node = running(&[], "");
    node.stop();
    let run = |words: &[&str]| {
        let mut daemon = node.command(words).stderr(Stdio::piped()).spawn().unwrap();
        wait_until("the daemon to answer", || node.client().status().is_ok());
        ask_well(&node, &["stop"]);
        let mut lines = String::new();
        std::io::Read::read_to_string(&mut daemon.stderr.take().unwrap(), &mut lines).unwrap();
        assert!(daemon.wait().unwrap().success());
        lines
    };
    let lines = run(&["run", "--json"]);
    let first: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    assert_eq!((&first["level"], first["message"].as_str().unwrap().contains("takes over")), (&"INFO".into(), true));
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
    assert!(run(&["run", "--color", "always"]).contains('\u{1b}'));
    assert_eq!(run(&["run", "--quiet"]), "", "nothing went wrong");
}

#[test]
fn a_second_daemon_is_refused() {
    let mut node = running(&[], "");
    let ended = ask(&node, &["run"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    says(&ended.err, &["another daemon", "nothing was changed", "omnivisor status --home"]);
    assert!(node.stop().status.success());
}

#[test]
fn events_follow_over_a_new_daemon_without_gap_or_repetition() {
    let mut node = running(&[], "");
    let mut follower = node
        .command(&["events", "--since", "0", "--follow", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut seen = Vec::new();
    for round in 0..3_usize {
        while seen.iter().filter(|event: &&Value| event["event"] == "daemon-started").count() <= round {
            seen.push(serde_json::from_str(&lines.next().expect("a line").unwrap()).unwrap());
        }
        if round < 2 {
            // Once without a word of good-bye, once in good order.
            if round == 0 {
                node.kill_daemon();
            } else {
                ask_well(&node, &["stop", "--leave-units"]);
                node.wait_for_exit();
            }
            node.start();
        }
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let kept = ask_well(&node, &["events", "--json"]);
    let kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(seen, kept[..seen.len()], "the follower saw other events than are kept");
    let indices: Vec<u64> = seen.iter().map(|event| event["index"].as_u64().unwrap()).collect();
    assert!(indices.is_sorted_by(|one, other| one < other), "{indices:?}");
    node.stop();
}

#[test]
fn logs_follow_over_rotation_and_lose_nothing() {
    let log = "[unit.main.log]\nmax-size = \"1KiB\"\nkeep = 0\n";
    let mut node = running(&[], log);
    let mut follower = node.command(&["logs", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let rotated = || {
        let logs = std::fs::read_dir(node.path(".omnivisor/logs")).unwrap().flatten();
        logs.filter(|log| log.file_name() != "main.log").count()
    };
    let mut seen = Vec::new();
    while rotated() < 3 {
        seen.push(lines.next().expect("a line").unwrap());
    }
    for _ in 0..20 {
        seen.push(lines.next().expect("a line").unwrap());
    }
    follower.kill().unwrap();
    follower.wait().unwrap();
    let whole = ask_well(&node, &["logs"]);
    let whole: Vec<&str> = whole.lines().collect();
    assert_eq!(seen, whole[..seen.len()], "the follower saw something else than was written");
    node.stop();
    assert_eq!(ask_well(&node, &["logs", "-n", "2"]).lines().count(), 2);
}

#[test]
fn watch_without_a_terminal_tells_changes_line_by_line() {
    let mut node = running(&[], "");
    let mut watch = node.command(&["watch"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    says(&lines.next().unwrap().unwrap(), &["at v1, height", "main up"]);
    ask_well(&node, &["unit", "suspend", "main"]);
    wait_for("the suspension", || lines.next().unwrap().unwrap().contains("held").then_some(()));
    watch.kill().unwrap();
    watch.wait().unwrap();
    let mut json = node.command(&["watch", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(json.stdout.take().unwrap()).lines();
    serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    json.kill().unwrap();
    json.wait().unwrap();
    node.stop();
}

#[test]
fn completions_manual_and_schema_are_made_anywhere() {
    let node = TestNode::bare(Path::new(PROGRAM));
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        says(&ask_well(&node, &["completions", shell]), &["omnivisor", "self-upgrade"]);
    }
    let pages = node.path("man");
    ask_well(&node, &["man", pages.to_str().unwrap()]);
    for page in ["omnivisor.1", "omnivisor-plan.1", "omnivisor-plan-add.1", "omnivisor-doctor.1"] {
        says(&std::fs::read_to_string(pages.join(page)).unwrap(), &[".TH", "NAME"]);
    }
    serde_json::from_str::<Value>(&ask_well(&node, &["schema"])).unwrap();
    assert!(!node.path(".omnivisor").exists(), "looking made something");
}
