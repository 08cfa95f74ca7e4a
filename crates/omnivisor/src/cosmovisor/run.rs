//! `run`: the node, looked after by the daemon of every node; or one of its program's other commands, beside whatever
//! runs.
//!
//! Decides which of both it is, and how that ends. The flags are all the program's own, but for the one that names our
//! configuration.

mod node;
mod tool;
mod voice;

use std::path::{Path, PathBuf};

use ov_chains::cosmos::{self, ExitCodes, Extras, Purpose, Settings};
use ov_release::CurrentRelease;
use ov_sys::disk::Disk as _;
use ov_sys::{RealDisk, durable};

use super::log::Log;
use super::scene::{self, absolute};
use crate::drop_in::{Complaint, ensure_program, environment, signal_name};

/// What `run` works with.
struct Errand {
    config: Option<PathBuf>,
    settings: Settings,
    extras: Extras,
    arguments: Vec<String>,
}

/// `run …`.
pub(super) fn run(words: &[String]) -> Result<(), Complaint> {
    let (config, arguments) = cosmos::take_config(words).map_err(Complaint::new)?;
    let config = config.map(|path| absolute(Path::new(&path)));
    let (settings, extras) = cosmos::load(&RealDisk, config.as_deref(), &environment)?;
    let errand = Errand { config, settings, extras, arguments };
    let program = errand.program()?;
    if errand.is_tool()? {
        return tool::run(&errand, &program);
    }
    node::run(&errand)
}

impl Errand {
    /// The program that `current` names. A link that is missing is made.
    fn program(&self) -> Result<PathBuf, Complaint> {
        let settings = &self.settings;
        let layout = scene::layout(settings);
        let release = scene::current(settings)?;
        let found = ov_release::current(&RealDisk, &layout).map_err(|error| Complaint::new(error.to_string()))?;
        if found == CurrentRelease::Missing {
            let link = settings.current();
            durable::replace_link(&RealDisk, &link, &layout.link_text(&release))
                .map_err(|error| Complaint::file("", "symlink", &link, &error))?;
            self.log().info(&format!("there was no current release: it is {release} now"));
        }
        let program = layout.directory(&release).join("bin").join(&settings.name);
        ensure_program(&program).map_err(|complaint| complaint.within("current binary is invalid"))?;
        Ok(program)
    }

    fn log(&self) -> Log {
        Log::of(&self.settings, self.extras.log_to.clone())
    }

    /// Whether this is run beside the node. A command that nobody knows is taken for the node, unless that runs
    /// already.
    fn is_tool(&self) -> Result<bool, Complaint> {
        if cosmos::purpose(&self.arguments) == Purpose::Tool {
            return Ok(true);
        }
        if cosmos::command(&self.arguments) == Some("start") {
            return Ok(false);
        }
        let lock = ov_chains::shape::HomeLayout::of_home(Path::new(&self.settings.home)).lock();
        match RealDisk.lock(&lock) {
            Ok(free) => Ok(free.is_none()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Complaint::file("", "open", &lock, &error)),
        }
    }

    /// How we end when the program did like this. `None` is an end that nobody saw.
    fn end(&self, status: Option<ov_types::ExitStatus>) -> Result<(), Complaint> {
        use ov_types::ExitStatus::{Code, Signal};
        let (text, truth) = match status {
            Some(Code(0)) => return Ok(()),
            Some(Code(code)) => (format!("exit status {code}"), u8::try_from(code).unwrap_or(1)),
            Some(Signal(signal)) => {
                (format!("signal: {}", signal_name(signal)), u8::try_from(128 + signal).unwrap_or(1))
            }
            None => ("the app could not be run, or nobody saw how it ended".to_owned(), 1),
        };
        let complaint = Complaint::new(text);
        Err(match self.extras.exit_codes {
            ExitCodes::Original => complaint,
            ExitCodes::Truthful => complaint.with_exit_code(truth),
        })
    }
}
