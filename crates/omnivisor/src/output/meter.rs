//! How far something is: on one line of a terminal that is written over, elsewhere as a line now and then.
//!
//! It owns the last line of the terminal that talk goes to while anything stands there; whoever writes something else
//! clears it first.

use std::io::{self, IsTerminal as _};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ov_types::EventKind;

use super::{Console, one_line};

/// How often a line is written where none can be written over.
const LINE_EVERY_MS: u64 = 10_000;
/// Cells of the bar.
const BAR_CELLS: usize = 24;
/// What the terminal has at least beside the bar.
const TEXT_COLUMNS_MIN: usize = 50;

/// Shows progress.
#[derive(Debug)]
pub(crate) struct Meter {
    is_terminal: bool,
    json: bool,
    quiet: bool,
    is_shown: AtomicBool,
    /// When the last line was written.
    told_ms: AtomicU64,
}

impl Meter {
    pub(crate) fn new(console: &Console) -> Self {
        let is_dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let is_terminal = io::stderr().is_terminal() && !is_dumb && !console.json;
        let (is_shown, told_ms) = (AtomicBool::new(false), AtomicU64::new(Console::monotonic_ms()));
        Self { is_terminal, json: console.json, quiet: console.quiet, is_shown, told_ms }
    }

    /// Shows how far something is.
    pub(crate) fn show(&self, kind: &EventKind) {
        if self.quiet {
            return;
        }
        if self.json {
            // Talk of programs: a line that cannot be made is no loss.
            if let Ok(line) = serde_json::to_string(kind) {
                Console::tell(&format!("{line}\n"));
            }
        } else if self.is_terminal {
            self.is_shown.store(true, Ordering::Relaxed);
            Console::tell(&format!("\r\u{1b}[K{}", line(kind, Console::talk_columns())));
        } else {
            let now_ms = Console::monotonic_ms();
            if now_ms.saturating_sub(self.told_ms.load(Ordering::Relaxed)) >= LINE_EVERY_MS {
                self.told_ms.store(now_ms, Ordering::Relaxed);
                Console::tell(&format!("{}\n", one_line(&kind.to_string())));
            }
        }
    }

    /// Frees the line for something else.
    pub(crate) fn clear(&self) {
        if self.is_shown.swap(false, Ordering::Relaxed) {
            Console::tell("\r\u{1b}[K");
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The line for a terminal of this width: a bar if there is room for one, and what is to be said.
fn line(kind: &EventKind, columns: Option<usize>) -> String {
    let columns = columns.unwrap_or(80).saturating_sub(1);
    let mut line = match kind {
        EventKind::Progress { done, total: Some(total), .. } if columns >= TEXT_COLUMNS_MIN + BAR_CELLS => {
            let cells = (*done).saturating_mul(BAR_CELLS as u64).checked_div(*total);
            let full = cells.and_then(|cells| usize::try_from(cells).ok()).unwrap_or(BAR_CELLS).min(BAR_CELLS);
            format!("[{}{}] ", "#".repeat(full), " ".repeat(BAR_CELLS - full))
        }
        _ => String::new(),
    };
    line.push_str(&one_line(&kind.to_string()));
    line.chars().take(columns).collect()
}

#[cfg(test)]
mod tests {
    use ov_types::Work;

    use super::*;

    fn progress(done: u64, total: Option<u64>) -> EventKind {
        EventKind::Progress { work: Work::Download, of: "release v2".to_owned(), done, total, rate: 2 << 20 }
    }

    #[test]
    fn a_line_has_a_bar_where_there_is_room_and_never_more_than_the_terminal() {
        let half = progress(30 << 20, Some(60 << 20));
        let text = "release v2: 30.0 MiB of 60.0 MiB downloaded, 50 %, 2.0 MiB a second, 15s left";
        assert_eq!(line(&half, Some(120)), format!("[############            ] {text}"));
        assert_eq!(line(&half, Some(60)), &text[..59]);
        assert_eq!(line(&progress(1 << 10, None), Some(120)), "release v2: 1.0 KiB downloaded, 2.0 MiB a second");
        assert!(line(&progress(5, Some(0)), Some(120)).starts_with(&format!("[{}]", "#".repeat(BAR_CELLS))));
    }
}
