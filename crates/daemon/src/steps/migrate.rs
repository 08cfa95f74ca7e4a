//! Migrate: the hook that prepares the data for the new release has run.
//!
//! A hook must bear being run twice: a daemon that died while it ran cannot know how far it came. Never at once,
//! though: what an earlier try left running is ended first. What a hook did to the data is taken back by the undo of
//! the switch, which restores the snapshot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ov_engine::StepCall;
use ov_sys::process::{Ending, Program, run};
use ov_types::Problem;
use ov_types::record::StepFacts;

use super::{Work, Workshop, state_at};
use crate::units::what_is_signed;

/// How much of what a hook prints is kept.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// How long killed processes may take to be gone.
const END_MS_MAX: u64 = 10_000;
const SIGKILL: i32 = 9;

pub(super) struct Migrate;

impl Work for Migrate {
    fn probe(&self, shop: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(shop.shape.migrate.is_none().then(StepFacts::default))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let Some(hook) = &shop.shape.migrate else { return Ok(StepFacts::default()) };
        let place = end_earlier_try(shop, call)?;
        let release = shop.release_directory(&call.plan.release);
        let program = Program {
            environment: environment(shop, call, &place),
            directory: Some(shop.shape.layout.home.clone()),
            timeout: Duration::from_millis(hook.timeout_ms),
            output_bytes_max: OUTPUT_BYTES_MAX,
            ..Program::new(hook.program.fill_path(&release))
        }
        .arguments(hook.args.iter().map(|argument| argument.fill(&release)));
        let failed = |cause: String| {
            Problem::transient("OV-UPG-024", "run the hook that prepares the data")
                .cause(cause)
                .state(state_at(call))
                .hint("run the hook by hand to see what it wants, then `omnivisor upgrade retry`")
        };
        let output = run(&program).map_err(|error| failed(error.to_string()))?;
        let said = last_line(&output.stderr).or_else(|| last_line(&output.stdout));
        match output.ending {
            Ending::Exited(0) => Ok(StepFacts::noted(said.unwrap_or_else(|| "the hook is done".to_owned()))),
            Ending::Exited(code) => Err(failed(format!("exit code {code}: {}", said.unwrap_or_default()))),
            Ending::Signaled(signal) => Err(failed(format!("signal {signal}: {}", said.unwrap_or_default()))),
            Ending::TimedOut => {
                Err(failed(format!("it took longer than {}", ov_types::Span::from_ms(hook.timeout_ms))))
            }
        }
    }

    /// What a validator has signed is not the hook's to forget, nor is its key.
    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
        if shop.shape.migrate.is_none() {
            return Ok(());
        }
        let kept = what_is_signed(&*shop.disk, &shop.shape, shop.recorded_sign_state);
        kept.map(drop).map_err(|problem| {
            Problem::permanent("OV-UPG-026", "have the hook leave what the validator has signed")
                .cause(format!("after the hook it failed to {problem}"))
                .state(state_at(call))
                .hint("take out of the hook whatever resets the sign state or the key; both are in the data as it was kept")
        })
    }

    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if shop.shape.migrate.is_some() {
            end_earlier_try(shop, call)?;
        }
        Ok(StepFacts::default())
    }
}

/// Ends what a hook left running whose daemon was killed, and gives the folder by which its processes are known.
fn end_earlier_try(shop: &Workshop, call: &StepCall) -> Result<PathBuf, Problem> {
    let failed = |error: &std::io::Error| {
        Problem::transient("OV-UPG-025", "end the hook of an earlier try").because(error).state(state_at(call))
    };
    let place = shop.shape.layout.state.join("hooks").join("migrate");
    ov_sys::durable::make_directories(&*shop.disk, &place, 0o700).map_err(|error| failed(&error))?;
    let began = shop.clock.now();
    loop {
        let left = ov_shim::orphans::signal(&place, SIGKILL).map_err(|error| failed(&error))?;
        if left.is_empty() {
            return Ok(place);
        }
        if shop.clock.now().since_ms(began) > END_MS_MAX {
            let problem = Problem::transient("OV-UPG-025", "end the hook of an earlier try");
            return Err(problem
                .cause(format!("processes {left:?} do not end"))
                .state(state_at(call))
                .hint("find out what these processes wait for; the upgrade goes on once they are gone"));
        }
        std::thread::yield_now();
    }
}

fn environment(shop: &Workshop, call: &StepCall, place: &Path) -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let layout = &shop.shape.layout;
    let mut marker = place.canonicalize().unwrap_or_else(|_| place.to_owned()).into_os_string();
    marker.push(format!(":{}", call.plan.id));
    let mut variables = vec![
        (ov_shim::UNIT_VARIABLE.into(), marker),
        ("OMNIVISOR_HOME".into(), layout.home.clone().into_os_string()),
        ("OMNIVISOR_DATA".into(), layout.data.clone().into_os_string()),
        ("OMNIVISOR_RELEASE".into(), call.plan.release.as_str().into()),
    ];
    if let Some(height) = call.plan.trigger.height() {
        variables.push(("OMNIVISOR_HEIGHT".into(), height.to_string().into()));
    }
    if let Some(previous) = &call.facts.previous {
        variables.push(("OMNIVISOR_PREVIOUS_RELEASE".into(), previous.as_str().into()));
    }
    variables
}

fn last_line(output: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(output);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(|line| line.chars().take(400).collect())
}
