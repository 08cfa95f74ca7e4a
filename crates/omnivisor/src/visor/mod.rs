//! The drop-in for Visor, the supervisor of Vega's nodes and of those that differ from them in name: its commands, flags,
//! files, texts and exit codes.
//!
//! Called as `visor` or `vegavisor`, or as `omnivisor visor …`. What the family's files mean is [`ov_chains::vega`]'s to
//! know. Exit code 0, or 1 behind `Error: …` on standard error: no other, as scripts expect.

mod completion;
mod examine;
mod grammar;
mod init;
mod log;
mod run;
mod version;
mod voice;

use std::ffi::OsString;
use std::process::ExitCode;

/// `visor …`; the first word is the program's own name.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    grammar::PROGRAM.main(words)
}
