//! A client of the demo's node, which sees what anybody outside sees: it asks all the time, and notes for how long
//! nobody answered.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fakenode::lifecycle::monotonic_ns;

use crate::pause::pause;

/// How long one answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
/// How long to wait between two questions.
const ASK_EVERY: Duration = Duration::from_millis(2);

/// What a visitor saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Visit {
    /// Good answers.
    pub(super) answers: u64,
    /// The longest time from one good answer to the next.
    pub(super) silence_ns: u64,
}

/// A visitor at work.
#[derive(Debug)]
pub(super) struct Visitor {
    leave: Arc<AtomicBool>,
    thread: Option<JoinHandle<Visit>>,
}

impl Visitor {
    /// Begins to ask.
    pub(super) fn come(address: SocketAddr) -> Self {
        let leave = Arc::new(AtomicBool::new(false));
        let leaving = Arc::clone(&leave);
        let thread = std::thread::spawn(move || {
            let mut visit = Visit { answers: 0, silence_ns: 0 };
            let mut answered_ns = None;
            while !leaving.load(Ordering::Relaxed) {
                if matches!(ask(address, "GET", "/health", ""), Ok(200)) {
                    let now_ns = monotonic_ns();
                    let silence_ns = now_ns.saturating_sub(answered_ns.replace(now_ns).unwrap_or(now_ns));
                    visit = Visit { answers: visit.answers + 1, silence_ns: visit.silence_ns.max(silence_ns) };
                }
                pause(ASK_EVERY);
            }
            visit
        });
        Self { leave, thread: Some(thread) }
    }

    /// Ends the visit. `None` if the visitor came to harm.
    pub(super) fn go(mut self) -> Option<Visit> {
        self.leave.store(true, Ordering::Relaxed);
        self.thread.take()?.join().ok()
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.leave.store(true, Ordering::Relaxed);
    }
}

/// Asks the node one thing; the status of its answer.
pub(super) fn ask(address: SocketAddr, method: &str, path: &str, body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let length = body.len();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n");
    stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::ErrorKind::InvalidData.into())
}
