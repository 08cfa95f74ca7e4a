//! Hooks: programs of the operator, or of the new release, that are run once while the node is down.
//!
//! A hook must bear being run twice: a daemon that died while it ran cannot know how far it came. Never at once, though:
//! what an earlier try left running is ended first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ov_chains::shape::{Hook, HookArg, HookCodes};
use ov_engine::StepCall;
use ov_sys::process::{Ending, Output, Program, run};
use ov_types::record::StepFacts;
use ov_types::{Lasting, Problem};

use super::{Workshop, state_at};
use crate::units::what_is_signed;

/// How much of what a hook prints is kept.
const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// What there is to say of a hook that there is not.
pub(super) const NO_SUCH_COMMAND: &str = "the new release has no such command";

/// How long killed processes may take to be gone.
const END_MS_MAX: u64 = 10_000;
const SIGKILL: i32 = 9;

/// What a hook is for: its name in our state, and in problems.
#[derive(Debug, Clone, Copy)]
pub(super) struct Purpose {
    pub(super) folder: &'static str,
    pub(super) summary: &'static str,
}

/// Runs a hook as often as it wants.
pub(super) fn carry_out(shop: &Workshop, call: &StepCall, hook: &Hook, purpose: Purpose) -> Result<StepFacts, Problem> {
    let place = end_earlier_try(shop, call, purpose)?;
    let release = shop.release_directory(&call.plan.release);
    let path = hook.program.fill_path(&release);
    let failed = |cause: String| {
        Problem::transient("OV-UPG-024", purpose.summary)
            .cause(cause)
            .state(state_at(call))
            .hint("run the hook by hand to see what it wants, then `omnivisor upgrade retry`")
    };
    if hook.make_executable {
        make_executable(shop, &path).map_err(failed)?;
    }
    let program = Program {
        environment: environment(shop, call, &place),
        directory: Some(shop.shape.layout.home.clone()),
        timeout: Duration::from_millis(hook.timeout_ms),
        output_bytes_max: OUTPUT_BYTES_MAX,
        ..Program::new(&path)
    }
    .arguments(hook.args.iter().map(|argument| text(shop, call, argument, &release)));
    let mut runs = 0;
    loop {
        let output = run(&program).map_err(|error| failed(error.to_string()))?;
        runs += 1;
        match judge(hook, &output, runs) {
            Said::Done(note) => {
                check_what_is_signed(shop, call)?;
                return Ok(StepFacts::noted(note));
            }
            Said::Again => {}
            Said::Failed(cause, lasting) => return Err(Problem { lasting, ..failed(cause) }),
        }
    }
}

/// What a validator has signed is not the hook's to forget, nor is its key.
fn check_what_is_signed(shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
    what_is_signed(&*shop.disk, &shop.shape, shop.recorded_sign_state).map(drop).map_err(|problem| {
        Problem::permanent("OV-UPG-026", "have the hook leave what the validator has signed")
            .cause(format!("after the hook it failed to {problem}"))
            .state(state_at(call))
            .hint("take out of the hook whatever resets the sign state or the key; both are in the data as it was kept")
    })
}

/// What one run of a hook came to.
enum Said {
    Done(String),
    Again,
    Failed(String, Lasting),
}

fn judge(hook: &Hook, output: &Output, runs: u32) -> Said {
    let said = last_line(&output.stderr).or_else(|| last_line(&output.stdout));
    let failed = |cause: String| Said::Failed(cause, Lasting::Transient);
    let code = match output.ending {
        Ending::Exited(0) => return Said::Done(said.unwrap_or_else(|| "the hook is done".to_owned())),
        Ending::Exited(code) => code,
        Ending::Signaled(signal) => return failed(format!("signal {signal}: {}", said.unwrap_or_default())),
        Ending::TimedOut => {
            return failed(format!("it took longer than {}", ov_types::Span::from_ms(hook.timeout_ms)));
        }
    };
    let said = said.unwrap_or_default();
    match &hook.codes {
        HookCodes { no_such_command: Some((none, words)), .. } if *none == code && says(output, words) => {
            Said::Done(NO_SUCH_COMMAND.to_owned())
        }
        HookCodes { again: Some((again, most)), .. } if *again == code && runs <= *most => Said::Again,
        HookCodes { again: Some((again, most)), .. } if *again == code => {
            failed(format!("it was run {runs} times and wants to be run again, which is allowed {most} times: {said}"))
        }
        HookCodes { abort: Some(abort), .. } if *abort == code => {
            Said::Failed(format!("exit code {code}, which forbids the upgrade: {said}"), Lasting::Permanent)
        }
        _ => failed(format!("exit code {code}: {said}")),
    }
}

/// Whether a text stands in what a program said.
pub(super) fn says(output: &Output, words: &str) -> bool {
    [&output.stderr, &output.stdout].iter().any(|out| String::from_utf8_lossy(out).contains(words))
}

fn text(shop: &Workshop, call: &StepCall, argument: &HookArg, release: &Path) -> OsString {
    match argument {
        HookArg::Text(template) => template.fill(release).into(),
        HookArg::PlanHeight => call.plan.trigger.height().unwrap_or_default().to_string().into(),
        HookArg::PlanName => shop.name_as_written(&call.plan.release).into(),
    }
}

/// A script that somebody forgot to make executable is run all the same.
fn make_executable(shop: &Workshop, path: &Path) -> Result<(), String> {
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let facts = ov_sys::durable::followed(&*shop.disk, path).map_err(told)?;
    let facts = facts.ok_or_else(|| format!("{} file missing", path.display()))?;
    if facts.kind != ov_sys::disk::Kind::File {
        return Err(format!("{} is not a regular file", path.display()));
    }
    if facts.mode & 0o100 != 0 {
        return Ok(());
    }
    shop.disk.set_mode(path, facts.mode | 0o100).map_err(told)
}

/// Ends what a hook left running whose daemon was killed, and gives the folder by which its processes are known.
pub(super) fn end_earlier_try(shop: &Workshop, call: &StepCall, purpose: Purpose) -> Result<PathBuf, Problem> {
    let failed = |error: &std::io::Error| {
        Problem::transient("OV-UPG-025", "end the hook of an earlier try").because(error).state(state_at(call))
    };
    let place = shop.shape.layout.state.join("hooks").join(purpose.folder);
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

fn environment(shop: &Workshop, call: &StepCall, place: &Path) -> Vec<(OsString, OsString)> {
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
