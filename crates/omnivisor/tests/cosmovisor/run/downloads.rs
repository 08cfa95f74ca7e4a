//! Releases that are fetched by what the plan says, from a server of this machine.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use fakenode::Profile;
use ov_testkit::{Reply, Server, wait_until};
use serde_json::json;

use super::node::Node;

const ALLOW: &str = "DAEMON_ALLOW_DOWNLOAD_BINARIES";
const MUST_HAVE: &str = "DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM";

/// The program of release v2, as one file.
fn program() -> &'static (Vec<u8>, String) {
    static PROGRAM: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let profile = Profile::new("v2").with("handles", vec!["v2"]);
        profile.install_single_file(folder.path(), env!("CARGO_BIN_EXE_omnivisor").as_ref()).unwrap();
        let path = folder.path().join("bin/fakenode");
        let said = std::process::Command::new("sha256sum").arg(&path).output().unwrap();
        let digest = String::from_utf8(said.stdout).unwrap().split(' ').next().unwrap().to_owned();
        (fs::read(path).unwrap(), digest)
    })
}

pub(super) fn serve() -> Server {
    Server::new(|question, _| Reply::file(question, &program().0, "\"1\""))
}

/// The own platform, as plans write it.
fn platform() -> String {
    ov_release::fetch::own_platform()
}

/// What a plan says of a release at this address.
pub(super) fn info(address: &str) -> String {
    json!({"binaries": {"other/system": "http://127.0.0.1:9/other", platform(): address}}).to_string()
}

pub(super) fn with_checksum(address: &str) -> String {
    format!("{address}?checksum=sha256:{}", program().1)
}

/// A node that halts for v2 at this height and writes this info into its plan; downloads are allowed.
fn node(height: u64, info: &str) -> Node {
    let mut node = Node::halting(&format!("v2@{height}"), &["--halt-exit", "2", "--plan-info", info]);
    node.set(ALLOW, "true");
    node
}

fn plan(height: u64, info: &str) -> String {
    json!({"name": "v2", "time": "0001-01-01T00:00:00Z", "height": height, "info": info}).to_string()
}

fn is_left(node: &Node) -> Vec<String> {
    let entries = fs::read_dir(node.path("cosmovisor/upgrades")).into_iter().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn fault_21_a_plan_known_ahead_is_fetched_while_the_old_release_runs() {
    let server = serve();
    let info = info(&with_checksum(&server.url("/v2")));
    let mut node = node(400, &info);
    node.start();
    node.wait_for_height(5);
    node.write_plan(&plan(400, &info));
    node.wait_for_line("downloading binary complete");
    node.wait_for_line("is armed");
    assert_eq!(node.launched(), ["v1"]);
    assert!(node.height() < 400, "it is there before it is needed");
    let out = node.out();
    let line = out.lines().find(|line| line.contains("downloading binary complete")).unwrap();
    assert!(line.contains(&program().1) && line.contains(&server.url("/v2")), "{line}");
    assert!(out.contains("no upgrade binary found, beginning to download it"));
    node.wait_for_height(410);
    assert!(node.stop().success());
    assert_eq!(
        (node.blocks_before_last(), node.launched()),
        (vec!["v1@399".to_owned()], vec!["v1".into(), "v2".into()])
    );
    let paths: Vec<String> = server.asked().into_iter().map(|question| question.path).collect();
    assert_eq!(paths, ["/v2"], "once, and only for the own platform");
}

#[test]
fn a_node_that_halts_and_dies_gets_its_release_by_the_plan_that_it_left() {
    let server = serve();
    let mut node = node(30, &info(&with_checksum(&server.url("/v2"))));
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!((node.current().as_str(), node.launched()), ("upgrades/v2", vec!["v1".to_owned(), "v2".to_owned()]));
    assert_eq!(is_left(&node), ["v2", "v2.release.json"]);
}

#[test]
fn a_plan_may_lead_to_a_text_that_says_where_the_release_is() {
    let server = Server::new(|question, _| match question.path.as_str() {
        "/info" => {
            let address = format!("http://{}/v2", question.header("host").unwrap());
            Reply::whole(info(&with_checksum(&address)).as_bytes())
        }
        _ => Reply::file(question, &program().0, "\"1\""),
    });
    let mut node = node(30, &server.url("/info"));
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn without_permission_nothing_is_fetched_and_it_is_said_what_to_do() {
    let server = serve();
    let mut node = node(30, &info(&server.url("/v2")));
    node.set(ALLOW, "false");
    node.start();
    node.wait_for_line("binary not present, downloading disabled: ");
    assert!(node.out().contains("DAEMON_ALLOW_DOWNLOAD_BINARIES=true"), "{}", node.out());
    assert!(node.is_running(), "it waits for the release");
    assert_eq!(server.asked().len(), 0);
    node.stage("v2");
    node.wait_for_height(40);
    assert!(node.stop().success());
}

#[test]
fn fault_23_a_binary_without_a_checksum_is_refused_where_one_must_be() {
    let server = serve();
    let mut node = node(30, &info(&server.url("/v2")));
    node.set(MUST_HAVE, "true");
    node.start();
    node.wait_for_line("cannot download binary. ");
    assert!(node.out().contains("it has no checksum, and the policy wants one"), "{}", node.out());
    assert_eq!((server.asked().len(), node.launched(), is_left(&node).len()), (0, vec!["v1".to_owned()], 0));
    node.write_plan(&plan(30, &info(&with_checksum(&server.url("/v2")))));
    node.wait_for_height(40);
    assert!(node.stop().success());
}

#[test]
fn fault_22_a_wrong_binary_is_not_used_and_blocks_no_right_one() {
    let is_right = Arc::new(AtomicBool::new(false));
    let right = Arc::clone(&is_right);
    let server = Server::new(move |question, _| {
        let bytes = if right.load(Ordering::SeqCst) { &program().0[..] } else { b"something else" };
        Reply::file(question, bytes, "\"1\"")
    });
    let mut node = node(30, &info(&with_checksum(&server.url("/v2"))));
    node.start();
    node.wait_for_line("cannot download binary. Checksums did not match for ");
    assert_eq!((node.current().as_str(), node.launched()), ("genesis", vec!["v1".to_owned()]));
    assert!(!node.path("cosmovisor/upgrades/v2").exists());
    is_right.store(true, Ordering::SeqCst);
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn fault_24_a_binary_for_another_machine_is_known_before_the_old_one_is_stopped() {
    let server = Server::new(|question, _| {
        let mut bytes = program().0.clone();
        // What an ELF file says of its machine: here one that nobody builds any more.
        bytes[18..20].copy_from_slice(&[2, 0]);
        Reply::file(question, &bytes, "\"1\"")
    });
    let info = info(&server.url("/v2"));
    let mut node = node(100_000, &info);
    node.start();
    node.wait_for_height(5);
    node.write_plan(&plan(100_000, &info));
    node.wait_for_line("plan 1 waits: it failed to ");
    let out = node.out();
    let why = out.lines().find(|line| line.contains("plan 1 waits")).unwrap();
    assert!(why.contains("machine") || why.contains("architecture"), "{why}");
    assert!(!out.contains("is armed"), "{out}");
    let height = node.height();
    node.wait_for_height(height + 5);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}

#[test]
fn folders_that_a_failed_download_of_the_original_left_are_in_nobodys_way() {
    let server = serve();
    let mut node = node(30, &info(&with_checksum(&server.url("/v2"))));
    fs::create_dir_all(node.path("cosmovisor/upgrades/v2/bin")).unwrap();
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"]);
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_did() {
    let half = program().0.len() / 2;
    let server = Server::new(move |question, number| match number {
        0 => Reply::file(question, &program().0, "\"1\"").cut(half),
        _ => Reply::file(question, &program().0, "\"1\""),
    });
    let mut node = node(30, &info(&with_checksum(&server.url("/v2"))));
    node.start();
    node.wait_for_height(40);
    assert!(node.stop().success());
    let from: Vec<_> = server.asked().iter().map(|question| question.header("range").map(str::to_owned)).collect();
    assert_eq!(from, [None, Some(format!("bytes={half}-"))]);
}

#[test]
fn a_daemon_that_is_killed_in_the_middle_of_a_download_finishes_it() {
    let half = program().0.len() / 2;
    let server = Server::new(move |question, number| match number {
        0 => Reply::file(question, &program().0, "\"1\"").stalled(half),
        _ => Reply::file(question, &program().0, "\"1\""),
    });
    let info = info(&with_checksum(&server.url("/v2")));
    let mut node = node(300, &info);
    node.start();
    node.wait_for_height(5);
    node.write_plan(&plan(300, &info));
    wait_until("half of it to be there", || {
        fs::metadata(node.path("cosmovisor/upgrades/.fetching-v2/download")).is_ok_and(|it| it.len() >= half as u64)
    });
    node.kill();
    node.start();
    node.wait_for_line("is armed");
    node.wait_for_height(310);
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1", "v2"], "the node did not notice");
    assert_eq!(is_left(&node), ["v2", "v2.release.json"]);
}

#[test]
fn a_plan_that_is_withdrawn_while_its_release_is_fetched_leaves_nothing() {
    let server = Server::new(|question, _| Reply::file(question, &program().0, "\"1\"").stalled(1_000_000));
    let info = info(&with_checksum(&server.url("/v2")));
    let mut node = node(100_000, &info);
    node.start();
    node.wait_for_height(5);
    node.write_plan(&plan(100_000, &info));
    wait_until("a part of it to be there", || {
        fs::metadata(node.path("cosmovisor/upgrades/.fetching-v2/download")).is_ok_and(|it| it.len() >= 1_000_000)
    });
    fs::remove_file(node.path("data/upgrade-info.json")).unwrap();
    wait_until("nothing to be left", || is_left(&node).is_empty());
    assert!(node.stop().success());
    assert_eq!(node.launched(), ["v1"]);
}
