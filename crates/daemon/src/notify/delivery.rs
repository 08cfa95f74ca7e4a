//! One try to tell one webhook of one event.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ov_chains::shape::Webhook;
use ov_chains::{SecretError, shown_address};
use ov_sys::Disk;
use ov_types::{Event, Importance, Span};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;

use crate::probe::{innermost, tls_client};

use super::{Sources, signature};

const HEADERS_BYTES_MAX: u64 = 64 * 1024;

/// Why a webhook could not be told. Never says a secret.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("learn how to reach it")]
    Secret(#[from] SecretError),
    #[error("read its headers in {}", path.display())]
    HeadersUnreadable { path: PathBuf, source: io::Error },
    #[error("read its headers in {}:{line}: not of the form `Name: value`", path.display())]
    HeaderLine { path: PathBuf, line: usize },
    #[error("write down the event")]
    Body(#[from] serde_json::Error),
    #[error("reach {address}: {why}")]
    Unreachable { address: String, why: String },
    #[error("reach {address}: no answer within {within}")]
    Late { address: String, within: Span },
    #[error("tell {address}: it answers with status {status}")]
    Refused { address: String, status: u16 },
}

impl DeliveryError {
    /// The error with its causes, outermost first.
    pub(super) fn whole(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

/// What is sent: the event as in the API, and what a person wants to read.
#[derive(Serialize)]
struct Body<'a> {
    node: &'a str,
    notification: &'a str,
    importance: Importance,
    text: String,
    #[serde(flatten)]
    event: &'a Event,
}

/// Tries once.
pub(super) async fn deliver(hook: &Webhook, sources: &Sources, name: &str, event: &Event) -> Result<(), DeliveryError> {
    let variable = |name: &str| std::env::var(name).ok();
    let disk = sources.disk.as_ref();
    let url = hook.url.read(disk, variable)?;
    let body = serde_json::to_vec(&Body {
        node: &sources.node,
        notification: name,
        importance: event.kind.importance(),
        text: format!("{}: {}", sources.node, event.kind),
        event,
    })?;
    let mut headers = match &hook.headers_file {
        Some(path) => headers_in(disk, path)?,
        None => HeaderMap::new(),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    // The same for every try, so that a receiver can tell a repetition.
    add(&mut headers, "x-omnivisor-delivery", &format!("{}-{}", sources.node, event.index));
    add(&mut headers, "x-omnivisor-event", name);
    if let Some(secret) = &hook.secret {
        let secret = secret.read(disk, variable)?;
        add(&mut headers, "x-omnivisor-signature", &format!("sha256={}", signature::sign(secret.as_bytes(), &body)));
    }
    send(&url, headers, body, Duration::from_millis(hook.timeout_ms)).await
}

async fn send(url: &str, headers: HeaderMap, body: Vec<u8>, timeout: Duration) -> Result<(), DeliveryError> {
    let address = shown_address(url);
    let unreachable = |why| DeliveryError::Unreachable { address: address.clone(), why };
    let client = tls_client().map_err(unreachable)?;
    let sending = client.post(url).headers(headers).body(body).send();
    match tokio::time::timeout(timeout, sending).await {
        Err(_) => {
            let within = Span::from_ms(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
            Err(DeliveryError::Late { address, within })
        }
        // The client's errors name the whole address unless it is taken out.
        Ok(Err(error)) => Err(unreachable(innermost(&error.without_url()))),
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(DeliveryError::Refused { address, status: response.status().as_u16() }),
    }
}

/// A header whose value is ours. One that cannot be a header (a node's name in Cyrillic) is left out.
fn add(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// The `Name: value` lines of a file; empty ones and those after a `#` do not count.
fn headers_in(disk: &dyn Disk, path: &Path) -> Result<HeaderMap, DeliveryError> {
    let unreadable = |source| DeliveryError::HeadersUnreadable { path: path.to_owned(), source };
    let bytes = disk.read(path, HEADERS_BYTES_MAX).map_err(unreadable)?;
    let mut headers = HeaderMap::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let (name, value) = header(line).ok_or(DeliveryError::HeaderLine { path: path.to_owned(), line: index + 1 })?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = HeaderName::from_bytes(line[..colon].trim_ascii()).ok()?;
    let mut value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}
