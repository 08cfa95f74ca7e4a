//! What the demo says: calm lines of at most eighty columns, in colours on a terminal, plain elsewhere.

use std::cell::Cell;
use std::io::IsTerminal as _;

use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Console, Look, Style, Tone, one_line, wrap};

const COLUMNS_MAX: usize = 80;
const INDENT: usize = 3;
/// One turn of the wheel that shows life.
const WHEEL: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const WHEEL_PLAIN: [&str; 4] = ["|", "/", "-", "\\"];
/// How long each picture of the wheel stays.
const WHEEL_MS: u64 = 100;
const CLEAR_LINE: &str = "\r\u{1b}[2K";

/// One measured thing, for the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Fact {
    /// What was measured.
    pub(super) what: String,
    /// What came out.
    pub(super) measured: String,
}

impl Fact {
    pub(super) fn new(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into() }
    }
}

/// Where the demo's story goes.
#[derive(Debug)]
pub(super) struct Teller<'a> {
    console: &'a Console,
    style: Style,
    /// Whether a line may be written over.
    live: bool,
    signs: bool,
    drawn_ms: Cell<Option<u64>>,
}

impl<'a> Teller<'a> {
    pub(super) fn new(console: &'a Console) -> Self {
        let style = console.look().style;
        let live = std::io::stdout().is_terminal() && style.has_colours() && !console.json;
        Self { console, style, live, signs: live && speaks_utf8(), drawn_ms: Cell::new(None) }
    }

    /// How the results of other commands look here.
    pub(super) fn look(&self) -> Look {
        Look { columns: Some(COLUMNS_MAX - 2 * INDENT), ..self.console.look() }
    }

    /// A heading with what is about to happen.
    pub(super) fn act(&self, number: usize, title: &str, promise: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.style.paint(Tone::Strong, format!("{number}  {title}")))?;
        self.paragraph(promise)
    }

    /// Text, wrapped.
    pub(super) fn paragraph(&self, text: &str) -> Result<(), Failure> {
        wrap(text, COLUMNS_MAX - INDENT).iter().try_for_each(|line| self.line(&indented(line)))
    }

    /// What a person would have typed for what happens now.
    pub(super) fn command(&self, text: &str) -> Result<(), Failure> {
        self.line(&indented(&self.style.paint(Tone::Faint, format!("$ {text}"))))
    }

    /// Text of others, as it is.
    pub(super) fn quote(&self, text: &str) -> Result<(), Failure> {
        text.lines().try_for_each(|line| self.line(indented(&indented(line)).trim_end()))
    }

    /// Something that was shown to be so.
    pub(super) fn proof(&self, text: &str) -> Result<(), Failure> {
        let mark = if self.signs { "✓ " } else { "ok " };
        let room = COLUMNS_MAX - INDENT - mark.chars().count();
        for (number, line) in wrap(&one_line(text), room).iter().enumerate() {
            let mark = if number == 0 { self.style.paint(Tone::Good, mark) } else { " ".repeat(mark.chars().count()) };
            self.line(&indented(&format!("{mark}{line}")))?;
        }
        Ok(())
    }

    /// A sign of life, written over by whatever comes next. Says nothing where lines cannot be written over.
    pub(super) fn progress(&self, text: &str) -> Result<(), Failure> {
        let now_ms = Console::monotonic_ms();
        if !self.live || self.drawn_ms.get().is_some_and(|drawn_ms| now_ms < drawn_ms + WHEEL_MS) {
            return Ok(());
        }
        self.drawn_ms.set(Some(now_ms));
        let wheel = if self.signs { &WHEEL[..] } else { &WHEEL_PLAIN[..] };
        let turn = usize::try_from(now_ms / WHEEL_MS).unwrap_or_default() % wheel.len();
        let text: String = one_line(text).chars().take(COLUMNS_MAX - INDENT - 3).collect();
        let wheel = self.style.paint(Tone::Notice, wheel[turn]);
        let line = indented(&format!("{wheel} {}", self.style.paint(Tone::Faint, text)));
        Console::write(format!("{CLEAR_LINE}{line}").as_bytes())
    }

    /// What was measured, one thing per line.
    pub(super) fn facts(&self, facts: &[Fact]) -> Result<(), Failure> {
        let width = facts.iter().map(|fact| fact.what.chars().count()).max().unwrap_or_default();
        facts.iter().try_for_each(|fact| {
            let padding = " ".repeat(width - fact.what.chars().count());
            let lines = wrap(&fact.measured, COLUMNS_MAX.saturating_sub(INDENT + width + 2));
            lines.iter().enumerate().try_for_each(|(number, line)| {
                let what = if number == 0 { format!("{}{padding}", fact.what) } else { " ".repeat(width) };
                self.line(&indented(&format!("{what}  {}", self.style.paint(Tone::Strong, line))))
            })
        })
    }

    /// A heading without a number.
    pub(super) fn heading(&self, text: &str) -> Result<(), Failure> {
        self.line("")?;
        self.line(&self.style.paint(Tone::Strong, text))
    }

    /// A line as it is.
    pub(super) fn line(&self, text: &str) -> Result<(), Failure> {
        if self.console.json {
            return Ok(());
        }
        let clear = if self.drawn_ms.take().is_some() { CLEAR_LINE } else { "" };
        Console::write(format!("{clear}{text}\n").as_bytes())
    }

    /// Takes a sign of life away.
    pub(super) fn quiet(&self) {
        if self.drawn_ms.take().is_some() {
            // The terminal that just went needs no clean line.
            let _ = Console::write(CLEAR_LINE.as_bytes());
        }
    }
}

fn indented(line: &str) -> String {
    if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(INDENT)) }
}

/// Whether the terminal is told to expect UTF-8: the first of these variables that says something decides.
fn speaks_utf8() -> bool {
    let said = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    said.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"))
}

/// A length of time with the digits that matter.
pub(super) fn time(ns: u64) -> String {
    let (us, ms) = (ns / 1_000, ns / 1_000_000);
    match ms {
        0..10 => format!("{}.{} ms", ms, us % 1_000 / 100),
        10..1_000 => format!("{ms} ms"),
        _ => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_digits_that_matter() {
        for (ns, text) in [(0, "0.0 ms"), (4_260_000, "4.2 ms"), (99_999_999, "99 ms"), (1_540_000_000, "1.5 s")] {
            assert_eq!(time(ns), text);
        }
    }
}
