//! The project's own tools: `cargo xtask <command>`.
//!
//! Each command is a module; this file only names them. Nothing here is part of the product.

mod bench;
mod ci;
mod crash;
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
    /// Live simulated lives of a node: crashes, power cuts, failing disks and people, by seed.
    Sim(sim::Sim),
    /// Check the rules that compilers do not know: walls between crates, banned calls, lengths, documents.
    Tidy {
        /// Write shorter lengths into the ratchet file. It never adds or raises a line.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == bench::child::NAME) {
        return conclude(bench::child::run(&arguments[1..]).map(|()| true));
    }
    conclude(match Arguments::parse().command {
        Command::Bench(what) => workspace_root().and_then(|root| bench::run(&root, &what)),
        Command::Ci => workspace_root().and_then(|root| ci::run(&root)),
        Command::Crash(wanted) => workspace_root().and_then(|root| crash::run(&root, &wanted)),
        Command::Sim(wanted) => workspace_root().and_then(|root| sim::run(&root, &wanted)),
        Command::Tidy { bless } => workspace_root().and_then(|root| tidy::run(&root, bless)),
    })
}

fn conclude(done: Result<bool>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
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
