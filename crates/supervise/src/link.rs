//! The connection to one shim: a task that writes requests, and tells answers from events.
//!
//! Owns the stream. Events that the daemon has not taken yet are kept here, so that a daemon that
//! waits for an answer never waits for itself.

use std::collections::VecDeque;
use std::io;

use ov_shim::{Command, Event, Message, Request, State, WireError, split_frame};
use ov_types::UnitName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::shim::ShimEvent;

/// With more events waiting than this, notifications of the unit are dropped: they are repeated.
const EVENTS_WAITING_MAX: usize = 1024;

/// What a shim answers: done, or why not.
pub(crate) type Answer = Result<(), String>;

/// A command on its way.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) command: Command,
    pub(crate) reply: oneshot::Sender<Answer>,
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    inbox: Vec<u8>,
    sequence: u64,
    asked: VecDeque<(u64, oneshot::Sender<Answer>)>,
    events: VecDeque<ShimEvent>,
    quits: bool,
}

impl Link {
    pub(crate) fn new(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        Ok(Self {
            stream,
            inbox: Vec::new(),
            sequence: 0,
            asked: VecDeque::new(),
            events: VecDeque::new(),
            quits: false,
        })
    }

    /// Takes control of the shim. Nothing if it is going away or is not a shim.
    pub(crate) async fn hello(&mut self) -> Option<State> {
        let command = Command::Hello { version: ov_shim::PROTOCOL_VERSION };
        let frame = Request { sequence: self.sequence, command }.to_frame().ok()?;
        self.stream.write_all(&frame).await.ok()?;
        loop {
            while let Some(message) = self.take_message().ok()? {
                if let Message::State { state, .. } = message {
                    return Some(state);
                }
                self.keep(message);
            }
            if self.stream.read_buf(&mut self.inbox).await.ok()? == 0 {
                return None;
            }
        }
    }

    /// Carries commands and events until the shim or the handle is gone.
    pub(crate) async fn run(
        mut self,
        unit: UnitName,
        mut asks: mpsc::Receiver<Ask>,
        events: mpsc::Sender<(UnitName, ShimEvent)>,
    ) {
        loop {
            tokio::select! {
                ask = asks.recv() => match ask {
                    Some(ask) => if self.ask(ask).await.is_err() { break },
                    // The daemon needs this unit no more; the unit does not notice.
                    None => return,
                },
                permit = events.reserve(), if !self.events.is_empty() => match (permit, self.events.pop_front()) {
                    (Ok(permit), Some(event)) => permit.send((unit.clone(), event)),
                    _ => return,
                },
                read = self.stream.read_buf(&mut self.inbox) => {
                    let ended = !matches!(read, Ok(count) if count > 0);
                    if self.take_messages().is_err() || ended {
                        break;
                    }
                }
            }
        }
        // Whoever waits for an answer learns now that none will come.
        drop(asks);
        self.asked.clear();
        if !self.quits {
            self.events.push_back(ShimEvent::Lost);
        }
        for event in self.events {
            if events.send((unit.clone(), event)).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&mut self, ask: Ask) -> io::Result<()> {
        self.sequence += 1;
        let request = Request { sequence: self.sequence, command: ask.command };
        match request.to_frame() {
            Ok(frame) => {
                self.quits |= matches!(request.command, Command::Quit);
                self.asked.push_back((self.sequence, ask.reply));
                self.stream.write_all(&frame).await
            }
            Err(error) => {
                // Whoever asked may have stopped waiting.
                let _ = ask.reply.send(Err(format!("failed to {error}")));
                Ok(())
            }
        }
    }

    fn take_messages(&mut self) -> Result<(), WireError> {
        while let Some(message) = self.take_message()? {
            self.keep(message);
        }
        Ok(())
    }

    fn take_message(&mut self) -> Result<Option<Message>, WireError> {
        let Some((body, length)) = split_frame(&self.inbox)? else {
            return Ok(None);
        };
        let message = Message::from_body(body);
        self.inbox.drain(..length);
        message.map(Some)
    }

    fn keep(&mut self, message: Message) {
        match message {
            Message::Answer { sequence, refusal } => self.answer(sequence, refusal),
            Message::Event(Event::Notify { .. }) if self.events.len() >= EVENTS_WAITING_MAX => {}
            Message::Event(event) => self.events.push_back(event.into()),
            // A late answer to a hello, or a newer shim that has more to say.
            Message::State { .. } | Message::Unknown { .. } => {}
        }
    }

    fn answer(&mut self, sequence: u64, refusal: Option<String>) {
        // Answers come in order: who is before this one was never answered.
        while let Some((asked, reply)) = self.asked.pop_front() {
            if asked == sequence {
                self.quits &= refusal.is_none();
                // Whoever asked may have stopped waiting.
                let _ = reply.send(refusal.map_or(Ok(()), Err));
                return;
            }
        }
    }
}
