//! Asks one question of a gRPC service.
//!
//! As for HTTP, a connection is made for the one question and nothing is kept open in between. In the clear it is our
//! own; over TLS it is the client's that speaks it. Only methods that want an empty message are called.

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes};
use hyper::header::{CONTENT_TYPE, TE, USER_AGENT};
use hyper::{HeaderMap, Method, Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use ov_chains::shape::GrpcCall;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::http::{AGENT, innermost, tls_client};

/// The longest answer: what other clients take as well, unless they are told otherwise.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// Before each message: whether it is compressed, and its length.
const PREFIX_LEN: usize = 5;
/// An empty message with its prefix.
const NOTHING: &[u8] = &[0; PREFIX_LEN];
/// Characters of the service's own words that are shown.
const SAID_MAX: usize = 120;

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The message.
    pub(crate) message: Vec<u8>,
    /// What it says besides.
    pub(crate) metadata: HeaderMap,
}

/// Asks. The caller bounds the time.
pub(crate) async fn call(call: &GrpcCall) -> Result<Answer, String> {
    let asked = match call.address.strip_prefix("https://") {
        Some(host) => call_by_client(host, &call.method).await,
        None => call_plainly(call.address.trim_start_matches("http://"), &call.method).await,
    };
    asked.map_err(|why| format!("{} {why}", call.shown()))
}

async fn call_plainly(host: &str, method: &str) -> Result<Answer, String> {
    let broken = |error: hyper::Error| format!("breaks off: {}", innermost(&error));
    let host = host.trim_end_matches('/');
    let stream = TcpStream::connect(host).await.map_err(|error| format!("cannot be reached: {error}"))?;
    let shaken = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(broken)?;
    // Ended with this scope, also when the caller gives up.
    let mut carrier = JoinSet::new();
    carrier.spawn(connection);
    let response = sender.send_request(request("http", host, method)?).await.map_err(broken)?;
    read(response).await
}

async fn call_by_client(host: &str, method: &str) -> Result<Answer, String> {
    // The client's errors name the whole address unless it is taken out.
    let plain = |error: reqwest::Error| format!("cannot be asked: {}", innermost(&error.without_url()));
    let request = request("https", host.trim_end_matches('/'), method)?;
    let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(plain)?;
    read(Response::from(tls_client()?.execute(request).await.map_err(plain)?)).await
}

fn request(scheme: &str, host: &str, method: &str) -> Result<Request<Full<Bytes>>, String> {
    Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri(format!("{scheme}://{host}{method}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .header(USER_AGENT, AGENT)
        .body(Full::new(Bytes::from_static(NOTHING)))
        .map_err(|error| format!("is not an address: {error}"))
}

async fn read<B>(response: Response<B>) -> Result<Answer, String>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::error::Error + 'static,
{
    let (head, mut body) = response.into_parts();
    let kind = head.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !head.status.is_success() || !kind.starts_with("application/grpc") {
        return Err(format!("does not speak gRPC: it answers with status {}", head.status.as_u16()));
    }
    let (mut bytes, mut trailers) = (Vec::new(), HeaderMap::new());
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| format!("breaks off: {}", innermost(&error)))?;
        match frame.into_data() {
            Ok(data) if bytes.len() + data.len() > PREFIX_LEN + ANSWER_BYTES_MAX => {
                return Err(format!("gives an answer longer than {ANSWER_BYTES_MAX} bytes"));
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    // An answer that is nothing but an error has it in its headers.
    refused(&trailers).or_else(|| refused(&head.headers)).map_or(Ok(()), Err)?;
    if !trailers.contains_key("grpc-status") {
        return Err("breaks off: its answer has no end".to_owned());
    }
    Ok(Answer { message: message(bytes)?, metadata: head.headers })
}

/// Why the service refuses to answer, if it does.
fn refused(headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let status = text("grpc-status").filter(|status| status != "0")?;
    let said = text("grpc-message").unwrap_or_default();
    let shown: String = said.chars().filter(|character| !character.is_control()).take(SAID_MAX).collect();
    Some(format!("answers with gRPC status {}: {shown}", status.chars().take(4).collect::<String>()))
}

/// The one message of an answer.
fn message(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let is_whole = match bytes.first_chunk::<PREFIX_LEN>() {
        Some([0, len @ ..]) => usize::try_from(u32::from_be_bytes(*len)).ok() == Some(bytes.len() - PREFIX_LEN),
        _ => false,
    };
    if !is_whole {
        return Err("gives an answer that is not one message in the clear".to_owned());
    }
    bytes.drain(..PREFIX_LEN);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_whole_message_is_taken_and_nothing_else() {
        assert_eq!(message(b"\0\0\0\0\0".to_vec()), Ok(Vec::new()));
        assert_eq!(message(b"\0\0\0\0\x02ab".to_vec()), Ok(b"ab".to_vec()));
        for wrong in
            [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x02ab", b"\0\0\0\0\x03ab", b"\0\0\0\0\x01ab", b"\0\xff\xff\xff\xff"]
        {
            assert!(message(wrong.to_vec()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_a_service_says_of_its_refusal_is_shown_in_part() {
        let mut headers = HeaderMap::new();
        assert_eq!(refused(&headers), None);
        headers.insert("grpc-status", "0".parse().unwrap());
        assert_eq!(refused(&headers), None);
        headers.insert("grpc-status", "12".parse().unwrap());
        headers.insert("grpc-message", "x".repeat(10_000).parse().unwrap());
        let said = refused(&headers).unwrap();
        assert!(said.starts_with("answers with gRPC status 12: xx") && said.len() < 200, "{said}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = message(bytes);
        }
    }
}
