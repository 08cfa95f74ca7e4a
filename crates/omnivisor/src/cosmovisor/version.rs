//! `version`: ours, and that of the program which runs.

use std::time::Duration;

use ov_sys::process::{self, Ending, Program};
use serde_json::Value;

use super::Scene;
use super::grammar::{COSMOVISOR_ONLY, OUTPUT};
use crate::drop_in::{self, Call, Complaint, ensure_program};
use crate::output::Console;

/// The version of the original whose commands and files these are; scripts compare it.
const INTERFACE: &str = "v1.7.1";
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// `version [arguments of the program's own version command]`.
pub(super) fn version(call: &Call) -> Result<(), Complaint> {
    let own = own_version();
    let is_json = call.value(OUTPUT) == Some("json");
    match (is_json, call.is_on(COSMOVISOR_ONLY)) {
        (true, true) => drop_in::write(format!("{}\n", serde_json::json!({ "cosmovisor_version": own })).as_bytes()),
        (true, false) => {
            let answer = ask(call, &["--long", "--output", "json"])?;
            drop_in::write(both(&own, &answer.stdout)?.as_bytes())
        }
        (false, only) => {
            drop_in::write(format!("cosmovisor version: {own}\n").as_bytes())?;
            if only {
                return Ok(());
            }
            let rest: Vec<&str> = call.words.iter().map(String::as_str).collect();
            drop_in::write(&ask(call, &rest)?.stdout)
        }
    }
}

/// Ours: the interface that we offer, and who offers it.
fn own_version() -> String {
    format!("{INTERFACE}+omnivisor.{}", env!("CARGO_PKG_VERSION"))
}

/// Asks the program that runs. What it says on standard error is passed on.
fn ask(call: &Call, rest: &[&str]) -> Result<process::Output, Complaint> {
    let failed = |complaint: Complaint| complaint.within("failed to run version command");
    let scene = Scene::of(call).map_err(failed)?;
    let program = scene.current_program().map_err(failed)?;
    ensure_program(&program).map_err(|complaint| failed(complaint.within("current binary is invalid")))?;
    let words = std::iter::once(&"version").chain(rest).copied();
    let asked = Program {
        directory: Some(scene.settings.root()),
        timeout: PATIENCE,
        output_bytes_max: ANSWER_BYTES_MAX,
        ..Program::new(&program).arguments(words)
    };
    let output = process::run(&asked)
        .map_err(|error| failed(Complaint::new(format!("fork/exec {}: {error}", program.display()))))?;
    Console::tell(&String::from_utf8_lossy(&output.stderr));
    match output.ending {
        Ending::Exited(0) => Ok(output),
        Ending::Exited(code) => Err(failed(Complaint::new(format!("exit status {code}")))),
        Ending::Signaled(signal) => Err(failed(Complaint::new(format!("signal {signal}")))),
        Ending::TimedOut => {
            Err(failed(Complaint::new(format!("{} did not answer within {PATIENCE:?}", program.display()))))
        }
    }
}

/// One object with both versions, the program's as it gave it.
fn both(own: &str, answer: &[u8]) -> Result<String, Complaint> {
    let version: Value = serde_json::from_slice(answer).map_err(|error| {
        let answer = String::from_utf8_lossy(answer);
        Complaint::new(format!("can't print version output, expected valid json from APP, got: {answer} - {error}"))
    })?;
    Ok(format!("{{\"cosmovisor_version\":{},\"app_version\":{version}}}\n", Value::from(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_one_object() {
        let answer = both("v1", b"{\n \"name\": \"simd\",\n \"build\": [1, 2]\n}\n").unwrap();
        assert_eq!(answer, "{\"cosmovisor_version\":\"v1\",\"app_version\":{\"name\":\"simd\",\"build\":[1,2]}}\n");
        let wrong = both("v1", b"v0.50").unwrap_err().to_string();
        assert!(
            wrong.starts_with("can't print version output, expected valid json from APP, got: v0.50 - "),
            "{wrong}"
        );
    }
}
