//! One connection to the shim: frames in, frames out, never waiting. Owns the stream and what is
//! on its way in it.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use rustix::event::PollFlags;

use crate::protocol::{Message, Request};
use crate::wire::{WireError, split_frame};

/// A daemon that reads nothing is not waited for: with more than this unread it is cut off, and
/// learns what it missed from the state when it comes back.
const OUTBOX_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a connection is of no more use.
#[derive(Debug)]
pub(crate) struct Closed;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
}

impl Connection {
    /// Takes the next one who is allowed to be here.
    pub(crate) fn accept(listener: &UnixListener) -> Option<Self> {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).ok()?;
        let peer = rustix::net::sockopt::socket_peercred(&stream).ok()?;
        let allowed = peer.uid.is_root() || peer.uid == rustix::process::geteuid();
        allowed.then(|| Self { stream, inbox: Vec::new(), outbox: Vec::new() })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(crate) fn interest(&self) -> PollFlags {
        if self.outbox.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT }
    }

    /// Reads what has arrived and appends the requests that are whole to `requests`. One that is
    /// whole but not understood is refused here.
    pub(crate) fn receive(&mut self, requests: &mut Vec<Request>) -> Result<(), Closed> {
        let ended = self.fill()?;
        let mut taken = 0;
        while let Ok(Some((body, length))) = split_frame(self.inbox.get(taken..).unwrap_or_default()) {
            taken += length;
            match Request::from_body(body) {
                Ok(request) => requests.push(request),
                Err(error @ WireError::UnknownKind { .. }) => {
                    let sequence = Request::sequence_of(body).ok_or(Closed)?;
                    let refusal = Some(format!("this shim failed to {error}"));
                    self.send(&Message::Answer { sequence, refusal })?;
                }
                Err(_) => return Err(Closed),
            }
        }
        if split_frame(self.inbox.get(taken..).unwrap_or_default()).is_err() {
            return Err(Closed);
        }
        self.inbox.drain(..taken);
        self.inbox.shrink_to(0);
        if ended { Err(Closed) } else { Ok(()) }
    }

    /// Says whether the other side is gone.
    fn fill(&mut self) -> Result<bool, Closed> {
        /// More is left for the next turn; a frame of any size arrives in several.
        const TURN_BYTES_MAX: usize = 256 * 1024;
        let mut buffer = [0; 8192];
        let mut read = 0;
        while read < TURN_BYTES_MAX {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(count) => {
                    self.inbox.extend_from_slice(buffer.get(..count).unwrap_or_default());
                    read += count;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed),
            }
        }
        Ok(false)
    }

    /// Sends a message, or keeps it until the other side reads.
    pub(crate) fn send(&mut self, message: &Message) -> Result<(), Closed> {
        self.outbox.extend_from_slice(&message.to_frame().map_err(|_| Closed)?);
        self.flush()?;
        if self.outbox.len() > OUTBOX_BYTES_MAX { Err(Closed) } else { Ok(()) }
    }

    /// Whether what only is nice to know should rather not be sent now.
    pub(crate) fn is_congested(&self) -> bool {
        self.outbox.len() > OUTBOX_BYTES_MAX / 8
    }

    pub(crate) fn flush(&mut self) -> Result<(), Closed> {
        while !self.outbox.is_empty() {
            match self.stream.write(&self.outbox) {
                Ok(0) => return Err(Closed),
                Ok(count) => {
                    self.outbox.drain(..count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Err(Closed),
            }
        }
        self.outbox.shrink_to(0);
        Ok(())
    }
}
