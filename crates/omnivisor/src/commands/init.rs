//! `init`: a configuration to begin with, and the first release.
//!
//! Nothing that is there already is changed. After a failure the command can be given again.

use std::fmt::Write as _;

use std::path::{Path, PathBuf};

use ov_chains::{Init, init_template};
use ov_sys::disk::Kind;
use ov_sys::{Disk as _, RealDisk, durable};
use ov_types::{ExitCode, Problem, ReleaseName};
use serde::Serialize;

use crate::args::InitArgs;
use crate::failure::Failure;
use crate::home::{self, CONFIGURATION};
use crate::output::{Look, Tone};
use crate::session::Session;

/// What was made.
#[derive(Debug, Serialize)]
struct Made {
    home: PathBuf,
    configuration: PathBuf,
    release: Option<ReleaseName>,
}

pub(super) fn init(session: &Session, arguments: &InitArgs) -> Result<(), Failure> {
    let configuration = session.home.join(CONFIGURATION);
    if durable::exists(&RealDisk, &configuration).map_err(|error| Failure::file("look at", &configuration, &error))? {
        return Err(occupied(&configuration));
    }
    let from = arguments.from.as_deref().map(home::absolute).transpose()?.map(PathBuf::from);
    let program = program(arguments, from.as_deref())?;
    durable::make_directories(&RealDisk, &session.home, 0o755)
        .map_err(|error| Failure::file("make the folder", &session.home, &error))?;
    let wish = Init { name: arguments.name.clone(), program, args: arguments.arguments.clone(), ..Init::default() };
    durable::replace(&RealDisk, &configuration, init_template(&wish).as_bytes(), 0o644)
        .map_err(|error| Failure::file("write", &configuration, &error))?;
    if let Err(failure) = first_release(session, arguments.release.as_ref(), from.as_deref()) {
        // So that the command can be given again. If that fails too, the file is there to be looked at.
        let _ = RealDisk.remove_file(&configuration);
        return Err(failure);
    }
    let made = Made { home: session.home.clone(), configuration, release: arguments.release.clone() };
    session.console.result(&made, told)
}

fn first_release(session: &Session, release: Option<&ReleaseName>, from: Option<&Path>) -> Result<(), Failure> {
    session.shape()?;
    let (Some(release), Some(from)) = (release, from) else { return Ok(()) };
    session.console.say(Tone::Faint, &format!("staging release {release} …"));
    crate::daemon::first_release(&session.home, release, from)
}

/// The program as the configuration names it: below `current`, unless it is of no release at all.
fn program(arguments: &InitArgs, from: Option<&Path>) -> Result<String, Failure> {
    let Some(from) = from else {
        let program = arguments.program.as_deref().unwrap_or("bin/node");
        let is_absolute = program.starts_with('/');
        return Ok(if is_absolute { program.to_owned() } else { format!("current/{program}") });
    };
    let facts = RealDisk.facts(from).map_err(|error| Failure::file("look at", from, &error))?;
    let Some(facts) = facts else {
        return Err(Failure::usage(format!("find {}", from.display()), "--from names a program file or a folder"));
    };
    match (&arguments.program, from.file_name()) {
        (Some(program), _) => Ok(format!("current/{program}")),
        (None, Some(name)) if facts.kind != Kind::Directory => Ok(format!("current/bin/{}", name.to_string_lossy())),
        (None, _) => {
            let summary = format!("tell which file in {} is the node's program", from.display());
            Err(Failure::usage(summary, "name it with --program, such as `--program bin/node`"))
        }
    }
}

fn occupied(path: &Path) -> Failure {
    let problem = Problem::permanent("OV-CLI-013", format!("write {}", path.display()))
        .cause("it is there already")
        .state("nothing was changed")
        .hint("edit it, or name another folder with --home");
    Failure::new(ExitCode::Refused, problem)
}

fn told(made: &Made, _: &Look) -> String {
    let home = made.home.display();
    let mut text = format!("wrote {}\n", made.configuration.display());
    if let Some(release) = &made.release {
        let _ = writeln!(text, "release {release} is staged and current");
    } else {
        let _ = writeln!(
            text,
            "no release is staged yet: name a program in the configuration, or begin anew with --release and --from"
        );
    }
    let _ = writeln!(text, "next: look through the configuration, then\n  omnivisor doctor --home {home}");
    let _ = writeln!(text, "  omnivisor run --home {home}");
    text
}
