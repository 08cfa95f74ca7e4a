//! `omnivisor.toml`: written by `init`, described by `schema`, refused when wrong, read again while the node runs.

use std::path::Path;

use fakenode::Profile;
use ov_testkit::{TestNode, is_alive, marked_processes, wait_for, wait_until};
use ov_types::{EventKind, UnitState};

use super::support::{PROGRAM, a_moment, ask, ask_json, ask_well, http, running, says, wait_for_event};

const HELPER: &str = "[unit.helper]\nprogram = \"/bin/sleep\"\nargs = [\"1000\"]\n";

#[test]
fn init_and_run_as_the_help_says() {
    let mut node = TestNode::bare(Path::new(PROGRAM));
    let release = node.make_release(&Profile::new("v1"));
    let from = release.to_str().unwrap();
    let words = ["init", "--name", "alpha", "--release", "v1", "--from", from, "--program", "bin/fakenode", "--"];
    let arguments = ["start", "--home", "{home}", "--block-ms", "20", "--http", node.address()];
    let out = ask_well(&node, &[words.as_slice(), &arguments].concat());
    says(
        &out,
        &["omnivisor.toml", "release v1 is staged and current", "omnivisor doctor --home", "omnivisor run --home"],
    );
    assert_eq!(ask(&node, &["doctor"]).code, 0, "{:?}", ask(&node, &["doctor"]));
    node.start();
    node.wait_for_up("main");
    node.wait_for_height(3);
    let status = ask_well(&node, &["status"]);
    says(&status, &["alpha (generic)", "release  v1", "main"]);
    assert!(node.stop().status.success());
}

#[test]
fn init_leaves_alone_what_is_there() {
    let node = TestNode::new(Path::new(PROGRAM), &[], "");
    let before = std::fs::read_to_string(node.path("omnivisor.toml")).unwrap();
    let ended = ask(&node, &["init"]);
    assert_eq!(ended.code, 7, "{ended:?}");
    says(&ended.err, &["omnivisor.toml", "nothing was changed", "--home"]);
    assert_eq!(std::fs::read_to_string(node.path("omnivisor.toml")).unwrap(), before);
}

#[test]
fn a_failed_init_can_be_given_again() {
    let node = TestNode::bare(Path::new(PROGRAM));
    let broken = node.path("not-a-program");
    std::fs::create_dir(&broken).unwrap();
    let from = broken.to_str().unwrap();
    let words = ["init", "--release", "v1", "--from", from, "--program", "bin/fakenode"];
    let ended = ask(&node, &words);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(!node.path("omnivisor.toml").exists() && !node.path("current").exists());
    Profile::new("v1").install(&broken, Path::new(PROGRAM)).unwrap();
    ask_well(&node, &words);
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_one_and_nothing_starts() {
    let mut node = TestNode::bare(Path::new(PROGRAM));
    node.start_with(&Profile::new("v1"));
    node.write_configuration("[unit.main]\nprogam = \"current/bin/fakenode\"\n\n[upgrade]\nstop-withn = \"1m\"\n");
    node.spawn();
    let exit = node.wait_for_exit();
    assert_eq!(exit.status.code(), Some(3), "{}", exit.log);
    says(
        &exit.log,
        &[
            "omnivisor.toml:2: unit.main.progam: unknown key; did you mean `program`?",
            "omnivisor.toml:5: upgrade.stop-withn",
            "`stop-within`",
            "nothing was started",
        ],
    );
    assert!(!exit.log.contains("panicked"));
    assert!(marked_processes(node.home()).is_empty());
    // Commands that read the file say the same.
    for command in ["doctor", "logs"] {
        let ended = ask(&node, &[command]);
        assert_eq!(ended.code, 3, "{command}: {ended:?}");
        says(&ended.err, &["omnivisor.toml:2", "`program`"]);
    }
}

#[test]
fn a_reload_holds_now_or_from_the_next_start_and_says_which() {
    let mut node = running(&[], "");
    let main = node.unit("main").pid;
    let more = format!(
        "[unit.main.log]\nmax-size = \"1KiB\"\ncompress = false\n[unit.main.stop]\ngrace = \"19s\"\n[unit.main.env]\nCOLOUR = \"blue\"\n{HELPER}"
    );
    node.write_configuration(&node.configuration(&[], &more));
    let event = wait_for_event(&node, "the file to be read again", |kind| {
        matches!(kind, EventKind::ConfigurationReloaded { .. })
    });
    let EventKind::ConfigurationReloaded { now, next_start } = event.kind else { unreachable!() };
    for key in ["unit.helper (new)", "unit.main.log.max-size", "unit.main.stop.grace"] {
        assert!(now.iter().any(|told| told == key), "{key} is not among {now:?}");
    }
    assert_eq!(next_start, ["unit.main.env.COLOUR"]);
    // The new unit runs, the new size of the log holds, and main was not touched.
    let helper = node.wait_for_up("helper");
    wait_until("the log to be rotated", || {
        let logs = std::fs::read_dir(node.path(".omnivisor/logs")).unwrap().flatten();
        logs.filter(|log| log.file_name().to_string_lossy().starts_with("main.log.")).count() >= 1
    });
    assert_eq!(node.unit("main").pid, main);
    // Gone again: it is stopped, and main is not touched.
    node.write_configuration(&node.configuration(&[], ""));
    wait_until("the helper to be gone", || !is_alive(helper));
    wait_until("the helper to be forgotten", || node.status().units.iter().all(|unit| unit.name.as_str() == "main"));
    assert_eq!(node.unit("main").pid, main);
    wait_until("its shim to be gone", || marked_processes(node.home()).len() == 3);
    let metrics = http(&node, "GET", "/metrics", "").body;
    assert!(!metrics.contains("omnivisor_unit_up{unit=\"helper\"} 1"), "{metrics}");
    // It may come back.
    node.write_configuration(&node.configuration(&[], HELPER));
    let again = node.wait_for_up("helper");
    assert_ne!(again, helper);
    assert_eq!(node.unit("main").pid, main);
    node.stop();
    node.check_data();
}

#[test]
fn the_reload_command_and_hangup_read_the_file_too() {
    let mut node = running(&[], "");
    // Written in place: an editor that does not rename.
    std::fs::write(node.path("omnivisor.toml"), node.configuration(&[], "[upgrade]\nretry-first = \"7s\"\n")).unwrap();
    let report = ask_json(&node, &["reload"]);
    // The watch may have been quicker; then nothing is left to report.
    if report["now"].as_array().unwrap().is_empty() {
        wait_for_event(&node, "the change to be seen", |kind| matches!(kind, EventKind::ConfigurationReloaded { .. }));
    } else {
        assert_eq!(report, serde_json::json!({"now": ["upgrade.retry-first"], "next_start": []}));
    }
    let before = reloads(&node);
    std::fs::write(node.path("omnivisor.toml"), node.configuration(&[], "[upgrade]\nretry-first = \"8s\"\n")).unwrap();
    node.signal_daemon("HUP");
    wait_until("the file to be read again", || reloads(&node) > before);
    says(&ask_well(&node, &["reload"]), &["nothing"]);
    assert!(node.stop().status.success());
}

fn reloads(node: &TestNode) -> usize {
    let events = node.client().events(ov_client::Since::Oldest).unwrap();
    events.iter().filter(|event| matches!(event.kind, EventKind::ConfigurationReloaded { .. })).count()
}

#[test]
fn a_bad_file_leaves_the_earlier_one_in_force_whole() {
    let mut node = running(&[], HELPER);
    let (main, helper) = (node.wait_for_up("main"), node.wait_for_up("helper"));
    for (text, parts) in [
        ("this is no TOML", vec!["omnivisor.toml:1"]),
        ("[unit.main]\nprogram = \"a\"\n[unit.main.stop]\ngrase = \"1s\"\n", vec!["omnivisor.toml:4", "`grace`"]),
        ("[unit.main]\nprogram = 7\n", vec!["omnivisor.toml:2", "program"]),
        ("[unit.helper]\nprogram = \"a\"\n", vec!["main"]),
        ("[unit.main]\nprogram = \"{hme}/a\"\n", vec!["omnivisor.toml:2", "hme"]),
    ] {
        let before = refusals(&node);
        node.write_configuration(text);
        let ended = ask(&node, &["reload"]);
        assert_eq!(ended.code, 3, "{text:?}: {ended:?}");
        says(&ended.err, &["the earlier configuration stays in force", "OV-CFG-"]);
        says(&ended.err, &parts);
        wait_until("the refusal to be told", || refusals(&node) > before);
    }
    a_moment();
    assert_eq!(node.unit("main").pid, Some(main));
    assert_eq!(node.unit("helper").pid, Some(helper));
    says(&ask_well(&node, &["status"]), &["problem:", "hme", "a restart would fail"]);
    // A file that vanished is no order to stop the node either.
    std::fs::remove_file(node.path("omnivisor.toml")).unwrap();
    assert_eq!(ask(&node, &["reload"]).code, 3);
    assert_eq!(node.unit("main").pid, Some(main));
    node.write_configuration(&node.configuration(&[], ""));
    wait_until("the helper to be gone", || !is_alive(helper));
    assert_eq!(node.status().problems, []);
    node.stop();
}

fn refusals(node: &TestNode) -> usize {
    let events = node.client().events(ov_client::Since::Oldest).unwrap();
    events.iter().filter(|event| matches!(event.kind, EventKind::ConfigurationRefused { .. })).count()
}

#[test]
fn a_helper_that_is_removed_while_it_backs_off_is_gone_for_good() {
    let failing =
        "[unit.failing]\nprogram = \"/bin/false\"\n[unit.failing.back-off]\nfirst = \"200ms\"\nmax = \"200ms\"\n";
    let mut node = running(&[], failing);
    node.wait_for_state("failing", UnitState::BackingOff);
    node.write_configuration(&node.configuration(&[], ""));
    wait_until("it to be forgotten", || node.status().units.len() == 1);
    let launches = |node: &TestNode| {
        let events = node.client().events(ov_client::Since::Oldest).unwrap();
        events
            .iter()
            .filter(|event| matches!(&event.kind, EventKind::UnitStarted { unit, .. } if unit.as_str() == "failing"))
            .count()
    };
    let before = launches(&node);
    a_moment();
    a_moment();
    assert_eq!(launches(&node), before);
    node.stop();
}

#[test]
fn the_schema_knows_every_key_of_the_examples() {
    let node = TestNode::bare(Path::new(PROGRAM));
    let schema: serde_json::Value = serde_json::from_str(&ask_well(&node, &["schema"])).unwrap();
    let known = wait_for("the schema's names", || Some(names_in(&schema)));
    for key in ["unit", "program", "crash-loop", "grace", "write-once", "soak", "webhook", "url-file", "plan-file"] {
        assert!(known.contains(key), "{key} is not in the schema");
    }
    // Free text is what a schema must refuse to let pass as keys.
    assert_eq!(schema["additionalProperties"], false, "unknown keys pass the schema");
}

/// The names of all properties anywhere in a schema.
fn names_in(schema: &serde_json::Value) -> std::collections::BTreeSet<String> {
    let mut names = std::collections::BTreeSet::new();
    let mut queue = vec![schema];
    while let Some(value) = queue.pop() {
        if let Some(properties) = value.get("properties").and_then(serde_json::Value::as_object) {
            names.extend(properties.keys().cloned());
        }
        match value {
            serde_json::Value::Object(table) => queue.extend(table.values()),
            serde_json::Value::Array(list) => queue.extend(list),
            _ => {}
        }
    }
    names
}

#[test]
fn a_unit_that_left_the_configuration_while_no_daemon_ran_is_ended() {
    let mut node = running(&[], HELPER);
    let (main, helper) = (node.wait_for_up("main"), node.wait_for_up("helper"));
    node.kill_daemon();
    node.write_configuration(&node.configuration(&[], ""));
    node.start();
    wait_until("the helper to be ended", || !is_alive(helper));
    wait_until("its shim to be gone", || marked_processes(node.home()).len() == 3);
    assert_eq!(node.wait_for_up("main"), main);
    node.stop();
}
