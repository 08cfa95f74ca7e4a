//! The command line of a drop-in: a table of commands, and one parser that knows none of them by name.
//!
//! Flags may stand before, between and behind the words of a command, as `--flag value`, `--flag=value`, `-f value` or
//! `-fvalue`; `--` ends them. Nothing is read or written here.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::complaint::Complaint;

/// A program whose place is taken.
pub(crate) struct Program {
    /// As it calls itself.
    pub(crate) name: &'static str,
    /// What it is, for its help.
    pub(crate) about: &'static str,
    /// All commands, in the order of help.
    pub(crate) commands: &'static [Command],
    /// Flags that every command understands.
    pub(crate) everywhere: &'static [Flag],
}

/// One command.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// Its words and flags, as help shows them behind the name.
    pub(crate) usage: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
    pub(crate) flags: &'static [Flag],
    /// How many words it takes.
    pub(crate) words: RangeInclusive<usize>,
    pub(crate) carry_out: CarryOut,
}

/// What a command does.
pub(crate) enum CarryOut {
    /// With its words and flags.
    With(fn(&Call) -> Result<(), Complaint>),
    /// With everything behind its name, flags too: they are another program's.
    Raw(fn(&[String]) -> Result<(), Complaint>),
}

/// One flag.
#[derive(Debug)]
pub(crate) struct Flag {
    pub(crate) long: &'static str,
    pub(crate) short: Option<char>,
    /// What kind of value it takes, for help; nothing for a switch.
    pub(crate) value: Option<&'static str>,
    pub(crate) about: &'static str,
}

/// Understood by every command of every program.
pub(super) const HELP: Flag = Flag { long: "help", short: Some('h'), value: None, about: "help for this command" };

/// What was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) words: Vec<String>,
    flags: BTreeMap<&'static str, String>,
    pub(crate) wants_help: bool,
}

impl Call {
    /// The value of a flag, if it was given.
    pub(crate) fn value(&self, long: &str) -> Option<&str> {
        self.flags.get(long).map(String::as_str)
    }

    /// Whether a switch is on.
    pub(crate) fn is_on(&self, long: &str) -> bool {
        self.value(long) == Some("true")
    }
}

impl Program {
    /// A command by its name.
    pub(super) fn command(&self, name: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.name == name)
    }
}

/// The command that these words name, and the words without it. None for nothing at all, and for a wish for help.
pub(super) fn find<'a>(
    program: &'a Program,
    words: &[String],
) -> Result<Option<(&'a Command, Vec<String>)>, Complaint> {
    let Some(place) = place_of_command(program, words) else {
        parse_flags(program, words, &[])?;
        return Ok(None);
    };
    let name = &words[place];
    let Some(command) = program.command(name) else {
        let own = program.name;
        return Err(Complaint::new(format!("unknown command {name:?} for \"{own}\"\nRun '{own} --help' for usage.")));
    };
    let rest = words.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, word)| word.clone());
    Ok(Some((command, rest.collect())))
}

/// The first word that is neither a flag nor the value of one.
fn place_of_command(program: &Program, words: &[String]) -> Option<usize> {
    let takes_next = |word: &str| {
        program.everywhere.iter().filter(|flag| flag.value.is_some()).any(|flag| {
            word.strip_prefix("--") == Some(flag.long)
                || flag.short.is_some_and(|short| word.strip_prefix('-') == Some(short.to_string().as_str()))
        })
    };
    let mut index = 0;
    while let Some(word) = words.get(index) {
        match word.as_str() {
            word if takes_next(word) => index += 2,
            word if word.starts_with('-') => index += 1,
            _ => return Some(index),
        }
    }
    None
}

/// Reads what stands beside a command.
pub(super) fn parse(program: &Program, command: &Command, words: &[String]) -> Result<Call, Complaint> {
    let call = parse_flags(program, words, command.flags)?;
    let (least, most) = (*command.words.start(), *command.words.end());
    let count = call.words.len();
    if call.wants_help || (least..=most).contains(&count) {
        return Ok(call);
    }
    Err(Complaint::new(match most {
        0 => format!("unknown command {:?} for \"{} {}\"", call.words[0], program.name, command.name),
        most => format!("accepts {most} arg(s), received {count}"),
    }))
}

fn parse_flags(program: &Program, words: &[String], own: &'static [Flag]) -> Result<Call, Complaint> {
    let mut call = Call::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            call.words.extend(words.cloned());
            break;
        }
        let Some((flag, attached)) = flag_of(program, word, own)? else {
            call.words.push(word.clone());
            continue;
        };
        let value = match (flag.value, attached) {
            (_, Some(value)) => value.to_owned(),
            (None, None) => "true".to_owned(),
            (Some(_), None) => {
                words.next().cloned().ok_or_else(|| Complaint::new(format!("flag needs an argument: {word}")))?
            }
        };
        if flag.value.is_none() && !["true", "false"].contains(&value.as_str()) {
            let why = format!("invalid argument {value:?} for \"--{}\" flag: it is neither true nor false", flag.long);
            return Err(Complaint::new(why));
        }
        call.wants_help |= flag.long == "help" && value == "true";
        call.flags.insert(flag.long, value);
    }
    Ok(call)
}

/// The flag that a word names, and the value attached to it. None for a word that is no flag.
fn flag_of<'a>(
    program: &Program,
    word: &'a str,
    own: &'static [Flag],
) -> Result<Option<(&'static Flag, Option<&'a str>)>, Complaint> {
    let mut known = own.iter().chain(program.everywhere).chain(std::iter::once(&HELP));
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let flag = known.find(|flag| flag.long == name);
        return flag.map(|flag| Some((flag, value))).ok_or_else(|| Complaint::new(format!("unknown flag: --{name}")));
    }
    let Some(letters) = word.strip_prefix('-').filter(|letters| !letters.is_empty()) else { return Ok(None) };
    let mut letters = letters.chars();
    let letter = letters.next();
    let unknown = || Complaint::new(format!("unknown shorthand flag: {:?} in {word}", letter.unwrap_or('-')));
    let flag = known.find(|flag| flag.short == letter).ok_or_else(unknown)?;
    let rest = letters.as_str();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some((flag, Some(rest).filter(|rest| !rest.is_empty()))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosmovisor::grammar::{CONFIG, FORCE, OUTPUT, PROGRAM, UPGRADE_HEIGHT};

    fn read(line: &str) -> Result<(&'static str, Call), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let found = find(&PROGRAM, &words).map_err(|complaint| complaint.to_string())?;
        let Some((command, rest)) = found else { return Ok(("", Call::default())) };
        parse(&PROGRAM, command, &rest).map(|call| (command.name, call)).map_err(|complaint| complaint.to_string())
    }

    #[test]
    fn flags_may_stand_anywhere_in_every_form() {
        for line in [
            "add-upgrade v2 /bin/x --force --upgrade-height 7 -c f",
            "add-upgrade --force v2 --upgrade-height=7 /bin/x --cosmovisor-config f",
            "-c f add-upgrade --upgrade-height 7 --force=true v2 /bin/x",
            "--cosmovisor-config=f add-upgrade --upgrade-height 7 --force v2 -- /bin/x",
            "add-upgrade -cf --upgrade-height 9 --upgrade-height 7 --force v2 /bin/x",
        ] {
            let (name, call) = read(line).unwrap();
            assert_eq!((name, call.words.as_slice()), ("add-upgrade", &["v2".to_owned(), "/bin/x".to_owned()][..]));
            assert_eq!((call.value(CONFIG), call.value(UPGRADE_HEIGHT)), (Some("f"), Some("7")), "{line}");
            assert!(call.is_on(FORCE) && !call.wants_help, "{line}");
        }
        assert!(!read("add-upgrade a b --force=false").unwrap().1.is_on(FORCE));
        assert_eq!(read("version -o json").unwrap().1.value(OUTPUT), Some("json"));
        assert_eq!(read("version -ojson").unwrap().1.value(OUTPUT), Some("json"));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        for (line, why) in [
            ("frobnicate", "unknown command \"frobnicate\" for \"cosmovisor\"\nRun 'cosmovisor --help' for usage."),
            ("start --home x", "unknown command \"start\" for \"cosmovisor\"\nRun 'cosmovisor --help' for usage."),
            ("config x", "unknown command \"x\" for \"cosmovisor config\""),
            ("add-upgrade v2", "accepts 2 arg(s), received 1"),
            ("init a b", "accepts 1 arg(s), received 2"),
            ("config --nope", "unknown flag: --nope"),
            ("--version", "unknown flag: --version"),
            ("config -x", "unknown shorthand flag: 'x' in -x"),
            ("config -c", "flag needs an argument: -c"),
            ("add-upgrade a b --upgrade-height", "flag needs an argument: --upgrade-height"),
            ("add-upgrade a b --force=x", "invalid argument \"x\" for \"--force\" flag: it is neither true nor false"),
        ] {
            assert_eq!(read(line).map(|_| ()), Err(why.to_owned()), "{line}");
        }
    }

    #[test]
    fn help_is_found_whatever_else_is_said() {
        for line in ["", "--help", "-h", "-c x", "--help -c x"] {
            assert_eq!(read(line).map(|(name, _)| name), Ok(""), "{line}");
        }
        assert!(read("add-upgrade --help").unwrap().1.wants_help);
        assert!(read("--help init").unwrap().1.wants_help);
    }
}
