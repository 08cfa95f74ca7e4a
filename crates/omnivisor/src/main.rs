//! Omnivisor: one supervisor for every chain.
//!
//! One program file, several programs: the shim comes first, because one runs per unit and must stay tiny; then the
//! names it is called by; then the command line. This file decides which, and nothing else.

mod args;
mod commands;
mod cosmovisor;
mod daemon;
mod demo;
mod drop_in;
mod failure;
mod feed;
mod home;
mod log_stream;
mod output;
mod pause;
mod session;
mod signals;
#[cfg(test)]
mod tests;
mod visor;
mod wait;
mod watch;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::FromArgMatches as _;

/// A program that lives in this file.
type Program = fn(Vec<OsString>) -> ExitCode;

/// The names by which a link to this file is called, and the program each of them means. All but the first take another
/// program's place: `omnivisor cosmovisor …` is `cosmovisor …`.
const NAMES: [(&str, Program); 4] =
    [("omnivisor", command_line), ("cosmovisor", cosmovisor::main), ("visor", visor::main), ("vegavisor", visor::main)];

fn main() -> ExitCode {
    let mut words = std::env::args_os();
    let name = words.next().unwrap_or_default();
    let first = words.next();
    if first.as_deref() == Some(OsStr::new("shim")) {
        return ov_shim::main(words);
    }
    if let Some(drop_in) = first.as_ref().filter(|first| is_own_name(&name) && is_drop_in(first)) {
        return program(drop_in)(std::iter::once(drop_in.clone()).chain(words).collect());
    }
    let words = std::iter::once(name.clone()).chain(first).chain(words).collect();
    program(&name)(words)
}

/// Whether this name means the command line of our own.
fn is_own_name(name: &OsStr) -> bool {
    let name = Path::new(name).file_name().unwrap_or_default();
    !is_demo_node(name) && !is_drop_in(name)
}

/// Whether this is the name of a program whose place we take.
fn is_drop_in(name: &OsStr) -> bool {
    NAMES.iter().skip(1).any(|(known, _)| name == *known)
}

/// The program that a name means; unknown names mean the command line, as when somebody renamed the file.
fn program(name: &OsStr) -> Program {
    let name = Path::new(name).file_name().unwrap_or_default();
    let known = NAMES.iter().find(|(known, _)| name == *known).map(|(_, program)| *program);
    known.unwrap_or(if is_demo_node(name) { demo_node } else { command_line })
}

/// Whether the node inside goes by this name; it plays more than one.
fn is_demo_node(name: &OsStr) -> bool {
    fakenode::NAMES.iter().any(|known| name == *known)
}

/// The node that the demo and the tests look after.
fn demo_node(words: Vec<OsString>) -> ExitCode {
    fakenode::main(words.into_iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect())
}

/// `omnivisor …`.
fn command_line(words: Vec<OsString>) -> ExitCode {
    ExitCode::from(obey(words).number())
}

fn obey(words: Vec<OsString>) -> ov_types::ExitCode {
    let wants_json = args::wants_json(&words);
    let matches = args::command().try_get_matches_from(args::without_help_command(words));
    let arguments = matches.and_then(|matches| args::Arguments::from_arg_matches(&matches));
    let arguments = match arguments.map_err(args::with_tip) {
        Ok(arguments) => arguments,
        Err(error) if wants_json && error.use_stderr() => {
            let failure = failure::Failure::command_line(&error);
            output::Console::tell(&failure.as_json());
            return failure.exit();
        }
        Err(error) => {
            // A closed terminal is no reason to fail: there is nobody to tell.
            let _ = error.print();
            return if error.use_stderr() { ov_types::ExitCode::Usage } else { ov_types::ExitCode::Done };
        }
    };
    let console = output::Console::new(&arguments.global);
    match commands::carry_out(arguments, console) {
        Ok(()) => ov_types::ExitCode::Done,
        Err((console, failure)) => {
            console.fail(&failure);
            failure.exit()
        }
    }
}
