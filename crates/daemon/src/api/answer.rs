//! What is sent back: JSON, and refusals with the HTTP status that fits them.

use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use ov_types::api::Refusal;
use ov_types::{ExitCode, Problem};
use serde::Serialize;

use crate::request::NO_SUCH_THING;

/// A body that is there, or one that comes bit by bit.
pub(super) type Body = Either<Full<Bytes>, Channel<Bytes>>;

pub(super) const JSON: &str = "application/json";
pub(super) const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
pub(super) const EVENT_STREAM: &str = "text/event-stream";

pub(super) const NO_SUCH_ROUTE: &str = "OV-API-001";
pub(super) const WRONG_METHOD: &str = "OV-API-002";
pub(super) const WRONG_BODY: &str = "OV-API-003";
pub(super) const BODY_TOO_LARGE: &str = "OV-API-004";
pub(super) const BODY_TOO_SLOW: &str = "OV-API-005";
pub(super) const WRONG_PARAMETER: &str = "OV-API-006";
pub(super) const NOT_THE_OWNER: &str = "OV-API-007";
pub(super) const TOO_MANY: &str = "OV-API-008";
const NOT_ENCODED: &str = "OV-API-009";

/// Refusals whose status does not follow from their exit code.
const STATUS_OF_CODE: [(&str, StatusCode); 7] = [
    (NO_SUCH_ROUTE, StatusCode::NOT_FOUND),
    (NO_SUCH_THING, StatusCode::NOT_FOUND),
    (WRONG_METHOD, StatusCode::METHOD_NOT_ALLOWED),
    (BODY_TOO_LARGE, StatusCode::PAYLOAD_TOO_LARGE),
    (BODY_TOO_SLOW, StatusCode::REQUEST_TIMEOUT),
    (NOT_THE_OWNER, StatusCode::FORBIDDEN),
    (TOO_MANY, StatusCode::SERVICE_UNAVAILABLE),
];

/// The status under which a refusal is sent.
fn status_of(refusal: &Refusal) -> StatusCode {
    if let Some((_, status)) = STATUS_OF_CODE.iter().find(|(code, _)| *code == refusal.problem.code) {
        return *status;
    }
    match ExitCode::from_number(refusal.exit_code) {
        Some(ExitCode::Usage | ExitCode::Configuration) => StatusCode::BAD_REQUEST,
        Some(ExitCode::Refused | ExitCode::NeedsOperator | ExitCode::AlreadyRunning) => StatusCode::CONFLICT,
        Some(ExitCode::NotRunning | ExitCode::TimedOut) => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A request that was wrong in itself: nothing was done.
pub(super) fn wrong(code: &str, summary: &str, cause: impl Into<String>) -> Refusal {
    let problem = Problem::permanent(code, summary).cause(cause).state("nothing was done");
    Refusal { problem, exit_code: ExitCode::Usage.number() }
}

/// An answer with a body that is there.
pub(super) fn full(status: StatusCode, media: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    with(status, media, Either::Left(Full::new(body.into())))
}

/// An answer whose body comes bit by bit.
pub(super) fn streamed(media: &'static str, body: Channel<Bytes>) -> Response<Body> {
    with(StatusCode::OK, media, Either::Right(body))
}

fn with(status: StatusCode, media: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A success with this as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<Response<Body>, Refusal> {
    let line = encode(value).map_err(|error| {
        let problem = Problem::permanent(NOT_ENCODED, "write the answer as JSON").because(&error);
        Refusal { problem, exit_code: ExitCode::Failed.number() }
    })?;
    Ok(full(StatusCode::OK, JSON, line))
}

/// The answer that says no.
pub(super) fn refused(refusal: &Refusal) -> Response<Body> {
    // A refusal is plain text and numbers: encoding it cannot fail, and an empty body would still say no.
    full(status_of(refusal), JSON, encode(refusal).unwrap_or_default())
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_has_a_status_that_says_whose_fault_it_is() {
        for (code, name, _) in ExitCode::TABLE {
            let refusal = Refusal { problem: Problem::permanent("OV-X-001", "x"), exit_code: code.number() };
            let expected = match name {
                "usage" | "configuration" => 400,
                "refused" | "needs-operator" | "already-running" => 409,
                "not-running" | "timed-out" => 503,
                _ => 500,
            };
            assert_eq!(status_of(&refusal).as_u16(), expected, "{name}");
        }
        let code = NO_SUCH_THING;
        let refusal = Refusal { problem: Problem::permanent(code, "x"), exit_code: ExitCode::Refused.number() };
        assert_eq!(status_of(&refusal), StatusCode::NOT_FOUND);
    }
}
