//! The project's own tools: `cargo xtask <command>`.
//!
//! Each command is a module; this file only names them. Nothing here is part of the product.

mod ci;
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
    /// Run every step of the gate in order, and say how long each took.
    Ci,
    /// Check the rules that compilers do not know: walls between crates, banned calls, lengths, documents.
    Tidy {
        /// Write shorter lengths into the ratchet file. It never adds or raises a line.
        #[arg(long)]
        bless: bool,
    },
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Ci => workspace_root().and_then(|root| ci::run(&root)),
        Command::Tidy { bless } => workspace_root().and_then(|root| tidy::run(&root, bless)),
    };
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
