//! The command line: which command, with which home, and how its end becomes an exit code.

use crate::error::Error;
use crate::life::Ending;
use crate::node;
use crate::output::say;
use crate::profile::Profile;
use crate::switches::{self, Switches};
use crate::verify::verify_home;
use crate::{child, files, http, signals, vega, verify_data};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

const HELP: &str = "\
fakenode: a scriptable blockchain node

usage:
  fakenode start --home DIR [switches]       run until told to stop
  fakenode version [--output json | --long]  say which version this is; also --version
  fakenode status [--home DIR]               ask a running node, noting that in HOME/asked; needs --http at its start
  fakenode pre-upgrade --home DIR            end as the switch pre-upgrade says
  fakenode pre-upgrade --help                say whether there is such a command
  fakenode verify --home DIR | --data DIR    check what nodes left behind; JSON, exit 1 if anything is wrong
  fakenode vega COMMAND                      play a core, a data node or a tool of the Vega family: start, datanode start,
                                             version, tools snapshot, datanode network-history latest-history-segment;
                                             also zeta and fury, and data-node alone; also if the program is called so
  fakenode help                              this text

exit codes:
  0    stopped as asked
  1    could not run, or data that does not verify
  2    wrong command line
  141  nobody reads the output any more
  others as the switches say

Without --home, `status` takes $FAKENODE_HOME, as nodes of the Cosmos family take theirs.
The version and the defaults of switches come from `fakenode.json` beside the executable, or from inside it, else
the version is $FAKENODE_VERSION. The same keys, with underscores, go to `POST /control` while the node runs.
";

const EXIT_FAILED: u8 = 1;
const EXIT_USAGE: u8 = 2;

/// The names under which a file or a link is this program.
pub const NAMES: [&str; 5] = ["fakenode", vega::NAMES[0], vega::NAMES[1], vega::NAMES[2], vega::NAMES[3]];

/// The program. Returns the exit code, unless a switch asked for an end by a signal.
pub fn main(arguments: Vec<String>) -> ExitCode {
    let code = match dispatch(arguments) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            if matches!(error, Error::Usage(_) | Error::Switches(_)) { EXIT_USAGE } else { EXIT_FAILED }
        }
    };
    ExitCode::from(code)
}

/// Calls the program by one of the names of the Vega family, if it has one or its first word is one.
fn vega_name(arguments: &mut Vec<String>) -> Option<String> {
    let program = std::env::args().next().map(PathBuf::from).unwrap_or_default();
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_known = |name: &str| vega::NAMES.contains(&name);
    if is_known(&name) {
        return Some(name);
    }
    arguments.first().is_some_and(|first| is_known(first)).then(|| arguments.remove(0))
}

fn dispatch(mut arguments: Vec<String>) -> Result<u8, Error> {
    if let Some(name) = vega_name(&mut arguments) {
        // The family knows no exit code of its own for a wrong command line.
        return vega::main(&name, &arguments).and_then(finish).or_else(|error| {
            report(&error);
            Ok(EXIT_FAILED)
        });
    }
    let flags = switches::take_flags(&mut arguments)?;
    if let Some(at) = arguments.iter().position(|argument| argument.starts_with("--home=")) {
        let home = arguments[at].split_off("--home=".len());
        arguments.splice(at..=at, ["--home".to_owned(), home]);
    }
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["start", "--home", home] => start(&PathBuf::from(home), &flags),
        ["version" | "--version"] => version(&flags, |_, version| version.to_owned()),
        ["version", "--long"] | ["version", "--long", "--home", _] => long_version(&flags),
        ["version", "--output" | "-o", "json"] => {
            version(&flags, |name, version| json!({ "name": name, "version": version }).to_string())
        }
        ["status", "--home", home] => status(&PathBuf::from(home)),
        ["status"] => match std::env::var_os("FAKENODE_HOME") {
            Some(home) => status(&PathBuf::from(home)),
            None => Err(Error::Usage("`status` without a home; see `fakenode help`".to_owned())),
        },
        ["pre-upgrade", "--help"] => Ok(pre_upgrade_codes()?.map_or(EXIT_FAILED, |_| 0)),
        ["pre-upgrade", "--home", home] => pre_upgrade(&PathBuf::from(home)),
        ["verify", "--home", home] => verify(&verify_home(&PathBuf::from(home))?),
        ["verify", "--data", data] => verify(&verify_data(&PathBuf::from(data))?),
        ["help" | "--help" | "-h"] => {
            say(&format!("{HELP}{}", switches::help()));
            Ok(0)
        }
        [command, ..] if command.starts_with("__") => child::run(&words).map(|()| 0),
        [] => Err(Error::Usage("no command; see `fakenode help`".to_owned())),
        _ => Err(Error::Usage(format!("`{}`; see `fakenode help`", words.join(" ")))),
    }
}

/// How the version was told to end its command. Told nothing, it says that there is none, as nodes of the Cosmos family do,
/// whether it was only asked for its help or not.
fn pre_upgrade_codes() -> Result<Option<Vec<String>>, Error> {
    let codes = Switches::from_layers([&Profile::of_this_program()?.switches])?.pre_upgrade;
    if codes.is_empty() {
        let _ = writeln!(std::io::stderr(), "Error: unknown command \"pre-upgrade\" for \"fakenode\"");
    }
    Ok(Some(codes).filter(|codes| !codes.is_empty()))
}

/// Notes in `HOME/pre-upgrades` that it ran, and ends as the version was told to.
fn pre_upgrade(home: &std::path::Path) -> Result<u8, Error> {
    let profile = Profile::of_this_program()?;
    let Some(codes) = pre_upgrade_codes()? else { return Ok(EXIT_FAILED) };
    let notes = home.join("pre-upgrades");
    let before = files::read_if_there(&notes)?.unwrap_or_default().lines().count();
    files::append_line(&notes, &profile.version)?;
    let code = &codes[before.min(codes.len() - 1)];
    code.parse().map_err(|_| Error::Usage(format!("`{code}` is no exit code")))
}

fn start(home: &std::path::Path, flags: &Map<String, Value>) -> Result<u8, Error> {
    let profile = Profile::of_this_program()?;
    finish(node::run(home, &profile, flags)?)
}

/// Ends as told: by an exit code, or by a signal to itself.
fn finish(ending: Ending) -> Result<u8, Error> {
    match ending {
        Ending::Exit(code) => Ok(code),
        Ending::Signal(signal) => {
            // The first delivery may meet a handler of the runtime, which then steps aside.
            signals::unblock()?;
            for _ in 0..10 {
                signals::raise(signal);
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(EXIT_FAILED)
        }
    }
}

fn version(flags: &Map<String, Value>, form: impl Fn(&str, &str) -> String) -> Result<u8, Error> {
    let profile = Profile::of_this_program()?;
    let switches = Switches::from_layers([&profile.switches, flags])?;
    let version = switches.report_version.unwrap_or(profile.version);
    say(&form("fakenode", &version));
    Ok(0)
}

/// As programs of the Cosmos family tell it, in lines.
fn long_version(flags: &Map<String, Value>) -> Result<u8, Error> {
    let profile = Profile::of_this_program()?;
    let sdk = Switches::from_layers([&profile.switches, flags])?.sdk_version;
    let sdk = sdk.map(|sdk| format!("cosmos_sdk_version: {sdk}\n")).unwrap_or_default();
    version(flags, |name, version| format!("{sdk}name: {name}\nversion: {version}"))
}

/// What a running node says of itself, under the names that newer and older nodes of the Cosmos family have for it.
fn status(home: &std::path::Path) -> Result<u8, Error> {
    files::append_line(&home.join("asked"), "status")?;
    let path = home.join("http.port");
    let port = files::read_if_there(&path)?.ok_or_else(|| Error::damaged(&path, "the node does not listen"))?;
    let body = http::get(&format!("127.0.0.1:{}", port.trim()), "/status")?;
    let mut answer: Value = serde_json::from_str(&body).map_err(Error::Switches)?;
    let mut result = answer["result"].take();
    result["SyncInfo"] = result["sync_info"].clone();
    say(&result.to_string());
    Ok(0)
}

fn verify(report: &crate::Report) -> Result<u8, Error> {
    say(&serde_json::to_string_pretty(report).map_err(Error::Switches)?);
    Ok(if report.ok { 0 } else { EXIT_FAILED })
}

/// The error and its causes, on one line of standard error.
fn report(error: &Error) {
    let mut parts = match error {
        Error::Locked => vec![error.to_string()],
        _ => vec![format!("failed to {error}")],
    };
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        parts.push(error.to_string());
        cause = error.source();
    }
    let line = parts.join(": ");
    // There is nowhere to say that standard error is gone.
    let _ = writeln!(std::io::stderr(), "fakenode: {line}");
}
