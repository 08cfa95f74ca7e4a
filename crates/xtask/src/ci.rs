//! The gate: the steps that every change passes, in order, each with its time.
//!
//! The steps share one build profile, so that a cold run compiles each dependency once for checking
//! and once for running. It installs nothing; `.ci/run` looks for the tools before. A step that says it could not be run
//! here, because of what this machine lacks, is told and does not fail the gate.

use crate::{NOT_RUN_EXIT, Verdict, report};
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
    Step { name: "e2e", arguments: "xtask e2e cosmos", environment: &[] },
    Step { name: "codec", arguments: "xtask e2e vega", environment: &[] },
];

/// Runs the steps until one fails. Returns whether all passed.
pub(crate) fn run(root: &Path) -> Result<bool> {
    let mut times = Vec::new();
    let mut verdict = Verdict::Passed;
    for step in STEPS {
        report(&format!("\n== {}: cargo {}", step.name, step.arguments));
        let began = Instant::now();
        verdict = carry_out(root, step)?;
        times.push((step.name, began.elapsed(), verdict));
        if verdict == Verdict::Failed {
            break;
        }
    }
    report(&table(&times));
    Ok(verdict != Verdict::Failed)
}

fn carry_out(root: &Path, step: &Step) -> Result<Verdict> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(step.arguments.split_whitespace())
        .envs(step.environment.iter().copied())
        .current_dir(root)
        .status()
        .with_context(|| format!("start cargo for `{}`", step.name))?;
    let not_run = status.code() == Some(i32::from(NOT_RUN_EXIT));
    Ok(if not_run { Verdict::NotRun } else { status.success().into() })
}

fn table(times: &[(&str, Duration, Verdict)]) -> String {
    let total: Duration = times.iter().map(|(_, time, _)| *time).sum();
    let mut lines = vec![format!("\n{:<10} {:>9}", "step", "seconds")];
    lines.extend(times.iter().map(|(name, time, verdict)| {
        let verdict = match verdict {
            Verdict::Passed => "",
            Verdict::Failed => "  FAILED",
            Verdict::NotRun => "  not run here",
        };
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
        assert_eq!(carry_out(&root, &step("--version")).unwrap(), Verdict::Passed);
        assert_eq!(carry_out(&root, &step("no-such-command")).unwrap(), Verdict::Failed);
    }

    #[test]
    fn the_gate_tests_what_the_readme_promises() {
        assert!(STEPS.iter().any(|step| step.arguments == "test --workspace"));
    }

    #[test]
    fn the_table_names_the_failure_and_what_was_not_run() {
        let second = Duration::from_secs(1);
        let text = table(&[("format", second, Verdict::NotRun), ("lint", second, Verdict::Failed)]);
        assert!(text.contains("lint             1.0  FAILED"), "{text}");
        assert!(text.contains("format           1.0  not run here"), "{text}");
        assert!(text.contains("total            2.0"), "{text}");
        assert!(text.contains(&format!("{} steps not run", STEPS.len() - 2)), "{text}");
    }
}
