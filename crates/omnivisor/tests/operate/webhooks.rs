//! Webhooks against a real receiver: what is told, that nothing is lost or waited for, and that no secret shows.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use fakenode::Profile;
use ov_testkit::{TestNode, marked_processes, wait_for, wait_until};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, Height, Trigger};
use serde_json::Value;

use super::support::{ask, ask_well, http, running, says};

/// How a receiver answers.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Good,
    /// With a failure, so many times, and then well.
    FailsFirst(usize),
    /// Not at all.
    Silent,
}

/// One notification as it came in.
#[derive(Debug, Clone)]
struct Told {
    path: String,
    headers: Vec<(String, String)>,
    body: Value,
}

impl Told {
    fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    fn name(&self) -> &str {
        self.body["notification"].as_str().unwrap()
    }
}

/// A web server that keeps what it is told; it ends with the test's process.
struct Receiver {
    address: String,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Receiver {
    fn start(manner: Manner) -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").unwrap(), manner)
    }

    fn on(listener: TcpListener, manner: Manner) -> Self {
        let address = listener.local_addr().unwrap().to_string();
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || receive(stream, manner, &kept));
            }
        });
        Self { address, told }
    }

    fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<String> {
        self.told().iter().map(|told| told.name().to_owned()).collect()
    }

    /// Waits until a notification of that name came in.
    fn wait_for(&self, name: &str) -> Told {
        wait_for(&format!("the notification {name}; so far {:?}", self.names()), || {
            self.told().into_iter().find(|told| told.name() == name)
        })
    }
}

fn receive(stream: TcpStream, manner: Manner, kept: &Mutex<Vec<Told>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 0 {
        let path = line.split(' ').nth(1)?.to_owned();
        let mut headers = Vec::new();
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            headers.push((name.to_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let count = {
            let mut kept = kept.lock().unwrap();
            kept.push(Told { path, headers, body: serde_json::from_slice(&body).unwrap() });
            kept.len()
        };
        let status = match manner {
            Manner::Silent => {
                // Until the sender loses patience.
                let _ = reader.read(&mut [0]);
                return None;
            }
            Manner::FailsFirst(times) if count <= times => "500 No",
            _ => "204 Yes",
        };
        write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").ok()?;
        line.clear();
    }
    None
}

fn secret(node: &TestNode, name: &str, content: &str) {
    fs::write(node.path(name), content).unwrap();
    fs::set_permissions(node.path(name), fs::Permissions::from_mode(0o600)).unwrap();
}

/// A running node that is told of a webhook once it runs.
fn with_hook(more: &str, receiver: &Receiver, options: &str) -> TestNode {
    let node = running(&[], more);
    let text = node.configuration(&[], more);
    let hook = format!("\n[[webhook]]\nname = \"chat\"\nurl = \"http://{}/\"\n{options}", receiver.address);
    node.write_configuration(&(text + &hook));
    wait_until("the webhook to be known", || node.path(".omnivisor/webhooks/chat.json").exists());
    node
}

#[test]
fn the_life_of_upgrades_is_told() {
    let receiver = Receiver::start(Manner::Good);
    let mut node = with_hook("", &receiver, "");
    let at = Trigger::Height { height: Height(node.status().height.unwrap().0 + 150) };
    let good = node.plan(&Profile::new("v2"), at, FailurePolicy::Rollback);
    let armed = receiver.wait_for("upgrade-armed");
    assert!(armed.body["eta_ms"].as_u64().is_some_and(|eta| eta > 0), "{armed:?}");
    assert_eq!(node.wait_for_end(good), Outcome::Committed);
    let committed = receiver.wait_for("upgrade-committed");
    assert!(committed.body["gap_ms"].as_u64().is_some(), "{committed:?}");
    let bad = node.plan(&Profile::new("v3").with("crash_after", 1), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(bad), Outcome::RolledBack);
    receiver.wait_for("upgrade-rolled-back");
    let held = node.plan(&Profile::new("v4").with("crash_after", 1), Trigger::Now, FailurePolicy::Hold);
    receiver.wait_for("upgrade-held");
    ask(&node, &["upgrade", "rollback", &held.to_string(), "--wait=1m"]);
    node.write_configuration("nonsense");
    receiver.wait_for("configuration-refused");
    for name in ["upgrade-discovered", "upgrade-started"] {
        receiver.wait_for(name);
    }
    let told = receiver.told();
    let indices: Vec<u64> = told.iter().map(|told| told.body["index"].as_u64().unwrap()).collect();
    assert!(indices.is_sorted_by(|one, other| one < other), "out of order or repeated: {indices:?}");
    for told in told {
        assert_eq!(told.header("x-omnivisor-event"), told.name());
        assert_eq!(told.header("content-type"), "application/json");
        let name = node.status().node;
        assert!(told.body["text"].as_str().unwrap().starts_with(&format!("{name}: ")), "{told:?}");
    }
    node.stop();
}

#[test]
fn an_upgrade_that_needs_a_person_calls_for_one_once() {
    let receiver = Receiver::start(Manner::Good);
    let quick = "[upgrade]\nretry-first = \"50ms\"\nretry-max = \"200ms\"\n";
    let mut node = with_hook(quick, &receiver, "events = [\"needs-operator\", \"upgrade-rolled-back\"]\n");
    // Without a snapshot there is no way back from data that the new release has raised.
    let bad = Profile::new("v2").with("data_format", 2).with("crash_after", 1);
    let source = node.make_release(&bad);
    let add = ["plan", "add", "--release", "v2", "--now", "--no-keep", "--on-failure", "rollback"];
    ask_well(&node, &[&add[..], &["--from", source.to_str().unwrap()]].concat());
    let told = receiver.wait_for("needs-operator");
    assert_eq!((&told.body["importance"], &told.body["problem"]["code"]), (&"alarm".into(), &"OV-UPG-023".into()));
    says(told.body["problem"]["state"].as_str().unwrap(), &["the node is stopped"]);
    says(told.body["problem"]["hint"].as_str().unwrap(), &["snapshot restore"]);
    says(told.body["text"].as_str().unwrap(), &["needs an operator"]);
    // A person puts data there that the old release can read, and lets the upgrade go on.
    fs::remove_dir_all(node.path("data")).unwrap();
    fs::create_dir(node.path("data")).unwrap();
    fs::write(node.path("data/format"), "1\n").unwrap();
    ask_well(&node, &["upgrade", "retry", "1"]);
    receiver.wait_for("upgrade-rolled-back");
    assert_eq!(receiver.names(), ["needs-operator", "upgrade-rolled-back"]);
    node.stop();
}

#[test]
fn trouble_with_units_and_height_is_told() {
    let receiver = Receiver::start(Manner::Good);
    let more = "[unit.failing]\nprogram = \"/bin/false\"\n[unit.failing.back-off]\nfirst = \"10ms\"\nmax = \"10ms\"\n\
                [unit.failing.crash-loop]\ncount = 3\nthen = \"park\"\n[progress]\nstall = \"500ms\"\n";
    let hook = format!("[[webhook]]\nurl = \"http://{}/\"\nevents = [\"crash-loop\", \"stuck\"]\n", receiver.address);
    let mut node = running(&["--max-height", "10"], &format!("{more}{hook}"));
    let looped = receiver.wait_for("crash-loop");
    assert_eq!((&looped.body["unit"], &looped.body["importance"]), (&Value::from("failing"), &Value::from("alarm")));
    let stuck = receiver.wait_for("stuck");
    assert_eq!(stuck.body["height"], 10);
    ask(&node, &["unit", "suspend", "failing"]);
    let plan = node.plan(&Profile::new("v2"), Trigger::Height { height: Height(1_000) }, FailurePolicy::Hold);
    wait_until("the plan to be armed", || node.phase(plan) == PlanPhase::Armed);
    let names: BTreeSet<String> = receiver.names().into_iter().collect();
    assert_eq!(
        names,
        BTreeSet::from(["crash-loop".to_owned(), "stuck".to_owned()]),
        "it was told what it did not want"
    );
    node.stop();
}

#[test]
fn what_a_receiver_refused_is_told_again_and_in_order() {
    let receiver = Receiver::start(Manner::FailsFirst(1));
    let mut node = with_hook("", &receiver, "");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    receiver.wait_for("upgrade-committed");
    let told = receiver.told();
    assert_eq!(told[0].header("x-omnivisor-delivery"), told[1].header("x-omnivisor-delivery"));
    assert_eq!(told[0].body, told[1].body);
    let later: BTreeSet<&str> = told[1..].iter().map(|told| told.header("x-omnivisor-delivery")).collect();
    assert_eq!(later.len(), told.len() - 1, "more was repeated than was refused");
    says(&node.log(), &["webhook=\"chat\"", "status 500", "not told"]);
    node.stop();
}

#[test]
fn a_receiver_that_never_answers_holds_nothing_up() {
    let receiver = Receiver::start(Manner::Silent);
    let mut node = with_hook("", &receiver, "timeout = \"10m\"\n");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    assert_eq!(receiver.names(), ["upgrade-discovered"], "it waits for the first one");
    // Not even the daemon's end waits for it.
    assert!(node.stop().status.success());
}

#[test]
fn a_new_daemon_tells_what_its_predecessor_could_not() {
    let place = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = place.local_addr().unwrap();
    drop(place);
    let nobody = Receiver { address: address.to_string(), told: Arc::default() };
    let mut node = with_hook("", &nobody, "attempts = 100\n");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    wait_until("a try that fails", || node.log().contains("not told"));
    node.kill_daemon();
    let receiver = Receiver::on(TcpListener::bind(address).unwrap(), Manner::Good);
    node.start();
    receiver.wait_for("upgrade-committed");
    let names = receiver.names();
    assert_eq!(names, ["upgrade-discovered", "upgrade-armed", "upgrade-started", "upgrade-committed"]);
    node.stop();
}

/// Every file below a folder.
fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

/// What anybody can come to see of a node: answers, arguments of processes, files of ours, the log.
fn everything_shown(node: &TestNode) -> Vec<(String, String)> {
    let mut shown = Vec::new();
    for path in [
        "/v1/status",
        "/v1/plans?all=true",
        "/v1/events?since=0",
        "/v1/history",
        "/v1/doctor",
        "/v1/releases",
        "/metrics",
    ] {
        shown.push((path.to_owned(), http(node, "GET", path, "").body));
    }
    for pid in marked_processes(node.home()) {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        shown.push((format!("the arguments of {pid}"), String::from_utf8_lossy(&words).into_owned()));
    }
    let mut files = Vec::new();
    files_below(&node.path(".omnivisor"), &mut files);
    shown.extend(
        files
            .iter()
            .map(|path| (path.display().to_string(), String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned())),
    );
    shown.push(("the log".to_owned(), node.log()));
    shown
}

#[test]
fn secrets_show_nowhere() {
    const SECRETS: [&str; 4] =
        ["path-that-is-secret", "header-that-is-secret", "key-that-is-secret", "variable-that-is-secret"];
    let receiver = Receiver::start(Manner::Good);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let hooks = "[unit.main]\nprogram = \"current/bin/fakenode\"\nenv-file = [\"env\"]\nargs = [ARGS]\n\
        [[webhook]]\nname = \"good\"\nurl-file = \"hook/url\"\nheaders-file = \"hook/headers\"\nsecret-file = \"hook/key\"\n\
        [[webhook]]\nname = \"dead\"\nurl-file = \"hook/dead\"\nheaders-file = \"hook/headers\"\nattempts = 1\n\
        [[webhook]]\nname = \"broken\"\nurl-file = \"hook/broken\"\nheaders-file = \"hook/wrong\"\nattempts = 1\n";
    let node = TestNode::bare(Path::new(super::support::PROGRAM));
    let mut node = node;
    fs::create_dir(node.path("hook")).unwrap();
    let [path, header, key, variable] = SECRETS;
    secret(&node, "hook/url", &format!("http://user:{path}@{}/{path}?token={path}\n", receiver.address));
    secret(&node, "hook/dead", &format!("http://{dead}/{path}"));
    secret(&node, "hook/broken", &format!("gopher://{path}"));
    secret(&node, "hook/headers", &format!("Authorization: Bearer {header}\n"));
    secret(&node, "hook/wrong", &format!("{header}\n"));
    secret(&node, "hook/key", key);
    secret(&node, "env", &format!("TOKEN={variable}\n"));
    let usual = node.configuration(&[], "");
    let args = usual.lines().find_map(|line| line.strip_prefix("args = [")).unwrap().trim_end_matches(']').to_owned();
    let rest = usual.split_once("\n\n").unwrap().1;
    node.write_configuration(&format!("{}\n{rest}", hooks.replace("ARGS", &args)));
    node.start_with(&Profile::new("v1"));
    node.start();
    node.wait_for_up("main");
    let plan = node.plan(&Profile::new("v2"), Trigger::Now, FailurePolicy::Rollback);
    assert_eq!(node.wait_for_end(plan), Outcome::Committed);
    let committed = receiver.wait_for("upgrade-committed");
    // They are used.
    assert!(committed.path.contains(path), "{committed:?}");
    assert_eq!(committed.header("x-omnivisor-signature").len(), "sha256=".len() + 64);
    says(&committed.headers.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>().join("\n"), &[header]);
    wait_until("the others to be given up", || {
        let log = node.log();
        ["dead", "broken"].iter().all(|name| log.contains(&format!("webhook=\"{name}\"")) && log.contains("given up"))
    });
    // And nowhere to be seen: not in a broken reload, an answer, an argument, a file of ours, the log.
    let mut shown = vec![("doctor".to_owned(), ask(&node, &["doctor", "--json"]).out)];
    let text = fs::read_to_string(node.path("omnivisor.toml")).unwrap();
    fs::write(
        node.path("omnivisor.toml"),
        text.replace("url-file = \"hook/dead\"", &format!("url = \"gopher://{path}\"")),
    )
    .unwrap();
    let refused = ask(&node, &["reload"]);
    assert_eq!(refused.code, 3, "{refused:?}");
    shown.push(("the refused reload".to_owned(), refused.err));
    shown.extend(everything_shown(&node));
    for (place, text) in &shown {
        for secret in SECRETS {
            assert!(!text.contains(secret), "{secret} shows in {place}:\n{text}");
        }
    }
    node.stop();
}
