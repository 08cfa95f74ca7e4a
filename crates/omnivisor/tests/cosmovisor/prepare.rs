//! `prepare-upgrade`: the release of the planned upgrade, brought ahead of time.

use std::fs;

use ov_testkit::{PlanService, Reply, Says, Server};
use serde_json::json;

use super::support::Home;

const PROGRAM: &[u8] = b"#!/bin/sh\necho v2\n";

fn home(service: &PlanService) -> Home {
    let mut home = Home::made();
    home.set("DAEMON_GRPC_ADDRESS", &service.address());
    home
}

fn serve() -> Server {
    Server::new(|question, _| Reply::file(question, PROGRAM, "\"1\""))
}

/// A plan whose name has capitals, with this address for this machine.
fn planned(address: &str) -> Says {
    let info = json!({"binaries": {ov_release::fetch::own_platform(): address}}).to_string();
    Says::Plan { name: "V2".to_owned(), height: 100, info }
}

#[test]
fn the_release_is_brought_to_where_run_looks_for_it() {
    let (service, server) = (PlanService::grpc(), serve());
    let home = home(&service);
    service.say(planned(&server.url("/simd")), 5);
    let done = home.call(&["prepare-upgrade"]);
    assert_eq!(done.code, 0, "{done:?}");
    for line in
        ["Using gRPC address", "Preparing for upgrade", "Downloading upgrade binary", "Upgrade preparation complete"]
    {
        assert!(done.out.contains(line), "{line:?} is missing: {done:?}");
    }
    assert_eq!(fs::read(home.path("cosmovisor/upgrades/v2/bin/simd")).unwrap(), PROGRAM);
    assert_eq!(home.mode("cosmovisor/upgrades/v2/bin/simd") & 0o111, 0o111);
    assert_eq!(fs::read_link(home.path("cosmovisor/current")).unwrap().to_str(), Some("genesis"));
    let again = home.call(&["prepare-upgrade"]);
    assert!(again.code == 0 && again.out.contains("Upgrade preparation complete"), "{again:?}");
    assert_eq!(server.asked().len(), 1, "what is there is not brought again");
}

#[test]
fn without_a_plan_there_is_nothing_to_do() {
    let service = PlanService::grpc();
    let done = home(&service).call(&["prepare-upgrade"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("No active upgrade plan found"), "{done:?}");
}

#[test]
fn what_is_wrong_is_said_in_the_originals_words() {
    let (mut service, server) = (PlanService::grpc(), serve());
    let mut home = home(&service);
    let told = |home: &Home| {
        let ended = home.call(&["prepare-upgrade"]);
        assert_eq!(ended.code, 1, "{ended:?}");
        ended.err
    };
    for (says, why) in [
        (Says::Refusal, "Error: failed to query upgrade info: 127.0.0.1:"),
        (Says::Bytes(b"<html>".to_vec()), "Error: failed to query upgrade info: 127.0.0.1:"),
        (Says::plan("..", 100), "Error: failed to query upgrade info: "),
        (Says::plan("v2", 100), "Error: failed to parse upgrade info: plan info must not be blank"),
        (
            Says::Plan {
                name: "v2".to_owned(),
                height: 100,
                info: json!({"binaries": {"a/b": "http://x"}}).to_string(),
            },
            "Error: binary URL not found in upgrade plan. Cannot prepare for upgrade: cannot find binary for os/arch",
        ),
        (
            planned(&format!("{}?checksum=sha256:{}", server.url("/simd"), "0".repeat(64))),
            "Error: failed to download and verify binary: ",
        ),
    ] {
        service.say(says.clone(), 5);
        let err = told(&home);
        assert!(err.contains(why), "{says:?}: {err}");
    }
    assert!(!home.path("cosmovisor/upgrades/v2").exists());
    service.stop();
    assert!(told(&home).contains("Error: failed to query upgrade info: "));
    home.set("DAEMON_GRPC_ADDRESS", " ");
    assert!(told(&home).contains("Error: gRPC address is empty"));
}
