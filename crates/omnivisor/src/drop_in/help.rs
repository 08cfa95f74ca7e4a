//! The help texts of a drop-in, made from the table of commands.

use std::fmt::Write as _;

use super::grammar::{Command, Flag, HELP, Program};

/// Help on the whole program.
pub(super) fn of_all(program: &Program) -> String {
    let Program { name, about, commands, .. } = program;
    let mut text = format!("{about}\nUsage:\n  {name} [command]\n\nAvailable Commands:\n");
    let width = commands.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for command in *commands {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {:width$} {}", command.name, command.about);
    }
    text.push_str("\nFlags:\n");
    flags(&mut text, program, &[]);
    let _ = writeln!(text, "\nUse \"{name} [command] --help\" for more information about a command.");
    text
}

/// Help on one command.
pub(super) fn of(program: &Program, command: &Command) -> String {
    let (own, Command { name, about, usage, .. }) = (program.name, command);
    let mut text = format!("{about}\n\nUsage:\n  {own} {name} {usage}\n\nFlags:\n");
    flags(&mut text, program, command.flags);
    text
}

fn flags(text: &mut String, program: &Program, own: &[Flag]) {
    let all = own.iter().chain(program.everywhere).chain(std::iter::once(&HELP));
    let named: Vec<(String, &Flag)> = all.map(|flag| (name(flag), flag)).collect();
    let width = named.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, flag) in named {
        let _ = writeln!(text, "  {name:width$}   {}", flag.about);
    }
}

fn name(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".to_owned(), |short| format!("-{short}, "));
    let value = flag.value.map(|value| format!(" {value}")).unwrap_or_default();
    format!("{short}--{}{value}", flag.long)
}
