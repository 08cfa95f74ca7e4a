//! The gate: the steps that every change passes, in order, each with its time.
//!
//! The steps share one build profile, so that a cold run compiles each dependency once for checking
//! and once for running. It installs nothing; `.ci/run` looks for the tools before.

use crate::report;
use anyhow::{Context, Result};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// One step: a cargo command line and what it needs in the environment.
struct Step {
    name: &'static str,
    arguments: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const STEPS: &[Step] = &[
    Step { name: "format", arguments: "fmt --all -- --check", environment: &[] },
    Step { name: "lint", arguments: "clippy --workspace --all-targets -- -D warnings", environment: &[] },
    Step { name: "tidy", arguments: "xtask tidy", environment: &[] },
    Step { name: "document", arguments: "doc --workspace --no-deps", environment: &[("RUSTDOCFLAGS", "-D warnings")] },
    // Exactly what the README tells everyone to run.
    Step { name: "test", arguments: "test --workspace", environment: &[] },
];

/// Runs the steps until one fails. Returns whether all passed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut times = Vec::new();
    let mut passed = true;
    for step in STEPS {
        report(&format!("\n== {}: cargo {}", step.name, step.arguments));
        let began = Instant::now();
        passed = carry_out(root, step)?;
        times.push((step.name, began.elapsed(), passed));
        if !passed {
            break;
        }
    }
    report(&table(&times));
    Ok(passed)
}

fn carry_out(root: &Path, step: &Step) -> Result<bool> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(step.arguments.split_whitespace())
        .envs(step.environment.iter().copied())
        .current_dir(root)
        .status()
        .with_context(|| format!("start cargo for `{}`", step.name))?;
    Ok(status.success())
}

fn table(times: &[(&str, Duration, bool)]) -> String {
    let total: Duration = times.iter().map(|(_, time, _)| *time).sum();
    let mut lines = vec![format!("\n{:<10} {:>9}", "step", "seconds")];
    lines.extend(times.iter().map(|(name, time, passed)| {
        let verdict = if *passed { "" } else { "  FAILED" };
        format!("{name:<10} {:>9.1}{verdict}", time.as_secs_f64())
    }));
    lines.push(format!("{:<10} {:>9.1}", "total", total.as_secs_f64()));
    let skipped = STEPS.len() - times.len();
    if skipped > 0 {
        lines.push(format!("{skipped} steps not run"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_a_failure() {
        let root = crate::workspace_root().unwrap();
        let step = |arguments| Step { name: "try", arguments, environment: &[] };
        assert!(carry_out(&root, &step("--version")).unwrap());
        assert!(!carry_out(&root, &step("no-such-command")).unwrap());
    }

    #[test]
    fn the_gate_tests_what_the_readme_promises() {
        let last = STEPS.last().map(|step| step.arguments);
        assert_eq!(last, Some("test --workspace"));
    }

    #[test]
    fn the_table_names_the_failure_and_what_was_not_run() {
        let second = Duration::from_secs(1);
        let text = table(&[("format", second, true), ("lint", second, false)]);
        assert!(text.contains("lint             1.0  FAILED"), "{text}");
        assert!(text.contains("total            2.0"), "{text}");
        assert!(text.contains("3 steps not run"), "{text}");
    }
}
