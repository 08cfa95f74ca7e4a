//! The command line: every command, its arguments and its help. Plain data, read by clap.
//!
//! Nothing here reads a file or asks the daemon; what an argument means is decided in [`crate::commands`].

mod habit;
mod help;
mod trigger;
mod upgrade;

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use ov_types::{ReleaseName, Span, UnitName};

pub(crate) use habit::{wants_json, with_tip, without_help_command};
pub(crate) use help::command;
pub(crate) use upgrade::{
    NewPlanArgs, Patience, PlanCommand, ReleaseCommand, SnapshotCommand, UpgradeCommand, WaitArgs,
};

/// Keeps blockchain nodes alive and takes them through their upgrades.
#[derive(Debug, Parser)]
#[command(name = "omnivisor", version, disable_help_subcommand = true, after_help = help::AFTER)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The node's home [default: the nearest folder from here upwards with an omnivisor.toml]
    #[arg(long, global = true, env = "OMNIVISOR_HOME", hide_env_values = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Use colours; NO_COLOR is respected
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub(crate) color: ColourChoice,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
}

/// When to use colours. (Texts on the values would make clap spread `--help` over three times the lines.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ColourChoice {
    // On a terminal.
    #[default]
    Auto,
    // Also into files and pipes.
    Always,
    // Not at all.
    Never,
}

/// All commands. `help::GROUPS` says under which heading each is listed.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write an omnivisor.toml, and stage the first release
    #[command(after_help = help::INIT)]
    Init(InitArgs),
    /// Look after the node, in the foreground
    #[command(after_help = help::RUN)]
    Run,
    /// Stop the node and its daemon
    #[command(after_help = help::STOP)]
    Stop(StopArgs),
    /// Read the configuration again
    Reload,
    /// Have another program file take the daemon's place; the units go on running
    #[command(after_help = help::SELF_UPGRADE)]
    SelfUpgrade {
        /// The program file [default: the one you are calling now]
        program: Option<PathBuf>,
    },
    /// Show what runs, what is planned and what is wrong
    Status,
    /// Show the node live
    Watch,
    /// Show what happened
    #[command(after_help = help::EVENTS)]
    Events(EventsArgs),
    /// Show the output of a unit
    #[command(after_help = help::LOGS)]
    Logs(LogsArgs),
    /// Examine host, configuration, releases, plans and data
    #[command(after_help = help::DOCTOR)]
    Doctor(DoctorArgs),
    /// Plan an upgrade, or take a plan back
    #[command(subcommand, after_help = help::PLAN)]
    Plan(PlanCommand),
    /// Prepare, trigger or undo an upgrade, and read their history
    #[command(subcommand, after_help = help::UPGRADE)]
    Upgrade(UpgradeCommand),
    /// List and remove staged releases
    #[command(subcommand)]
    Release(ReleaseCommand),
    /// Stop, start or hold one unit
    #[command(subcommand, after_help = help::UNIT)]
    Unit(UnitCommand),
    /// Say what omnivisor cannot know, so that a validator may sign
    #[command(subcommand, after_help = help::CONFIRM)]
    Confirm(ConfirmCommand),
    /// Take, check and restore snapshots of the data
    #[command(subcommand, after_help = help::SNAPSHOT)]
    Snapshot(SnapshotCommand),
    /// Show what this is for, on this machine: a node, killed, upgraded and rolled back
    #[command(after_help = help::DEMO)]
    Demo(DemoArgs),
    /// Print completions for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The folder for the pages, such as /usr/local/share/man/man1
        directory: PathBuf,
    },
    /// Print the JSON Schema of omnivisor.toml
    Schema,
    /// Print the table of exit codes
    #[command(hide = true)]
    ExitCodes,
}

/// `omnivisor init`. A first release has a name and a source; a map may tell either.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("naming").args(["release", "version_map"]).multiple(true)))]
#[command(group(ArgGroup::new("source").args(["from", "version_map"]).multiple(true)))]
pub(crate) struct InitArgs {
    /// The family of chains that the node belongs to
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(ov_chains::chains()), default_value = "generic")]
    pub(crate) chain: String,
    /// The node's name [default: the name of the folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The node's program inside a release [default: bin/ and the name of the file that --from names]; with --chain the
    /// name of the file in bin/
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<String>,
    /// Stage a release under this name, and make it the current one
    #[arg(long, requires = "source", value_name = "NAME")]
    pub(crate) release: Option<ReleaseName>,
    /// The program file or folder that becomes the release
    #[arg(long, requires = "naming", value_name = "PATH")]
    pub(crate) from: Option<PathBuf>,
    /// A map of all releases of the chain: begin with the one that makes the next block, and go on to the others; its
    /// addresses are followed
    #[arg(long, value_name = "FILE")]
    pub(crate) version_map: Option<PathBuf>,
    /// Look after this home natively that Cosmovisor, or the drop-in, looked after; nothing of it is moved or changed
    #[arg(long, value_name = "DIR", conflicts_with_all = ["from", "release"])]
    pub(crate) from_cosmovisor: Option<PathBuf>,
    /// Write nothing: print the configuration that would be written
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// The arguments of the node's program
    #[arg(last = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<String>,
}

/// `omnivisor demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the temporary home; one that is named with --home is always kept
    #[arg(long)]
    pub(crate) keep: bool,
    /// Break the demo, to see that it can fail
    #[arg(long, hide = true, value_enum)]
    pub(crate) sabotage: Option<Sabotage>,
}

/// Ways to break the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    // The release that should be bad is good.
    GoodRelease,
}

/// `omnivisor stop`.
#[derive(Debug, Args)]
pub(crate) struct StopArgs {
    /// End the daemon only, and leave the units running
    #[arg(long)]
    pub(crate) leave_units: bool,
    /// Return at once instead of when it has stopped
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long to wait
    #[arg(long, default_value = "10m", value_name = "SPAN", conflicts_with = "no_wait")]
    pub(crate) within: Span,
}

/// `omnivisor events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Only events after this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) since: Option<u64>,
    /// Only the last ones
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) lines: Option<usize>,
    /// Go on with new ones
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// `omnivisor logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The unit
    #[arg(default_value = "main")]
    pub(crate) unit: UnitName,
    /// Only the last lines; without it everything that is kept
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub(crate) lines: Option<usize>,
    /// Go on with what is written
    #[arg(long, short)]
    pub(crate) follow: bool,
}

/// `omnivisor doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Also examine this staged release
    #[arg(long, value_name = "NAME")]
    pub(crate) release: Option<ReleaseName>,
}

/// `omnivisor unit …`: what a person may tell a unit.
#[derive(Debug, Subcommand)]
pub(crate) enum UnitCommand {
    /// Stop it, and keep it down
    Stop(UnitArgs),
    /// Keep it up; releases a parked one
    Start(UnitArgs),
    /// Stop it and launch it again
    Restart(UnitArgs),
    /// Hold its launches; a running process goes on
    Suspend(SuspendArgs),
    /// Let its launches go
    Resume(SuspendArgs),
}

/// `omnivisor confirm …`: what only a person can know.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfirmCommand {
    /// No other machine signs with this node's key, nor ever will again
    Machine {
        /// The node's name, as a confirmation
        node: String,
    },
}

/// Which unit, and whether to wait for it.
#[derive(Debug, Args)]
pub(crate) struct UnitArgs {
    /// The unit, such as main
    pub(crate) unit: UnitName,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Which unit.
#[derive(Debug, Args)]
pub(crate) struct SuspendArgs {
    /// The unit, such as main
    pub(crate) unit: UnitName,
}
