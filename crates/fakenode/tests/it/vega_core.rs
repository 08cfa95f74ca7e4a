//! The core of a Vega network: its admin server, its upgrades, its snapshots, and how it fails.

use crate::stage::{text, wait_for};
use crate::vega_stage::{Vega, span};
use fakenode::vega::{self, Role};
use fakenode::{Profile, lifecycle};
use serde_json::json;
use std::os::unix::process::ExitStatusExt;

#[test]
fn an_upgrade_from_its_proposal_to_the_next_version() {
    let network = Vega::new();
    let (v1, v2) = (network.release("v0.1.0"), network.release("v0.2.0"));
    network.tell(json!({ "max_height": 4 }));
    let mut core = network.core(&v1, "");
    core.await_height(4);
    let nothing = json!({ "VegaReleaseTag": "", "UpgradeBlockHeight": 0 });
    assert_eq!(network.status(), json!({ "AcceptedReleaseInfo": nothing, "ReadyToUpgrade": false }));
    network.tell(json!({ "max_height": 5, "upgrades": ["v0.2.0@25"] }));
    core.await_height(5);
    let accepted = json!({ "VegaReleaseTag": "v0.2.0", "UpgradeBlockHeight": 25 });
    assert_eq!(network.status(), json!({ "AcceptedReleaseInfo": accepted, "ReadyToUpgrade": false }));
    network.tell(json!({ "upgrades": ["v0.2.0@25"] }));
    assert_eq!(network.await_ready()["AcceptedReleaseInfo"], accepted);
    core.await_line("waiting for the shutdown");
    core.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(core.await_end().signal(), Some(9), "it kills itself behind its shutdown");
    assert!(core.output().contains("stopped at height 25"));
    assert_eq!(network.blocks(), [span("v0.1.0", 1, 25)]);

    let mut core = network.core(&v2, "--snapshot.load-from-block-height 25");
    core.await_height(27);
    assert_eq!(network.status()["AcceptedReleaseInfo"], nothing);
    assert_eq!(core.stop(), Some(0));
    assert_eq!(network.blocks()[1].from, 26);
    assert_eq!(network.violations(), Vec::<String>::new());
    let launches = vega::launches(&network.witness()).unwrap();
    assert_eq!(launches.len(), 2);
    assert!(launches[1].arguments.ends_with(&["--home".to_owned(), network.home().display().to_string()]));
    assert!(launches[1].arguments.contains(&"--snapshot.load-from-block-height".to_owned()));
}

#[test]
fn an_old_version_behind_the_height_is_a_violation() {
    let network = Vega::new();
    let v1 = network.release("v1");
    network.tell(json!({ "upgrades": ["v2@8"] }));
    let mut core = network.core(&v1, "");
    network.await_ready();
    core.kill();
    let mut core = network.core(&v1, "");
    core.await_height(10);
    core.kill();
    assert_eq!(network.violations(), ["wrong-version"]);
    assert_eq!(vega::violations(&network.witness()).unwrap()[0].height, 9);
}

#[test]
fn proposals_change_and_are_withdrawn() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let accepted = |tag: &str, height: u64| json!({ "VegaReleaseTag": tag, "UpgradeBlockHeight": height });
    let _core = network.core(&v1, "");
    for (upgrades, expected) in [
        (json!(["v2@100000"]), accepted("v2", 100_000)),
        (json!(["v2@100000", "v3@90000"]), accepted("v3", 90_000)),
        (json!(["v1@80000", "v4@100000"]), accepted("v4", 100_000)),
        (json!(["v5@1"]), accepted("", 0)),
        (json!(["v6@100000"]), accepted("v6", 100_000)),
        (json!([]), accepted("", 0)),
    ] {
        network.tell(json!({ "upgrades": upgrades }));
        wait_for("the proposal", || (network.status()["AcceptedReleaseInfo"] == expected).then_some(()));
    }
}

#[test]
fn before_the_first_block_nothing_is_known() {
    let network = Vega::new();
    let _core = network.core(&network.release("v1"), "--stop-blocks");
    assert_eq!(network.status(), json!({ "AcceptedReleaseInfo": null, "ReadyToUpgrade": false }));
}

#[test]
fn the_tag_has_the_familys_name() {
    for (name, line, field) in
        [("zeta", "", "ZetaReleaseTag"), ("vega", "--release-tag-field FuryReleaseTag", "FuryReleaseTag")]
    {
        let network = Vega::named(name);
        let _core = network.core(&network.release("v1"), line);
        wait_for("the first block", || network.status()["AcceptedReleaseInfo"][field].as_str().map(drop));
        let human = network.call(&network.release("v1"), "version");
        assert!(text(&human.stdout).to_lowercase().starts_with(&format!("{name} cli v1 (")));
    }
}

#[test]
fn the_admin_server_answers_like_the_library() {
    let network = Vega::new();
    let _core = network.core(&network.release("v1"), "--stop-blocks --admin.server.http-path=/rpc");
    let good = r#""method":"protocolupgrade.UpgradeStatus","params":[null]"#;
    let body = "{\"result\":{\"AcceptedReleaseInfo\":null,\"ReadyToUpgrade\":false},\"error\":null,\"id\":";
    let json_type = "Content-Type: application/json; charset=utf-8\r\n";
    let answers = [
        (format!("{{{good},\"id\":822180063734500473}}"), "200 OK", format!("{body}822180063734500473}}\n")),
        (format!("{{{good},\"id\":\"a\",\"jsonrpc\":\"2.0\"}}"), "200 OK", format!("{body}\"a\"}}\n")),
        (format!("{{{good}}}"), "200 OK", String::new()),
        (format!("{{{good},\"id\":null}}"), "200 OK", String::new()),
        (
            r#"{"Method":"protocolupgrade.UpgradeStatus","PARAMS":[],"Id":[1]} more"#.to_owned(),
            "200 OK",
            format!("{body}[1]}}\n"),
        ),
        (String::new(), "400 Bad Request", "EOF".to_owned()),
        ("{".to_owned(), "400 Bad Request", "unexpected EOF".to_owned()),
        ("x".to_owned(), "400 Bad Request", "invalid character 'x' looking for beginning of value".to_owned()),
        (
            r#"{"method":"protocolupgrade.UpgradeStatus","id":1}"#.to_owned(),
            "400 Bad Request",
            "rpc: method request ill-formed: missing params field".to_owned(),
        ),
        (
            r#"{"method":"Protocolupgrade.UpgradeStatus","params":[]}"#.to_owned(),
            "400 Bad Request",
            "rpc: can't find service \"Protocolupgrade.UpgradeStatus\"".to_owned(),
        ),
        (
            r#"{"method":"protocolupgrade.upgradeStatus","params":[]}"#.to_owned(),
            "400 Bad Request",
            "rpc: can't find method \"protocolupgrade.upgradeStatus\"".to_owned(),
        ),
    ];
    for (request, status, body) in answers {
        let answer = network.post(&request).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}: {answer}");
        assert_eq!(answer.split_once("\r\n\r\n").unwrap().1, body, "{request}");
        assert_eq!(answer.contains(json_type), status == "200 OK" && !body.is_empty(), "{request}: {answer}");
    }
    let get = network.ask("GET /rpc HTTP/1.1", "").unwrap();
    assert!(get.starts_with("HTTP/1.1 405 ") && get.ends_with("rpc: POST method required, received GET"), "{get}");
    let text = network.ask("POST /rpc HTTP/1.1\r\nContent-Type: text/xml; charset=x", "").unwrap();
    assert!(text.starts_with("HTTP/1.1 415 ") && text.ends_with("rpc: unrecognized Content-Type: text/xml"), "{text}");
    assert!(network.ask("POST /other HTTP/1.1", "").unwrap().starts_with("HTTP/1.1 404 "));
}

#[test]
fn the_admin_server_misbehaves() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let ask = || network.post(r#"{"method":"protocolupgrade.UpgradeStatus","params":[null],"id":7}"#);
    let _core = network.core(&v1, "--admin text");
    assert!(ask().unwrap().contains("<html>"));
    for (switches, part) in [
        (json!({ "admin": "garbage" }), "garbage"),
        (json!({ "admin": "error" }), "{\"result\":null,\"error\":\"upgrade status is not available\",\"id\":7}\n"),
        (json!({ "admin": "null" }), "{\"result\":null,\"error\":null,\"id\":7}\n"),
        (json!({ "admin": "null-release" }), "{\"AcceptedReleaseInfo\":null,\"ReadyToUpgrade\":true}"),
    ] {
        network.tell(switches);
        wait_for(part, || ask().filter(|answer| answer.contains(part)));
    }
    network.tell(json!({ "admin": null, "hang_http": true }));
    wait_for("silence", || ask().is_none().then_some(()));
    network.tell(json!({ "admin": null }));
    wait_for("an answer", || ask().filter(|answer| answer.starts_with("HTTP/1.1 200 OK")));
}

#[test]
fn a_core_may_never_open_its_socket() {
    let network = Vega::new();
    let core = network.core(&network.release("v1"), "--admin absent");
    core.await_height(2);
    assert!(!network.path("vega.sock").exists());
}

#[test]
fn snapshots_are_loaded_by_their_exact_height_and_the_rest_is_carried_out_again() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let mut core = network.core(&v1, "--snapshot-blocks 4 --max-height 14");
    core.await_height(14);
    core.stop();
    let mut core = network.core(&v1, "--snapshot.load-from-block-height=10 --max-height 15");
    assert_eq!(core.await_end().code(), Some(1));
    assert!(core.output().contains("no snapshot found for block height 10"), "{}", core.output());
    let mut core = network.core(&v1, "--snapshot.load-from-block-height=8 --snapshot-blocks 4 --max-height 15");
    core.await_height(15);
    core.stop();
    assert!(core.output().contains("discarded 1 snapshots above height 8"));
    assert_eq!(network.blocks(), [span("v1", 1, 14), span("v1", 9, 15)]);
    let heights = || {
        let listed = network.call_json(&v1, "tools snapshot --output json");
        let listed: Vec<vega::Listed> = serde_json::from_value(listed["snapshots"].clone()).unwrap();
        listed.into_iter().map(|snapshot| snapshot.height).collect::<Vec<u64>>()
    };
    assert_eq!(heights(), [12, 8, 4]);
    let core = network.core(&v1, "");
    core.await_height(16);
    let refused = network.call(&v1, "tools snapshot --output json");
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("resource temporarily unavailable"));
}

#[test]
fn a_second_core_is_refused_and_remembered() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let core = network.core(&v1, "");
    core.await_height(1);
    assert_eq!(network.core(&v1, "").await_end().code(), Some(1));
    assert_eq!(network.violations(), ["two-cores"]);
}

#[test]
fn a_core_fails_as_told_by_its_words_its_release_or_its_file() {
    let network = Vega::new();
    let v1 = network.install(Profile::new("v1").with("block_ms", 5).with("crash_starts", 1).with("crash_exit", 9));
    assert_eq!(network.core(&v1, "").await_end().code(), Some(9));
    assert_eq!(network.core(&v1, "--crash-at 5 --crash-exit 3").await_end().code(), Some(3));
    network.tell(json!({ "crash": true, "crash_exit": 0 }));
    assert_eq!(network.core(&v1, "").await_end().code(), Some(0));
    let steps: Vec<_> = lifecycle::read(&network.witness().join("core")).unwrap();
    assert_eq!(steps.iter().filter(|entry| entry.step == lifecycle::Step::Crashed).count(), 3);
    assert_eq!(network.core(&v1, "--nonsense 1").await_end().code(), Some(1));
    assert_eq!(vega::launches(&network.witness()).unwrap().iter().filter(|it| it.role == Role::Core).count(), 3);
}

#[test]
fn the_consensus_engine_has_a_home_of_its_own() {
    let network = Vega::new();
    let v1 = network.release("v1");
    let home = network.path("tendermint");
    let line = format!("--tendermint-home {} --sign --comet --http 127.0.0.1:0", home.display());
    network.tell(json!({ "upgrades": ["v2@6"] }));
    let mut core = network.core(&v1, &line);
    network.await_ready();
    let port = std::fs::read_to_string(network.witness().join("core/http.port")).unwrap();
    let mut stream = std::net::TcpStream::connect(format!("127.0.0.1:{}", port.trim())).unwrap();
    std::io::Write::write_all(&mut stream, b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.contains("\"latest_block_height\":\"7\""), "the block behind is stored: {answer}");
    core.kill();
    assert!(home.join("data/blockstore.db").exists() && home.join("data/state.db").exists());
    let state = || std::fs::read_to_string(home.join("data/priv_validator_state.json")).unwrap();
    assert!(state().contains("\"height\": \"7\""), "{}", state());
    std::fs::remove_file(home.join("data/priv_validator_state.json")).unwrap();
    network.tell(json!({ "upgrades": ["v3@12"] }));
    let mut core = network.core(&network.release("v2"), &line);
    core.await_height(9);
    core.stop();
    assert_eq!(network.violations(), Vec::<String>::new(), "what is stored is not signed again");
}
