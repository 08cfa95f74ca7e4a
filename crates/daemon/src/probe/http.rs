//! Gets one answer from a web server.
//!
//! Plain `http` goes over a connection made for the one question: nodes are on this machine, and nothing is kept open
//! in between. Everything else needs the TLS client, which is built when it is first used. Redirects are not followed,
//! and an address is never part of a message beyond its host and port.

use std::path::Path;
use std::sync::LazyLock;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{HeaderMap, Request, Uri};
use hyper_util::rt::TokioIo;
use ov_chains::shown_address;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;

use super::ANSWER_BYTES_MAX;

pub(super) const AGENT: &str = concat!("omnivisor/", env!("CARGO_PKG_VERSION"));

/// What a web server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Empty when it was not wanted.
    pub(crate) body: Vec<u8>,
}

/// Asks for `url`. The caller bounds the time.
pub(crate) async fn get(url: &str, body_wanted: bool) -> Result<Answer, String> {
    let shown = shown_address(url);
    match url.parse::<Uri>() {
        // Whoever writes a user into the address wants it sent, which the larger client knows how to do.
        Ok(uri) if uri.scheme_str() == Some("http") && !uri.authority().is_some_and(|a| a.as_str().contains('@')) => {
            get_plainly(&uri, body_wanted).await
        }
        Ok(_) => get_by_client(url, body_wanted).await,
        Err(error) => Err(format!("is not an address: {error}")),
    }
    .map_err(|why| format!("{shown} {why}"))
}

async fn get_plainly(uri: &Uri, body_wanted: bool) -> Result<Answer, String> {
    let host = uri.host().ok_or("names no host")?;
    let port = uri.port_u16().unwrap_or(80);
    // The brackets around an IPv6 address are the address's, not the name's.
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((name, port)).await.map_err(|error| unreachable(&error))?;
    let request = Request::get(uri.path_and_query().map_or("/", |path| path.as_str()))
        .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(USER_AGENT, AGENT)
        .body(Full::<Bytes>::default())
        .map_err(|error| format!("cannot be asked: {error}"))?;
    exchange(stream, request, body_wanted).await
}

/// Sends JSON to whoever listens on a socket of this machine. The caller bounds the time.
pub(super) async fn post_to_socket(socket: &Path, path: &str, body: Vec<u8>) -> Result<Answer, String> {
    let stream = UnixStream::connect(socket).await.map_err(|error| unreachable(&error))?;
    let request = Request::post(path)
        // There is no host; some name must stand there.
        .header(HOST, "unix")
        .header(USER_AGENT, AGENT)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::from(body))
        .map_err(|error| format!("cannot be asked: {error}"))?;
    exchange(stream, request, true).await
}

fn unreachable(error: &std::io::Error) -> String {
    format!("cannot be reached: {error}")
}

/// One question and its answer over a connection that was made for them.
async fn exchange<S>(stream: S, request: Request<Full<Bytes>>, body_wanted: bool) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let broken = |error: hyper::Error| format!("breaks off: {error}");
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ended with this scope, also when the caller gives up.
    let mut carrier = JoinSet::new();
    carrier.spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    if body_wanted {
        let whole = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
        body = whole.map_err(|error| format!("gives an answer that cannot be used: {error}"))?.to_bytes().into();
    }
    Ok(Answer { status, headers, body })
}

async fn get_by_client(url: &str, body_wanted: bool) -> Result<Answer, String> {
    let client = tls_client()?;
    // The client's errors name the whole address unless it is taken out.
    let plain = |error: reqwest::Error| format!("cannot be asked: {}", innermost(&error.without_url()));
    let mut response = client.get(url).send().await.map_err(plain)?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut answer = Answer { status, headers, body: Vec::new() };
    while body_wanted && let Some(part) = response.chunk().await.map_err(plain)? {
        if answer.body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(format!("gives an answer longer than {ANSWER_BYTES_MAX} bytes"));
        }
        answer.body.extend_from_slice(&part);
    }
    Ok(answer)
}

/// The client that speaks TLS. Loading the machine's certificates takes a while, so nobody pays who needs none.
pub(crate) fn tls_client() -> Result<&'static reqwest::Client, String> {
    static CLIENT: LazyLock<Result<reqwest::Client, String>> = LazyLock::new(|| {
        let builder = reqwest::Client::builder()
            .user_agent(AGENT)
            // A header with a secret must go where it was meant to go, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .pool_max_idle_per_host(0);
        builder.build().map_err(|error| format!("cannot be asked: {}", innermost(&error)))
    });
    CLIENT.as_ref().map_err(Clone::clone)
}

/// The cause that says something: those above it repeat where, not why.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
