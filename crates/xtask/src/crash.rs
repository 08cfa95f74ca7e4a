//! The crash matrix beyond what the test suite has time for: every visit of every point, pairs of deaths, one case.
//!
//! The cases themselves live with the program that dies, in `crates/omnivisor/tests/crash`.

use anyhow::{Context, Result};
use clap::Args;
use std::path::Path;
use std::process::Command;

/// What to kill, and how often.
#[derive(Debug, Args)]
pub(crate) struct Crash {
    /// Let two daemons die in a row: the second in the middle of the recovery from the first.
    #[arg(long)]
    pairs: bool,
    /// Only so many pairs, spread evenly over all of them.
    #[arg(long, requires = "pairs", value_name = "N")]
    sample: Option<u64>,
    /// Kill at the first N visits of each point.
    #[arg(long, default_value_t = 3, value_name = "N", conflicts_with = "pairs")]
    visits: u64,
    /// Only this scenario.
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Replay one case, such as `good:journal.synced#2` or `bad:step.switch.undo#1,daemon.found#1`.
    #[arg(long, conflicts_with_all = ["pairs", "visits", "scenario"])]
    case: Option<String>,
}

/// Runs the cases; says whether all of them were survived.
pub(crate) fn run(root: &Path, wanted: &Crash) -> Result<bool> {
    let pairs = wanted.pairs.then(|| wanted.sample.unwrap_or(u64::from(u32::MAX)).to_string());
    let told = [
        ("CRASH_PAIRS", pairs),
        ("CRASH_VISITS", Some(wanted.visits.to_string())),
        ("CRASH_SCENARIO", wanted.scenario.clone()),
        ("CRASH_CASE", wanted.case.clone()),
    ];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["test", "-p", "omnivisor", "--test", "crash", "--", "--ignored", "--nocapture", "on_demand"])
        .envs(told.into_iter().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(root)
        .status()
        .context("start cargo for the crash matrix")?;
    Ok(status.success())
}
