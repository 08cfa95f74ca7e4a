//! The event stream over HTTP: what is kept as a JSON array, or what happens as server-sent events.
//!
//! A stream owns one index, the last it sent. It holds a few events at most: a peer that reads slowly falls behind in
//! the event log, which tells it what it missed, and a peer that does not read at all is hung up on.

use std::time::Duration;

use http_body_util::channel::{Channel, Sender};
use hyper::Response;
use hyper::body::Bytes;
use ov_types::api::Refusal;
use ov_types::{Event, ExitCode, Problem};
use tokio::time::timeout;

use super::answer::{Body, EVENT_STREAM, TOO_MANY, json, streamed};
use super::call::{Call, number};
use super::server::STREAMS_MAX;

/// How often a quiet stream shows that it lives.
pub(super) const HEARTBEAT_MS: u64 = 15_000;

/// How long a peer may leave a stream unread.
pub(super) const UNREAD_MS_MAX: u64 = 60_000;

/// Events taken from the log at once.
const BATCH_LEN: usize = 64;

/// Pieces that wait in a stream for its peer.
const PIECES_WAITING_MAX: usize = 4;

pub(super) fn serve(call: Call) -> Result<Response<Body>, Refusal> {
    let since = since(&call)?;
    if !call.flag("follow")? && !call.wants_stream {
        return json(&call.node.events.since(since, usize::MAX));
    }
    let Ok(place) = call.peer.streams.clone().try_acquire_owned() else {
        let problem = Problem::transient(TOO_MANY, "follow the events")
            .cause(format!("{STREAMS_MAX} readers follow them already"))
            .state("nothing was done");
        return Err(Refusal { problem, exit_code: ExitCode::Refused.number() });
    };
    let (sender, body) = Channel::new(PIECES_WAITING_MAX);
    tokio::spawn(async move {
        let _place = place;
        follow(&call, sender, since).await;
    });
    Ok(streamed(EVENT_STREAM, body))
}

fn since(call: &Call) -> Result<u64, Refusal> {
    match (&call.last_event, call.parameter("since")) {
        // A browser that reconnects repeats its first address and adds where it was: the latter is newer.
        (Some(text), _) => number("Last-Event-ID", text),
        (None, Some("newest")) => Ok(call.node.events.newest()),
        (None, Some(text)) => number("since", text),
        (None, None) => Ok(0),
    }
}

/// Sends events until the peer leaves, stops reading, or the daemon ends.
async fn follow(call: &Call, mut sender: Sender<Bytes>, mut since: u64) {
    let mut changed = call.node.events.changed();
    let mut progress = call.node.events.progress();
    let mut closing = call.peer.closing.clone();
    loop {
        changed.mark_unchanged();
        // Asked before the events are read: what happened before the end is sent before the end.
        let ends = *closing.borrow_and_update();
        let events = call.node.events.since(since, BATCH_LEN);
        if let Some(last) = events.last() {
            since = last.index;
            if !send(call, &mut sender, pieces(&events)).await {
                return;
            }
            continue;
        }
        if ends {
            return;
        }
        tokio::select! {
            _ = changed.changed() => {}
            _ = closing.changed() => {}
            Ok(()) = progress.changed() => {
                let last = progress.borrow_and_update().clone();
                // It has no number of its own: whoever goes on after it misses nothing.
                let event = last.map(|(kind, at_ms)| Event { index: since, at_ms, kind });
                if !send(call, &mut sender, pieces(event.as_slice())).await {
                    return;
                }
            }
            () = tokio::time::sleep(Duration::from_millis(HEARTBEAT_MS)) => {
                if !send(call, &mut sender, Bytes::from_static(b":\n\n")).await {
                    return;
                }
            }
        }
    }
}

/// Whether the peer took it.
async fn send(call: &Call, sender: &mut Sender<Bytes>, piece: Bytes) -> bool {
    match timeout(Duration::from_millis(UNREAD_MS_MAX), sender.send_data(piece)).await {
        Ok(sent) => sent.is_ok(),
        Err(_elapsed) => {
            call.peer.hang_up.notify_one();
            false
        }
    }
}

fn pieces(events: &[Event]) -> Bytes {
    let mut text = Vec::new();
    for event in events {
        if !event.kind.is_droppable() {
            text.extend_from_slice(format!("id: {}\n", event.index).as_bytes());
        }
        text.extend_from_slice(b"data: ");
        // Event types are plain data, and a vector takes every byte: this cannot fail.
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.extend_from_slice(b"\n\n");
        }
    }
    Bytes::from(text)
}
