//! Webhooks against real listeners.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;

use ov_chains::Secret;
use ov_sys::RealDisk;
use ov_types::{Height, Moment, ParkReason, UnitName};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;

const QUICK: Pace = Pace { first: Duration::from_millis(1), max: Duration::from_millis(2) };

/// A request that arrived: its head in lower case, and its body.
struct Arrived {
    head: String,
    body: Value,
    raw: Vec<u8>,
}

/// A receiver that answers with these statuses, the last one for ever.
struct Receiver {
    port: u16,
    arrived: mpsc::UnboundedReceiver<Arrived>,
}

impl Receiver {
    async fn new(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (tell, arrived) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            for index in 0.. {
                let Ok((stream, _)) = listener.accept().await else { return };
                let status = statuses[index.min(statuses.len() - 1)];
                let Ok(request) = answer(stream, status).await else { continue };
                let _ = tell.send(request);
            }
        });
        Self { port, arrived }
    }

    async fn next(&mut self) -> Arrived {
        let next = tokio::time::timeout(Duration::from_secs(20), self.arrived.recv());
        next.await.expect("nothing arrived").unwrap()
    }
}

async fn answer(mut stream: TcpStream, status: u16) -> io::Result<Arrived> {
    let mut bytes = Vec::new();
    let (head, length) = loop {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            break (head.clone(), end + 4 + length.parse::<usize>().unwrap());
        }
    };
    while bytes.len() < length {
        stream.read_buf(&mut bytes).await?;
    }
    let reply = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(reply.as_bytes()).await?;
    let raw = bytes.split_off(head.len() + 4);
    Ok(Arrived { head, body: serde_json::from_slice(&raw)?, raw })
}

struct Node {
    folder: tempfile::TempDir,
    sources: Sources,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let sources = Sources {
            node: "alpha".to_owned(),
            disk: disk.clone(),
            folder: folder.path().join("webhooks"),
            events: Arc::new(EventLog::open(disk, &folder.path().join("events")).unwrap()),
            metrics: Arc::new(Metrics::new("1.0", "alpha", "generic")),
        };
        Self { folder, sources }
    }

    fn push(&self, kind: EventKind) -> u64 {
        self.sources.events.push(kind, Moment::default()).index
    }

    fn stuck(&self) -> u64 {
        self.push(EventKind::NodeStuck { height: Some(Height(7)), for_ms: 60_000, restarting: false })
    }

    fn start(&self, hook: Webhook) -> Webhooks {
        Webhooks::start_at(&[hook], &self.sources, QUICK)
    }

    /// Waits until everything up to the event is settled for good.
    async fn settled(&self, index: u64) {
        let cursor = Cursor::new(self.sources.disk.clone(), &self.sources.folder, "chat");
        let waiting = async {
            while cursor.load().await.unwrap() != Some(index) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("never settled");
    }
}

fn hook(port: u16) -> Webhook {
    Webhook {
        name: "chat".to_owned(),
        url: Secret::Text(format!("http://me:hunter2@127.0.0.1:{port}/hunter2?key=hunter2")),
        events: Vec::new(),
        headers_file: None,
        secret: None,
        timeout_ms: 10_000,
        attempts: 3,
    }
}

fn parked() -> EventKind {
    let reason = ParkReason::ForbiddenExit { code: 129 };
    EventKind::UnitParked { unit: UnitName::main(), reason }
}

#[tokio::test]
async fn wanted_events_arrive_in_order_and_say_what_happened() {
    let node = Node::new();
    let mut receiver = Receiver::new(&[200]).await;
    node.stuck();
    let _tasks = node.start(Webhook { events: vec!["stuck".to_owned()], ..hook(receiver.port) });
    let first = node.stuck();
    node.push(EventKind::UnitReady { unit: UnitName::main() });
    node.push(parked());
    let second = node.stuck();
    let arrived = receiver.next().await;
    assert_eq!(arrived.body["index"], first, "what happened before the first start is not told");
    assert_eq!(arrived.body["node"], "alpha");
    assert_eq!(arrived.body["event"], "node-stuck");
    assert_eq!(arrived.body["notification"], "stuck");
    assert_eq!(arrived.body["importance"], "alarm");
    assert_eq!(arrived.body["text"], "alpha: the height stands at 7 for 1m");
    assert_eq!(arrived.body["height"], 7);
    assert!(arrived.head.contains("content-type: application/json"), "{}", arrived.head);
    assert!(arrived.head.contains(&format!("x-omnivisor-delivery: alpha-{first}")), "{}", arrived.head);
    assert_eq!(receiver.next().await.body["index"], second);
}

#[tokio::test]
async fn headers_and_signature_prove_who_it_is_from() {
    let node = Node::new();
    let mut receiver = Receiver::new(&[200]).await;
    let file = |name: &str, text: &str| {
        let path = node.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let _tasks = node.start(Webhook {
        headers_file: Some(file("headers", "# for the proxy\n\nX-Api-Key: hunter3\r\nx-more:  a b \n")),
        secret: Some(Secret::File(file("secret", "hunter4\n"))),
        ..hook(receiver.port)
    });
    node.stuck();
    let arrived = receiver.next().await;
    let signature = signature::sign(b"hunter4", &arrived.raw);
    for expected in ["x-api-key: hunter3", "x-more: a b", &format!("x-omnivisor-signature: sha256={signature}")] {
        assert!(arrived.head.lines().any(|line| line == expected), "{expected} is not in {}", arrived.head);
    }
}

#[tokio::test]
async fn a_receiver_in_trouble_is_asked_again_and_nothing_overtakes() {
    let node = Node::new();
    let mut receiver = Receiver::new(&[503, 429, 200]).await;
    let _tasks = node.start(hook(receiver.port));
    let first = node.stuck();
    let second = node.push(parked());
    for expected in [first, first, first, second] {
        assert_eq!(receiver.next().await.body["index"], expected);
    }
    node.settled(second).await;
}

#[tokio::test]
async fn what_cannot_be_told_is_given_up_and_counted() {
    let node = Node::new();
    let mut receiver = Receiver::new(&[500, 500, 302, 200]).await;
    let _tasks = node.start(hook(receiver.port));
    let first = node.stuck();
    let second = node.stuck();
    for expected in [first, first, first, second] {
        assert_eq!(receiver.next().await.body["index"], expected);
    }
    node.settled(second).await;
    let metrics = node.sources.metrics.encode(0).unwrap();
    for line in ["webhooks_total{result=\"delivered\"} 1", "webhooks_total{result=\"failed\"} 1"] {
        assert!(metrics.contains(line), "{metrics}");
    }
}

#[tokio::test]
async fn a_daemon_goes_on_where_the_last_one_stopped() {
    let node = Node::new();
    let mut receiver = Receiver::new(&[200]).await;
    let tasks = node.start(hook(receiver.port));
    let first = node.stuck();
    assert_eq!(receiver.next().await.body["index"], first);
    node.settled(first).await;
    drop(tasks);
    let second = node.stuck();
    let _tasks = node.start(hook(receiver.port));
    assert_eq!(receiver.next().await.body["index"], second);
}

/// Whatever the log is told, kept as text.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<String>>);

impl tracing::Subscriber for Told {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut text = self.0.lock().unwrap();
        event.record(&mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
            let _ = write!(text, "{field}={value:?} ");
        });
        text.push('\n');
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

async fn failure(node: &Node, hook: Webhook) -> String {
    let told = Told::default();
    let _guard = tracing::subscriber::set_default(told.clone());
    let shown = format!("{hook:?}");
    let tasks = node.start(Webhook { attempts: 1, ..hook.clone() });
    let index = node.stuck();
    node.settled(index).await;
    drop(tasks);
    let log = told.0.lock().unwrap().clone();
    assert!(log.contains("given up"), "{log}");
    assert!(!log.contains("hunter") && !shown.contains("hunter"), "{log} {shown}");
    log
}

#[tokio::test]
async fn no_secret_is_ever_told_to_the_log() {
    let node = Node::new();
    let write = |name: &str, text: &str| {
        let path = node.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let with_url = |url: &str| Webhook { url: Secret::Text(url.to_owned()), ..hook(1) };
    let refusing = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow = Webhook { timeout_ms: 50, ..hook(silent.local_addr().unwrap().port()) };
    let headers = write("headers", "Good: hunter2\nbad hunter2 line\n");
    for (hook, expected) in [
        (hook(Receiver::new(&[401]).await.port), "it answers with status 401"),
        (hook(refusing), "refused"),
        (slow, "no answer within 50ms"),
        (with_url("hunter2 is not an address"), "reach an address"),
        (with_url("ftp://hunter2@127.0.0.1/hunter2"), "reach ftp://127.0.0.1"),
        (Webhook { headers_file: Some(headers), ..hook(refusing) }, "headers:2: not of the form"),
        (Webhook { secret: Some(Secret::File("/no/such/secret".into())), ..hook(refusing) }, "/no/such/secret"),
    ] {
        let log = failure(&node, hook).await;
        assert!(log.contains(expected), "{log} does not say {expected}");
    }
}

#[tokio::test]
async fn a_damaged_or_missing_folder_stops_no_webhook() {
    let node = Node::new();
    fs::write(node.folder.path().join("webhooks"), "a file where the folder should be").unwrap();
    let mut receiver = Receiver::new(&[200]).await;
    let _tasks = node.start(hook(receiver.port));
    // The task reads its cursor first; what happens from the start on is told whatever it finds.
    let index = node.stuck();
    assert_eq!(receiver.next().await.body["index"], index);
    assert!(Path::new(&node.sources.folder).is_file());
}

#[test]
fn the_documentation_names_every_notification() {
    let documentation = include_str!("../../../../docs/webhooks.md");
    for name in ov_chains::words::NOTIFICATIONS {
        assert!(documentation.contains(&format!("| `{name}` |")), "docs/webhooks.md does not explain `{name}`");
    }
}
