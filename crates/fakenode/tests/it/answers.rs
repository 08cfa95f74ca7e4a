//! What a node says over HTTP and to its notify socket.

use crate::stage::{Stage, wait_for};
use fakenode::Profile;
use serde_json::{Value, json};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

#[test]
fn the_questions_of_a_cometbft_node() {
    let mut stage = Stage::new();
    stage.switch_to(&Profile::new("v1.2.3"));
    let node = stage.start("--http 127.0.0.1:0 --block-ms 10 --network test-9 --sign");
    node.await_height(3);
    let status = node.get_json("/status");
    assert_eq!(status["result"]["node_info"]["network"], "test-9");
    assert_eq!(status["result"]["node_info"]["version"], "v1.2.3");
    assert_eq!(status["result"]["sync_info"]["catching_up"], false);
    assert_eq!(status["result"]["validator_info"]["voting_power"], "10");
    let height = status["result"]["sync_info"]["latest_block_height"].as_str().unwrap();
    assert!(height.parse::<u64>().unwrap() >= 3);
    assert_eq!(node.get_json("/abci_info")["result"]["response"]["version"], "v1.2.3");
    assert_eq!(node.get_json("/version"), json!({"version": "v1.2.3"}));
    assert!(node.get("/metrics").1.contains("fakenode_height "));
    assert_eq!(node.get("/nonsense").0, 404);
    assert_eq!(node.ask("DELETE", "/status", "").unwrap().0, 405);
    let asked = stage.run(&format!("status --home {}", stage.home().display()));
    let answer: Value = serde_json::from_slice(&asked.stdout).unwrap();
    for key in ["sync_info", "SyncInfo"] {
        assert!(answer[key]["latest_block_height"].is_string(), "{answer}");
    }
    assert_eq!(std::fs::read_to_string(stage.home().join("asked")).unwrap(), "status\n");
    assert_eq!(stage.run("status").status.code(), Some(2), "nobody told it where");
}

#[test]
fn switches_change_while_it_runs() {
    let node = Stage::new();
    let node = node.start("--http 127.0.0.1:0 --block-ms 10");
    wait_for("health", || (node.get("/health").0 == 200).then_some(()));
    assert_eq!(node.control(r#"{"healthy": false, "catching_up": true, "report_version": "v9"}"#), 200);
    assert_eq!(node.get("/health").0, 503);
    assert_eq!(node.get_json("/status")["result"]["sync_info"]["catching_up"], true);
    assert_eq!(node.get_json("/version"), json!({"version": "v9"}));
    assert_eq!(node.get_json("/control")["healthy"], false);
    for nonsense in [r#"{"health": false}"#, r#"{"healthy": "yes"}"#, "[]", "{", ""] {
        assert_eq!(node.control(nonsense), 400, "{nonsense}");
    }
    assert_eq!(node.get_json("/control")["catching_up"], true);
    assert_eq!(node.control(r#"{"healthy": true}"#), 200);
    assert_eq!(node.get("/health").0, 200);
}

#[test]
fn slow_and_missing_answers() {
    let stage = Stage::new();
    let node = stage.start("--http 127.0.0.1:0 --block-ms 10 --http-delay-ms 100");
    let began = Instant::now();
    node.get("/version");
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(node.control(r#"{"hang_http": true}"#), 200);
    assert!(node.ask("GET", "/status", "").is_err());
    assert_eq!(node.control(r#"{"hang_http": false, "http_delay_ms": 0}"#), 200);
    assert_eq!(node.get("/status").0, 200);
}

#[test]
fn readiness_comes_late() {
    let stage = Stage::new();
    let node = stage.start("--http 127.0.0.1:0 --ready-delay-ms 300");
    let began = Instant::now();
    assert_eq!(node.get("/health").0, 503);
    wait_for("health", || (node.get("/health").0 == 200).then_some(()));
    assert!(began.elapsed() >= Duration::from_millis(200));
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 256];
    let length = socket.recv(&mut buffer).unwrap();
    crate::stage::text(&buffer[..length])
}

#[test]
fn the_notify_socket_hears_ready_watchdog_and_stopping() {
    let stage = Stage::new();
    let by_path = stage.path("notify");
    let name = format!("fakenode-test-{}", std::process::id());
    let abstract_address = SocketAddr::from_abstract_name(&name).unwrap();
    let sockets = [
        (UnixDatagram::bind(&by_path).unwrap(), by_path.display().to_string()),
        (UnixDatagram::bind_addr(&abstract_address).unwrap(), format!("@{name}")),
    ];
    for (socket, address) in sockets {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = stage.command(&stage.home(), "--block-ms 10 --quiet");
        command.env("NOTIFY_SOCKET", address).env("WATCHDOG_USEC", "40000");
        let mut node = crate::stage::Node::spawn(command, &stage.home());
        assert!(receive(&socket).starts_with("READY=1\n"));
        assert_eq!(receive(&socket), "WATCHDOG=1");
        assert_eq!(node.stop(), Some(0));
        wait_for("STOPPING", || (receive(&socket) == "STOPPING=1").then_some(()));
    }
}

#[test]
fn a_node_can_be_told_to_notify_nobody() {
    let stage = Stage::new();
    let path = stage.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    let mut command = stage.command(&stage.home(), "--block-ms 10 --notify=false");
    command.env("NOTIFY_SOCKET", &path);
    let mut node = crate::stage::Node::spawn(command, &stage.home());
    node.await_height(5);
    node.stop();
    assert!(socket.recv(&mut [0; 16]).is_err());
}
