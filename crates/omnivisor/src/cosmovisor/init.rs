//! `init`: a home in the original's layout, around the first program.
//!
//! What is there already stays as it is; each part is whole or not there, so that the command can be given again.

use std::io::{self, BufRead as _};
use std::path::Path;

use ov_chains::cosmos::{self, Settings, followed};
use ov_sys::disk::Kind;
use ov_sys::{RealDisk, durable};

use super::log::Log;
use super::place;
use super::scene::{absolute, current, layout};
use crate::drop_in::{self, Call, Complaint, ensure_program, environment};

const FOLDER_MODE: u32 = 0o750;
const CONFIG_MODE: u32 = 0o644;
const ANSWER_BYTES_MAX: u64 = 1 << 10;

/// `init <path to executable>`.
pub(super) fn init(call: &Call) -> Result<(), Complaint> {
    let executable = call.words.first().map(String::as_str).unwrap_or_default();
    if executable.is_empty() {
        return Err(Complaint::new("no <path to executable> provided"));
    }
    let source = absolute(Path::new(executable));
    let found = followed(&RealDisk, &source)
        .map_err(|error| Complaint::file("could not stat executable: ", "stat", Path::new(executable), &error))?;
    let Some((source, facts)) = found else {
        let why = format!("executable file not found: stat {executable}: no such file or directory");
        return Err(Complaint::new(why));
    };
    match facts.kind {
        Kind::File => {}
        Kind::Directory => return Err(Complaint::new("invalid path to executable: must not be a directory")),
        Kind::Link | Kind::Other => return Err(Complaint::new("invalid path to executable: must be a regular file")),
    }
    // The file is what this command writes, so only the environment counts; and of that only what is needed here.
    let settings = cosmos::from_environment(&environment).settings;
    let problems = cosmos::check_names(&settings);
    if !problems.is_empty() {
        return Err(Complaint::new(problems.join("\n")));
    }
    let log = Log::of(&settings, cosmos::extras(&environment).0.log_to);
    first_program(&settings, &source, &log)?;
    link(&settings, &log)?;
    export(&settings, &log)
}

fn first_program(settings: &Settings, source: &Path, log: &Log) -> Result<(), Complaint> {
    log.info("checking on the genesis/bin directory");
    let program = settings.genesis_program();
    let folder = settings.genesis().join("bin");
    let found = followed(&RealDisk, &folder)
        .map_err(|error| Complaint::file("error getting info on genesis/bin directory: ", "stat", &folder, &error))?;
    match found {
        None => {
            log.info(&format!("creating directory (and any parents): {}", quoted(&folder)));
            durable::make_directories(&RealDisk, &folder, FOLDER_MODE)
                .map_err(|error| Complaint::file("", "mkdir", &folder, &error))?;
        }
        Some((_, facts)) if facts.kind != Kind::Directory => {
            return Err(Complaint::new(format!("the path {} already exists but is not a directory", quoted(&folder))));
        }
        Some(_) => log.info(&format!("the {} directory already exists", quoted(&folder))),
    }
    log.info("checking on the genesis/bin executable");
    let found = followed(&RealDisk, &program).map_err(|error| Complaint::file("", "stat", &program, &error))?;
    if found.is_none() {
        log.info(&format!("copying executable into place: {}", quoted(&program)));
        place::copy(source, &program)?;
    } else {
        log.info(&format!("the {} file already exists", quoted(&program)));
    }
    log.info(&format!("making sure {} is executable", quoted(&program)));
    ensure_program(&program)
}

fn link(settings: &Settings, log: &Log) -> Result<(), Complaint> {
    log.info("checking on the current symlink and creating it if needed");
    let release = current(settings)?;
    let (layout, link) = (layout(settings), settings.current());
    let is_there = durable::exists(&RealDisk, &link).map_err(|error| Complaint::file("", "stat", &link, &error))?;
    if !is_there {
        durable::replace_link(&RealDisk, &link, &layout.link_text(&release))
            .map_err(|error| Complaint::file("", "symlink", &link, &error))?;
    }
    let program = layout.directory(&release).join("bin").join(&settings.name);
    log.info(&format!("the current symlink points to: {}", quoted(&program)));
    Ok(())
}

fn export(settings: &Settings, log: &Log) -> Result<(), Complaint> {
    let file = settings.config_file();
    let there = followed(&RealDisk, &file).map_err(|error| Complaint::file("", "stat", &file, &error))?;
    let question = format!("file {} already exists, do you want to overwrite it?", file.display());
    if there.is_some() && !agreed(&question)? {
        log.info("file already exists, not overriding");
    } else {
        durable::replace(&RealDisk, &file, cosmos::exported(settings).as_bytes(), CONFIG_MODE).map_err(|error| {
            let before = "failed to export configuration: failed to create configuration file: ";
            Complaint::file(before, "open", &file, &error)
        })?;
    }
    log.info(&format!("cosmovisor config.toml created at: {}", file.display()));
    Ok(())
}

/// Asks, and takes nothing but a clear yes for one.
fn agreed(question: &str) -> Result<bool, Complaint> {
    drop_in::write(format!("{question} [y/n]: ").as_bytes())?;
    let mut answer = Vec::new();
    // Nobody there to answer, or nothing that is text: no.
    let _ = io::Read::take(io::stdin().lock(), ANSWER_BYTES_MAX).read_until(b'\n', &mut answer);
    Ok(answer.trim_ascii().eq_ignore_ascii_case(b"y"))
}

/// A path as the original quotes it.
fn quoted(path: &Path) -> String {
    format!("{:?}", path.to_string_lossy())
}
