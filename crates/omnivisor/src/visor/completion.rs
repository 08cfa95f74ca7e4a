//! `completion`: a script that makes a shell know our commands and flags.

use super::grammar::PROGRAM;
use crate::drop_in::{self, Call, Complaint};

/// The names by which we are called.
const NAMES: [&str; 2] = ["visor", "vegavisor"];

/// `completion <shell>`.
pub(super) fn completion(call: &Call) -> Result<(), Complaint> {
    let shell = call.words.first().map(String::as_str).unwrap_or_default();
    let commands: Vec<&str> = PROGRAM.commands.iter().map(|command| command.name).collect();
    let of_commands = PROGRAM.commands.iter().flat_map(|command| command.flags);
    let mut flags: Vec<&str> = PROGRAM.everywhere.iter().chain(of_commands).map(|flag| flag.long).collect();
    flags.sort_unstable();
    flags.dedup();
    let words = || flags.iter().map(|flag| format!("--{flag}")).fold(commands.join(" "), |all, it| all + " " + &it);
    let script: String = match shell {
        "bash" => format!("complete -W \"{}\" {}\n", words(), NAMES.join(" ")),
        "zsh" => format!("compctl -k \"({})\" {}\n", words(), NAMES.join(" ")),
        "fish" => {
            let of_name = |name| {
                let flags = flags.iter().map(move |flag| format!("complete -c {name} -l {flag}\n"));
                std::iter::once(format!("complete -c {name} -f -a \"{}\"\n", commands.join(" "))).chain(flags)
            };
            NAMES.into_iter().flat_map(of_name).collect()
        }
        other => return Err(Complaint::new(format!("unknown shell {other:?}: there is bash, zsh and fish"))),
    };
    drop_in::write(script.as_bytes())
}
