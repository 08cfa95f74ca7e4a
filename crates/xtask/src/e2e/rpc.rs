//! What a node answers about itself: CometBFT's JSON over HTTP.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(5);

/// Asks a node; the `result` of its answer.
pub(super) fn ask(address: SocketAddr, path: &str) -> Result<Value> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).context("reach the node")?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // The older form has no chunks.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").context("ask the node")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).context("hear the node")?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let mut answer: Value = serde_json::from_str(body).context("understand the node")?;
    if let Some(error) = answer.get("error") {
        bail!("have `{path}` answered: {error}");
    }
    Ok(answer["result"].take())
}

/// A number that stands as text, as all of them do there.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_str()?.parse().ok()
}
