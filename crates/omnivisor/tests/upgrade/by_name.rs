//! Releases that are found by their names, where nobody says where they are.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use fakenode::Profile;
use ov_testkit::{Asset, GitHubServer, TestNode, Trouble, wait_for};
use ov_types::api::NewPlan;
use ov_types::record::Outcome;
use ov_types::{EventKind, PlanId, Trigger};

use super::support::{
    PROGRAM, QUICK, events, finish, name, names_in, never, running, wait_for_armed, wait_for_problem, wish,
};

const FILE: &str = "node-v2.tar";

/// Release v2 as publishers pack it: the program under another name, in a folder with other things.
fn packed() -> Asset {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        Profile::new("v2").install_single_file(folder.path(), PROGRAM.as_ref()).unwrap();
        fs::rename(at("bin/fakenode"), at("bin/noded")).unwrap();
        fs::write(at("bin/README"), "Read me.\n").unwrap();
        let done = Command::new("tar").args(["-cf", FILE, "bin"]).current_dir(folder.path()).status().unwrap();
        assert!(done.success());
        fs::read(at(FILE)).unwrap()
    });
    Asset::new(FILE, bytes)
}

/// A node whose releases are found there.
fn looking_at(server: &GitHubServer, more: &str) -> TestNode {
    running(&[], &format!("{more}\n{}", section(server)))
}

fn section(server: &GitHubServer) -> String {
    format!(
        "[fetch.github]\nowner = \"owner\"\nrepository = \"node\"\nasset = \"node-{{release}}.tar\"\nprogram = \
         \"bin/noded\"\napi = \"{}\"\n",
        server.address()
    )
}

/// Plans to go to v2, wherever that is.
fn plan(node: &TestNode, trigger: Trigger) -> PlanId {
    let wish = NewPlan { source: None, ..wish(node, &Profile::new("v2"), trigger) };
    let done = node.client().add_plan(&wish).unwrap();
    assert!(done.message.contains("; it is looked for in owner/node at http://127.0.0.1:"), "{}", done.message);
    done.plan.unwrap()
}

#[test]
fn a_plan_needs_no_more_than_the_name_of_its_release() {
    let server = GitHubServer::default();
    server.publish("v2", &[packed()]);
    let node = looking_at(&server, "");
    let said = node.omnivisor(&["plan", "add", "--release", "v2", "--height", "5", "--wait=60s"]);
    assert!(said.status.success(), "{said:?}");
    assert_eq!(node.current(), "v2");
    assert_eq!(names_in(&node.path("releases/v2/bin")), ["README", "fakenode"]);
    let fetched = events(&node).into_iter().find_map(|kind| match kind {
        EventKind::FetchDone { release, address, .. } => Some((release, address)),
        _ => None,
    });
    let address = format!("https://github.com/owner/node/releases/download/v2/{FILE}");
    assert_eq!(fetched, Some((name("v2"), address.clone())));
    let shown = String::from_utf8(node.omnivisor(&["release", "show", "v2"]).stdout).unwrap();
    let source = format!("`{FILE}` of release `v2` in owner/node at {} for plan 1", server.address());
    assert!(shown.contains(&source) && shown.contains(&address), "{shown}");
    finish(node);
}

#[test]
fn what_is_not_published_yet_is_waited_for_without_noise() {
    let server = GitHubServer::default();
    server.publish("v1", &[]);
    let node = looking_at(&server, QUICK);
    let id = plan(&node, never());
    let problem = wait_for_problem(&node, id);
    assert_eq!(problem.code, "OV-FET-010", "{problem:?}");
    assert!(problem.to_string().ends_with("it is not published there; the newest is `v1`"), "{problem}");
    assert!(problem.state.contains("the node runs as before"), "{problem:?}");
    let tries = || server.asked().iter().filter(|asked| asked.path.contains("/tags/v2")).count();
    let before = tries();
    wait_for("two more tries", || (tries() >= before + 2).then_some(()));
    // Published, and its files come later.
    server.publish("v2", &[Asset::new("node-v2.tar.sha256", b"")]);
    wait_for("another reason", || wait_for_problem(&node, id).to_string().contains("there is only").then_some(()));
    server.publish("v2", &[packed()]);
    wait_for_armed(&node, id);
    let blocked = events(&node).into_iter().filter(|kind| matches!(kind, EventKind::PlanBlocked { .. })).count();
    assert_eq!(blocked, 1, "one alarm for all of it");
    finish(node);
}

#[test]
fn a_limit_is_waited_for_as_long_as_it_lasts_and_a_person_may_ask_sooner() {
    let server = GitHubServer::default();
    server.publish("v2", &[packed()]);
    server.trouble([Trouble::LimitedFor(1_800)]);
    let node = looking_at(&server, QUICK);
    let id = plan(&node, never());
    let problem = wait_for_problem(&node, id);
    assert_eq!(problem.code, "OV-FET-011", "{problem:?}");
    let pause_ms = events(&node).into_iter().find_map(|kind| match kind {
        EventKind::StepFailed { retry_in_ms, .. } => retry_in_ms,
        _ => None,
    });
    assert!(pause_ms.is_some_and(|pause_ms| (1_700_000..=1_800_000).contains(&pause_ms)), "{pause_ms:?}");
    assert_eq!(server.asked().len(), 1);
    assert!(node.omnivisor(&["upgrade", "retry", &id.to_string()]).status.success());
    wait_for_armed(&node, id);
    finish(node);
}

#[test]
fn a_plan_that_is_withdrawn_leaves_nothing_behind() {
    let server = GitHubServer::default();
    server.publish("v2", &[packed()]);
    let node = looking_at(&server, "");
    let id = plan(&node, never());
    wait_for_armed(&node, id);
    assert!(names_in(&node.path("releases")).contains(&"v2".to_owned()));
    node.client().cancel_plan(id).unwrap();
    assert_eq!(node.wait_for_end(id), Outcome::Withdrawn);
    assert_eq!(names_in(&node.path("releases")), ["v1", "v1.release.json"]);
    finish(node);
}

#[test]
fn a_release_is_prepared_by_its_name_with_a_daemon_and_without() {
    let server = GitHubServer::default();
    server.publish("v2", &[packed()]);
    server.publish("v3", &[Asset { name: "node-v3.tar".to_owned(), ..packed() }]);
    server.lock("hunter2");
    let mut node = running(&[], "");
    let refused = node.omnivisor(&["upgrade", "prepare", "v2"]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("configure `fetch.github`"), "{refused:?}");
    node.stop();
    fs::write(node.path("token"), "hunter2\n").unwrap();
    let more = format!("{}token-file = \"token\"\n", section(&server));
    node.write_configuration(&node.configuration(&[], &more));
    let prepared = node.omnivisor(&["upgrade", "prepare", "v2"]);
    assert!(prepared.status.success(), "{prepared:?}");
    node.start();
    let prepared = node.omnivisor(&["upgrade", "prepare", "v3"]);
    assert!(String::from_utf8_lossy(&prepared.stderr).contains("release v3 is staged: "), "{prepared:?}");
    assert!(server.asked_for_bytes().iter().all(|asked| asked.header("authorization").is_none()));
    let found = Command::new("grep").args(["-rl", "hunter2"]).arg(node.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout).trim(), node.path("token").to_str().unwrap());
    finish(node);
}
