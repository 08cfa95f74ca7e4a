//! Files and words that are not what they should be: each is refused with its name and place, the node is left as it
//! is, and nothing is lost.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fakenode::Profile;
use ov_testkit::{Mount, TestNode, is_alive, wait_until};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Trigger};

use super::support::{PROGRAM, a_moment, ask, ask_json, ask_well, is_root, running, says};

/// A daemon that must end badly, with this code, while main goes on.
fn refused(node: &mut TestNode, main: u32, code: i32, parts: &[&str]) {
    node.spawn();
    let exit = node.wait_for_exit();
    assert_eq!(exit.status.code(), Some(code), "{}", exit.log);
    says(&exit.log, parts);
    assert!(!exit.log.contains("panicked"), "{}", exit.log);
    assert!(is_alive(main), "main did not survive: {}", exit.log);
}

/// The newest segment of the journal.
fn segment(node: &TestNode) -> PathBuf {
    let folder = fs::read_dir(node.path(".omnivisor/journal")).unwrap().flatten();
    folder.map(|entry| entry.path()).max().unwrap()
}

#[test]
fn a_configuration_that_is_no_text_or_too_long_is_refused() {
    for (content, part) in [
        (vec![0xff, 0xfe, 0x00], "omnivisor.toml"),
        (b"[unit.main".to_vec(), "omnivisor.toml:1"),
        (b"[unit.main]\nprogram = \"a\"\nprogram = \"b\"\n".to_vec(), "omnivisor.toml:3"),
        (vec![b'#'; 64 << 20], "omnivisor.toml"),
        (format!("name = {}1{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes(), "omnivisor.toml"),
    ] {
        let mut node = TestNode::bare(Path::new(PROGRAM));
        fs::write(node.path("omnivisor.toml"), &content).unwrap();
        node.spawn();
        let exit = node.wait_for_exit();
        assert_eq!(exit.status.code(), Some(3), "{}", exit.log);
        says(&exit.log, &[part, "nothing was started", "OV-CFG-"]);
        assert!(exit.log.len() < 10_000 && !exit.log.contains("panicked"), "{}", exit.log);
        let ended = ask(&node, &["doctor"]);
        assert_eq!(ended.code, 3, "{ended:?}");
    }
}

#[test]
fn a_flipped_byte_in_the_journal_is_named_and_the_unit_goes_on() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    // The last append of all may be torn; what is before it was acknowledged.
    ask_well(&node, &["unit", "suspend", "main"]);
    ask_well(&node, &["unit", "resume", "main"]);
    node.kill_daemon();
    let path = segment(&node);
    let whole = fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let second_line = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    bytes[second_line + 40] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let place = format!("{}`, line 2", path.display());
    refused(&mut node, main, 9, &[&place, "goes on running", "restore the file from a backup", "OV-JRN-002"]);
    // Nothing was touched, and what can be read still can be.
    assert_eq!(fs::read(&path).unwrap(), bytes);
    let ended = ask(&node, &["upgrade", "history"]);
    assert_eq!(ended.code, 9, "{ended:?}");
    says(&ended.err, &[&place]);
    fs::write(&path, whole).unwrap();
    node.start();
    assert_eq!(node.wait_for_up("main"), main);
    node.stop();
    node.check_data();
}

#[test]
fn a_torn_end_of_the_journal_is_cut() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    let plan =
        node.plan(&Profile::new("v2"), Trigger::Height { height: ov_types::Height(1_000_000) }, FailurePolicy::Hold);
    wait_until("the plan to be armed", || node.phase(plan) == PlanPhase::Armed);
    node.kill_daemon();
    let path = segment(&node);
    for torn in [&b"0000"[..], b"000000000099 00000000 1/1 {\"kind\":\"arm", &[0; 4096], b"\xff\xff\xff\n"] {
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend_from_slice(torn);
        fs::write(&path, bytes).unwrap();
        node.start();
        assert_eq!(node.wait_for_up("main"), main);
        assert_eq!(node.phase(plan), PlanPhase::Armed);
        node.kill_daemon();
    }
    node.start();
    node.stop();
}

#[test]
fn a_journal_of_a_newer_version_is_left_to_it() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    node.kill_daemon();
    fs::write(segment(&node), "this is no journal\n").unwrap();
    refused(&mut node, main, 9, &["line 1", "goes on running"]);
}

#[test]
fn a_plan_file_that_is_no_plan_is_passed_over() {
    let mut node = running(&[], "[scout.plan-file]\npath = \"upgrade-info.json\"\n");
    let main = node.wait_for_up("main");
    for content in [
        Vec::new(),
        b"{\"name\": \"v2\", \"hei".to_vec(),
        b"[1, 2]".to_vec(),
        b"{\"name\": \"../../etc\", \"height\": 5}".to_vec(),
        b"{\"name\": \"v2\"}".to_vec(),
        b"{\"name\": \"v2\", \"height\": -1}".to_vec(),
        b"{\"name\": 7, \"height\": 7}".to_vec(),
        b"\xff\xfe\x00\x00".to_vec(),
        vec![b'['; 200_000],
        vec![b' '; 2 << 20],
    ] {
        fs::write(node.path("upgrade-info.json"), &content).unwrap();
        let before = node.log().matches("upgrade-info.json").count();
        if !content.is_empty() {
            wait_until("the file to be looked at", || node.log().matches("upgrade-info.json").count() > before);
        }
        assert!(node.status().plans.is_empty(), "{:?}", String::from_utf8_lossy(&content[..content.len().min(60)]));
        assert_eq!(node.unit("main").pid, Some(main));
    }
    assert!(!node.log().contains("panicked"), "{}", node.log());
    // A good one is taken, after all of these.
    fs::write(node.path("upgrade-info.json"), "{\"name\": \"v2\", \"height\": 1000000}").unwrap();
    wait_until("the plan to be learned", || node.status().plans.len() == 1);
    node.stop();
}

#[test]
fn damaged_events_are_left_out_and_new_ones_have_new_numbers() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    let newest = node.client().events(ov_client::Since::Oldest).unwrap().last().unwrap().index;
    node.kill_daemon();
    let path = node.path(".omnivisor/events/current.ndjson");
    let mut text = fs::read(&path).unwrap();
    let middle = text.iter().position(|byte| *byte == b'\n').unwrap() + 5;
    text[middle] = 0xff;
    text.extend_from_slice(b"{\"index\": 99999999999999999999999}\nnonsense\n\0\0\0{\"ind");
    fs::write(&path, text).unwrap();
    node.start();
    let events = node.client().events(ov_client::Since::Oldest).unwrap();
    assert!(events.last().unwrap().index > newest);
    assert!(events.is_sorted_by(|one, other| one.index < other.index), "{events:?}");
    assert_eq!(node.wait_for_up("main"), main);
    // Without a readable reservation the events alone tell.
    let newest = events.last().unwrap().index;
    node.kill_daemon();
    fs::write(node.path(".omnivisor/events/reserved"), "many").unwrap();
    node.start();
    assert!(node.client().events(ov_client::Since::Oldest).unwrap().last().unwrap().index > newest);
    assert_eq!(node.wait_for_up("main"), main);
    node.stop();
}

#[test]
fn a_damaged_record_of_a_run_ends_in_no_second_process() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    let record = node.path(".omnivisor/units/main/run");
    // While the shim lives it knows better.
    node.kill_daemon();
    fs::write(&record, vec![b'x'; 16_384]).unwrap();
    node.start();
    assert_eq!(node.wait_for_up("main"), main);
    node.stop();
    // While nobody lives, nobody is to be found.
    for content in [Vec::new(), vec![b'x'; 100], vec![0xff; 16_384], vec![b'x'; 100_000]] {
        fs::write(&record, content).unwrap();
        node.start();
        node.wait_for_up("main");
        assert_eq!(node.unit("main").launches, 1);
        node.stop();
    }
    node.check_data();
}

#[test]
fn a_damaged_snapshot_is_told_and_never_restored() {
    let mut node = running(&[], "");
    let name = ask_json(&node, &["status"])["node"].as_str().unwrap().to_owned();
    let id = ask_json(&node, &["snapshot", "create"])["snapshot"].as_str().unwrap().to_owned();
    ask_well(&node, &["snapshot", "verify", &id]);
    let main = node.wait_for_up("main");
    let manifest = node.path("snapshots").join(&id).join("manifest.json");
    let whole = fs::read(&manifest).unwrap();
    for content in [
        b"".to_vec(),
        b"{".to_vec(),
        whole[..whole.len() / 2].to_vec(),
        String::from_utf8(whole.clone()).unwrap().replace("\"major\":1", "\"major\":2").into_bytes(),
        String::from_utf8(whole.clone()).unwrap().replace("\"path\":\"", "\"path\":\"../").into_bytes(),
    ] {
        fs::write(&manifest, content).unwrap();
        for args in [vec!["snapshot", "verify", &id], vec!["snapshot", "restore", &id, "--confirm", &name]] {
            let ended = ask(&node, &args);
            assert_eq!(ended.code, 1, "{args:?}: {ended:?}");
            says(&ended.err, &["manifest.json", "OV-SNP-"]);
        }
        says(&ask_well(&node, &["snapshot", "list"]), &[&id]);
        assert!(node.path("data").is_dir());
    }
    fs::write(&manifest, &whole).unwrap();
    // A file of it that changed.
    let data = node.path("snapshots").join(&id).join("data");
    let file = fs::read_dir(&data).unwrap().flatten().map(|entry| entry.path()).find(|path| path.is_file()).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(b'!');
    fs::remove_file(&file).unwrap();
    fs::write(&file, bytes).unwrap();
    let ended = ask(&node, &["snapshot", "verify", &id]);
    assert_eq!(ended.code, 1, "{ended:?}");
    says(&ended.out, &[file.file_name().unwrap().to_str().unwrap()]);
    node.wait_for_up("main");
    let _ = main;
    node.stop();
    node.check_data();
}

#[test]
fn a_damaged_release_is_not_switched_to() {
    let mut node = running(&[], "");
    let main = node.wait_for_up("main");
    let v2 = node.make_release(&Profile::new("v2"));
    ask_well(&node, &["upgrade", "prepare", "v2", "--from", v2.to_str().unwrap()]);
    let provenance = node.path("releases/v2.release.json");
    let whole = fs::read(&provenance).unwrap();
    for content in [b"{".to_vec(), b"[]".to_vec(), whole[..whole.len() / 2].to_vec()] {
        fs::write(&provenance, content).unwrap();
        let ended = ask(&node, &["doctor", "--release", "v2"]);
        assert_eq!(ended.code, 6, "{ended:?}");
        says(&ended.out, &["release.complete"]);
    }
    fs::write(&provenance, &whole).unwrap();
    // A file of it changed: what was staged is not what is there.
    fs::remove_file(node.path("releases/v2/bin/fakenode.json")).unwrap();
    fs::write(node.path("releases/v2/bin/fakenode.json"), "{\"version\": \"v3\"}").unwrap();
    let ended = ask(&node, &["doctor", "--release", "v2"]);
    assert_eq!(ended.code, 6, "{ended:?}");
    says(&ended.out, &["release.complete", "fakenode.json"]);
    let added = ask_json(&node, &["plan", "add", "--release", "v2", "--now"]);
    let plan = ov_types::PlanId(added["plan"].as_u64().unwrap());
    wait_until("the plan to be blocked", || matches!(node.phase(plan), PlanPhase::Forward { problem: Some(_), .. }));
    says(&ask_well(&node, &["status"]), &["v2"]);
    a_moment();
    assert_eq!((node.unit("main").pid, node.current().as_str()), (Some(main), "v1"));
    ask_well(&node, &["plan", "cancel", &plan.to_string()]);
    assert_eq!(node.wait_for_end(plan), Outcome::Withdrawn);
    node.stop();
}

#[test]
fn a_home_that_cannot_be_written_is_refused_with_what_to_do() {
    if is_root("root, to mount a read-only file system") {
        let node = TestNode::bare(Path::new(PROGRAM));
        let home = node.path("home");
        fs::create_dir(&home).unwrap();
        let Some(mount) = Mount::tmpfs(&home, "size=1g") else { return };
        let text = node.configuration(&[], "");
        fs::write(home.join("omnivisor.toml"), text).unwrap();
        Profile::new("v1").install(&home.join("releases/v1"), Path::new(PROGRAM)).unwrap();
        std::os::unix::fs::symlink("releases/v1", home.join("current")).unwrap();
        mount.remount("ro");
        let output = std::process::Command::new(PROGRAM).args(["run", "--home"]).arg(&home).output().unwrap();
        let ended = super::support::Ended::from(output);
        assert_eq!(ended.code, 1, "{ended:?}");
        says(&ended.err, &[".omnivisor", "ead-only", "nothing was started", "is writable"]);
        return;
    }
    let mut node = TestNode::new(Path::new(PROGRAM), &[], "");
    node.start_with(&Profile::new("v1"));
    fs::write(node.path("daemon-1.log"), "").unwrap();
    fs::set_permissions(node.home(), fs::Permissions::from_mode(0o555)).unwrap();
    node.spawn();
    let exit = node.wait_for_exit();
    fs::set_permissions(node.home(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(exit.status.code(), Some(1), "{}", exit.log);
    says(&exit.log, &[".omnivisor", "nothing was started", "is writable"]);
}

#[test]
fn wrong_words_on_the_command_line_are_named() {
    let node = TestNode::bare(Path::new(PROGRAM));
    let long = "x".repeat(100_000);
    for args in [
        vec!["frobnicate"],
        vec!["status", "--jsn"],
        vec!["plan", "add", "--release", &long, "--now"],
        vec!["plan", "add", "--release", "v2", "--height", "-1"],
        vec!["plan", "add", "--release", "v2", "--time", "tomorrow"],
        vec!["plan", "add", "--release", "v2", "--now", "--height", "5"],
        vec!["plan", "add", "--release", "v2", "--now", "--sha256", "abc"],
        vec!["plan", "add", "--release", "v2", "--now", "--wait=soon"],
        vec!["plan", "cancel", "first"],
        vec!["unit", "stop", "../main"],
        vec!["logs", "-n", "many"],
        vec!["completions", "tcsh"],
        vec!["init", "--release", "v1"],
    ] {
        let ended = ask(&node, &args);
        let shown: Vec<&str> = args.iter().map(|word| &word[..word.len().min(40)]).collect();
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{shown:?}: {ended:?}");
        assert!(!ended.err.is_empty(), "{shown:?}");
    }
}
