//! What programs have in common whose place we take: a command line in the manner of theirs, help, and how a command
//! fails. Knows none of them by name.
//!
//! Exit code 0, or 1 behind `Error: …` on standard error, as scripts expect; no other unless a command says so.

mod complaint;
mod daemon;
mod grammar;
mod help;
mod program;

use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) use complaint::{Complaint, write};
pub(crate) use daemon::{environment, replace, signal_name, speak, told};
pub(crate) use grammar::{Call, CarryOut, Command, Flag, Program};
pub(crate) use program::ensure_program;

use crate::output::Console;

impl Program {
    /// Does what the words say; the first one is the program's own name.
    pub(crate) fn main(&self, words: Vec<OsString>) -> ExitCode {
        let words = words.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
        match self.obey(&words) {
            Ok(()) => ExitCode::SUCCESS,
            Err(complaint) => {
                if !complaint.is_silent() {
                    Console::tell(&format!("Error: {complaint}\n"));
                }
                ExitCode::from(complaint.exit_code())
            }
        }
    }

    fn obey(&self, words: &[String]) -> Result<(), Complaint> {
        let Some((command, rest)) = grammar::find(self, words)? else {
            return write(help::of_all(self).as_bytes());
        };
        let carry_out = match command.carry_out {
            CarryOut::Raw(carry_out) => return carry_out(&rest),
            CarryOut::With(carry_out) => carry_out,
        };
        let call = grammar::parse(self, command, &rest)?;
        if call.wants_help {
            return write(help::of(self, command).as_bytes());
        }
        carry_out(&call)
    }

    /// `help [command]`.
    pub(crate) fn help(&self, call: &Call) -> Result<(), Complaint> {
        let text = match call.words.first() {
            None => help::of_all(self),
            Some(word) => match self.command(word) {
                Some(command) => help::of(self, command),
                None => format!("Unknown help topic [`{word}`]\n{}", help::of_all(self)),
            },
        };
        write(text.as_bytes())
    }
}
