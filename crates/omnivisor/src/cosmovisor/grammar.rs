//! The command line of the drop-in: a table of commands, and one parser that knows none of them by name.
//!
//! Flags may stand before, between and behind the words of a command, as `--flag value`, `--flag=value`, `-f value` or
//! `-fvalue`; `--` ends them. Nothing is read or written here.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::complaint::Complaint;
use super::{add, init, prepare, show, version};

/// One command.
pub(super) struct Command {
    pub(super) name: &'static str,
    /// Its words and flags, as help shows them behind the name.
    pub(super) usage: &'static str,
    /// What it does, in a line.
    pub(super) about: &'static str,
    pub(super) flags: &'static [Flag],
    /// How many words it takes.
    pub(super) words: RangeInclusive<usize>,
    pub(super) carry_out: fn(&Call) -> Result<(), Complaint>,
}

/// One flag.
pub(super) struct Flag {
    pub(super) long: &'static str,
    pub(super) short: Option<char>,
    /// What kind of value it takes, for help; nothing for a switch.
    pub(super) value: Option<&'static str>,
    pub(super) about: &'static str,
}

/// What was asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) words: Vec<String>,
    flags: BTreeMap<&'static str, String>,
    pub(super) wants_help: bool,
}

impl Call {
    /// The value of a flag, if it was given.
    pub(super) fn value(&self, long: &str) -> Option<&str> {
        self.flags.get(long).map(String::as_str)
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, long: &str) -> bool {
        self.value(long) == Some("true")
    }
}

/// The command whose words are the program's own.
pub(super) const RUN: &str = "run";
pub(super) const CONFIG: &str = "cosmovisor-config";
pub(super) const FORCE: &str = "force";
pub(super) const UPGRADE_HEIGHT: &str = "upgrade-height";
pub(super) const UPGRADE_FILE: &str = "upgrade-file";
pub(super) const UPGRADE_LIST: &str = "upgrade-list";
pub(super) const OUTPUT: &str = "output";
pub(super) const COSMOVISOR_ONLY: &str = "cosmovisor-only";

/// Understood by every command.
pub(super) const EVERYWHERE: [Flag; 2] = [
    Flag { long: CONFIG, short: Some('c'), value: Some("string"), about: "path to cosmovisor config file" },
    Flag { long: "help", short: Some('h'), value: None, about: "help for this command" },
];

/// All commands, in the order of help.
pub(super) const COMMANDS: [Command; 10] = [
    Command {
        name: "add-batch-upgrade",
        usage: "[flags]",
        about: "Add multiple upgrade binaries at specified heights to cosmovisor",
        flags: &[
            Flag {
                long: UPGRADE_FILE,
                short: None,
                value: Some("string"),
                about: "path to a CSV file without a heading: name,path to executable,height",
            },
            Flag {
                long: UPGRADE_LIST,
                short: None,
                value: Some("strings"),
                about: "list of upgrades: name:path to executable:height,...",
            },
        ],
        words: 0..=0,
        carry_out: add::add_batch,
    },
    Command {
        name: "add-upgrade",
        usage: "<upgrade-name> <path to executable> [flags]",
        about: "Add APP upgrade binary to cosmovisor",
        flags: &[
            Flag { long: FORCE, short: None, value: None, about: "overwrite an existing upgrade binary, and its plan" },
            Flag {
                long: UPGRADE_HEIGHT,
                short: None,
                value: Some("int"),
                about: "height at which to switch without a governance proposal",
            },
        ],
        words: 2..=2,
        carry_out: add::add,
    },
    Command {
        name: "config",
        usage: "[flags]",
        about: "Display cosmovisor config.",
        flags: &[],
        words: 0..=0,
        carry_out: show::config,
    },
    Command {
        name: "help",
        usage: "[command]",
        about: "Help about any command",
        flags: &[],
        words: 0..=usize::MAX,
        carry_out: super::help_command,
    },
    Command {
        name: "init",
        usage: "<path to executable> [flags]",
        about: "Initialize a cosmovisor daemon home directory.",
        flags: &[],
        words: 0..=1,
        carry_out: init::init,
    },
    Command {
        name: "prepare-upgrade",
        usage: "[flags]",
        about: "Prepare for the next upgrade: download its binary ahead of time",
        flags: &[],
        words: 0..=0,
        carry_out: prepare::prepare,
    },
    Command {
        name: RUN,
        usage: "[APP command and its flags]",
        about: "Run an APP command.",
        flags: &[],
        words: 0..=usize::MAX,
        carry_out: |call| super::run::run(&call.words),
    },
    Command {
        name: "show-manual-upgrades",
        usage: "[flags]",
        about: "Show the upgrades that were scheduled by hand.",
        flags: &[],
        words: 0..=0,
        carry_out: show::manual_upgrades,
    },
    Command {
        name: "show-upgrade-info",
        usage: "[flags]",
        about: "Display current upgrade-info.json from <app> data directory",
        flags: &[],
        words: 0..=0,
        carry_out: show::upgrade_info,
    },
    Command {
        name: "version",
        usage: "[flags]",
        about: "Display cosmovisor and APP version.",
        flags: &[
            Flag { long: OUTPUT, short: Some('o'), value: Some("string"), about: "Output format (text|json)" },
            Flag { long: COSMOVISOR_ONLY, short: None, value: None, about: "Print cosmovisor version only" },
        ],
        words: 0..=usize::MAX,
        carry_out: version::version,
    },
];

/// The command that these words name, and the words without it. None for nothing at all, and for a wish for help.
pub(super) fn find(words: &[String]) -> Result<Option<(&'static Command, Vec<String>)>, Complaint> {
    let Some(place) = place_of_command(words) else {
        parse_flags(words, &[])?;
        return Ok(None);
    };
    let name = &words[place];
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        return Err(Complaint::new(format!(
            "unknown command {name:?} for \"cosmovisor\"\nRun 'cosmovisor --help' for usage."
        )));
    };
    let rest = words.iter().enumerate().filter(|(index, _)| *index != place).map(|(_, word)| word.clone());
    Ok(Some((command, rest.collect())))
}

/// The first word that is neither a flag nor the value of one.
fn place_of_command(words: &[String]) -> Option<usize> {
    let takes_next = |word: &str| {
        EVERYWHERE.iter().filter(|flag| flag.value.is_some()).any(|flag| {
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
pub(super) fn parse(command: &Command, words: &[String]) -> Result<Call, Complaint> {
    let call = parse_flags(words, command.flags)?;
    let (least, most) = (*command.words.start(), *command.words.end());
    let count = call.words.len();
    if call.wants_help || (least..=most).contains(&count) {
        return Ok(call);
    }
    Err(Complaint::new(match most {
        0 => format!("unknown command {:?} for \"cosmovisor {}\"", call.words[0], command.name),
        most => format!("accepts {most} arg(s), received {count}"),
    }))
}

fn parse_flags(words: &[String], own: &'static [Flag]) -> Result<Call, Complaint> {
    let mut call = Call::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == "--" {
            call.words.extend(words.cloned());
            break;
        }
        let Some((flag, attached)) = flag_of(word, own)? else {
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
fn flag_of<'a>(word: &'a str, own: &'static [Flag]) -> Result<Option<(&'static Flag, Option<&'a str>)>, Complaint> {
    let mut known = own.iter().chain(&EVERYWHERE);
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

    fn read(line: &str) -> Result<(&'static str, Call), String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let found = find(&words).map_err(|complaint| complaint.to_string())?;
        let Some((command, rest)) = found else { return Ok(("", Call::default())) };
        parse(command, &rest).map(|call| (command.name, call)).map_err(|complaint| complaint.to_string())
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
