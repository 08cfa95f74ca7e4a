//! The help texts of the drop-in, made from the table of commands.

use std::fmt::Write as _;

use super::grammar::{COMMANDS, Command, EVERYWHERE, Flag};

const ABOUT: &str = "\
A process manager for Cosmos SDK application binaries: Omnivisor, in the place of Cosmovisor.

It runs the binary that DAEMON_NAME names with the arguments given to `cosmovisor run`, watches the plan file
DAEMON_HOME/data/upgrade-info.json, and takes the node to its next binary when a plan is due. What is configured by
environment variables for Cosmovisor is understood as it is: see https://docs.cosmos.network/main/build/tooling/cosmovisor

`omnivisor status --home $DAEMON_HOME` shows what runs and what is planned.
";

/// Help on the whole program.
pub(super) fn of_all() -> String {
    let mut text = format!("{ABOUT}\nUsage:\n  cosmovisor [command]\n\nAvailable Commands:\n");
    let width = COMMANDS.iter().map(|command| command.name.len()).max().unwrap_or(0);
    for command in &COMMANDS {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {:width$} {}", command.name, command.about);
    }
    text.push_str("\nFlags:\n");
    flags(&mut text, &[]);
    text.push_str("\nUse \"cosmovisor [command] --help\" for more information about a command.\n");
    text
}

/// Help on one command.
pub(super) fn of(command: &Command) -> String {
    let mut text = format!("{}\n\nUsage:\n  cosmovisor {} {}\n\nFlags:\n", command.about, command.name, command.usage);
    flags(&mut text, command.flags);
    text
}

fn flags(text: &mut String, own: &'static [Flag]) {
    let named: Vec<(String, &Flag)> = own.iter().chain(&EVERYWHERE).map(|flag| (name(flag), flag)).collect();
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
