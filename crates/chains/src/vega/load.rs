//! What a command works with: the settings of a home, which release runs there, and what that release says.
//!
//! Everything that is wrong is told together. Reads, and changes nothing.

use std::path::{Path, PathBuf};

use ov_sys::Disk;
use ov_sys::disk::Kind;

use super::fields::Remarks;
use super::flavour::FLAVOURS;
use super::home::{Standing, layout, standing};
use super::run_config::{RUN_CONFIG_FILE, RunConfig, read_run_config};
use super::settings::{CONFIG_FILE, Missing, Settings, read_settings};
use crate::cosmos::{Environment, WrongSettings, followed, told};
use crate::shape::HomeLayout;

/// A variable of ours: with `1`, a key that is missing is zero, as in the original.
const STRICT: &str = "OMNIVISOR_VISOR_STRICT";
/// Where releases are asked for, for those who have a GitHub of their own.
pub(super) const GITHUB_API: &str = "OMNIVISOR_GITHUB_API";
const GITHUB_API_DEFAULT: &str = "https://api.github.com";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// How the original begins, when a file of its own cannot be read.
const OF_CONFIG: &str = "failed to create new runner: failed to get config: failed to parse config file: failed to parse \
                         VisorConfig";
const OF_CURRENT: &str = "failed to create new runner: failed to set current folder to";
const OF_RUN_CONFIG: &str = "failed to parse run config: failed to parse RunConfig";

/// A home.
#[derive(Debug, Clone)]
pub struct Home {
    /// What the operator set.
    pub settings: Settings,
    /// Where things lie.
    pub layout: HomeLayout,
    /// What runs, or is to.
    pub standing: Standing,
    /// What that release says.
    pub run_config: RunConfig,
    /// The home of the user that the core runs as, if the environment tells.
    pub user_home: Option<PathBuf>,
    /// The address of the API where releases are asked for.
    pub github_api: String,
    /// What works, and should be looked at.
    pub warnings: Vec<String>,
}

impl Home {
    /// The folder of the release that runs, or is to.
    pub fn release_folder(&self) -> PathBuf {
        self.layout.releases().directory(self.standing.release())
    }
}

/// Reads a home. Its path must be absolute.
pub fn load(disk: &dyn Disk, home: &Path, environment: Environment<'_>) -> Result<Home, WrongSettings> {
    let missing = match environment(STRICT).unwrap_or_default().as_str() {
        "" | "0" | "false" => Missing::Documented,
        "1" | "true" => Missing::Zero,
        other => return Err(wrong(format!("{STRICT} must be 0 or 1, got {other:?}"))),
    };
    look_at(disk, home).map_err(wrong)?;
    let bytes = read(disk, &home.join(CONFIG_FILE)).map_err(|why| wrong(format!("{OF_CONFIG}: {why}")))?;
    // Where things lie does not depend on the member of the family, and what does is read again.
    let (settings, remarks) =
        read_settings(&bytes, home, &FLAVOURS[0], missing).map_err(|why| wrong(format!("{OF_CONFIG}: {why}")))?;
    let mut problems = within(OF_CONFIG, &remarks);
    let layout = layout(disk, &settings);
    let standing =
        standing(disk, &layout).map_err(|why| format!("{OF_CURRENT} \"{}\": {why}", layout.current.display()));
    let read_there = standing.and_then(|standing| {
        let folder = layout.releases().directory(standing.release());
        let (run_config, remarks) = run_config(disk, &folder).map_err(|why| format!("{OF_RUN_CONFIG}: {why}"))?;
        Ok((standing, run_config, remarks))
    });
    let (standing, run_config, of_run_config) = match read_there {
        Ok(read) => read,
        Err(problem) => {
            problems.push(problem);
            return Err(WrongSettings { problems });
        }
    };
    problems.extend(within(OF_RUN_CONFIG, &of_run_config));
    let (settings, mut remarks) =
        read_settings(&bytes, home, run_config.flavour, missing).map_err(|why| wrong(format!("{OF_CONFIG}: {why}")))?;
    if !problems.is_empty() {
        return Err(WrongSettings { problems });
    }
    remarks.warnings.extend(of_run_config.warnings);
    let github_api = environment(GITHUB_API).filter(|api| !api.is_empty());
    let github_api = github_api.unwrap_or_else(|| GITHUB_API_DEFAULT.to_owned());
    let user_home = environment("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
    Ok(Home { settings, layout, standing, run_config, user_home, github_api, warnings: remarks.warnings })
}

/// What a release says, by its folder.
pub fn run_config(disk: &dyn Disk, folder: &Path) -> Result<(RunConfig, Remarks), String> {
    read_run_config(&read(disk, &folder.join(RUN_CONFIG_FILE))?)
}

fn look_at(disk: &dyn Disk, home: &Path) -> Result<(), String> {
    let shown = home.display();
    let why = match followed(disk, home) {
        Ok(Some((_, facts))) if facts.kind == Kind::Directory => return Ok(()),
        Ok(Some(_)) => format!("\"{shown}\" is not a folder"),
        Ok(None) => format!(
            "visor is not initialized: home folder \"{shown}\" does not exist, it can be initiated with `visor init \
             --home {shown}`"
        ),
        Err(error) => told("stat", home, &error),
    };
    Err(format!("failed to create new runner: {why}"))
}

fn read(disk: &dyn Disk, file: &Path) -> Result<Vec<u8>, String> {
    disk.read(file, FILE_BYTES_MAX).map_err(|error| format!("couldn't read file: {}", told("open", file, &error)))
}

fn within(what: &str, remarks: &Remarks) -> Vec<String> {
    remarks.problems.iter().map(|problem| format!("{what}: {problem}")).collect()
}

fn wrong(problem: String) -> WrongSettings {
    WrongSettings { problems: vec![problem] }
}
