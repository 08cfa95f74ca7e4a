//! `logs`: the output of a unit, from the files in which it is kept. No daemon is needed.

use std::path::PathBuf;
use std::time::Duration;

use ov_chains::shape::{HomeLayout, Output};
use ov_sys::{RealDisk, durable};
use ov_types::{ExitCode, Problem};

use crate::args::LogsArgs;
use crate::failure::Failure;
use crate::log_stream::LogStream;
use crate::output::{Console, Tone};
use crate::pause::pause;
use crate::session::Session;

const BUFFER_BYTES: usize = 256 * 1024;
/// How often to look for more.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) fn logs(session: &Session, arguments: &LogsArgs) -> Result<(), Failure> {
    let path = log_path(session, arguments)?;
    let told = |error: std::io::Error| Failure::file("read the log", &path, &error);
    let mut stream = LogStream::open(&RealDisk, &path, arguments.lines).map_err(told)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut has_shown = false;
    loop {
        let count = stream.read(&mut buffer).map_err(told)?;
        match buffer.get(..count) {
            Some(bytes) if !bytes.is_empty() => {
                has_shown = true;
                Console::write(bytes)?;
            }
            _ if arguments.follow => {
                Console::expect_reader()?;
                pause(LOOK_EVERY);
            }
            _ => {
                if !has_shown && arguments.lines != Some(0) {
                    session.console.say(Tone::Faint, &format!("there is no output of unit {} yet", arguments.unit));
                }
                return Ok(());
            }
        }
    }
}

/// The log that the configuration names. When it names none, because it is broken or the unit is not in it any more,
/// a log where logs usually are is still of use.
fn log_path(session: &Session, arguments: &LogsArgs) -> Result<PathBuf, Failure> {
    configured_log(session, arguments).or_else(|failure| {
        let usual = HomeLayout::of_home(&session.home).log(&arguments.unit);
        let is_found = durable::exists(&RealDisk, &usual).unwrap_or(false);
        if !is_found || failure.exit() == ExitCode::Refused {
            return Err(failure);
        }
        session.console.say(Tone::Notice, &format!("failed to {failure}; this is {}", usual.display()));
        Ok(usual)
    })
}

fn configured_log(session: &Session, arguments: &LogsArgs) -> Result<PathBuf, Failure> {
    let mut shape = session.shape()?;
    let names: Vec<&str> = shape.units.keys().map(ov_types::UnitName::as_str).collect();
    let names = format!("the node has: {}", names.join(", "));
    let unit = &arguments.unit;
    match shape.units.remove(unit).map(|unit| unit.launch.output) {
        Some(Output::Pump(log)) => Ok(log.path),
        Some(Output::Inherit) => {
            let problem = Problem::permanent("OV-CLI-011", format!("show the output of unit {unit}"))
                .cause("it is not kept: it goes where the daemon's own output goes")
                .state("nothing was done")
                .hint("look there (under systemd: `journalctl`), or have it kept in files: see `omnivisor schema`");
            Err(Failure::new(ExitCode::Refused, problem))
        }
        None => Err(Failure::usage(format!("find unit {unit}"), names)),
    }
}
