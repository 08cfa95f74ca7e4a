//! The API over real sockets, in front of a node task that answers everything.

mod fake_node;
mod following;
mod hostile;
mod serving;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ov_sys::{Disk, RealDisk};
use ov_types::api::Refusal;
use ov_types::{EventKind, Moment, UnitName};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Listeners, serve};
use crate::event_log::EventLog;
use crate::metrics::Metrics;
use crate::request::{NodeHandle, Request};

/// No wait in a test is longer.
const PATIENCE: Duration = Duration::from_secs(300);

/// A daemon's API with a home of its own.
struct Daemon {
    _directory: TempDir,
    state: PathBuf,
    node: NodeHandle,
    metrics: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    fn refusal(&self) -> Refusal {
        assert!(self.status >= 400, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn read(text: &str) -> Option<Self> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some(Self { status, head: head.to_lowercase(), body: body.to_owned() })
    }
}

impl Daemon {
    async fn start() -> Self {
        let (daemon, queue) = Self::start_alone().await;
        tokio::spawn(fake_node::run(queue));
        daemon
    }

    /// Without a node task: whoever holds the queue is it.
    async fn start_alone() -> (Self, mpsc::Receiver<Request>) {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join(".omnivisor");
        RealDisk.make_directory(&state, 0o700).unwrap();
        let events = EventLog::open(Arc::new(RealDisk), &state.join("events")).unwrap();
        let metrics = Metrics::new("1.2.3", "alpha", "generic");
        let (node, queue) = NodeHandle::new(Arc::new(events), Arc::new(metrics));
        let listeners = Listeners::open(&RealDisk, &state, Some(([127, 0, 0, 1], 0).into())).await.unwrap();
        let metrics = listeners.metrics_address().unwrap();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(serve(listeners, node.clone(), async move { drop(stopped.await) }));
        (Self { _directory: directory, state, node, metrics, stop: Some(stop), served }, queue)
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.state.join("control.sock")).await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let len = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len}\r\n\r\n");
        let text = self.send(format!("{head}{body}").as_bytes()).await;
        Answer::read(&text).unwrap_or_else(|| panic!("{method} {path}: {text:?}"))
    }

    /// Sends these bytes, and reads until the server closes.
    async fn send(&self, bytes: &[u8]) -> String {
        exchange(self.connect().await, bytes).await
    }

    fn push(&self) -> u64 {
        self.node.events.push(EventKind::UnitReady { unit: UnitName::main() }, Moment::default()).index
    }

    async fn finish(mut self) {
        drop(self.stop.take());
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
    }
}

async fn exchange(mut stream: impl super::server::Transport, bytes: &[u8]) -> String {
    let mut answer = Vec::new();
    // A server that has seen enough may hang up in the middle of what it is sent.
    let _ = stream.write_all(bytes).await;
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server keeps the connection");
    String::from_utf8_lossy(&answer).into_owned()
}
