//! The stream of events from a core to its data node: what was carried out, and that an upgrade waits for its answer.
//!
//! Lines over a unix socket that the data node opens: `block N` and `upgrade N` there, `ready N` back. What is said while
//! nobody listens is lost, and the data node notices the hole.

use crate::error::Error;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What a core tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Block(u64),
    Upgrade(u64),
}

/// One end of the stream, whole lines in and out, without waiting.
#[derive(Debug)]
struct Line {
    stream: UnixStream,
    pending: Vec<u8>,
}

impl Line {
    fn new(stream: UnixStream) -> std::io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream, pending: Vec::new() })
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{text}\n").as_bytes())
    }

    /// The lines that came, and whether the other end is still there.
    fn hear(&mut self) -> (Vec<String>, bool) {
        let mut buffer = [0; 4096];
        let is_there = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(length) => self.pending.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break error.kind() == ErrorKind::WouldBlock,
            }
        };
        let whole = self.pending.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let lines = self.pending.drain(..whole).collect::<Vec<u8>>();
        (String::from_utf8_lossy(&lines).lines().map(str::to_owned).collect(), is_there)
    }
}

/// The core's end.
#[derive(Debug)]
pub(super) struct Feed {
    path: PathBuf,
    line: Option<Line>,
}

impl Feed {
    /// Whether somebody listens there.
    pub(super) fn dial(path: &Path) -> Option<Self> {
        let mut feed = Self { path: path.to_owned(), line: None };
        feed.connect();
        feed.line.is_some().then_some(feed)
    }

    fn connect(&mut self) {
        if self.line.is_none() {
            self.line = UnixStream::connect(&self.path).and_then(Line::new).ok();
        }
    }

    pub(super) fn tell(&mut self, told: Told) {
        self.connect();
        let text = match told {
            Told::Block(height) => format!("block {height}"),
            Told::Upgrade(height) => format!("upgrade {height}"),
        };
        self.line = self.line.take().and_then(|mut line| line.say(&text).ok().map(|()| line));
    }

    /// Whether the data node is ready for the upgrade at this height; asks again if it was replaced meanwhile.
    pub(super) fn is_ready(&mut self, height: u64) -> bool {
        let Some(line) = &mut self.line else {
            self.tell(Told::Upgrade(height));
            return false;
        };
        let (lines, is_there) = line.hear();
        if !is_there {
            self.line = None;
        }
        lines.iter().any(|line| *line == format!("ready {height}"))
    }
}

/// The data node's end.
#[derive(Debug)]
pub(super) struct Ear {
    listener: UnixListener,
    line: Option<Line>,
}

impl Ear {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        // It may not be there.
        let _ = fs::remove_file(path);
        let listener = UnixListener::bind(path).and_then(|it| it.set_nonblocking(true).map(|()| it));
        Ok(Self { listener: listener.map_err(Error::io("listen on", path))?, line: None })
    }

    /// What came since the last look. A core that comes anew takes the place of the one before.
    pub(super) fn hear(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Ok((stream, _)) = self.listener.accept() {
            told.extend(self.take());
            self.line = Line::new(stream).ok();
        }
        told.extend(self.take());
        told
    }

    fn take(&mut self) -> Vec<Told> {
        let Some(line) = &mut self.line else { return Vec::new() };
        let (lines, is_there) = line.hear();
        if !is_there {
            self.line = None;
        }
        lines.iter().filter_map(|line| parse(line)).collect()
    }

    pub(super) fn answer(&mut self, height: u64) {
        if let Some(line) = &mut self.line {
            // A core that is gone asks again.
            let _ = line.say(&format!("ready {height}"));
        }
    }
}

fn parse(line: &str) -> Option<Told> {
    let (word, height) = line.split_once(' ')?;
    let height = height.parse().ok()?;
    match word {
        "block" => Some(Told::Block(height)),
        "upgrade" => Some(Told::Upgrade(height)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_understand_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("broker.sock");
        assert!(Feed::dial(&path).is_none());
        let mut ear = Ear::open(&path).unwrap();
        let mut feed = Feed::dial(&path).unwrap();
        feed.tell(Told::Block(1));
        feed.tell(Told::Upgrade(1));
        assert_eq!(ear.hear(), [Told::Block(1), Told::Upgrade(1)]);
        assert!(!feed.is_ready(1));
        ear.answer(1);
        assert!(feed.is_ready(1));
        drop(ear);
        let mut ear = Ear::open(&path).unwrap();
        assert!(!feed.is_ready(2), "the old one is gone");
        assert!(!feed.is_ready(2), "the new one is asked");
        assert_eq!(ear.hear(), [Told::Upgrade(2)]);
    }
}
