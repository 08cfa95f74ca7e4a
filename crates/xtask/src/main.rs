//! The project's own tools: `cargo xtask <command>`.
//!
//! Each command is a module; this file only names them. Nothing here is part of the product.

mod bench;
mod ci;
mod crash;
mod e2e;
mod processes;
mod sim;
mod tidy;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Development tasks of Omnivisor.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measure beside others what this project promises.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Run every step of the gate in order, and say how long each took.
    Ci,
    /// Kill the real program at its crash points: at every visit, in pairs, or in one case.
    Crash(crash::Crash),
    /// Look after real nodes of other people's making. Ends with 77 if what that needs is not here.
    #[command(subcommand)]
    E2e(e2e::E2e),
    /// Live simulated lives of a node: crashes, power cuts, failing disks and people, by seed.
    Sim(sim::Sim),
    /// Check the rules that compilers do not know: walls between crates, banned calls, lengths, documents.
    Tidy {
        /// Write shorter lengths into the ratchet file. It never adds or raises a line.
        #[arg(long)]
        bless: bool,
    },
}

/// What became of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed,
    /// Nothing was tried, because this machine lacks what it needs.
    NotRun,
}

/// The exit code for what was not run, as other test runners have it.
const NOT_RUN_EXIT: u8 = 77;

impl From<bool> for Verdict {
    fn from(passed: bool) -> Self {
        if passed { Self::Passed } else { Self::Failed }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == bench::child::NAME) {
        return conclude(bench::child::run(&arguments[1..]).map(|()| Verdict::Passed));
    }
    let command = Arguments::parse().command;
    conclude(workspace_root().and_then(|root| carry_out(&root, &command)))
}

fn carry_out(root: &Path, command: &Command) -> Result<Verdict> {
    match command {
        Command::Bench(what) => bench::run(root, what),
        Command::Ci => ci::run(root).map(Verdict::from),
        Command::Crash(wanted) => crash::run(root, wanted).map(Verdict::from),
        Command::E2e(what) => e2e::run(root, what),
        Command::Sim(wanted) => sim::run(root, wanted).map(Verdict::from),
        Command::Tidy { bless } => tidy::run(root, *bless).map(Verdict::from),
    }
}

fn conclude(done: Result<Verdict>) -> ExitCode {
    match done {
        Ok(Verdict::Passed) => ExitCode::SUCCESS,
        Ok(Verdict::Failed) => ExitCode::FAILURE,
        Ok(Verdict::NotRun) => ExitCode::from(NOT_RUN_EXIT),
        Err(error) => {
            report(&format!("xtask: failed to {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The folder with the root `Cargo.toml`, from where this program was built.
fn workspace_root() -> Result<PathBuf> {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = crate_folder.ancestors().nth(2).context("find the workspace root")?;
    Ok(root.to_owned())
}

#[expect(clippy::print_stderr, reason = "a program that talks to its user")]
fn report(line: &str) {
    eprintln!("{line}");
}
