//! Asks a node how it is: is it ready, is it healthy, how high is it, which version is it.
//!
//! Every question ends within its time-out, whatever the other side does, and every answer is a sentence that an
//! operator can read. Nothing here decides what an answer leads to, remembers earlier answers (only how far a log was
//! read), or changes anything. What is downloaded or printed is bounded; an address is never shown whole.

pub(crate) mod grpc;
mod height;
pub(crate) mod http;
pub(crate) mod json_rpc;
mod last_words;
mod log_line;
mod program;
pub(crate) mod protobuf;
mod value;
mod version;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ov_chains::shape::Probe;
use ov_chains::shown_address;
use ov_sys::Disk;
use ov_types::Span;

pub use height::height;
pub(crate) use http::{innermost, tls_client};
pub use log_line::LogMark;
pub use version::version;

use log_line::Follower;

/// Bytes of an answer or a file that are looked at.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The text at a place in the JSON that a web server answers (RFC 6901). The caller bounds the time.
pub(crate) async fn text_at(url: &str, pointer: &str) -> Result<String, String> {
    let answer = http::get(url, true).await?;
    match value::find(&answer.body, pointer) {
        Ok(serde_json::Value::String(text)) => Ok(value::clean(&text)),
        Ok(_) => Err(format!("{} says something else", shown_address(url))),
        Err(why) => Err(format!("{}: {why}", shown_address(url))),
    }
}

/// A yes or no, and what an operator wants to know about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Yes.
    pub ok: bool,
    /// What was seen; for a no, why.
    pub message: String,
}

impl ProbeAnswer {
    fn yes(message: impl Into<String>) -> Self {
        Self { ok: true, message: message.into() }
    }

    fn no(message: impl Into<String>) -> Self {
        Self { ok: false, message: message.into() }
    }
}

impl From<Result<String, String>> for ProbeAnswer {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::no, Self::yes)
    }
}

/// Under which circumstances a question is asked.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Where files are read.
    pub disk: Arc<dyn Disk>,
    /// The directory that `{release}` stands for.
    pub release: PathBuf,
    /// Set for programs on top of our own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where programs start; our own directory when `None`.
    pub directory: Option<PathBuf>,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// What a probe is used for. Only [`Probe::Notify`] makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Is the unit ready, once after its launch.
    Ready,
    /// Is it healthy, for ever after.
    Healthy,
}

/// What the unit's shim knows at the moment of asking.
#[derive(Debug, Clone, Copy, Default)]
pub struct UnitNow {
    /// The process runs.
    pub running: bool,
    /// It said `READY=1` since its launch.
    pub said_ready: bool,
    /// How long ago it said `WATCHDOG=1`, if it ever did since its launch.
    pub silent_for: Option<Duration>,
}

/// One probe of one launch of a unit.
#[derive(Debug)]
pub struct Prober {
    probe: Probe,
    question: Question,
    scene: Scene,
    log: Option<Arc<Mutex<Follower>>>,
}

impl Prober {
    /// `log` is where the unit's log stood when it was launched: needed for [`Probe::LogLine`].
    pub fn new(probe: Probe, question: Question, scene: Scene, log: Option<LogMark>) -> Self {
        let log = match &probe {
            Probe::LogLine { contains } => log.map(|mark| Arc::new(Mutex::new(Follower::new(mark, contains)))),
            _ => None,
        };
        Self { probe, question, scene, log }
    }

    /// Asks once. Given up by the caller, it leaves nothing behind that outlives the time-out.
    pub async fn ask(&mut self, unit: UnitNow) -> ProbeAnswer {
        let scene = &self.scene;
        match &self.probe {
            Probe::Process if unit.running => ProbeAnswer::yes("its process runs"),
            Probe::Process => ProbeAnswer::no("its process does not run"),
            Probe::Notify => notified(self.question, unit, scene.timeout),
            Probe::Tcp { address } => bounded(scene.timeout, connect(address)).await.into(),
            Probe::Http { url, status, pointer, expect } => {
                let asking = async {
                    let answer = http::get(url, pointer.is_some()).await?;
                    if !status.iter().any(|good| good.contains(&answer.status)) {
                        return Err(format!("{} answers with status {}", shown_address(url), answer.status));
                    }
                    match pointer {
                        None => Ok(format!("{} answers with status {}", shown_address(url), answer.status)),
                        Some(pointer) => value::expected(&answer.body, pointer, expect.as_ref()),
                    }
                };
                bounded(scene.timeout, asking).await.into()
            }
            Probe::JsonRpc(call) => {
                let asking = async { json_rpc::call(call).await.map(|_| format!("{} answers", call.shown())) };
                bounded(scene.timeout, asking).await.into()
            }
            Probe::Exec { program, args } => program::judged(scene, program, args).await.into(),
            Probe::LogLine { contains } => {
                let Some(follower) = self.log.clone() else {
                    return ProbeAnswer::no("its output is not kept in a file, so no line can be looked for");
                };
                let disk = Arc::clone(&scene.disk);
                let looking = blocking(move || log_line::look(disk.as_ref(), &follower));
                match bounded(scene.timeout, looking).await {
                    Ok(true) => ProbeAnswer::yes(format!("its output contains `{contains}`")),
                    Ok(false) => ProbeAnswer::no(format!("its output does not contain `{contains}` yet")),
                    Err(why) => ProbeAnswer::no(why),
                }
            }
        }
    }
}

fn notified(question: Question, unit: UnitNow, timeout: Duration) -> ProbeAnswer {
    match (question, unit.silent_for) {
        (Question::Ready, _) if unit.said_ready => ProbeAnswer::yes("it said that it is ready"),
        (Question::Ready, _) => ProbeAnswer::no("it did not say that it is ready yet"),
        (Question::Healthy, Some(silent_for)) if silent_for <= timeout => ProbeAnswer::yes("it gives signs of life"),
        (Question::Healthy, Some(silent_for)) => {
            ProbeAnswer::no(format!("its last sign of life is {} old", span(silent_for)))
        }
        (Question::Healthy, None) => ProbeAnswer::no("it gave no sign of life yet"),
    }
}

async fn connect(address: &str) -> Result<String, String> {
    match tokio::net::TcpStream::connect(address).await {
        Ok(_) => Ok(format!("{address} accepts connections")),
        Err(error) => Err(format!("{address} cannot be reached: {error}")),
    }
}

/// The answer, or that there was none in time.
pub(crate) async fn bounded<T>(
    timeout: Duration,
    asking: impl Future<Output = Result<T, String>>,
) -> Result<T, String> {
    let late = |_| Err(format!("no answer within {}", span(timeout)));
    tokio::time::timeout(timeout, asking).await.unwrap_or_else(late)
}

/// Runs what may wait for a disk on a thread that may wait.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(error.to_string()))
}

fn span(duration: Duration) -> Span {
    Span::from_ms(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
