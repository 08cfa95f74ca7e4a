//! The commands of the drop-in, as a table.

use super::{add, init, prepare, run, show, version};
use crate::drop_in::CarryOut::{Raw, With};
use crate::drop_in::{Call, Command, Complaint, Flag, Program};

const ABOUT: &str = "\
A process manager for Cosmos SDK application binaries: Omnivisor, in the place of Cosmovisor.

It runs the binary that DAEMON_NAME names with the arguments given to `cosmovisor run`, watches the plan file
DAEMON_HOME/data/upgrade-info.json, and takes the node to its next binary when a plan is due. What is configured by
environment variables for Cosmovisor is understood as it is: see https://docs.cosmos.network/main/build/tooling/cosmovisor

`omnivisor status --home $DAEMON_HOME` shows what runs and what is planned.
";

/// The program whose place is taken.
pub(crate) static PROGRAM: Program =
    Program { name: "cosmovisor", about: ABOUT, commands: &COMMANDS, everywhere: &EVERYWHERE };

fn help_command(call: &Call) -> Result<(), Complaint> {
    PROGRAM.help(call)
}

pub(crate) const CONFIG: &str = "cosmovisor-config";
pub(crate) const FORCE: &str = "force";
pub(crate) const UPGRADE_HEIGHT: &str = "upgrade-height";
pub(crate) const UPGRADE_FILE: &str = "upgrade-file";
pub(crate) const UPGRADE_LIST: &str = "upgrade-list";
pub(crate) const OUTPUT: &str = "output";
pub(crate) const COSMOVISOR_ONLY: &str = "cosmovisor-only";

/// Understood by every command.
const EVERYWHERE: [Flag; 1] =
    [Flag { long: CONFIG, short: Some('c'), value: Some("string"), about: "path to cosmovisor config file" }];

/// All commands, in the order of help.
const COMMANDS: [Command; 10] = [
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
        carry_out: With(add::add_batch),
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
        carry_out: With(add::add),
    },
    Command {
        name: "config",
        usage: "[flags]",
        about: "Display cosmovisor config.",
        flags: &[],
        words: 0..=0,
        carry_out: With(show::config),
    },
    Command {
        name: "help",
        usage: "[command]",
        about: "Help about any command",
        flags: &[],
        words: 0..=usize::MAX,
        carry_out: With(help_command),
    },
    Command {
        name: "init",
        usage: "<path to executable> [flags]",
        about: "Initialize a cosmovisor daemon home directory.",
        flags: &[],
        words: 0..=1,
        carry_out: With(init::init),
    },
    Command {
        name: "prepare-upgrade",
        usage: "[flags]",
        about: "Prepare for the next upgrade: download its binary ahead of time",
        flags: &[],
        words: 0..=0,
        carry_out: With(prepare::prepare),
    },
    Command {
        name: "run",
        usage: "[APP command and its flags]",
        about: "Run an APP command.",
        flags: &[],
        words: 0..=usize::MAX,
        carry_out: Raw(run::run),
    },
    Command {
        name: "show-manual-upgrades",
        usage: "[flags]",
        about: "Show the upgrades that were scheduled by hand.",
        flags: &[],
        words: 0..=0,
        carry_out: With(show::manual_upgrades),
    },
    Command {
        name: "show-upgrade-info",
        usage: "[flags]",
        about: "Display current upgrade-info.json from <app> data directory",
        flags: &[],
        words: 0..=0,
        carry_out: With(show::upgrade_info),
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
        carry_out: With(version::version),
    },
];
