//! Bringing the bytes of one address here: tried again while that may help, resumed where it broke off.
//!
//! The rules of going on: a server that knows the version it sent is asked for the rest of that version; one that
//! does not is asked for the rest only when a checksum will tell. Whatever answers differently from what was asked
//! begins the file anew.

use std::io;
use std::path::{Path, PathBuf};

use ov_sys::disk::Disk;
use ov_sys::{Clock, Random};
use ov_types::{ReleaseName, Span};

use super::address::Address;
use super::checksum::Algorithm;
use super::object_store::{self, Credentials, Prepared};
use super::partial::{Partial, Validator, Whole};
use super::progress::{Phase, Reporter};
use super::transport::{Answer, Ask, Cancel, Transport, TransportError};
use super::tries::{Patience, Tries};
use crate::error::{At, ReleaseError};
use crate::layout::Layout;

const COPY_BUFFER_BYTES: usize = 256 * 1024;
/// Left free beyond what is needed: the journal and the node must go on writing.
const ROOM_MARGIN_BYTES: u64 = 16 << 20;

/// Why the bytes of an address did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The network.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The server said no.
    #[error("get it: the server answers with status {status}")]
    Status {
        /// What it said.
        status: u16,
    },
    /// The server was asked more than it answers in so short a time.
    #[error("get it: the server answers no more questions of ours before {}", ov_types::utc(*until_ms))]
    Limited {
        /// When it will, in milliseconds since 1970 in UTC.
        until_ms: i64,
    },
    /// The server sends parts that do not fit together.
    #[error("get the rest of it: the server answers with {found}")]
    Part {
        /// What came instead of what was asked for.
        found: String,
    },
    /// It ended early.
    #[error("get all of it: {found} of {expected} bytes came")]
    Truncated {
        /// Bytes that came.
        found: u64,
        /// Bytes that were announced.
        expected: u64,
    },
    /// It took too long.
    #[error("get it within {within}")]
    Late {
        /// How long it may take.
        within: Span,
    },
    /// It is larger than is allowed.
    #[error("accept {found} bytes: at most {allowed} are")]
    Large {
        /// How large it is at least.
        found: u64,
        /// What is allowed.
        allowed: u64,
    },
    /// The disk is too full.
    #[error("find room for it: it needs {need} bytes and {have} are free")]
    Room {
        /// Bytes needed.
        need: u64,
        /// Bytes free.
        have: u64,
    },
    /// It is known not to be there.
    #[error("get it: it is not among the files of the release")]
    Absent,
    /// What is there is not a file.
    #[error("copy it: {why}")]
    NotAFile {
        /// What it is.
        why: &'static str,
    },
    /// The disk.
    #[error(transparent)]
    Disk(#[from] ReleaseError),
}

impl DownloadError {
    /// Whether trying again may help, in this minute.
    fn may_pass(&self) -> bool {
        match self {
            Self::Transport(error) => error.may_pass(),
            Self::Status { status } => matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 507..=599),
            Self::Part { .. } | Self::Truncated { .. } => true,
            _ => false,
        }
    }
}

impl DownloadError {
    /// Whether trying again may help, some day, without a person.
    pub(super) fn may_pass_later(&self) -> bool {
        let passes = matches!(self, Self::Late { .. } | Self::Room { .. } | Self::Disk(_) | Self::Limited { .. });
        self.may_pass() || passes || matches!(self, Self::Transport(TransportError::Cancelled))
    }
}

/// What a download needs of the world around it.
pub(super) struct Line<'a> {
    pub(super) disk: &'a dyn Disk,
    /// A directory on the file system where all of it goes.
    pub(super) place: PathBuf,
    pub(super) clock: &'a dyn Clock,
    pub(super) transport: &'a dyn Transport,
    pub(super) credentials: &'a Credentials,
    pub(super) cancel: &'a Cancel,
    pub(super) random: Random,
    pub(super) reporter: Reporter<'a>,
    pub(super) patience: Patience,
    pub(super) bytes_max: u64,
}

/// A download under way.
struct Download<'l, 'a> {
    line: &'l mut Line<'a>,
    address: &'l Address,
    partial: Partial<'a>,
    /// Whether a checksum will tell if parts of different versions came together.
    is_checked: bool,
    /// Whether bytes of more than one answer came together.
    is_pieced: bool,
    tries: Tries,
}

/// What a try ended with, when it did not bring all.
pub(super) struct Broken {
    error: DownloadError,
    /// The server asked for this pause.
    pause: Option<Span>,
}

impl<E: Into<DownloadError>> From<E> for Broken {
    fn from(error: E) -> Self {
        Self { error: error.into(), pause: None }
    }
}

/// How a short answer is asked for.
pub(super) type AskFor<'f> = &'f dyn Fn(&Line<'_>) -> Result<Answer, DownloadError>;

/// A short answer, whole.
pub(super) struct Short {
    pub(super) headers: Vec<(String, String)>,
    pub(super) bytes: Vec<u8>,
}

impl<'a> Line<'a> {
    /// Brings the bytes of an address into the side directory of a release. True if all of them came in one piece.
    pub(super) fn fetch(
        &mut self,
        layout: &Layout,
        name: &ReleaseName,
        address: &Address,
        wanted: Option<Algorithm>,
    ) -> Result<(Whole, bool), DownloadError> {
        let of = address.identity();
        let partial = Partial::open(self.disk, layout, name, of, wanted)?;
        if let Some(path) = address.local_path() {
            return Ok((self.copy(path, partial)?, true));
        }
        if partial.is_whole() {
            return Ok((partial.finish()?, false));
        }
        let tries = Tries::new(self.patience, self.clock);
        // Bytes of an earlier try are of an earlier answer.
        let is_pieced = partial.written() > 0;
        Download { line: self, address, partial, is_checked: wanted.is_some(), is_pieced, tries }.run()
    }

    /// Copies a file of this machine, so that what is checked is what is used.
    fn copy(&mut self, path: &Path, mut partial: Partial<'a>) -> Result<Whole, DownloadError> {
        let facts = crate::tree::facts_followed(self.disk, path)?;
        let facts = facts.ok_or(DownloadError::NotAFile { why: "it does not exist" })?;
        if facts.kind != ov_sys::disk::Kind::File {
            return Err(DownloadError::NotAFile { why: "it is not a regular file" });
        }
        partial.begin_anew()?;
        self.check_size(0, Some(facts.len))?;
        self.reporter.begin(Phase::Downloading, 0, Some(facts.len));
        let mut reader = self.disk.open(path).at("open", path)?;
        let mut buffer = vec![0; COPY_BUFFER_BYTES];
        loop {
            if self.cancel.is_cancelled() {
                return Err(TransportError::Cancelled.into());
            }
            let count = match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error).at("read", path)?,
            };
            self.check_size(partial.written() + count as u64, None)?;
            partial.add(&buffer[..count])?;
            self.reporter.at(Phase::Downloading, partial.written(), Some(facts.len));
        }
        Ok(partial.finish()?)
    }
}

impl Line<'_> {
    /// Waits for the next try, or gives up with what the last one failed of.
    fn rest(&mut self, tries: &mut Tries, has_progressed: bool, broken: Broken) -> Result<(), DownloadError> {
        if !broken.error.may_pass() {
            return Err(broken.error);
        }
        match tries.next_pause_ms(has_progressed, broken.pause, self.clock, &mut self.random) {
            None => Err(broken.error),
            Some(pause_ms) => {
                self.transport.pause(pause_ms, self.cancel);
                Ok(())
            }
        }
    }

    /// Brings a short text: a list of checksums, a signature, a plan's information.
    pub(super) fn text(&mut self, address: &Address, len_max: u64) -> Result<Vec<u8>, DownloadError> {
        if let Some(path) = address.local_path() {
            return Ok(self.disk.read(path, len_max).at("read", path)?);
        }
        self.short(len_max, &|line| line.ask(address, Vec::new())).map(|short| short.bytes)
    }

    /// Brings a short answer, asking again while that may help.
    pub(super) fn short(&mut self, len_max: u64, ask: AskFor<'_>) -> Result<Short, DownloadError> {
        let mut tries = Tries::new(self.patience, self.clock);
        loop {
            match self.try_short(len_max, ask) {
                Ok(short) => return Ok(short),
                Err(broken) => self.rest(&mut tries, false, broken)?,
            }
        }
    }

    fn try_short(&self, len_max: u64, ask: AskFor<'_>) -> Result<Short, Broken> {
        let mut answer = ask(self)?;
        if answer.status != 200 {
            return Err(self.refusal(&answer));
        }
        let mut text = Vec::new();
        while let Some(bytes) = answer.body.next(self.cancel)? {
            let found = (text.len() + bytes.len()) as u64;
            if found > len_max {
                return Err(DownloadError::Large { found, allowed: len_max }.into());
            }
            text.extend_from_slice(&bytes);
        }
        Ok(Short { headers: answer.headers, bytes: text })
    }

    fn ask(&self, address: &Address, headers: Vec<(&'static str, String)>) -> Result<Answer, DownloadError> {
        let now = ov_types::utc(self.clock.now().wall_ms);
        let Some(mut prepared) = object_store::prepare(address, self.credentials, &now) else {
            return Err(DownloadError::NotAFile { why: "it is on this machine" });
        };
        prepared.headers.extend(headers);
        self.get(&prepared)
    }

    pub(super) fn get(&self, prepared: &Prepared) -> Result<Answer, DownloadError> {
        Ok(self.transport.get(&Ask { url: prepared.url.as_str(), headers: &prepared.headers }, self.cancel)?)
    }

    /// An answer that brings nothing.
    fn refusal(&self, answer: &Answer) -> Broken {
        let number = |name: &str| answer.header(name).and_then(|text| text.trim().parse::<u64>().ok());
        let pause = number("retry-after").map(Span::from_seconds);
        match self.limited_until(answer.status, pause, &number) {
            Some(until_ms) => DownloadError::Limited { until_ms }.into(),
            None => Broken { error: DownloadError::Status { status: answer.status }, pause },
        }
    }

    /// Until when there is no use in asking again, if the server says that it was asked too much.
    fn limited_until(&self, status: u16, pause: Option<Span>, number: &dyn Fn(&str) -> Option<u64>) -> Option<i64> {
        if !matches!(status, 403 | 429) {
            return None;
        }
        match pause {
            // So short that it is waited for.
            Some(pause) if status == 429 && pause.ms() <= self.patience.pause_max.ms() => None,
            Some(pause) => Some(self.clock.now().wall_ms.saturating_add_unsigned(pause.ms())),
            None if number("x-ratelimit-remaining") != Some(0) => None,
            None => i64::try_from(number("x-ratelimit-reset")?.saturating_mul(1_000)).ok(),
        }
    }

    /// Refuses what is too large, and what the disk has no room for.
    fn check_size(&self, written: u64, total: Option<u64>) -> Result<(), DownloadError> {
        let found = total.unwrap_or(written).max(written);
        if found > self.bytes_max {
            return Err(DownloadError::Large { found, allowed: self.bytes_max });
        }
        let Some(total) = total else { return Ok(()) };
        let need = total.saturating_sub(written).saturating_add(ROOM_MARGIN_BYTES);
        let have = self.disk.room(&self.place).at("measure the room at", &self.place)?.free;
        if have < need { Err(DownloadError::Room { need, have }) } else { Ok(()) }
    }
}

impl Download<'_, '_> {
    fn run(mut self) -> Result<(Whole, bool), DownloadError> {
        loop {
            let before = self.partial.written();
            let broken = match self.try_once() {
                Ok(()) => return Ok((self.partial.finish()?, !self.is_pieced)),
                Err(broken) => broken,
            };
            if !matches!(broken.error, DownloadError::Disk(_)) {
                // What came is not lost, whatever comes next.
                self.partial.keep()?;
            }
            let has_progressed = self.partial.written() > before;
            self.line.rest(&mut self.tries, has_progressed, broken)?;
        }
    }

    fn try_once(&mut self) -> Result<(), Broken> {
        // Nobody could tell whether the rest belongs to the same version.
        if self.partial.written() > 0 && !self.is_checked && self.partial.note.validator.is_none() {
            self.partial.begin_anew()?;
        }
        let answer = self.ask()?;
        match answer.status {
            200 => self.accept_whole(&answer)?,
            206 if self.partial.written() > 0 => self.accept_part(&answer)?,
            206 | 416 => return Err(self.misfit(format!("status {}", answer.status))?.into()),
            _ => return Err(self.line.refusal(&answer)),
        }
        self.read(answer)
    }

    fn ask(&mut self) -> Result<Answer, DownloadError> {
        let from = self.partial.written();
        let mut headers = Vec::new();
        if from > 0 {
            headers.push(("range", format!("bytes={from}-")));
            match &self.partial.note.validator {
                Some(Validator::Etag(text) | Validator::Modified(text)) => headers.push(("if-range", text.clone())),
                None => {}
            }
        }
        self.line.ask(self.address, headers)
    }

    /// The server sends everything: because that was asked for, because it knows no parts, or because it has another
    /// version now.
    fn accept_whole(&mut self, answer: &Answer) -> Result<(), DownloadError> {
        if self.partial.written() > 0 {
            self.partial.begin_anew()?;
        }
        self.is_pieced = false;
        let total = answer.header("content-length").and_then(|text| text.parse().ok());
        self.partial.note.validator = validator_of(answer);
        self.partial.note.total = total;
        self.line.check_size(0, total)?;
        self.line.reporter.begin(Phase::Downloading, 0, total);
        Ok(())
    }

    fn accept_part(&mut self, answer: &Answer) -> Result<(), DownloadError> {
        let range = answer.header("content-range").unwrap_or_default();
        let note = &self.partial.note;
        let Some((from, total)) = parse_range(range) else {
            return Err(self.misfit(format!("the range `{}`", short(range)))?);
        };
        let other_total = total.zip(note.total).is_some_and(|(new, old)| new != old);
        let other_version = note.validator.as_ref().zip(validator_of(answer)).is_some_and(|(old, new)| *old != new);
        if from != self.partial.written() || other_total || other_version {
            return Err(self.misfit("a part of something else".to_owned())?);
        }
        self.is_pieced = true;
        let total = total.or(note.total);
        self.partial.note.total = total;
        self.line.check_size(from, total)?;
        self.line.reporter.begin(Phase::Downloading, from, total);
        Ok(())
    }

    /// What came cannot be joined to what is there: the next try begins anew.
    fn misfit(&mut self, found: String) -> Result<DownloadError, ReleaseError> {
        self.partial.begin_anew()?;
        Ok(DownloadError::Part { found })
    }

    fn read(&mut self, mut answer: Answer) -> Result<(), Broken> {
        let total = self.partial.note.total;
        while let Some(bytes) = answer.body.next(self.line.cancel)? {
            let written = self.partial.written() + bytes.len() as u64;
            if total.is_some_and(|total| written > total) {
                return Err(self.misfit("more than it announced".to_owned())?.into());
            }
            if self.tries.is_late(self.line.clock) {
                return Err(DownloadError::Late { within: self.line.patience.total }.into());
            }
            self.line.check_size(written, None)?;
            self.partial.add(&bytes)?;
            self.line.reporter.at(Phase::Downloading, written, total);
        }
        let found = self.partial.written();
        match total {
            Some(expected) if found < expected => Err(DownloadError::Truncated { found, expected }.into()),
            _ => Ok(()),
        }
    }
}

/// By what the server tells versions apart: a strong tag, or else the time of the last change.
fn validator_of(answer: &Answer) -> Option<Validator> {
    let etag = answer.header("etag").filter(|tag| tag.starts_with('"'));
    let modified = || answer.header("last-modified").map(|text| Validator::Modified(text.to_owned()));
    etag.map(|tag| Validator::Etag(tag.to_owned())).or_else(modified)
}

/// `bytes FROM-TO/TOTAL`, where the total may be unknown.
fn parse_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let from = range.split_once('-')?.0.trim().parse().ok()?;
    match total.trim() {
        "*" => Some((from, None)),
        total => Some((from, Some(total.parse().ok()?))),
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
