//! The drop-in for Cosmovisor: its commands, flags, files, texts and exit codes.
//!
//! Called as `cosmovisor`, or as `omnivisor cosmovisor …`. Commands here read and write files of the home and end; what
//! the family's files mean is [`ov_chains::cosmos`]'s to know. Exit code 0, or 1 behind `Error: …` on standard error:
//! no other, as scripts expect.

mod add;
pub(crate) mod grammar;
mod init;
mod log;
pub(crate) mod native;
mod place;
mod prepare;
mod run;
mod scene;
mod schedule;
mod show;
mod version;

use std::ffi::OsString;
use std::process::ExitCode;

use scene::Scene;

/// `cosmovisor …`; the first word is the program's own name.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    grammar::PROGRAM.main(words)
}
