//! The admin server of a core: JSON-RPC as gorilla/rpc's first JSON codec speaks it, over a unix socket.
//!
//! Statuses, texts and tolerances are those of that library, however odd: a request without an id is answered by
//! nothing, names of members may have any case, what follows the first JSON value is ignored.

use super::core::Standing;
use crate::error::Error;
use crate::http::{HANG_STEP, IDLE_TIMEOUT, Request, read_request};
use crate::shared::Shared;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{self, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

const WORKERS: usize = 4;
const SERVICE: &str = "protocolupgrade";
const METHOD: &str = "UpgradeStatus";

/// How the admin server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Admin {
    /// It never opens its socket.
    Absent,
    /// Bytes that are no HTTP.
    Garbage,
    /// An answer that is no JSON.
    Text,
    /// The method fails.
    Error,
    /// The result is null.
    Null,
    /// Ready, for no release.
    NullRelease,
}

#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: &'static str,
    /// A body without a type is one of nothing.
    content_type: Option<&'static str>,
    body: String,
}

impl Answer {
    fn text(status: &'static str, body: impl Into<String>) -> Self {
        Self { status, content_type: Some("text/plain; charset=utf-8"), body: body.into() }
    }

    fn refusal(body: impl Into<String>) -> Self {
        Self::text("400 Bad Request", body)
    }
}

/// Takes the place of an old socket and answers for ever.
pub(super) fn serve(
    socket: &Path,
    http_path: &str,
    shared: &Arc<Shared>,
    standing: &Arc<Mutex<Standing>>,
) -> Result<(), Error> {
    // It may not be there.
    let _ = fs::remove_file(socket);
    let listener = UnixListener::bind(socket).map_err(Error::io("listen on", socket))?;
    for _ in 0..WORKERS {
        let listener = listener.try_clone().map_err(Error::io("listen on", socket))?;
        let (shared, standing, http_path) = (Arc::clone(shared), Arc::clone(standing), http_path.to_owned());
        thread::spawn(move || {
            loop {
                match listener.accept() {
                    // A client that goes away or talks nonsense is its own problem.
                    Ok((stream, _)) => drop(converse(stream, &http_path, &shared, &standing)),
                    Err(_) => sleep(HANG_STEP),
                }
            }
        });
    }
    Ok(())
}

fn converse(stream: UnixStream, http_path: &str, shared: &Shared, standing: &Mutex<Standing>) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    let request = read_request(&mut reader)?;
    while shared.hung() || shared.switches().hang_http {
        sleep(HANG_STEP);
    }
    let switches = shared.switches();
    sleep(Duration::from_millis(switches.http_delay_ms));
    if switches.admin == Some(Admin::Garbage) {
        return reader.get_mut().write_all(b"\0\x01garbage\r\n\r\n");
    }
    let standing = standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let Answer { status, content_type, body } = answer(&request, http_path, switches.admin, &standing);
    let content_type = content_type.map(|it| format!("Content-Type: {it}\r\n")).unwrap_or_default();
    let length = body.len();
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\n{content_type}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

fn answer(request: &Request, http_path: &str, admin: Option<Admin>, standing: &Standing) -> Answer {
    if request.path != http_path {
        return Answer::text("404 Not Found", "404 page not found\n");
    }
    if request.method != "POST" {
        let text = format!("rpc: POST method required, received {}", request.method);
        return Answer::text("405 Method Not Allowed", text);
    }
    let content_type = request.content_type.split(';').next().unwrap_or_default();
    if !content_type.eq_ignore_ascii_case("application/json") {
        return Answer::text("415 Unsupported Media Type", format!("rpc: unrecognized Content-Type: {content_type}"));
    }
    match understand(&request.body) {
        Ok(id) => result(id, admin, standing),
        Err(refusal) => refusal,
    }
}

/// The id of a request for the one method there is, if it has one.
fn understand(body: &[u8]) -> Result<Option<Value>, Answer> {
    let mut members = match parse(body)? {
        Value::Object(members) => members,
        Value::Null => Map::new(),
        other => {
            let text = format!("json: cannot unmarshal {} into Go value of type json.serverRequest", kind(&other));
            return Err(Answer::refusal(text));
        }
    };
    let method = match take(&mut members, "method") {
        Some(Value::String(method)) => method,
        None | Some(Value::Null) => String::new(),
        Some(other) => {
            let kind = kind(&other);
            let text =
                format!("json: cannot unmarshal {kind} into Go struct field serverRequest.method of type string");
            return Err(Answer::refusal(text));
        }
    };
    match method.split('.').collect::<Vec<_>>().as_slice() {
        [SERVICE, METHOD] => {}
        [SERVICE, _] => return Err(Answer::refusal(format!("rpc: can't find method {method:?}"))),
        [_, _] => return Err(Answer::refusal(format!("rpc: can't find service {method:?}"))),
        _ => return Err(Answer::refusal(format!("rpc: service/method request ill-formed: {method:?}"))),
    }
    let params = take(&mut members, "params").filter(|params| !params.is_null());
    match params {
        Some(Value::Array(params)) => match params.first() {
            None | Some(Value::Null | Value::Object(_)) => {}
            Some(other) => {
                let kind = kind(other);
                let text = format!("json: cannot unmarshal {kind} into Go value of type admin.ReadyForUpgradeArgs");
                return Err(Answer::refusal(text));
            }
        },
        Some(other) => {
            let text = format!("json: cannot unmarshal {} into Go value of type [1]interface {{}}", kind(&other));
            return Err(Answer::refusal(text));
        }
        None => return Err(Answer::refusal("rpc: method request ill-formed: missing params field")),
    }
    Ok(take(&mut members, "id").filter(|id| !id.is_null()))
}

/// The first JSON value of a body.
fn parse(body: &[u8]) -> Result<Value, Answer> {
    let text = body.trim_ascii_start();
    let Some(first) = text.first() else { return Err(Answer::refusal("EOF")) };
    match serde_json::Deserializer::from_slice(text).into_iter::<Value>().next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) if error.is_eof() => Err(Answer::refusal("unexpected EOF")),
        _ => {
            let first = char::from(*first);
            Err(Answer::refusal(format!("invalid character {first:?} looking for beginning of value")))
        }
    }
}

/// Takes the member of this name, written exactly so or else in any case.
fn take(members: &mut Map<String, Value>, name: &str) -> Option<Value> {
    let same = members.keys().find(|key| key.eq_ignore_ascii_case(name)).cloned();
    members.remove(name).or_else(|| members.remove(&same?))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn result(id: Option<Value>, admin: Option<Admin>, standing: &Standing) -> Answer {
    let Some(id) = id else { return Answer { status: "200 OK", content_type: None, body: String::new() } };
    let (result, error) = match admin {
        Some(Admin::Error) => ("null".to_owned(), json!("upgrade status is not available")),
        Some(Admin::Null) => ("null".to_owned(), Value::Null),
        Some(Admin::NullRelease) => (Standing { accepted: None, ready: true, ..standing.clone() }.text(), Value::Null),
        _ => (standing.text(), Value::Null),
    };
    let body = match admin {
        Some(Admin::Text) => "<html>not what you expected</html>\n".to_owned(),
        // Members in the order in which the library writes them.
        _ => harmless(&format!("{{\"result\":{result},\"error\":{error},\"id\":{id}}}\n")),
    };
    Answer { status: "200 OK", content_type: Some("application/json; charset=utf-8"), body }
}

/// What would mean something in a web page, written as Go writes it; in JSON it only occurs within texts.
fn harmless(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}
