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
    let more = added(&launch.added, occasion, &own, &mut ask);
    let more = more.map_err(|why| format!("what its arguments depend on is not known: {why}"))?;
    if !more.is_empty() {
        tracing::info!("{} is launched with {} besides", launch.program.fill(release), more.join(" "));
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    use ov_chains::Template;
    use ov_chains::added::{Added, AddedArguments, Answer, When};

    /// A release whose program answers in this way, and main that is pinned to what it says after a failure.
    fn pinned(script: &str, timeout_ms: u64) -> (tempfile::TempDir, LaunchShape) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tool");
        std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let text =
            format!("[unit.main]\nprogram = \"{{release}}/node\"\nargs = [\"start\"]\ncwd = {:?}\n", folder.path());
        let file = Path::new("/n/omnivisor.toml");
        let shape = ov_chains::read(&ov_sys::RealDisk, text.as_bytes(), Path::new("/n"), file).unwrap();
        let mut launch = shape.units[&ov_types::UnitName::main()].launch.clone();
        let question =
            Question { program: Template::in_release("tool"), args: vec![Template::literal("history")], timeout_ms };
        let none = Some("no segments".to_owned());
        let answer = Answer { question, pointer: "/to".to_owned(), none, among: None };
        launch.added = vec![AddedArguments {
            when: When::AfterFailure,
            unless_given: "--load".to_owned(),
            versions: None,
            arguments: vec![Added::Text("--load".to_owned()), Added::Answer(answer)],
        }];
        (folder, launch)
    }

    fn after_failure(script: &str, timeout_ms: u64) -> Result<Vec<OsString>, String> {
        let (folder, launch) = pinned(script, timeout_ms);
        let occasion = Occasion { after_failure: true, ..Occasion::default() };
        of_launch(&launch, &occasion, folder.path(), &[("SEEN".into(), "78".into())])
    }

    #[test]
    fn a_program_is_asked_in_the_units_place_and_only_on_the_occasion() {
        let (folder, launch) = pinned("touch asked", 5_000);
        assert_eq!(of_launch(&launch, &Occasion::default(), folder.path(), &[]), Ok(vec!["start".into()]));
        assert!(!folder.path().join("asked").exists());
        let script = "touch asked; echo noise >&2; echo \"{\\\"to\\\": $SEEN}\"; [ $1 = history ]";
        assert_eq!(after_failure(script, 5_000), Ok(vec!["start".into(), "--load".into(), "78".into()]));
        assert_eq!(after_failure("echo no segments found; exit 1", 5_000), Ok(vec!["start".into()]));
    }

    #[test]
    fn a_program_that_fails_hangs_or_is_missing_has_the_launch_fail() {
        let why = |script: &str, timeout_ms| after_failure(script, timeout_ms).unwrap_err();
        assert!(why("echo boom >&2; exit 3", 5_000).ends_with("is not known: it failed: boom"));
        assert!(why("kill -9 $$", 5_000).contains("was ended by signal 9"));
        assert!(why("sleep 100", 100).contains("did not end within 100ms"));
        let (folder, launch) = pinned("exit 0", 5_000);
        let occasion = Occasion { after_failure: true, ..Occasion::default() };
        let elsewhere = of_launch(&launch, &occasion, &folder.path().join("elsewhere"), &[]);
        assert!(elsewhere.unwrap_err().contains("cannot be run"));
        let launch = LaunchShape { user: Some("nobody".to_owned()), ..launch };
        assert!(of_launch(&launch, &occasion, folder.path(), &[]).unwrap_err().contains("another user"));
    }
}
