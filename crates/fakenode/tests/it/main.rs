//! Every switch of fakenode, tried on the real program.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test by panicking, like the tests")]

mod answers;
mod data;
mod failures;
mod output;
mod processes;
mod signing;
mod stage;
mod start_stop;
mod upgrades;
mod vega_core;
mod vega_stage;
mod vega_tools;

use fakenode::SWITCHES;

/// A switch that no test names would be a promise that nobody checks.
#[test]
fn every_switch_is_tried() {
    let tests = [
        include_str!("answers.rs"),
        include_str!("data.rs"),
        include_str!("failures.rs"),
        include_str!("output.rs"),
        include_str!("processes.rs"),
        include_str!("signing.rs"),
        include_str!("start_stop.rs"),
        include_str!("upgrades.rs"),
        include_str!("vega_core.rs"),
        include_str!("vega_stage.rs"),
        include_str!("vega_tools.rs"),
    ]
    .concat();
    let tried = |name: &str| {
        tests.contains(&format!("{} ", name.replace('_', "-")))
            || tests.contains(&format!("{}\"", name.replace('_', "-")))
            || tests.contains(&format!("{}=", name.replace('_', "-")))
            || tests.contains(&format!("\"{name}\""))
    };
    let missing: Vec<&str> = SWITCHES.iter().map(|switch| switch.name).filter(|name| !tried(name)).collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn bad_command_lines_are_usage_errors() {
    let stage = stage::Stage::new();
    for line in ["", "fly", "start", "start --home", "verify", "version --block-ms soon", "start --home x --fly 1"] {
        let output = stage.run(line);
        assert_eq!(output.status.code(), Some(2), "`{line}`");
        assert!(stage::text(&output.stderr).starts_with("fakenode: failed to"), "`{line}`");
    }
    let help = stage.run("help");
    assert!(help.status.success() && stage::text(&help.stdout).contains("--crash-after"));
}
