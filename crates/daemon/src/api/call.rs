//! A request as a handler sees it: variables, query and body, each read into its type or refused.
//!
//! Bodies are read here, bounded in length and time, before anything is done.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use ov_types::PlanId;
use ov_types::api::Refusal;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::{BODY_TOO_LARGE, BODY_TOO_SLOW, WRONG_BODY, WRONG_PARAMETER, wrong};
use super::route::{Route, Variables, shown};
use super::server::Peer;
use crate::request::NodeHandle;

/// The longest body of a request. The longest sensible one is a plan, far below a kilobyte.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// How long a body may take to arrive.
const BODY_MS_MAX: u64 = 10_000;

/// A request.
pub(super) struct Call {
    pub(super) node: NodeHandle,
    pub(super) peer: Arc<Peer>,
    pub(super) variables: Variables,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// Whether the peer would rather have a stream of events.
    pub(super) wants_stream: bool,
    /// The index after which a peer that was cut off wants to read on.
    pub(super) last_event: Option<String>,
}

impl Call {
    /// A variable of the path that is a name.
    pub(super) fn name<T: FromStr>(&self, name: &str) -> Result<T, Refusal>
    where
        T::Err: Display,
    {
        parse(name, self.variable(name))
    }

    /// The variable `id` as the number of a plan.
    pub(super) fn plan(&self) -> Result<PlanId, Refusal> {
        number("id", self.variable("id")).map(PlanId)
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
    }

    /// A parameter of the query, as text.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }

    /// A parameter of the query that is a name.
    pub(super) fn name_parameter<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal>
    where
        T::Err: Display,
    {
        self.parameter(name).map(|text| parse(name, text)).transpose()
    }

    /// A parameter of the query that is a number.
    pub(super) fn number_parameter(&self, name: &str) -> Result<Option<u64>, Refusal> {
        self.parameter(name).map(|text| number(name, text)).transpose()
    }

    /// A parameter of the query that is true or false; false if absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Refusal> {
        match self.parameter(name) {
            None | Some("false") => Ok(false),
            Some("true" | "") => Ok(true),
            Some(text) => Err(wrong_parameter(name, text, "expected `true` or `false`")),
        }
    }

    /// The body, as JSON. An empty one counts as `{}`.
    pub(super) fn body<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let text: &[u8] = if self.body.trim_ascii().is_empty() { b"{}" } else { &self.body };
        let mut reader = serde_json::Deserializer::from_slice(text);
        let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
            let key = error.path().to_string();
            let place = if key == "." { String::new() } else { format!("`{}`: ", shown(&key)) };
            wrong(WRONG_BODY, "read the request's body", format!("{place}{}", error.inner()))
        })?;
        let rest = reader.end();
        rest.map_err(|error| wrong(WRONG_BODY, "read the request's body", error.to_string()))?;
        Ok(value)
    }
}

/// Reads a body to its end.
pub(super) async fn read_body(body: Incoming) -> Result<Bytes, Refusal> {
    let too_large = || {
        let cause = format!("it is longer than {BODY_BYTES_MAX} bytes");
        Err(wrong(BODY_TOO_LARGE, "read the request's body", cause))
    };
    // A length that is announced need not be waited for.
    if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
        return too_large();
    }
    let whole = Limited::new(body, BODY_BYTES_MAX).collect();
    match timeout(Duration::from_millis(BODY_MS_MAX), whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => too_large(),
        Ok(Err(error)) => Err(wrong(WRONG_BODY, "read the request's body", error.to_string())),
        Err(_elapsed) => {
            let cause = format!("it did not arrive within {} seconds", BODY_MS_MAX / 1_000);
            Err(wrong(BODY_TOO_SLOW, "read the request's body", cause))
        }
    }
}

/// Splits and decodes a query, and refuses what the route does not know.
pub(super) fn read_query(route: &Route, query: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut read: Vec<(String, String)> = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, text) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, text) = (decode(name)?, decode(text)?);
        if !route.query.iter().any(|known| known.name == name) {
            return Err(unknown_parameter(route, &name));
        }
        if read.iter().any(|(earlier, _)| *earlier == name) {
            return Err(wrong_parameter(&name, &text, "it is given twice"));
        }
        read.push((name, text));
    }
    Ok(read)
}

fn unknown_parameter(route: &Route, name: &str) -> Refusal {
    let known: Vec<String> = route.query.iter().map(|known| format!("`{}`", known.name)).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let cause = format!("there is no parameter `{}`; {} {} knows {known}", shown(name), route.method, route.path);
    wrong(WRONG_PARAMETER, "read the query", cause)
}

/// Undoes percent-encoding. A plus sign is a plus sign: names of releases have them.
pub(super) fn decode(text: &str) -> Result<String, Refusal> {
    let undecodable = || wrong(WRONG_PARAMETER, "read the address", format!("`{}` is not encoded well", shown(text)));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(undecodable()) };
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(high), digit(low)) else { return Err(undecodable()) };
        bytes.push(high * 16 + low);
        rest = after;
    }
    String::from_utf8(bytes).map_err(|_| undecodable())
}

fn parse<T: FromStr>(name: &str, text: &str) -> Result<T, Refusal>
where
    T::Err: Display,
{
    text.parse().map_err(|error: T::Err| wrong_parameter(name, text, &error.to_string()))
}

pub(super) fn number(name: &str, text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| wrong_parameter(name, text, "expected a whole number"))
}

pub(super) fn wrong_parameter(name: &str, text: &str, why: &str) -> Refusal {
    wrong(WRONG_PARAMETER, &format!("read `{name}`"), format!("`{}`: {why}", shown(text)))
}
