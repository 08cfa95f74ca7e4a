//! The node's answers over HTTP: health, CometBFT's status, metrics, version, and its own control.
//!
//! A few threads answer one request each, then close. There is no keep-alive and nothing to tune.

use crate::error::Error;
use crate::files;
use crate::shared::Shared;
use crate::switches::Switches;
use serde_json::{Value, json};
use std::error::Error as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, sleep};
use std::time::Duration;

const WORKERS: usize = 4;
const BODY_BYTES_MAX: u64 = 64 * 1024;
const HEAD_BYTES_MAX: u64 = 16 * 1024;
pub(crate) const IDLE_TIMEOUT: Duration = Duration::from_secs(5);
pub(crate) const HANG_STEP: Duration = Duration::from_millis(20);

/// What somebody asks.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    /// As the header says it.
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

struct Answer {
    status: &'static str,
    content_type: &'static str,
    body: String,
}

/// Listens, writes the port to `HOME/http.port`, and answers for ever. Returns the port.
pub(crate) fn serve(home: &Path, shared: &Arc<Shared>, address: &str) -> Result<u16, Error> {
    let failed = |source| Error::Network { action: "listen on", address: address.to_owned(), source };
    let listener = TcpListener::bind(address).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    for _ in 0..WORKERS {
        let (listener, shared) = (listener.try_clone().map_err(failed)?, Arc::clone(shared));
        thread::spawn(move || work(&listener, &shared));
    }
    files::replace(&home.join("http.port"), format!("{port}\n").as_bytes())?;
    Ok(port)
}

/// Asks a running node. Returns the body of the answer.
pub(crate) fn get(address: &str, path: &str) -> Result<String, Error> {
    let failed = |source| Error::Network { action: "ask", address: address.to_owned(), source };
    let mut stream = TcpStream::connect(address).map_err(failed)?;
    let mut answer = String::new();
    stream
        .set_read_timeout(Some(IDLE_TIMEOUT))
        .and_then(|()| write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
        .and_then(|()| stream.read_to_string(&mut answer))
        .map_err(failed)?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(body.to_owned())
}

fn work(listener: &TcpListener, shared: &Shared) {
    loop {
        match listener.accept() {
            // A client that goes away or talks nonsense is its own problem.
            Ok((stream, _)) => drop(converse(stream, shared)),
            Err(_) => sleep(HANG_STEP),
        }
    }
}

fn converse(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_read_timeout(Some(IDLE_TIMEOUT))?;
    stream.set_write_timeout(Some(IDLE_TIMEOUT))?;
    let mut reader = BufReader::new(stream);
    let request = read_request(&mut reader)?;
    // Control must get through, or nobody could end the hang.
    if request.path != "/control" {
        while shared.hung() || shared.switches().hang_http {
            sleep(HANG_STEP);
        }
        sleep(Duration::from_millis(shared.switches().http_delay_ms));
    }
    let Answer { status, content_type, body } = answer(&request, shared);
    let length = body.len();
    write!(
        reader.get_mut(),
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

/// Reads one request, within bounds.
pub(crate) fn read_request(reader: &mut impl BufRead) -> io::Result<Request> {
    let mut head = reader.take(HEAD_BYTES_MAX);
    let mut line = String::new();
    head.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let mut word = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (word(), word());
    let (mut length, mut content_type) = (0, String::new());
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        } else if name.eq_ignore_ascii_case("content-type") {
            value.trim().clone_into(&mut content_type);
        }
    }
    let mut body = Vec::new();
    reader.take(BODY_BYTES_MAX.min(length)).read_to_end(&mut body)?;
    let path = target.split('?').next().unwrap_or_default().to_owned();
    Ok(Request { method, path, content_type, body })
}

fn answer(request: &Request, shared: &Shared) -> Answer {
    let switches = shared.switches();
    let version = switches.report_version.as_ref().unwrap_or(&shared.version);
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/health") => health(&switches, shared.ready()),
        ("GET", "/status") => Answer::json("200 OK", &status(shared, &switches, version)),
        ("GET", "/abci_info") => Answer::json("200 OK", &abci_info(shared, version)),
        ("GET", "/version") => Answer::json("200 OK", &json!({ "version": version })),
        ("GET", "/metrics") => metrics(shared, version),
        ("GET", "/control") => Answer::json("200 OK", &json!(switches)),
        ("POST", "/control") => control(&request.body, shared),
        ("GET" | "POST", _) => Answer::json("404 Not Found", &json!({ "error": "no such path" })),
        _ => Answer::json("405 Method Not Allowed", &json!({ "error": "no such method" })),
    }
}

impl Answer {
    fn json(status: &'static str, value: &Value) -> Self {
        Self { status, content_type: "application/json", body: format!("{value}\n") }
    }
}

fn health(switches: &Switches, ready: bool) -> Answer {
    let healthy = switches.healthy && ready;
    let status = if healthy { "200 OK" } else { "503 Service Unavailable" };
    Answer::json(status, &json!({ "healthy": healthy, "ready": ready }))
}

fn status(shared: &Shared, switches: &Switches, version: &str) -> Value {
    let height = shared.stored();
    json!({
        "jsonrpc": "2.0",
        "id": -1,
        "result": {
            "node_info": { "network": switches.network, "version": version, "moniker": "fakenode" },
            "sync_info": {
                "latest_block_hash": format!("{:064X}", u128::from(height) + 1),
                "latest_block_height": height.to_string(),
                "latest_block_time": shared.block_time(),
                "earliest_block_height": switches.initial_height.to_string(),
                "catching_up": switches.catching_up,
            },
            "validator_info": { "address": "FA4E", "voting_power": if switches.sign { "10" } else { "0" } },
        },
    })
}

fn abci_info(shared: &Shared, version: &str) -> Value {
    let height = shared.height().to_string();
    let response = json!({ "data": "fakenode", "version": version, "last_block_height": height });
    json!({ "jsonrpc": "2.0", "id": -1, "result": { "response": response } })
}

fn metrics(shared: &Shared, version: &str) -> Answer {
    let (height, ready) = (shared.height(), u8::from(shared.ready()));
    let body = format!(
        "# TYPE fakenode_height gauge\nfakenode_height {height}\n\
         # TYPE fakenode_ready gauge\nfakenode_ready {ready}\n\
         # TYPE fakenode_info gauge\nfakenode_info{{version=\"{version}\"}} 1\n"
    );
    Answer { status: "200 OK", content_type: "text/plain; version=0.0.4", body }
}

fn control(body: &[u8], shared: &Shared) -> Answer {
    let changes = serde_json::from_slice(body).map_err(Error::Switches);
    match changes.and_then(|changes| shared.change(&changes)) {
        Ok(switches) => Answer::json("200 OK", &json!(switches)),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            Answer::json("400 Bad Request", &json!({ "error": format!("failed to {error}{cause}") }))
        }
    }
}
