//! Programs that answer a question.

use std::path::PathBuf;

use ov_chains::Template;
use ov_sys::process::{Ending, Output, Program, run};

use super::value::clean;
use super::{ANSWER_BYTES_MAX, Scene, blocking, span};

/// Whether a program exits with zero, and the first line of what it says.
pub(super) async fn judged(scene: &Scene, program: &Template, args: &[Template]) -> Result<String, String> {
    let name = program.fill(&scene.release);
    let output = output(scene, program, args).await?;
    let says = first_line(&output).map_or(String::new(), |line| format!(": {line}"));
    if output.success() {
        return Ok(format!("{name} exits with 0{says}"));
    }
    Err(format!("{name} {}{says}", ending(scene, &output)))
}

/// What a program prints, if it exits with zero. Some print their version to the standard error.
pub(super) async fn printed(scene: &Scene, program: &Template, args: &[Template]) -> Result<Vec<u8>, String> {
    let name = program.fill(&scene.release);
    let output = output(scene, program, args).await?;
    if !output.success() {
        let says = first_line(&output).map_or(String::new(), |line| format!(": {line}"));
        return Err(format!("{name} {}{says}", ending(scene, &output)));
    }
    let printed = [output.stdout, output.stderr].into_iter().find(|bytes| !bytes.trim_ascii().is_empty());
    printed.ok_or_else(|| format!("{name} prints nothing"))
}

async fn output(scene: &Scene, program: &Template, args: &[Template]) -> Result<Output, String> {
    let path = PathBuf::from(program.fill(&scene.release));
    let started = Program {
        arguments: args.iter().map(|arg| arg.fill(&scene.release).into()).collect(),
        environment: scene.environment.clone(),
        directory: scene.directory.clone(),
        timeout: scene.timeout,
        output_bytes_max: ANSWER_BYTES_MAX,
        ..Program::new(path.clone())
    };
    // It ends by itself within the time-out, and its whole group with it.
    blocking(move || run(&started).map_err(|error| format!("{} cannot be run: {error}", path.display()))).await
}

fn ending(scene: &Scene, output: &Output) -> String {
    match output.ending {
        Ending::Exited(code) => format!("exits with {code}"),
        Ending::Signaled(signal) => format!("is ended by signal {signal}"),
        Ending::TimedOut => format!("does not end within {}", span(scene.timeout)),
    }
}

fn first_line(output: &Output) -> Option<String> {
    [&output.stdout, &output.stderr]
        .into_iter()
        .map(|bytes| clean(&String::from_utf8_lossy(bytes)))
        .find(|line| !line.is_empty())
}
