//! The rules for validators, for nodes of the family under the drop-in: every doubt ends stopped, with the reason shown,
//! and nothing is signed twice.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fakenode::Profile;
use ov_testkit::{is_alive, marked_processes, wait_until};
use serde_json::Value;

use super::node::Node;

const KEY: &str = "config/priv_validator_key.json";
const STATE: &str = "data/priv_validator_state.json";

/// A validator as `init` of its program leaves it, with these words behind its arguments.
fn validator(schedule: &str, more: &[&str]) -> Node {
    let node = Node::halting(schedule, &[&["--sign"], more].concat());
    let value = node.name();
    write(&node, KEY, &format!(r#"{{"address":"00","pub_key":{{"value":"{value}"}},"priv_key":{{"value":"x"}}}}"#));
    write(&node, STATE, r#"{"height":"0","round":0,"step":0}"#);
    node
}

fn write(node: &Node, path: &str, text: &str) {
    fs::create_dir_all(node.path(path).parent().unwrap()).unwrap();
    fs::write(node.path(path), text).unwrap();
    set_mode(node, path, 0o600);
}

fn set_mode(node: &Node, path: &str, mode: u32) {
    fs::set_permissions(node.path(path), fs::Permissions::from_mode(mode)).unwrap();
}

fn signed(node: &Node) -> u64 {
    let state: Value = serde_json::from_slice(&fs::read(node.path(STATE)).unwrap()).unwrap();
    state["height"].as_str().unwrap().parse().unwrap()
}

fn say(node: &Node, words: &[&str]) -> String {
    let output = node.omnivisor(words);
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Starts the drop-in, which must hold the node down for this reason, and be there to be told what to do.
fn is_held(node: &mut Node, why: &[&str]) {
    let before = node.launched().len();
    node.start();
    for part in why {
        node.wait_for_line(part);
    }
    stays_held(node, before);
}

fn stays_held(node: &mut Node, launches: usize) {
    assert!(node.is_running(), "nobody is left who could be told");
    let status: Value = serde_json::from_str(&say(node, &["status", "--json"])).unwrap();
    assert_eq!(status["units"][0]["state"], "parked", "{status}");
    assert_eq!(node.launched().len(), launches, "it was launched all the same");
}

/// A person has put it right, and says so: the node goes on, and has signed nothing twice.
fn goes_on(mut node: Node, words: &[&str]) {
    say(&node, words);
    ends_well(&mut node);
}

fn ends_well(node: &mut Node) {
    let height = node.height();
    node.wait_for_height(height + 3);
    assert!(node.stop().success());
    let _ = node.blocks();
}

const START: [&str; 3] = ["unit", "start", "main"];

/// A validator that has signed, and is down.
fn that_has_signed() -> Node {
    let mut node = validator("", &[]);
    node.start();
    node.wait_for_height(10);
    assert!(node.stop().success());
    node
}

#[test]
fn one_key_is_used_by_one_drop_in_of_a_machine_at_a_time() {
    let mut first = that_has_signed();
    first.start();
    first.wait_for_height(12);
    let mut second = validator("", &[]);
    // The same key, by another hand.
    let key: Value = serde_json::from_slice(&fs::read(first.path(KEY)).unwrap()).unwrap();
    write(&second, KEY, &serde_json::to_string_pretty(&key).unwrap());
    is_held(&mut second, &["OV-SGN-009", "main was not launched"]);
    // Nor while nobody looks after the first: its process has the key.
    first.kill();
    say(&second, &START);
    wait_until("it to be held again", || second.out().matches("OV-SGN-009").count() == 2);
    stays_held(&mut second, 0);
    first.start();
    ends_well(&mut first);
    goes_on(second, &START);
}

#[test]
fn what_outlives_drop_in_and_shim_is_gone_before_the_next_launch() {
    let mut node = validator("", &["--ignore-term"]);
    node.set("DAEMON_SHUTDOWN_GRACE", "200ms");
    node.start();
    node.wait_for_height(5);
    let of = |node: &Node, word: &str| {
        let names = |pid: &u32| fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_it = |pid: &u32| names(pid).split(|byte| *byte == 0).any(|part| part == word.as_bytes());
        marked_processes(&node.path("")).into_iter().filter(is_it).collect::<Vec<u32>>()
    };
    let main: Vec<u32> = of(&node, "--sign").into_iter().filter(|pid| *pid != node.pid()).collect();
    let shim = of(&node, "shim");
    assert_eq!((main.len(), shim.len()), (1, 1));
    node.kill();
    std::process::Command::new("kill").args(["-KILL", &shim[0].to_string()]).status().unwrap();
    wait_until("the shim to be gone", || !is_alive(shim[0]));
    assert!(is_alive(main[0]));
    node.start();
    wait_until("the node to be launched again", || node.launched().len() == 2);
    assert!(!is_alive(main[0]), "there were two of them");
    let height = node.height();
    node.wait_for_height(height + 3);
    node.stop();
    let _ = node.blocks();
}

#[test]
fn a_sign_state_that_is_lower_or_gone_or_torn_is_held() {
    for text in [Some(r#"{"height":"2","round":0,"step":3}"#), None, Some(r#"{"height":"#)] {
        let mut node = that_has_signed();
        let newest = fs::read_to_string(node.path(STATE)).unwrap();
        match text {
            Some(text) => write(&node, STATE, text),
            None => fs::remove_file(node.path(STATE)).unwrap(),
        }
        is_held(&mut node, &["OV-SGN-001", "might sign twice"]);
        // Another start, as by systemd, knows no better.
        assert!(node.stop().success());
        is_held(&mut node, &["OV-SGN-001"]);
        // A person's word alone is not enough.
        say(&node, &START);
        wait_until("it to be held again", || node.out().matches("OV-SGN-001").count() == 2);
        stays_held(&mut node, 1);
        write(&node, STATE, &newest);
        goes_on(node, &START);
    }
}

#[test]
fn data_from_elsewhere_with_a_sign_state_of_its_own_is_held() {
    let mut node = that_has_signed();
    let newest = fs::read_to_string(node.path(STATE)).unwrap();
    // As it is done by hand in a hurry: away with the data, and what a provider offers in its place.
    fs::rename(node.path("data"), node.path("provider")).unwrap();
    fs::create_dir(node.path("data")).unwrap();
    write(&node, STATE, r#"{"height":"0","round":0,"step":0}"#);
    is_held(&mut node, &["OV-SGN-001", "height 0, round 0, step 0"]);
    write(&node, STATE, &newest);
    let signed_before = signed(&node);
    say(&node, &START);
    node.wait_for_line("was signed before, not signing it again");
    node.wait_for_height(signed_before);
    goes_on(node, &START);
}

#[test]
fn a_key_that_vanished_is_held_and_no_other_is_made() {
    let mut node = that_has_signed();
    let key = fs::read_to_string(node.path(KEY)).unwrap();
    fs::remove_file(node.path(KEY)).unwrap();
    is_held(&mut node, &["OV-SGN-002", "make itself a new key"]);
    assert!(!node.path(KEY).exists());
    write(&node, KEY, &key);
    goes_on(node, &START);
}

#[test]
fn a_key_that_anybody_may_read_is_held() {
    let mut node = that_has_signed();
    set_mode(&node, KEY, 0o644);
    is_held(&mut node, &["OV-SGN-003", "mode 0644"]);
    set_mode(&node, KEY, 0o600);
    goes_on(node, &START);
}

#[test]
fn key_and_sign_state_are_found_where_the_node_has_them() {
    let (key, state) = ("safe/key.json", "data/signed/state.json");
    let mut node = Node::halting("", &["--sign", "--key-file", key, "--state-file", state]);
    let config = fs::read_to_string(node.path("config/config.toml")).unwrap();
    let files = format!("priv_validator_key_file = \"{key}\"\npriv_validator_state_file = \"{state}\"\n");
    write(&node, "config/config.toml", &[files, config].concat());
    write(&node, key, "{}");
    write(&node, state, r#"{"height":"0","round":0,"step":0}"#);
    node.start();
    node.wait_for_height(10);
    assert!(node.stop().success());
    let newest = fs::read_to_string(node.path(state)).unwrap();
    write(&node, state, r#"{"height":"1","round":0,"step":3}"#);
    is_held(&mut node, &["OV-SGN-001", state]);
    write(&node, state, &newest);
    set_mode(&node, key, 0o666);
    say(&node, &START);
    node.wait_for_line("OV-SGN-003");
    set_mode(&node, key, 0o600);
    say(&node, &START);
    node.wait_for_height(15);
    assert!(node.stop().success());
    assert!(!node.path("violations.log").exists());
}

#[test]
fn another_machine_and_a_set_clock_are_held_until_a_person_confirms() {
    let mut node = validator("", &[]);
    let machine = node.path("machine-id").to_str().unwrap().to_owned();
    node.set(ov_sys::host::MACHINE_ID_VARIABLE, &machine);
    fs::write(&machine, "the-first\n").unwrap();
    node.start();
    node.wait_for_height(5);
    assert!(node.stop().success());
    fs::write(&machine, "the-second\n").unwrap();
    is_held(&mut node, &["OV-SGN-004", "omnivisor confirm machine"]);
    let name = node.name();
    say(&node, &["confirm", "machine", &name]);
    ends_well(&mut node);
    // As if the clock had been set by ten minutes since.
    let custody = node.path(".omnivisor/custody.json");
    let mut noted: Value = serde_json::from_slice(&fs::read(&custody).unwrap()).unwrap();
    noted["wall_ms"] = Value::from(noted["wall_ms"].as_i64().unwrap() + 600_000);
    fs::write(&custody, noted.to_string()).unwrap();
    is_held(&mut node, &["OV-SGN-005", "set back"]);
    goes_on(node, &["confirm", "machine", &name]);
}

/// A validator in the middle of an upgrade, whose new release gets its `pre-upgrade` from this script.
fn with_pre_upgrade(script: &str) -> Node {
    let node = validator("v2@20", &["--halt-exit", "2"]);
    let real = Path::new("../real-v2");
    node.install(real.to_str().unwrap(), &Profile::new("v2").with("handles", vec!["v2"]));
    let program = node.path("real-v2/bin/fakenode");
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = pre-upgrade ]; then {script}; exit 0; fi\nexec {} \"$@\"\n",
        program.display()
    );
    write(&node, "cosmovisor/upgrades/v2/bin/fakenode", &text);
    set_mode(&node, "cosmovisor/upgrades/v2/bin/fakenode", 0o755);
    node
}

#[test]
fn a_pre_upgrade_that_resets_the_sign_state_is_not_followed_by_a_launch() {
    let mut node = with_pre_upgrade(
        r#"cp "$3/data/priv_validator_state.json" "$3/saved"; echo '{"height":"0","round":0,"step":0}' > "$3/data/priv_validator_state.json""#,
    );
    node.start();
    node.wait_for_line("have the hook leave what the validator has signed");
    assert_eq!(node.launched(), ["v1"]);
    assert!(node.is_running());
    fs::remove_file(node.path("cosmovisor/upgrades/v2/bin/fakenode")).unwrap();
    node.stop();
    assert_eq!(node.launched(), ["v1"]);
    assert!(!node.path("violations.log").exists());
}

#[test]
fn a_backup_has_no_key_and_putting_it_back_lowers_nothing_that_was_signed() {
    let mut node = validator("v2@20", &["--halt-exit", "2"]);
    node.stage("v2");
    // A key among the data, as some have it.
    write(&node, "data/priv_validator_key.json", "secret");
    node.start();
    node.wait_for_height(40);
    let snapshots: Value = serde_json::from_str(&say(&node, &["snapshot", "list", "--json"])).unwrap();
    let id = snapshots[0]["id"].as_str().unwrap().to_owned();
    let backup = fs::read_dir(node.path("")).unwrap().map(|entry| entry.unwrap().path());
    let backup = backup.into_iter().find(|path| path.to_str().unwrap().contains("data-backup")).unwrap();
    assert!(backup.join("priv_validator_state.json").exists());
    assert!(!backup.join("priv_validator_key.json").exists(), "a key is in the backup");
    let name = node.name();
    let restore = ["snapshot", "restore", &id, "--confirm", &name];
    wait_until("the upgrade to be over", || say(&node, &["upgrade", "history"]).contains("committed"));
    let refused = node.omnivisor(&restore);
    assert_eq!(refused.status.code(), Some(7), "{refused:?}");
    let height = snapshots[0]["height"].to_string();
    assert!(String::from_utf8_lossy(&refused.stderr).contains(&format!("--height {height}")), "{refused:?}");
    let signed_before = signed(&node);
    say(&node, &[&restore[..], &["--height", &height]].concat());
    assert!(signed(&node) >= signed_before, "the sign state went backwards");
    assert!(node.path("data/priv_validator_key.json").exists(), "the live key is left alone");
    node.wait_for_line("was signed before, not signing it again");
    node.wait_for_height(signed_before + 3);
    assert!(node.stop().success());
    let _ = node.blocks();
}

#[test]
fn a_validator_that_dies_again_and_again_is_left_alone_after_the_third_time() {
    let mut node = validator("", &["--crash-starts", "9"]);
    node.set("OMNIVISOR_RESTART", "on-failure");
    node.start();
    assert_eq!(node.wait_for_exit().code(), Some(1));
    assert_eq!(node.launched().len(), 3);
}

#[test]
fn no_key_shows_anywhere() {
    let mut node = validator("", &[]);
    write(&node, KEY, r#"{"pub_key":{"value":"p"},"priv_key":{"value":"SECRET-KEY"}}"#);
    node.start();
    node.wait_for_height(5);
    let told = [&["status"][..], &["events"], &["doctor"]].map(|words| {
        let output = node.omnivisor(words);
        [output.stdout, output.stderr].concat()
    });
    assert!(!String::from_utf8_lossy(&told.concat()).contains("SECRET-KEY"));
    assert!(node.stop().success());
    let grep = std::process::Command::new("grep").args(["-r", "-l", "SECRET-KEY"]).arg(node.path("")).output().unwrap();
    assert_eq!(String::from_utf8(grep.stdout).unwrap().trim(), node.path(KEY).to_str().unwrap());
}

/// Has the node wait for a signer elsewhere, and the address of that.
fn with_remote_signer(node: &mut Node) -> String {
    let address = node.address().replace(":26657", ":26659");
    let config = fs::read_to_string(node.path("config/config.toml")).unwrap();
    write(node, "config/config.toml", &format!("priv_validator_laddr = \"tcp://{address}\"\n{config}"));
    node.arguments.retain(|word| word != "--sign");
    node.arguments.extend(["--signer-listens".to_owned(), address.clone()]);
    address
}

#[test]
fn without_a_signer_elsewhere_no_upgrade_begins() {
    let mut node = validator("v2@60", &[]);
    let address = with_remote_signer(&mut node);
    node.stage("v2");
    node.start();
    node.wait_for_line("UPGRADE \"v2\" NEEDED");
    node.wait_for_line("no signer is connected");
    let doctor = |node: &Node| String::from_utf8(node.omnivisor(&["doctor"]).stdout).unwrap();
    assert!(doctor(&node).contains("data.remote-signer"), "{}", doctor(&node));
    assert_eq!((node.current().as_str(), node.launched().len()), ("genesis", 1));
    let signer = TcpStream::connect(&address).unwrap();
    wait_until("the new release to be launched", || node.launched().len() == 2);
    node.wait_for_height(65);
    drop(signer);
    assert!(node.stop().success());
}

#[test]
fn a_key_that_the_node_falls_back_to_is_held() {
    let mut node = that_has_signed();
    let (config, arguments) = (fs::read_to_string(node.path("config/config.toml")).unwrap(), node.arguments.clone());
    with_remote_signer(&mut node);
    node.start();
    node.wait_for_height(15);
    let doctor = String::from_utf8(node.omnivisor(&["doctor"]).stdout).unwrap();
    assert!(doctor.contains("data.left-key") && doctor.contains("this key has signed"), "{doctor}");
    assert!(node.stop().success());
    write(&node, "config/config.toml", &config);
    node.arguments = arguments;
    is_held(&mut node, &["OV-SGN-011", "somebody elsewhere signed"]);
    let name = node.name();
    goes_on(node, &["confirm", "machine", &name]);
}
