//! The drop-in for Cosmovisor: its commands, flags, files, texts and exit codes.
//!
//! Called as `cosmovisor`, or as `omnivisor cosmovisor …`. Commands here read and write files of the home and end; what
//! the family's files mean is [`ov_chains::cosmos`]'s to know. Exit code 0, or 1 behind `Error: …` on standard error:
//! no other, as scripts expect.

mod add;
mod complaint;
mod grammar;
mod help;
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

use complaint::Complaint;
use grammar::{COMMANDS, Call};
use scene::Scene;

use crate::output::Console;

/// `cosmovisor …`; the first word is the program's own name.
pub(crate) fn main(words: Vec<OsString>) -> ExitCode {
    let words = words.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>();
    match obey(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => {
            if !complaint.is_silent() {
                Console::tell(&format!("Error: {complaint}\n"));
            }
            ExitCode::from(complaint.exit_code())
        }
    }
}

fn obey(words: &[String]) -> Result<(), Complaint> {
    let Some((command, rest)) = grammar::find(words)? else {
        return complaint::write(help::of_all().as_bytes());
    };
    if command.name == grammar::RUN {
        return run::run(&rest);
    }
    let call = grammar::parse(command, &rest)?;
    if call.wants_help {
        return complaint::write(help::of(command).as_bytes());
    }
    (command.carry_out)(&call)
}

/// `help [command]`.
fn help_command(call: &Call) -> Result<(), Complaint> {
    let text = match call.words.first() {
        None => help::of_all(),
        Some(word) => match COMMANDS.iter().find(|command| command.name == *word) {
            Some(command) => help::of(command),
            None => format!("Unknown help topic [`{word}`]\n{}", help::of_all()),
        },
    };
    complaint::write(text.as_bytes())
}
