//! What native use takes over of a home in the original's layout: its settings, its program's name, its releases where
//! they lie. Reads the environment and the home; changes nothing.

use std::path::Path;

use ov_chains::cosmos::{self, Handover, Settings, followed};
use ov_release::CurrentRelease;
use ov_sys::disk::Kind;
use ov_sys::{Disk as _, RealDisk, durable};
use ov_types::{ExitCode, Problem};

use super::scene::layout;
use crate::drop_in::environment;
use crate::failure::Failure;

/// The family, as `chain` names it.
pub(crate) const CHAIN: &str = "cosmos";
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// What was found.
pub(crate) struct Found {
    /// The name of the node's program.
    pub(crate) program: String,
    /// What becomes of the settings.
    pub(crate) handover: Handover,
    /// Where they were read.
    pub(crate) read: Vec<String>,
}

/// Looks at a home. `program` is its program's name, if somebody said it.
pub(crate) fn find(home: &Path, program: Option<&str>) -> Result<Found, Failure> {
    let home_text = home.to_string_lossy().into_owned();
    let (mut settings, read) = settings(home, &home_text)?;
    settings.home = home_text;
    let (extras, problems) = cosmos::extras(&|name| environment(name).filter(|_| is_about(home)));
    refuse(problems)?;
    look_at_current(&settings)?;
    let program =
        match program.map(str::to_owned).or_else(|| Some(settings.name.clone()).filter(|name| !name.is_empty())) {
            Some(program) => program,
            None => only_program(&settings)?,
        };
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    Ok(Found { program, handover: cosmos::handover(&settings, &extras, &name), read })
}

/// Whether the environment is that of this home: another's would say nothing about it.
fn is_about(home: &Path) -> bool {
    environment("DAEMON_HOME").is_none_or(|named| named.is_empty() || Path::new(&named) == home)
}

fn settings(home: &Path, home_text: &str) -> Result<(Settings, Vec<String>), Failure> {
    let mut read = vec!["the environment".to_owned()];
    if !is_about(home) {
        read = Vec::new();
    }
    let variables = |name: &str| match name {
        "DAEMON_HOME" => Some(home_text.to_owned()),
        name => environment(name).filter(|_| is_about(home)),
    };
    let config = home.join("cosmovisor/config.toml");
    let bytes = match durable::exists(&RealDisk, &config) {
        Ok(true) => Some(RealDisk.read(&config, CONFIG_BYTES_MAX)),
        Ok(false) => None,
        Err(error) => Some(Err(error)),
    };
    let reading = match bytes.transpose().map_err(|error| Failure::file("read", &config, &error))? {
        None => cosmos::from_environment(&variables),
        Some(bytes) => {
            read.push(config.display().to_string());
            cosmos::from_file(&String::from_utf8_lossy(&bytes), &variables)
        }
    };
    refuse(reading.problems)?;
    Ok((reading.settings, read))
}

fn refuse(problems: Vec<String>) -> Result<(), Failure> {
    if problems.is_empty() {
        return Ok(());
    }
    let problem = Problem::permanent("OV-CLI-015", "take the settings over").state("nothing was written");
    let problem = problem.hint("correct them in the environment or in cosmovisor/config.toml, or leave them out");
    Err(Failure::new(ExitCode::Configuration, problems.into_iter().fold(problem, Problem::cause)))
}

/// Native use changes the same link, so it must name a release now.
fn look_at_current(settings: &Settings) -> Result<(), Failure> {
    let problem = Problem::permanent("OV-CLI-016", format!("find the current release of {}", settings.home));
    let hint = format!(
        "point the link to the release that the data needs: `ln -sfn upgrades/NAME {}`",
        settings.current().display()
    );
    let problem = problem.state("nothing was written").hint(hint);
    let link = settings.current();
    let why = match ov_release::current(&RealDisk, &layout(settings)) {
        Ok(CurrentRelease::Release(_)) => return Ok(()),
        Ok(CurrentRelease::Missing) => format!("there is no {}", link.display()),
        Ok(CurrentRelease::Dangling(text)) => format!("it leads to {}, where nothing is", text.display()),
        Ok(CurrentRelease::NotALink(_)) => format!("{} is no link", link.display()),
        Ok(CurrentRelease::Outside(target)) => format!("it leads to {}, out of the releases", target.display()),
        Err(error) => return Err(Failure::new(ExitCode::Refused, problem.because(&error))),
    };
    Err(Failure::new(ExitCode::Refused, problem.cause(why)))
}

/// The name of the only program of the current release.
fn only_program(settings: &Settings) -> Result<String, Failure> {
    let folder = settings.current().join("bin");
    let names = RealDisk.list(&folder).map_err(|error| Failure::file("look into", &folder, &error))?;
    let is_program = |name: &std::ffi::OsString| {
        let found = followed(&RealDisk, &folder.join(name)).ok().flatten();
        found.is_some_and(|(_, facts)| facts.kind == Kind::File && facts.mode & 0o111 != 0)
    };
    let mut programs: Vec<String> =
        names.into_iter().filter(is_program).filter_map(|name| name.into_string().ok()).collect();
    if let (Some(program), true) = (programs.pop(), programs.is_empty()) {
        return Ok(program);
    }
    let summary = format!("tell which file in {} is the node's program", folder.display());
    Err(Failure::usage(summary, "name it with --program, such as `--program simd`"))
}
