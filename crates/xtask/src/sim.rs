//! Simulated lives of a node, by seed. They are lived by the simulator's own program, so that this one stays quick to
//! build.

use anyhow::{Context, Result};
use clap::Args;
use std::path::Path;
use std::process::Command;

/// Which lives.
#[derive(Debug, Args)]
pub(crate) struct Sim {
    /// How many.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Only this one.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// With every line of what happens.
    #[arg(long, requires = "seed")]
    trace: bool,
}

impl Sim {
    fn arguments(&self) -> Vec<String> {
        match self.seed {
            Some(seed) => vec!["--seed".to_owned(), seed.to_string()],
            None => vec!["--seeds".to_owned(), self.seeds.to_string(), "--from".to_owned(), self.from.to_string()],
        }
    }
}

/// Lives them. Returns whether no law was broken, and nothing was left out.
pub(crate) fn run(root: &Path, wanted: &Sim) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "ov-sim", "--"]).args(wanted.arguments()).current_dir(root);
    if wanted.trace {
        command.env("SIM_TRACE", "1");
    }
    let status = command.status().context("start cargo for the simulator")?;
    Ok(status.success())
}
