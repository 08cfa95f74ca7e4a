//! The proof with real parts: `cargo xtask e2e cosmos`, and `cargo xtask e2e vega` as far as there are any.
//!
//! A real chain of the Cosmos SDK, with CometBFT inside and governance that decides, is looked after by our program under
//! the name `cosmovisor`, and beside it by the original. Everything is built from the Go module proxy as the Go
//! toolchain of this machine is configured, once, into `target/e2e`; without Go, or without its modules, nothing is
//! run, and that is told by an exit code of its own. Everything listens on loopback, waits with bounds, and is ended by
//! process id.

mod chain;
mod governance;
mod node;
pub(crate) mod parts;
mod rpc;
mod scenarios;
mod server;
mod signing;
mod stage;
mod vega;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};

use crate::{Verdict, report};
use parts::{NotHere, Parts};
use scenarios::{SCENARIOS, Scenario};
use stage::Stage;

/// With which real parts.
#[derive(Debug, Subcommand)]
pub(crate) enum E2e {
    /// Take real nodes of the Cosmos SDK through upgrades that governance decided. Ends with 77 if nothing could be run.
    Cosmos(Cosmos),
    /// Compare the core that our tests look after with the library that real ones answer with, and be led by that library.
    Vega(vega::Vega),
}

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Cosmos {
    /// Only these scenarios; all of them by default.
    scenarios: Vec<String>,
    /// Say which scenarios there are.
    #[arg(long)]
    list: bool,
    /// Where random moments come from; another one every time by default.
    #[arg(long)]
    seed: Option<u64>,
    /// Build our program as it is delivered.
    #[arg(long, conflicts_with = "program")]
    release: bool,
    /// Take this program instead of building one.
    #[arg(long)]
    program: Option<PathBuf>,
    /// Leave the folders of the scenarios for a look.
    #[arg(long)]
    keep: bool,
}

/// Runs what is wanted.
pub(crate) fn run(root: &Path, what: &E2e) -> Result<Verdict> {
    match what {
        E2e::Cosmos(wanted) => run_cosmos(root, wanted),
        E2e::Vega(wanted) => vega::run(root, wanted),
    }
}

/// Runs the scenarios one after the other, all of them whatever the others did.
fn run_cosmos(root: &Path, wanted: &Cosmos) -> Result<Verdict> {
    if wanted.list {
        for scenario in SCENARIOS {
            report(&format!("{:<24} {}", scenario.name, scenario.what));
        }
        return Ok(Verdict::Passed);
    }
    let chosen = choose(&wanted.scenarios)?;
    let parts = match Parts::build(root, wanted.release, wanted.program.as_deref()) {
        Ok(parts) => parts,
        Err(error) => match error.downcast_ref::<NotHere>() {
            Some(NotHere(why)) => {
                report(&format!("not run: {why}"));
                return Ok(Verdict::NotRun);
            }
            None => return Err(error),
        },
    };
    let seed = wanted.seed.unwrap_or_else(seed_of_the_moment);
    let mut results = Vec::new();
    for scenario in chosen {
        report(&format!("\n== {}: {} (--seed {seed})", scenario.name, scenario.what));
        let began = Instant::now();
        let result = run_one(root, &parts, scenario, seed, wanted.keep);
        results.push((scenario.name, began.elapsed(), result));
    }
    report(&table(&results));
    Ok(Verdict::from(results.iter().all(|(_, _, result)| !matches!(result, Ended::Failed(_)))))
}

/// How one scenario ended.
#[derive(Debug)]
enum Ended {
    Passed,
    NotRun(String),
    Failed(String),
}

fn run_one(root: &Path, parts: &Parts, scenario: &Scenario, seed: u64, keep: bool) -> Ended {
    let folder = root.join("target/e2e/runs").join(format!("{}-{}", scenario.name, std::process::id()));
    let stage = Stage::new(parts.clone(), folder.clone(), seed);
    let result = (scenario.run)(&stage);
    let ended = match result {
        Ok(()) => Ended::Passed,
        Err(error) => match error.downcast_ref::<NotHere>() {
            Some(NotHere(why)) => Ended::NotRun(why.clone()),
            None => Ended::Failed(format!("{error:#}")),
        },
    };
    if keep || matches!(ended, Ended::Failed(_)) {
        report(&format!("what is left of it: {}", folder.display()));
    } else {
        let _ = std::fs::remove_dir_all(&folder);
    }
    ended
}

fn choose(names: &[String]) -> Result<Vec<&'static Scenario>> {
    for name in names {
        let known = SCENARIOS.iter().any(|scenario| scenario.name == name);
        ensure!(known, "find the scenario `{name}`; `--list` shows all");
    }
    Ok(SCENARIOS.iter().filter(|scenario| names.is_empty() || names.iter().any(|name| name == scenario.name)).collect())
}

fn seed_of_the_moment() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}

fn table(results: &[(&str, Duration, Ended)]) -> String {
    let mut lines = vec![format!("\n{:<24} {:>8}", "scenario", "seconds")];
    for (name, time, ended) in results {
        let verdict = match ended {
            Ended::Passed => String::new(),
            Ended::NotRun(why) => format!("  not run: {why}"),
            Ended::Failed(why) => format!("  FAILED to {why}"),
        };
        lines.push(format!("{name:<24} {:>8.1}{verdict}", time.as_secs_f64()));
    }
    lines.join("\n")
}

/// Runs a tool to its end; what it says is part of the error.
fn tool(command: &mut std::process::Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(std::process::Stdio::null()).output().with_context(|| format!("start {name}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let problem = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "run {name}: {text}{}", problem.trim());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_chosen_by_name() {
        assert_eq!(choose(&[]).unwrap().len(), SCENARIOS.len());
        let one = SCENARIOS[0].name.to_owned();
        assert_eq!(choose(&[one]).unwrap().len(), 1);
        assert!(choose(&["nonsense".to_owned()]).is_err());
    }

    #[test]
    fn the_table_tells_what_was_not_run_from_what_failed() {
        let second = Duration::from_secs(1);
        let text = table(&[
            ("a", second, Ended::Passed),
            ("b", second, Ended::NotRun("no original".to_owned())),
            ("c", second, Ended::Failed("see height 9".to_owned())),
        ]);
        assert!(text.contains("not run: no original") && text.contains("FAILED to see height 9"), "{text}");
    }
}
