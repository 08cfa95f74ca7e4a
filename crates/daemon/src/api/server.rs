//! Connections: who may speak, how many, for how long, and the way from a request to its route.
//!
//! It owns the tasks of the connections. Peers can make it hold a bounded number of connections, each with at most
//! [`HEADER_BYTES_MAX`] bytes of headers and one bounded body.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ACCEPT, ALLOW, CONNECTION, HeaderMap, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use ov_types::api::Refusal;
use ov_types::{ExitCode, Problem};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::{Body, EVENT_STREAM, NOT_THE_OWNER, refused};
use super::call::{Call, decode, read_body, read_query};
use super::route::{Variables, find};
use super::routes::{METRICS_PATH, ROUTES};
use super::socket::Listeners;
use crate::request::NodeHandle;

/// Connections to the control socket that are served at once.
pub(super) const CONNECTIONS_MAX: usize = 64;

/// Connections for metrics that are served at once. They have places of their own, so that whoever reaches that
/// address cannot shut the owner out.
const METRICS_CONNECTIONS_MAX: usize = 8;

/// Connections of those that may follow the events, so that there is always room for a command.
pub(super) const STREAMS_MAX: usize = 32;

/// The longest headers of a request.
const HEADER_BYTES_MAX: usize = 16 * 1024;

/// How long headers may take to arrive, and how long a connection may idle between two requests.
const HEADER_MS_MAX: u64 = 10_000;

/// How long answers under way may take once the daemon ends.
const GOODBYE_MS_MAX: u64 = 2_000;

/// How long to wait when the system has no descriptor left for a connection.
const ACCEPT_PAUSE_MS: u64 = 100;

/// What a peer may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    Everything,
    Metrics,
    Nothing,
}

/// What a handler needs to know of the connection.
pub(super) struct Peer {
    pub(super) grant: Grant,
    /// Room for streams, shared by all connections.
    pub(super) streams: Arc<Semaphore>,
    /// True once the daemon ends.
    pub(super) closing: watch::Receiver<bool>,
    /// Ends the connection.
    pub(super) hang_up: Notify,
}

/// What every connection shares.
struct Desk {
    node: NodeHandle,
    streams: Arc<Semaphore>,
    closing: watch::Receiver<bool>,
}

/// Serves the API until `shutdown` is over; then lets answers under way finish, for a bounded time.
pub async fn serve(listeners: Listeners, node: NodeHandle, shutdown: impl Future<Output = ()>) {
    let closing = watch::Sender::new(false);
    let streams = Arc::new(Semaphore::new(STREAMS_MAX));
    let desk = Desk { node, streams, closing: closing.subscribe() };
    let Listeners { control, metrics } = listeners;
    let owner = rustix::process::geteuid().as_raw();
    let local = desk.receive(CONNECTIONS_MAX, async move || {
        let (stream, _) = control.accept().await?;
        Ok((grant(&stream, owner), stream))
    });
    let remote = async {
        let Some(metrics) = metrics else { return };
        let accept = async move || Ok((Grant::Metrics, metrics.accept().await?.0));
        desk.receive(METRICS_CONNECTIONS_MAX, accept).await;
    };
    let end = async {
        shutdown.await;
        closing.send_replace(true);
    };
    tokio::join!(local, remote, end);
}

impl Desk {
    /// Serves at most `room` connections at once; one more waits in the system's backlog.
    async fn receive<S: Transport>(&self, room: usize, accept: impl AsyncFn() -> io::Result<(Grant, S)>) {
        let places = Arc::new(Semaphore::new(room));
        let mut tasks = JoinSet::new();
        let mut closing = self.closing.clone();
        loop {
            let next = async {
                let place = places.clone().acquire_owned().await;
                accept().await.map(|accepted| (place, accepted))
            };
            tokio::select! {
                () = ended(&mut closing) => break,
                Some(_) = tasks.join_next() => {}
                next = next => match next {
                    Ok((place, (grant, stream))) => {
                        let speech = speak(stream, self.node.clone(), Arc::new(self.peer(grant)));
                        tasks.spawn(async move {
                            let _place = place;
                            speech.await;
                        });
                    }
                    // Most likely no descriptor is left.
                    Err(_) => sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await,
                },
            }
        }
        drop(accept);
        let finished = async { while tasks.join_next().await.is_some() {} };
        // Whoever is still there after that is hung up on when the set is dropped.
        let _ = timeout(Duration::from_millis(GOODBYE_MS_MAX), finished).await;
    }

    fn peer(&self, grant: Grant) -> Peer {
        Peer { grant, streams: self.streams.clone(), closing: self.closing.clone(), hang_up: Notify::new() }
    }
}

/// A stream of bytes to a peer.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Transport for T {}

/// The owner of the node and root may have everything, anybody else nothing, whatever the socket's mode says.
fn grant(stream: &UnixStream, owner: u32) -> Grant {
    match stream.peer_cred() {
        Ok(credentials) => grant_user(credentials.uid(), owner),
        Err(_) => Grant::Nothing,
    }
}

fn grant_user(user: u32, owner: u32) -> Grant {
    if user == owner || user == 0 { Grant::Everything } else { Grant::Nothing }
}

/// Serves one connection to its end.
pub(super) async fn speak(stream: impl Transport, node: NodeHandle, peer: Arc<Peer>) {
    let service = service_fn(|request| {
        let (node, peer) = (node.clone(), peer.clone());
        async move { Ok::<_, Infallible>(answer(request, node, peer).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(HEADER_MS_MAX))
        .max_buf_size(HEADER_BYTES_MAX)
        .keep_alive(peer.grant != Grant::Nothing);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut closing = peer.closing.clone();
    tokio::select! {
        // However it ended: nobody is left to be told.
        _ = connection.as_mut() => return,
        () = peer.hang_up.notified() => return,
        () = ended(&mut closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        _ = connection => {}
        () = peer.hang_up.notified() => {}
    }
}

/// Returns once the daemon ends.
async fn ended(closing: &mut watch::Receiver<bool>) {
    // An error means that the server itself is gone, which is no less an end.
    let _ = closing.wait_for(|closing| *closing).await;
}

async fn answer(request: Request<Incoming>, node: NodeHandle, peer: Arc<Peer>) -> Response<Body> {
    let mut allowed = Vec::new();
    match route(request, node, peer, &mut allowed).await {
        Ok(response) => response,
        Err(refusal) => {
            let mut response = refused(&refusal);
            if !allowed.is_empty()
                && let Ok(words) = HeaderValue::from_str(&allowed.join(", "))
            {
                response.headers_mut().insert(ALLOW, words);
            }
            // What is left of a request that was refused is not read as if it were the next one.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
    }
}

async fn route(
    request: Request<Incoming>,
    node: NodeHandle,
    peer: Arc<Peer>,
    allowed: &mut Vec<&'static str>,
) -> Result<Response<Body>, Refusal> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let may = match peer.grant {
        Grant::Everything => true,
        Grant::Metrics => path == METRICS_PATH,
        Grant::Nothing => false,
    };
    if !may {
        return Err(forbidden(peer.grant));
    }
    let (route, raw) = find(&ROUTES, parts.method.as_str(), path).map_err(|(refusal, methods)| {
        *allowed = methods;
        refusal
    })?;
    let mut variables = Variables::with_capacity(raw.len());
    for (name, text) in raw {
        variables.push((name, decode(&text)?));
    }
    let query = read_query(route, parts.uri.query().unwrap_or_default())?;
    let call = Call {
        node,
        peer,
        variables,
        query,
        body: read_body(body).await?,
        wants_stream: header(&parts.headers, ACCEPT.as_str()).is_some_and(|text| text.contains(EVENT_STREAM)),
        last_event: header(&parts.headers, "last-event-id").map(str::to_owned),
    };
    (route.serve)(call).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn forbidden(grant: Grant) -> Refusal {
    let cause = match grant {
        Grant::Metrics => format!("only {METRICS_PATH} is served at this address"),
        _ => "only the user who runs the daemon, and root, may use its socket".to_owned(),
    };
    let problem = Problem::permanent(NOT_THE_OWNER, "serve the request").cause(cause).state("nothing was done");
    Refusal { problem, exit_code: ExitCode::Refused.number() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_and_root_may_speak() {
        for (user, owner, granted) in [
            (1000, 1000, Grant::Everything),
            (0, 1000, Grant::Everything),
            (0, 0, Grant::Everything),
            (1001, 1000, Grant::Nothing),
            (1000, 0, Grant::Nothing),
        ] {
            assert_eq!(grant_user(user, owner), granted, "user {user}, owner {owner}");
        }
    }
}
