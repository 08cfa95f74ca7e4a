//! The transport over real connections: HTTP and HTTPS, with the usual variables for proxies.
//!
//! It has a small runtime of its own, so that callers are plain threads. Every wait has a bound. Bodies come as they
//! are sent: no encoding is asked for and none is undone, for what is checked must be what was published.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ov_types::Span;
use reqwest::header::{ACCEPT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect;
use tokio::runtime::{Builder, Runtime};

use super::transport::{Answer, Ask, Body, Cancel, Transport, TransportError};

const AGENT: &str = concat!("omnivisor/", env!("CARGO_PKG_VERSION"));
const REDIRECTS_MAX: usize = 10;
/// What is read of an answer's head.
const HEADERS: [&str; 9] = [
    "content-length",
    "content-range",
    "etag",
    "last-modified",
    "retry-after",
    "content-type",
    "link",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
];

/// How long a server may be silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// Until a connection is there.
    pub connect: Span,
    /// Between two pieces of an answer, and before its first.
    pub stall: Span,
}

impl Default for Silence {
    fn default() -> Self {
        Self { connect: Span::from_seconds(20), stall: Span::from_seconds(30) }
    }
}

/// Connections to web servers. To be used from threads that are no runtime's. Costs nothing before the first question:
/// most of those who could fetch something never do.
#[derive(Debug, Clone)]
pub struct HttpTransport {
    line: Arc<OnceLock<Connections>>,
    silence: Silence,
}

/// What answers come over.
#[derive(Debug, Clone)]
struct Connections {
    client: reqwest::Client,
    runtime: Arc<Runner>,
}

/// A runtime that can be dropped anywhere.
#[derive(Debug)]
struct Runner(Option<Runtime>);

impl Runner {
    fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, TransportError> {
        let why = || TransportError::Unreachable { why: "the runtime is gone".to_owned() };
        Ok(self.0.as_ref().ok_or_else(why)?.block_on(future))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Waiting for it would be forbidden in a task.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl HttpTransport {
    /// A transport with these bounds.
    pub fn new(silence: Silence) -> Self {
        Self { line: Arc::default(), silence }
    }

    /// The connections. The first call reads the machine's certificates.
    fn connections(&self) -> Result<&Connections, TransportError> {
        if let Some(made) = self.line.get() {
            return Ok(made);
        }
        let made = Connections::new(self.silence)?;
        Ok(self.line.get_or_init(|| made))
    }
}

impl Connections {
    fn new(silence: Silence) -> Result<Self, TransportError> {
        let unreachable = |why: String| TransportError::Unreachable { why };
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| unreachable(error.to_string()))?;
        let client = reqwest::Client::builder()
            .user_agent(AGENT)
            .connect_timeout(silence.connect.duration())
            .redirect(redirect::Policy::custom(redirect))
            // Go's client, which other supervisors are built on, sends no referer either.
            .referer(false)
            .build();
        let client = client.map_err(|error| unreachable(innermost(&error)))?;
        Ok(Self { client, runtime: Arc::new(Runner(Some(runtime))) })
    }
}

/// Follows a bounded number of redirects, and none that gives up encryption.
fn redirect(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let was_encrypted = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if was_encrypted && attempt.url().scheme() != "https" {
        return attempt.error("it redirects from https to http");
    }
    if attempt.previous().len() > REDIRECTS_MAX {
        return attempt.error("it redirects more than ten times");
    }
    attempt.follow()
}

impl Transport for HttpTransport {
    fn get(&self, ask: &Ask<'_>, cancel: &Cancel) -> Result<Answer, TransportError> {
        let refused = |why: &str| TransportError::Refused { why: why.to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        for (name, value) in ask.headers {
            let mut value = HeaderValue::from_str(value).map_err(|_| refused("a header cannot be sent"))?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static(name), value);
        }
        let Connections { client, runtime } = self.connections()?;
        let request = client.get(ask.url).headers(headers).send();
        let response = runtime.run(bounded(self.silence, cancel, request))??;
        let response = response.map_err(|error| unanswered(&error))?;
        let status = response.status().as_u16();
        let text = |name: &str| Some((name.to_owned(), response.headers().get(name)?.to_str().ok()?.to_owned()));
        let headers = HEADERS.into_iter().filter_map(text).collect();
        let body = HttpBody { response, runtime: Arc::clone(runtime), silence: self.silence };
        Ok(Answer { status, headers, body: Box::new(body) })
    }

    fn pause(&self, pause_ms: u64, cancel: &Cancel) {
        // Without connections there is nothing to wait for.
        let Ok(Connections { runtime, .. }) = self.connections() else { return };
        let _ = runtime.run(async {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = tokio::time::sleep(Duration::from_millis(pause_ms)) => {}
            }
        });
    }
}

async fn bounded<T>(silence: Silence, cancel: &Cancel, work: impl Future<Output = T>) -> Result<T, TransportError> {
    tokio::select! {
        biased;
        () = cancel.cancelled() => Err(TransportError::Cancelled),
        done = tokio::time::timeout(silence.stall.duration(), work) => {
            done.map_err(|_| TransportError::Stalled { within: silence.stall })
        }
    }
}

/// The client's errors name the whole address, hence only their innermost cause is told.
fn unanswered(error: &reqwest::Error) -> TransportError {
    let why = innermost(error);
    if error.is_redirect() || error.is_builder() {
        TransportError::Refused { why }
    } else {
        TransportError::Unreachable { why }
    }
}

fn innermost(error: &dyn Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

struct HttpBody {
    response: reqwest::Response,
    runtime: Arc<Runner>,
    silence: Silence,
}

impl Body for HttpBody {
    fn next(&mut self, cancel: &Cancel) -> Result<Option<Vec<u8>>, TransportError> {
        let chunk = self.runtime.run(bounded(self.silence, cancel, self.response.chunk()))??;
        let chunk = chunk.map_err(|error| TransportError::Broken { why: innermost(&error) })?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }
}
