//! Releases from an address: for a plan, and ahead of one.

use std::fs;
use std::sync::OnceLock;

use fakenode::Profile;
use ov_client::Since;
use ov_testkit::{Reply, Server, TestNode};
use ov_types::api::NewPlan;
use ov_types::record::Outcome;
use ov_types::{EventKind, Trigger};

use super::support::{
    PROGRAM, QUICK, finish, name, names_in, never, refusal, running, wait_for_armed, wait_for_problem, wish,
};

/// The program of release v2, as one file.
fn program() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        Profile::new("v2").install_single_file(folder.path(), PROGRAM.as_ref()).unwrap();
        fs::read(folder.path().join("bin/fakenode")).unwrap()
    })
}

fn serve() -> Server {
    Server::new(|question, _| Reply::file(question, program(), "\"1\""))
}

fn from(node: &TestNode, source: &str, trigger: Trigger) -> NewPlan {
    NewPlan { source: Some(source.to_owned()), ..wish(node, &Profile::new("v2"), trigger) }
}

#[test]
fn a_plan_goes_to_a_release_at_an_address() {
    let server = serve();
    let node = running(&[], "");
    let id = node.client().add_plan(&from(&node, &server.url("/v2"), Trigger::Now)).unwrap().plan.unwrap();
    assert_eq!(node.wait_for_end(id), Outcome::Committed);
    assert_eq!((node.current().as_str(), server.asked().len()), ("v2", 1));
    let events = node.client().events(Since::Oldest).unwrap();
    let fetched = events.iter().find_map(|event| match &event.kind {
        EventKind::FetchDone { release, address, bytes, .. } => Some((release.clone(), address.clone(), *bytes)),
        _ => None,
    });
    assert_eq!(fetched, Some((name("v2"), server.url("/v2"), program().len() as u64)));
    finish(node);
}

#[test]
fn a_release_is_prepared_from_an_address_with_a_daemon_and_without() {
    let server = serve();
    let mut node = running(&[], "");
    let call = |node: &TestNode| node.omnivisor(&["upgrade", "prepare", "v2", "--from", &server.url("/v2")]);
    let said = call(&node);
    assert!(said.status.success(), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains("release v2 is staged: "), "{said:?}");
    assert!(String::from_utf8_lossy(&call(&node).stderr).contains("was staged already"));
    node.stop();
    assert!(node.omnivisor(&["upgrade", "prepare", "v2", "--from", &server.url("/v2")]).status.success());
    assert_eq!(server.asked().len(), 1, "it is there");
    let other = node.omnivisor(&["upgrade", "prepare", "v3", "--from", &server.url("/v2")]);
    assert!(other.status.success(), "{other:?}");
    assert_eq!(server.asked().len(), 2);
    assert!(names_in(&node.path("releases")).contains(&"v3.release.json".to_owned()));
}

#[test]
fn secrets_in_addresses_are_kept_nowhere() {
    let server = serve();
    let node = running(&[], "");
    let secret = server.url("/v2").replace("http://", "http://me:hunter2@");
    let refused = refusal(node.client().add_plan(&from(&node, &secret, never())));
    assert!(refused.contains("comes with a user or a password") && !refused.contains("hunter2"), "{refused}");
    let prepared = node.omnivisor(&["upgrade", "prepare", "v2", "--from", &secret]);
    assert!(prepared.status.success(), "{prepared:?}");
    let said = [prepared.stdout, prepared.stderr].concat();
    assert!(!String::from_utf8_lossy(&said).contains("hunter2"));
    let found = std::process::Command::new("grep").args(["-rl", "hunter2"]).arg(node.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    finish(node);
}

#[test]
fn what_cannot_be_fetched_is_refused_with_the_plan() {
    let node = running(&[], "");
    for (source, why) in [
        ("git::https://a.example/node", "repositories are not fetched"),
        ("ftp://a.example/node", "is not known"),
        ("https://a.example/node?checksum=md5:1", "checksum"),
    ] {
        let refused = refusal(node.client().add_plan(&from(&node, source, never())));
        assert!(refused.contains(why), "{refused}");
    }
    finish(node);
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let address = serve().url("/v2");
    let node = running(&[], QUICK);
    let id = node.client().add_plan(&from(&node, &address, never())).unwrap().plan.unwrap();
    let problem = wait_for_problem(&node, id);
    assert_eq!(problem.code, "OV-FET-002", "{problem:?}");
    assert!(problem.state.contains("the node runs as before"), "{problem:?}");
    let port = address.rsplit(':').next().unwrap().trim_end_matches("/v2").parse().unwrap();
    let server = Server::at(port, |question, _| Reply::file(question, program(), "\"1\""));
    wait_for_armed(&node, id);
    assert_eq!(server.asked().len(), 1);
    finish(node);
}
