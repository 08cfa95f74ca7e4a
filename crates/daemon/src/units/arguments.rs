//! The arguments of a launch: those that a unit always has, and those of the occasion.
//!
//! Programs that are asked for one run in the unit's environment and working directory, to their end and within their bound,
//! before anything is launched.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use ov_chains::added::{Printed, Question, added};
use ov_chains::shape::LaunchShape;
use ov_sys::process::{Ending, Program, run};
use ov_types::{Occasion, Span};

/// So much of what a program prints is read. Some tell all that they were built from.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// All arguments, in their order.
pub(super) fn of_launch(
    launch: &LaunchShape,
    occasion: &Occasion,
    release: &Path,
    environment: &[(OsString, OsString)],
) -> Result<Vec<OsString>, String> {
    let own: Vec<String> = launch.args.iter().map(|argument| argument.fill(release)).collect();
    let mut heard: Vec<(Question, Result<Printed, String>)> = Vec::new();
    let mut ask = |question: &Question| {
        if let Some((_, answer)) = heard.iter().find(|(asked, _)| asked == question) {
            return answer.clone();
        }
        let answer = ask(question, launch, release, environment);
        if let Err(why) = &answer {
            tracing::warn!("asked for an argument of the launch, {why}");
        }
        heard.push((question.clone(), answer.clone()));
        answer
    };
    let more = added(&launch.added, occasion, &own, &mut ask)?;
    Ok(own.into_iter().chain(more).map(OsString::from).collect())
}

fn ask(
    question: &Question,
    launch: &LaunchShape,
    release: &Path,
    environment: &[(OsString, OsString)],
) -> Result<Printed, String> {
    let program = question.program.fill(release);
    if launch.user.is_some() || launch.group.is_some() {
        return Err(format!("{program} is not started as another user only to be asked"));
    }
    let output = run(&Program {
        environment: environment.to_vec(),
        directory: Some(launch.cwd.fill_path(release)),
        timeout: Duration::from_millis(question.timeout_ms),
        output_bytes_max: ANSWER_BYTES_MAX,
        ..Program::new(&program).arguments(question.args.iter().map(|argument| argument.fill(release)))
    });
    let output = output.map_err(|error| format!("{program} cannot be run: {error}"))?;
    match output.ending {
        Ending::Exited(_) => {}
        Ending::Signaled(signal) => return Err(format!("{program} was ended by signal {signal}")),
        Ending::TimedOut => {
            return Err(format!("{program} did not end within {}", Span::from_ms(question.timeout_ms)));
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Printed { success: output.success(), out: text(&output.stdout), err: text(&output.stderr) })
}
