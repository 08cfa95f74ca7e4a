//! Benchmarks against others, side by side in one run: `cargo xtask bench supervise`, `cargo xtask bench cosmos`.
//!
//! Everything runs as it is delivered, on the same machine, within minutes of each other, with the same processes to
//! look after. Each writes a page in `docs/bench` (keeping what people wrote at its end) and the numbers as JSON beside
//! it. It installs nothing unless told to.

pub(crate) mod child;
mod cosmos;
mod crowd;
mod document;
mod facts;
mod log;
mod pattern;
mod peers;
mod quiet;
mod relaunch;
mod report;
mod supervise;
mod switch;
mod volume;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};

use crate::Verdict;
use quiet::Patience;

/// What to compare.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// Compare omnivisor as a supervisor with s6, runit, supervisord and systemd.
    Supervise(Supervise),
    /// Compare omnivisor under the name `cosmovisor` with the original, over upgrades of a fake chain. Needs Go.
    Cosmos(cosmos::Cosmos),
}

/// How to compare supervisors.
#[derive(Debug, Args)]
pub(crate) struct Supervise {
    /// Measure these only, print them, and write no document.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    #[command(flatten)]
    conditions: Conditions,
    /// Install what is missing with `apt-get` (Debian, as root).
    #[arg(long)]
    install: bool,
}

/// Where, with what and how patiently to measure.
#[derive(Debug, Args)]
pub(crate) struct Conditions {
    /// How often a disturbed measurement is repeated at most.
    #[arg(long, default_value_t = 3)]
    attempts: u32,
    /// How many seconds to wait for a quiet moment before each.
    #[arg(long, default_value_t = 20)]
    wait: u64,
    /// Where to work; on the disk to be measured. A new folder in it is used and removed.
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    folder: PathBuf,
    /// Measure this program instead of building one.
    #[arg(long)]
    program: Option<PathBuf>,
}

impl Conditions {
    fn patience(&self) -> Patience {
        Patience { attempts: self.attempts, wait: Duration::from_secs(self.wait) }
    }

    /// A new folder to work in.
    fn make_folder(&self) -> Result<PathBuf> {
        let folder = self.folder.join(format!("omnivisor-bench-{}", std::process::id()));
        fs::create_dir_all(&folder).context("make a folder to work in")?;
        Ok(folder)
    }
}

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Idle,
    Relaunch,
    Crowd,
    Log,
    Switch,
}

/// Runs a comparison. Returns whether it could be made.
pub(crate) fn run(root: &Path, bench: &Bench) -> Result<Verdict> {
    match bench {
        Bench::Supervise(options) => supervise::run(root, options).map(Verdict::from),
        Bench::Cosmos(options) => cosmos::run(root, options),
    }
}
