//! Releases from an address: for a plan, and ahead of one.

use std::fs;
use std::sync::OnceLock;

use fakenode::Profile;
use ov_client::Since;
use ov_testkit::{Mount, Reply, Server, TestNode, wait_for, wait_until};
use ov_types::api::NewPlan;
use ov_types::record::Outcome;
use ov_types::{EventKind, Trigger, Work};

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
    let shown = node.omnivisor(&["release", "show", "v2"]);
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in [format!("source     {} for plan {id}\n", server.url("/v2")), "checksum   none was given".to_owned()] {
        assert!(shown.contains(&line), "{shown}");
    }
    assert!(!node.omnivisor(&["release", "show", "v9"]).status.success());
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

#[test]
fn progress_is_told_to_whoever_listens_and_kept_nowhere() {
    // The second answer goes on where the first one stopped: what is told rises over both.
    let half = program().len() / 2;
    let server = Server::new(move |question, number| match number {
        0 => Reply::file(question, program(), "\"1\"").cut(half),
        _ => Reply::file(question, program(), "\"1\""),
    });
    let node = running(&[], "");
    let mut stream = node.client().follow(Since::Newest).unwrap();
    let prepared = node.omnivisor(&["upgrade", "prepare", "v2", "--json", "--from", &server.url("/v2")]);
    assert!(prepared.status.success(), "{prepared:?}");
    let total = program().len() as u64;
    let mut told = Vec::new();
    let done = stream.by_ref().map(Result::unwrap).find(|event| {
        if let EventKind::Progress { work: Work::Download, of, done, total: Some(all), .. } = &event.kind {
            assert_eq!((of.as_str(), *all), ("release v2", total));
            told.push(*done);
        }
        matches!(event.kind, EventKind::FetchDone { .. })
    });
    assert!(done.is_some());
    assert!(told.is_sorted() && told.iter().any(|done| *done >= half as u64), "{told:?}");
    let kept = node.client().events(Since::Oldest).unwrap();
    assert!(!kept.iter().any(|event| event.kind.is_droppable()));
    assert!(kept.windows(2).all(|pair| pair[0].index < pair[1].index));
    let lines = String::from_utf8(prepared.stderr).unwrap();
    let of_programs = lines.lines().filter_map(|line| serde_json::from_str::<EventKind>(line).ok());
    assert!(of_programs.filter(EventKind::is_droppable).count() > 0, "{lines}");
    finish(node);
}

#[test]
fn what_came_for_nobody_is_gone_with_the_next_daemon() {
    let server = Server::new(|question, _| Reply::file(question, program(), "\"1\"").stalled(1_000_000));
    let mut node = running(&[], "");
    let url = server.url("/v3");
    let mut person = node.command(&["upgrade", "prepare", "v3", "--from", &url]).spawn().unwrap();
    let kept = node.path("releases/.fetching-v3/download");
    wait_until("a part of it to be there", || fs::metadata(&kept).is_ok_and(|it| it.len() >= 1_000_000));
    node.kill_daemon();
    let _ = person.wait().unwrap();
    assert!(kept.exists());
    node.start();
    assert!(!node.path("releases/.fetching-v3").exists());
    finish(node);
}

#[test]
fn a_person_who_leaves_ends_the_download_and_the_next_one_goes_on() {
    let half = program().len() / 2;
    let server = Server::new(move |question, number| match number {
        0 => Reply::file(question, program(), "\"1\"").stalled(half),
        _ => Reply::file(question, program(), "\"1\""),
    });
    // Nothing else ends the first download in time.
    let node = running(&[], "\n[fetch]\nstall = \"10m\"\n");
    let url = server.url("/v2");
    let mut person = node.command(&["upgrade", "prepare", "v2", "--from", &url]).spawn().unwrap();
    let kept = node.path("releases/.fetching-v2/download");
    wait_until("half of it to be there", || fs::metadata(&kept).is_ok_and(|it| it.len() >= half as u64));
    let beside = node.omnivisor(&["upgrade", "prepare", "v2", "--from", &url]);
    assert!(String::from_utf8_lossy(&beside.stderr).contains("OV-FET-007"), "{beside:?}");
    person.kill().unwrap();
    let _ = person.wait().unwrap();
    let said = wait_for("the next one to be let", || {
        let said = node.omnivisor(&["upgrade", "prepare", "v2", "--from", &url]);
        said.status.success().then(|| String::from_utf8(said.stderr).unwrap())
    });
    assert!(said.contains("release v2 is staged: "), "the first one went on: {said}");
    let from: Vec<_> = server.asked().iter().map(|question| question.header("range").map(str::to_owned)).collect();
    assert_eq!(from, [None, Some(format!("bytes={half}-"))]);
    finish(node);
}

/// A program that is unpacked in no time.
fn small() -> Vec<u8> {
    fs::read("/bin/true").unwrap()
}

/// Archives that hold the program in all the layouts that plans use, by the names under which they are served.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("bin")).unwrap();
    for place in ["fakenode", "bin/fakenode", "simd-v2-linux-amd64"] {
        fs::write(at(place), small()).unwrap();
    }
    let pack = |words: &[&str]| {
        let done = std::process::Command::new(words[0]).args(&words[1..]).current_dir(folder.path()).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    pack(&["tar", "-cf", "in-place.tar", "bin/fakenode"]);
    pack(&["tar", "-czf", "on-top.tar.gz", "fakenode"]);
    pack(&["tar", "-czf", "only-one.tgz", "simd-v2-linux-amd64"]);
    pack(&["gzip", "-1", "-k", "simd-v2-linux-amd64"]);
    let names = ["in-place.tar", "on-top.tar.gz", "only-one.tgz", "simd-v2-linux-amd64.gz"];
    names.map(|name| (name, fs::read(at(name)).unwrap())).into()
}

#[test]
fn the_program_is_found_in_every_layout() {
    let archives = archives();
    let names: Vec<&str> = archives.iter().map(|(name, _)| *name).collect();
    let served = archives.clone();
    let server = Server::new(move |question, _| {
        let found = served.iter().find(|(name, _)| question.path == format!("/{name}"));
        found.map_or_else(|| Reply::status(404), |(_, bytes)| Reply::file(question, bytes, "\"1\""))
    });
    let node = running(&[], "");
    for (number, name) in names.iter().enumerate() {
        let (release, url) = (format!("r{number}"), server.url(&format!("/{name}")));
        let said = node.omnivisor(&["upgrade", "prepare", &release, "--from", &url]);
        assert!(said.status.success(), "{name}: {said:?}");
        let program_there = fs::read(node.path(&format!("releases/{release}/bin/fakenode"))).unwrap();
        assert!(program_there == small(), "{name}");
    }
    assert_eq!(server.asked().len(), names.len(), "each is fetched once");
    finish(node);
}

#[test]
fn a_full_disk_of_releases_is_told_and_waited_for() {
    let server = serve();
    let node = running(&[], QUICK);
    // Another file system, on which the release that runs is copied first.
    let releases = node.path("releases");
    let kept = node.path("kept");
    fs::create_dir(&kept).unwrap();
    let copied = |from: &std::path::Path, to: &std::path::Path| {
        let done = std::process::Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
        assert!(done.success());
    };
    copied(&releases, &kept);
    let size = fs::metadata(kept.join("v1/bin/fakenode")).unwrap().len() + (4 << 20);
    let Some(mount) = Mount::tmpfs(&releases, &format!("size={size}")) else { return };
    copied(&kept, &releases);
    let id = node.client().add_plan(&from(&node, &server.url("/v2"), never())).unwrap().plan.unwrap();
    let problem = wait_for_problem(&node, id);
    assert_eq!((problem.code.as_str(), problem.lasting), ("OV-FET-009", ov_types::Lasting::Transient), "{problem:?}");
    mount.remount("size=1g");
    wait_for_armed(&node, id);
    finish(node);
}
