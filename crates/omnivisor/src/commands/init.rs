//! `init`: a configuration to begin with, and the first release.
//!
//! Nothing that is there already is changed. After a failure the command can be given again.

mod map;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use ov_chains::{ConfigError, GENERIC, Init, NodeShape, init_template};
use ov_sys::disk::Kind;
use ov_sys::{Disk as _, RealDisk, durable};
use ov_types::{ExitCode, Problem, ReleaseName};
use serde::Serialize;

use crate::args::InitArgs;
use crate::cosmovisor::native;
use crate::failure::Failure;
use crate::home::{self, CONFIGURATION};
use crate::output::{Look, Tone};
use crate::session::Session;

/// What was made, or would be.
#[derive(Debug, Serialize)]
struct Made {
    home: PathBuf,
    configuration: PathBuf,
    release: Option<ReleaseName>,
    /// The text, where it was only to be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// What was taken over of settings found there, each with what it became.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    taken: Vec<(&'static str, String)>,
    /// What is otherwise from now on, each with how it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    different: Vec<(&'static str, String)>,
}

pub(super) fn init(session: &Session, arguments: &InitArgs) -> Result<(), Failure> {
    let taken_over = arguments.from_cosmovisor.as_deref().map(home::absolute).transpose()?.map(PathBuf::from);
    let home = taken_over.clone().unwrap_or_else(|| session.home.clone());
    let configuration = home.join(CONFIGURATION);
    if durable::exists(&RealDisk, &configuration).map_err(|error| Failure::file("look at", &configuration, &error))? {
        return Err(occupied(&configuration));
    }
    let from = arguments.from.as_deref().map(home::absolute).transpose()?.map(PathBuf::from);
    let mut made = Made {
        home: home.clone(),
        configuration: configuration.clone(),
        release: arguments.release.clone(),
        text: None,
        taken: Vec::new(),
        different: Vec::new(),
    };
    let wish = match taken_over {
        Some(home) => take_over(&home, arguments, &mut made)?,
        None => Init { program: program(arguments, from.as_deref())?, ..wish(arguments, &arguments.chain) },
    };
    let wish = with_map(wish, arguments)?;
    let text = init_template(&wish);
    let shape = ov_chains::read(&RealDisk, text.as_bytes(), &home, &configuration)
        .map_err(|problems| Failure::configuration(&ConfigError::Wrong { file: configuration.clone(), problems }))?;
    if arguments.dry_run {
        made.text = Some(text);
        return session.console.result(&made, shown);
    }
    durable::make_directories(&RealDisk, &home, 0o755)
        .map_err(|error| Failure::file("make the folder", &home, &error))?;
    durable::replace(&RealDisk, &configuration, text.as_bytes(), 0o644)
        .map_err(|error| Failure::file("write", &configuration, &error))?;
    // A home that was looked after has its releases.
    if arguments.from_cosmovisor.is_none() {
        made.release =
            first_release(session, shape, arguments.release.as_ref(), from.as_deref()).inspect_err(|_| {
                // So that the command can be given again. If that fails too, the file is there to be looked at.
                let _ = RealDisk.remove_file(&configuration);
            })?;
    }
    session.console.result(&made, told)
}

/// Adds a map of all releases, and that its addresses are followed.
fn with_map(mut wish: Init, arguments: &InitArgs) -> Result<Init, Failure> {
    let Some(map) = &arguments.version_map else { return Ok(wish) };
    wish.settings.push(("scout.version-map.path", home::absolute(map)?.into()));
    wish.settings.push(("fetch.by-plan", true.into()));
    Ok(wish)
}

fn first_release(
    session: &Session,
    shape: NodeShape,
    named: Option<&ReleaseName>,
    from: Option<&Path>,
) -> Result<Option<ReleaseName>, Failure> {
    let home = shape.layout.home.clone();
    let Some((release, source)) = map::first(shape, named, from)? else { return Ok(None) };
    session.console.say(Tone::Faint, &format!("staging release {release} …"));
    crate::daemon::first_release(&home, &release, &source)?;
    Ok(Some(release))
}

/// What the command line says of the node, but for its program.
fn wish(arguments: &InitArgs, chain: &str) -> Init {
    let args = arguments.arguments.clone();
    // The program of a family is started by the same word everywhere.
    let args = if args.is_empty() && chain != GENERIC { vec!["start".to_owned()] } else { args };
    Init { chain: chain.to_owned(), name: arguments.name.clone(), args, ..Init::default() }
}

/// The same of a home that is there, and what becomes of its settings.
fn take_over(home: &Path, arguments: &InitArgs, made: &mut Made) -> Result<Init, Failure> {
    let found = native::find(home, arguments.program.as_deref())?;
    made.taken = found.handover.taken;
    made.different = found.handover.left.into_iter().map(|(setting, why)| (setting, why.to_owned())).collect();
    if arguments.arguments.is_empty() {
        let how = "none were given behind `--`: if the service gives `run` more than `start`, add it to `args`";
        made.different.push(("arguments", how.to_owned()));
    }
    made.different.push(("settings", format!("read from {}", found.read.join(" and "))));
    let settings = found.handover.keys;
    Ok(Init { program: found.program, settings, ..wish(arguments, native::CHAIN) })
}

/// The program as the configuration names it: below `current`, unless it is of no release at all; of a family, the file
/// in the folder that all its releases have.
fn program(arguments: &InitArgs, from: Option<&Path>) -> Result<String, Failure> {
    let path = program_path(arguments, from)?;
    if arguments.chain == GENERIC {
        return Ok(path);
    }
    let name = path.strip_prefix("current/").unwrap_or(&path);
    let name = name.strip_prefix("bin/").unwrap_or(name);
    if arguments.program.is_none() && from.is_none() {
        return Err(Failure::usage("tell what the node's program is called", "name it with --program, or give --from"));
    }
    Ok(name.to_owned())
}

fn program_path(arguments: &InitArgs, from: Option<&Path>) -> Result<String, Failure> {
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

/// What was taken over, and what is otherwise.
fn account(made: &Made) -> String {
    let mut text = String::new();
    for (setting, became) in &made.taken {
        let _ = writeln!(text, "taken over: {setting} is now {became}");
    }
    for (setting, how) in &made.different {
        let _ = writeln!(text, "note: {setting}: {how}");
    }
    text
}

/// What would be written, as it is; the rest as comments, so that it can be written by hand.
fn shown(made: &Made, _: &Look) -> String {
    let mut text = String::new();
    for line in account(made).lines() {
        let _ = writeln!(text, "# {line}");
    }
    text + made.text.as_deref().unwrap_or_default()
}

fn told(made: &Made, _: &Look) -> String {
    let home = made.home.display();
    let mut text = format!("wrote {}\n{}", made.configuration.display(), account(made));
    if let Some(release) = &made.release {
        let _ = writeln!(text, "release {release} is staged and current");
    } else if made.different.is_empty() {
        let _ = writeln!(
            text,
            "no release is staged yet: name a program in the configuration, or begin anew with --release and --from"
        );
    }
    let _ = writeln!(text, "next: look through the configuration, then\n  omnivisor doctor --home {home}");
    let _ = writeln!(text, "  omnivisor run --home {home}");
    text
}
