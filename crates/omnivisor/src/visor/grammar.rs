//! The commands of the drop-in, as a table.

use std::path::PathBuf;

use ov_chains::vega::{FLAVOURS, Flavour, flavour};

use super::{completion, examine, init, run, version};
use crate::drop_in::CarryOut::With;
use crate::drop_in::{Call, Command, Complaint, Flag, Program};

const ABOUT: &str = "\
A process manager for Vega binaries: Omnivisor, in the place of Visor.

It runs what `current/run-config.toml` in its home says, a core and perhaps a data node, asks the core for protocol
upgrades, and takes both to the next release when one is ready. `config.toml` and all files of the home are understood as
they are.

`omnivisor status --home VISOR_HOME` shows what runs and what is planned.
";

/// The program whose place is taken.
pub(super) static PROGRAM: Program =
    Program { name: "vegavisor", about: ABOUT, commands: &COMMANDS, everywhere: &EVERYWHERE };

const HOME: &str = "home";
const FLAVOUR: &str = "flavour";
pub(super) const WITH_DATA_NODE: &str = "with-data-node";
pub(super) const OUTPUT: &str = "output";
pub(super) const RELEASE: &str = "release";
const DRY_RUN: &str = "dry-run";

/// Understood by every command, so that they may stand before it.
const EVERYWHERE: [Flag; 1] =
    [Flag { long: HOME, short: None, value: Some("string"), about: "Path to visor home folder" }];

const OF_FLAVOUR: Flag = Flag {
    long: FLAVOUR,
    short: None,
    value: Some("string"),
    about: "Whose nodes are meant: vega, zeta or fury (default \"vega\")",
};

/// All commands, in the order of help.
const COMMANDS: [Command; 6] = [
    Command {
        name: "completion",
        usage: "[bash|zsh|fish]",
        about: "Generate the autocompletion script for the specified shell",
        flags: &[],
        words: 1..=1,
        carry_out: With(completion::completion),
    },
    Command {
        name: "doctor",
        usage: "[flags]",
        about: "Tells what is wrong, and what to do about it, without changing anything",
        flags: &[Flag {
            long: RELEASE,
            short: None,
            value: Some("string"),
            about: "Tag of a release in the home (default the one that is to run next)",
        }],
        words: 0..=0,
        carry_out: With(examine::doctor),
    },
    Command {
        name: "help",
        usage: "[command]",
        about: "Help about any command",
        flags: &[],
        words: 0..=usize::MAX,
        carry_out: With(|call| PROGRAM.help(call)),
    },
    Command {
        name: "init",
        usage: "[flags]",
        about: "Initiates home folder for visor",
        flags: &[
            Flag {
                long: WITH_DATA_NODE,
                short: None,
                value: None,
                about: "Determines whether or not data node config should be also generated",
            },
            OF_FLAVOUR,
        ],
        words: 0..=0,
        carry_out: With(init::init),
    },
    Command {
        name: "run",
        usage: "[flags]",
        about: "Runs visor",
        flags: &[Flag {
            long: DRY_RUN,
            short: None,
            value: None,
            about: "Tells what would be launched, and what is wrong; starts and changes nothing",
        }],
        words: 0..=0,
        carry_out: With(|call| if call.is_on(DRY_RUN) { examine::dry_run(call) } else { run::run(call) }),
    },
    Command {
        name: "version",
        usage: "[flags]",
        about: "Returns a Vega Visor version",
        flags: &[
            Flag {
                long: OUTPUT,
                short: None,
                value: Some("string"),
                about: "Specify the output format: json,human (default \"human\")",
            },
            OF_FLAVOUR,
        ],
        words: 0..=0,
        carry_out: With(version::version),
    },
];

/// The home that a call names, as a whole path.
pub(super) fn home(call: &Call) -> Result<PathBuf, Complaint> {
    let named = call.value(HOME).ok_or_else(|| Complaint::new("required flag(s) \"home\" not set"))?;
    let failed = |error| Complaint::new(format!("failed to get absolute path for {named:?}: {error}"));
    // Nothing named is where we are, as there.
    let home = if named.is_empty() { std::env::current_dir() } else { std::path::absolute(named) };
    home.map_err(failed)
}

/// Whose nodes a call means.
pub(super) fn flavour_of(call: &Call) -> Result<&'static Flavour, Complaint> {
    let Some(named) = call.value(FLAVOUR) else { return Ok(&FLAVOURS[0]) };
    flavour(named).ok_or_else(|| {
        let known = FLAVOURS.each_ref().map(|flavour| format!("{:?}", flavour.name));
        Complaint::new(format!("{FLAVOUR} flag must be one of {}", known.join(", ")))
    })
}
