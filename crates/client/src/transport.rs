//! One request and its answer over the control socket, within bounds.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use ov_types::api::Refusal;
use rustix::fs::{Mode, OFlags};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::ClientError;

/// The control socket, in a node's home.
const STATE_DIRECTORY: &str = ".omnivisor";
const SOCKET_NAME: &str = "control.sock";

/// The longest path a socket's address can hold, without the zero byte that ends it.
const ADDRESS_BYTES_MAX: usize = 107;

/// The longest answer that is read: several times the history of a busy year.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long the daemon may take over an answer it has at hand. Longer than it allows itself.
pub(crate) const QUICK: Duration = Duration::from_secs(20);

/// How long the daemon may take when it copies files, runs programs, or waits for a unit to end.
pub(crate) const SLOW: Duration = Duration::from_secs(31 * 60);

/// How long the daemon may take when it fetches a release.
pub(crate) const FETCH: Duration = Duration::from_secs(7 * 60 * 60 + 60);

/// Where a node's daemon listens.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    home: PathBuf,
}

impl Transport {
    pub(crate) fn new(home: PathBuf) -> Self {
        Self { home }
    }

    /// Sends a request, and reads its whole answer.
    pub(crate) async fn ask(&self, request: Request<Full<Bytes>>, limit: Duration) -> Result<Bytes, ClientError> {
        within(limit, async {
            let response = self.open(request).await?;
            read(response.into_body()).await
        })
        .await
    }

    /// Sends a request, and reads the head of its answer. A refusal is an error.
    pub(crate) async fn open(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, ClientError> {
        let stream = self.connect().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::exchange)?;
        // It ends with the answer, or with the runtime; what went wrong is told by the request.
        tokio::spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(ClientError::exchange)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = read(response.into_body()).await?;
        Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => ClientError::Refused(Box::new(refusal)),
            Err(_) => ClientError::protocol(format!("its status is {status}, without a reason")),
        })
    }

    async fn connect(&self) -> Result<UnixStream, ClientError> {
        let directory = self.home.join(STATE_DIRECTORY);
        let socket = directory.join(SOCKET_NAME);
        connect(&directory, &socket).await.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                ClientError::NotRunning { home: self.home.clone() }
            }
            _ => ClientError::Connect { socket, source },
        })
    }
}

async fn connect(directory: &Path, socket: &Path) -> io::Result<UnixStream> {
    if socket.as_os_str().len() <= ADDRESS_BYTES_MAX {
        return UnixStream::connect(socket).await;
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory: OwnedFd = rustix::fs::open(directory, flags, Mode::empty())?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_NAME}", directory.as_raw_fd())).await
}

/// A request with these parts; the path is made of names that need no encoding.
pub(crate) fn request(method: &str, path: &str, body: Option<Vec<u8>>) -> Result<Request<Full<Bytes>>, ClientError> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "omnivisor")
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.unwrap_or_default())))
        .map_err(ClientError::protocol)
}

async fn read(body: Incoming) -> Result<Bytes, ClientError> {
    let whole = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
    match whole {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) => match error.downcast::<hyper::Error>() {
            Ok(error) => Err(ClientError::exchange(*error)),
            Err(error) => Err(ClientError::protocol(error)),
        },
    }
}

/// Gives up after `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, ClientError>>,
) -> Result<T, ClientError> {
    let waited_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    timeout(limit, work).await.unwrap_or(Err(ClientError::TimedOut { waited_ms }))
}
