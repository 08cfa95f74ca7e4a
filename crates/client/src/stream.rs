//! The event stream as an iterator.

use std::fmt;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use ov_types::Event;
use tokio::runtime::Runtime;

use crate::ClientError;
use crate::transport::within;

/// The longest silence: three heartbeats of the daemon.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The longest line of a stream, which is one event.
const LINE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Events as they happen. It ends when the daemon does; an error ends it, too.
pub struct EventStream {
    runtime: Runtime,
    body: Incoming,
    lines: Lines,
    last: Option<u64>,
    over: bool,
}

impl EventStream {
    pub(crate) fn new(runtime: Runtime, body: Incoming) -> Self {
        Self { runtime, body, lines: Lines::default(), last: None, over: false }
    }

    /// The index of the last event that was read here.
    pub fn last_index(&self) -> Option<u64> {
        self.last
    }

    fn read(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            while let Some(line) = self.lines.next() {
                // An event's index is in the event; everything but its data is for browsers.
                let Some(data) = line.strip_prefix(b"data:") else { continue };
                return serde_json::from_slice(data).map(Some).map_err(ClientError::protocol);
            }
            match self.piece()? {
                Some(piece) => self.lines.add(&piece)?,
                None => return Ok(None),
            }
        }
    }

    fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        let body = &mut self.body;
        self.runtime.block_on(within(SILENCE_MAX, async {
            loop {
                let frame = match body.frame().await {
                    Some(frame) => frame.map_err(ClientError::exchange)?,
                    None => return Ok(None),
                };
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
        }))
    }
}

impl Iterator for EventStream {
    type Item = Result<Event, ClientError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let read = self.read().transpose();
        match &read {
            Some(Ok(event)) => self.last = Some(event.index),
            _ => self.over = true,
        }
        read
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").field("last", &self.last).field("over", &self.over).finish_non_exhaustive()
    }
}

/// Bytes cut into lines, wherever the pieces they came in were cut.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    read: usize,
}

impl Lines {
    fn add(&mut self, piece: &[u8]) -> Result<(), ClientError> {
        self.bytes.drain(..self.read);
        self.read = 0;
        if self.bytes.len().saturating_add(piece.len()) > LINE_BYTES_MAX {
            return Err(ClientError::protocol(format!("an event is longer than {LINE_BYTES_MAX} bytes")));
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    fn next(&mut self) -> Option<&[u8]> {
        let rest = &self.bytes[self.read..];
        let len = rest.iter().position(|byte| *byte == b'\n')?;
        let start = self.read;
        self.read += len + 1;
        Some(&self.bytes[start..start + len])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_pieces_are_cut() {
        let text = b"id: 1\ndata: {}\n\n:\n\nid: 2\n";
        for cut in 0..text.len() {
            let (first, second) = text.split_at(cut);
            let mut lines = Lines::default();
            let mut found = Vec::new();
            for piece in [first, second] {
                lines.add(piece).unwrap();
                while let Some(line) = lines.next() {
                    found.push(line.to_vec());
                }
            }
            assert_eq!(
                found,
                [b"id: 1".to_vec(), b"data: {}".to_vec(), vec![], b":".to_vec(), vec![], b"id: 2".to_vec()]
            );
        }
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        let mut lines = Lines::default();
        let piece = vec![b'x'; LINE_BYTES_MAX / 2 + 1];
        lines.add(&piece).unwrap();
        assert!(lines.next().is_none());
        assert!(lines.add(&piece).is_err());
    }
}
