//! "under systemd: sd_notify READY/STOPPING/WATCHDOG/EXTEND_TIMEOUT", to a manager that the test plays.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::{Duration, Instant};

use ov_testkit::{PATIENCE, TestNode};
use ov_types::UnitState;

use super::common::{inherited, laid_out};

struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn new(socket: UnixDatagram) -> Self {
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { socket }
    }

    /// The next message with this line; others are passed over.
    fn wait_for(&self, line: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut buffer = [0; 4096];
        while Instant::now() < deadline {
            let Ok(length) = self.socket.recv(&mut buffer) else { continue };
            let message = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if message.lines().any(|each| each == line) {
                return message;
            }
        }
        panic!("the manager was not told {line}");
    }
}

fn lives_and_stops_under(mut node: TestNode, manager: &Manager) {
    node.set_environment("WATCHDOG_USEC", "200000");
    node.start();
    let message = manager.wait_for("READY=1");
    assert!(message.lines().any(|line| line.starts_with("STATUS=looking after node")), "{message}");
    for _ in 0..3 {
        manager.wait_for("WATCHDOG=1");
    }
    node.wait_for_up("main");
    node.wait_for_height(1);
    let environment = inherited(node.home())["environment"].clone();
    for ours in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"] {
        assert!(environment.get(ours).is_none(), "a unit that has {ours} speaks in our name");
    }
    node.signal_daemon("HUP");
    let message = manager.wait_for("RELOADING=1");
    assert!(message.contains("MONOTONIC_USEC="), "{message}");
    manager.wait_for("READY=1");
    node.signal_daemon("TERM");
    manager.wait_for("STOPPING=1");
    manager.wait_for("EXTEND_TIMEOUT_USEC=30000000");
    assert!(node.wait_for_exit().status.success());
}

#[test]
fn a_manager_with_a_socket_file_is_told_everything() {
    let mut node = laid_out("", &["--stop-delay-ms", "300"], "");
    let path = node.path("notify.sock");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    node.set_environment("NOTIFY_SOCKET", path.to_str().unwrap());
    lives_and_stops_under(node, &manager);
}

#[test]
fn a_manager_with_an_abstract_socket_is_told_everything() {
    let mut node = laid_out("", &["--stop-delay-ms", "300"], "");
    let address = format!("omnivisor-test-{}-manager", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&address).unwrap()).unwrap();
    node.set_environment("NOTIFY_SOCKET", &format!("@{address}"));
    lives_and_stops_under(node, &Manager::new(socket));
}

#[test]
fn a_manager_that_is_not_there_or_does_not_read_holds_nobody() {
    let mut node = laid_out("", &[], "");
    node.set_environment("NOTIFY_SOCKET", node.path("nobody.sock").to_str().unwrap());
    node.start();
    node.wait_for_up("main");
    assert!(node.stop().status.success());
    let deaf = UnixDatagram::bind(node.path("deaf.sock")).unwrap();
    node.set_environment("NOTIFY_SOCKET", node.path("deaf.sock").to_str().unwrap());
    node.set_environment("WATCHDOG_USEC", "2000");
    node.start();
    node.wait_for_up("main");
    node.wait_for_height(20);
    assert!(node.stop().status.success());
    drop(deaf);
}

#[test]
fn a_unit_that_notifies_gets_a_socket_of_its_own_and_is_ready_when_it_says_so() {
    let mut node = laid_out("", &["--ready-delay-ms", "300"], "[unit.main.ready]\nnotify = true\nevery = \"20ms\"\n");
    let path = node.path("notify.sock");
    let manager = Manager::new(UnixDatagram::bind(&path).unwrap());
    node.set_environment("NOTIFY_SOCKET", path.to_str().unwrap());
    node.start();
    manager.wait_for("READY=1");
    let unit = node.wait_for_state("main", UnitState::Ready);
    assert_eq!(unit.says.as_deref(), Some("version v1 is ready"));
    let own = inherited(node.home())["environment"]["NOTIFY_SOCKET"].as_str().unwrap().to_owned();
    assert_ne!(own, path.to_str().unwrap());
    // What it said stays known to the next daemon.
    node.kill_daemon();
    node.start();
    let unit = node.wait_for_state("main", UnitState::Ready);
    assert_eq!(unit.says.as_deref(), Some("version v1 is ready"));
    assert!(node.stop().status.success());
}
