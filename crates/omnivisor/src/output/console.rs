//! The terminal: results to standard output, talk and errors to standard error.
//!
//! A reader who went away (`omnivisor events | head`) ends the program quietly; any other failure to write is told.

use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;

use jiff::tz::TimeZone;
use ov_sys::{Clock as _, RealClock};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::tcgetwinsize;
use serde::Serialize;

use super::{Clock, Look, Style, Tone};
use crate::args::{ColourChoice, GlobalArgs};
use crate::failure::Failure;

/// Where results and talk go.
#[derive(Debug)]
pub(crate) struct Console {
    /// Whether results are JSON.
    pub(crate) json: bool,
    /// Whether there is no talk.
    pub(crate) quiet: bool,
    results: Style,
    talk: Style,
    zone: TimeZone,
}

impl Console {
    /// As the command line and the environment say.
    pub(crate) fn new(global: &GlobalArgs) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let style = |is_terminal: bool| match global.color {
            ColourChoice::Always => Style::new(true),
            ColourChoice::Never => Style::new(false),
            ColourChoice::Auto => Style::new(is_terminal && !no_color && !dumb),
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            results: style(io::stdout().is_terminal()),
            talk: style(io::stderr().is_terminal()),
            zone: TimeZone::system(),
        }
    }

    /// The time.
    pub(crate) fn now_ms() -> i64 {
        RealClock.now().wall_ms
    }

    /// Time that passes whatever is done to the clock.
    pub(crate) fn monotonic_ms() -> u64 {
        RealClock.now().monotonic_ms
    }

    /// How results look now.
    pub(crate) fn look(&self) -> Look {
        let clock = Clock { now_ms: Self::now_ms(), zone: self.zone.clone() };
        Look { style: self.results, columns: columns(io::stdout()), clock }
    }

    /// How talk looks now.
    pub(crate) fn talk_look(&self) -> Look {
        Look { style: self.talk, columns: columns(io::stderr()), ..self.look() }
    }

    /// Writes a result: as JSON if that is wanted, else as `human` shows it.
    pub(crate) fn result<T: Serialize + ?Sized>(
        &self,
        value: &T,
        human: impl FnOnce(&T, &Look) -> String,
    ) -> Result<(), Failure> {
        if self.json { Self::json_line(value) } else { Self::write(human(value, &self.look()).as_bytes()) }
    }

    /// Writes one line of JSON.
    pub(crate) fn json_line<T: Serialize + ?Sized>(value: &T) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(value).map_err(|error| Failure::output(&error))?;
        line.push(b'\n');
        Self::write(&line)
    }

    /// Writes bytes as they are.
    pub(crate) fn write(bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
            if error.kind() == io::ErrorKind::BrokenPipe { Failure::reader_left() } else { Failure::output(&error) }
        })
    }

    /// Fails when nobody can read results any more. A write would tell; whoever only waits for news has to ask.
    pub(crate) fn expect_reader() -> Result<(), Failure> {
        let out = io::stdout();
        let mut sources = [PollFd::new(&out, PollFlags::empty())];
        let is_answered = poll(&mut sources, Some(&Timespec::default())).is_ok_and(|count| count > 0);
        let is_over = sources[0].revents().intersects(PollFlags::ERR | PollFlags::HUP);
        if is_answered && is_over { Err(Failure::reader_left()) } else { Ok(()) }
    }

    /// Says something that is no result.
    pub(crate) fn say(&self, tone: Tone, text: &str) {
        if !self.quiet {
            Self::tell(&format!("{}\n", self.talk.paint(tone, super::printable(text))));
        }
    }

    /// Tells why a command failed.
    pub(crate) fn fail(&self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        let text = if self.json { failure.as_json() } else { failure.as_text(&self.talk_look()) };
        Self::tell(&text);
    }

    /// Writes to standard error; there is nobody left to tell if that fails.
    pub(crate) fn tell(text: &str) {
        let _ = io::stderr().lock().write_all(text.as_bytes());
    }

    /// How wide the terminal is that talk goes to.
    pub(crate) fn talk_columns() -> Option<usize> {
        columns(io::stderr())
    }

    /// Whether a person sits at both ends.
    pub(crate) fn is_interactive() -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }
}

/// How wide a terminal is. One that does not know its size says zero.
fn columns(stream: impl AsFd) -> Option<usize> {
    tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}
