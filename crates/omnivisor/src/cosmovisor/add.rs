//! `add-upgrade` and `add-batch-upgrade`: programs put into place ahead of time, and upgrades scheduled for a height.
//!
//! Everything is looked at before anything is changed, and the schedule changes last, in one step: a command that
//! failed can be given again.

use std::path::{Path, PathBuf};

use ov_chains::cosmos::{self, ListedUpgrade, PlanInfo, Schedule, Settings, followed, told};
use ov_sys::disk::Kind;
use ov_sys::{Disk as _, RealDisk, durable};

use super::Scene;
use super::grammar::{FORCE, UPGRADE_FILE, UPGRADE_HEIGHT, UPGRADE_LIST};
use super::place;
use super::scene::absolute;
use super::schedule::{self, Change};
use crate::drop_in::{Call, Complaint};

const LIST_BYTES_MAX: u64 = 4 << 20;
const FOLDER_MODE: u32 = 0o755;

/// An upgrade that was looked at and may be added.
struct Upgrade {
    /// Its name, lowered unless that is off.
    name: String,
    /// The executable as it was named.
    given: String,
    /// The same, links followed.
    source: PathBuf,
    /// Where it goes.
    program: PathBuf,
}

/// `add-upgrade <name> <executable>`.
pub(super) fn add(call: &Call) -> Result<(), Complaint> {
    let Scene { settings, log } = Scene::of(call)?;
    let [name, executable] = call.words.as_slice() else { return Err(Complaint::new("accepts 2 arg(s)")) };
    let height = height(call)?;
    let upgrade = examine(&settings, name, executable)?;
    let force = call.is_on(FORCE);
    refuse_existing(&upgrade.program, force)?;
    let Some(height) = height else { return install(&upgrade, &log) };
    let change = Change::begin(&settings)?;
    let mut schedule = schedule::read(&settings)?;
    if let Some(known) = schedule.find(&upgrade.name, settings.recase())
        && !force
        && known.height != height
    {
        return Err(Complaint::new(format!(
            "file already exists at {}: {} is scheduled for height {} there; use --force to change that",
            settings.schedule_file().display(),
            known.name,
            known.height
        )));
    }
    install(&upgrade, &log)?;
    schedule.put(PlanInfo::new(&upgrade.name, height), settings.recase());
    let path = change.finish(&settings, &schedule)?;
    announce(&log, &path, &upgrade.name, height);
    Ok(())
}

/// `add-batch-upgrade`: takes the place of the schedule that there was, as the original does.
pub(super) fn add_batch(call: &Call) -> Result<(), Complaint> {
    let Scene { settings, log } = Scene::of(call)?;
    let listed = listed(call)?;
    let upgrades = listed.iter().map(|entry| examine(&settings, &entry.name, &entry.path));
    let upgrades = upgrades.collect::<Result<Vec<Upgrade>, _>>()?;
    let mut schedule = Schedule::default();
    for (entry, upgrade) in listed.iter().zip(&upgrades) {
        if let Some(twice) = schedule.put(PlanInfo::new(&upgrade.name, entry.height), settings.recase()) {
            return Err(Complaint::new(format!("upgrade {} is in the list more than once", twice.name)));
        }
    }
    let change = Change::begin(&settings)?;
    let before = schedule::read(&settings).unwrap_or_else(|complaint| {
        log.warn(&format!("{complaint}: this list takes its place"));
        Schedule::default()
    });
    for upgrade in &upgrades {
        install(upgrade, &log)?;
    }
    let path = change.finish(&settings, &schedule)?;
    for (entry, upgrade) in listed.iter().zip(&upgrades) {
        announce(&log, &path, &upgrade.name, entry.height);
    }
    for dropped in before.plans().iter().filter(|plan| schedule.find(&plan.name, settings.recase()).is_none()) {
        log.warn(&format!(
            "{} at height {} was scheduled before and is not in this list: it is not scheduled any more",
            dropped.name, dropped.height
        ));
    }
    Ok(())
}

fn height(call: &Call) -> Result<Option<i64>, Complaint> {
    let Some(text) = call.value(UPGRADE_HEIGHT) else { return Ok(None) };
    let wrong = |why: &str| Complaint::new(format!("invalid argument {text:?} for \"--upgrade-height\" flag: {why}"));
    match text.parse::<i64>() {
        Ok(0) => Ok(None),
        Ok(height) if height > 0 => Ok(Some(height)),
        Ok(_) => Err(wrong("height must be greater than 0")),
        Err(_) => Err(wrong("it is not a whole number")),
    }
}

fn listed(call: &Call) -> Result<Vec<ListedUpgrade>, Complaint> {
    match (call.value(UPGRADE_FILE), call.value(UPGRADE_LIST)) {
        (None, None) => Err(Complaint::new("either --upgrade-file or --upgrade-list must be provided")),
        (Some(_), Some(_)) => Err(Complaint::new(
            "if any flags in the group [upgrade-file upgrade-list] are set none of the others can be; [upgrade-file \
             upgrade-list] were all set",
        )),
        (None, Some(list)) => cosmos::parse_inline(list).map_err(|error| Complaint::new(error.to_string())),
        (Some(file), None) => {
            let path = absolute(Path::new(file));
            let bytes = RealDisk.read(&path, LIST_BYTES_MAX).map_err(|error| {
                Complaint::new(format!("error opening upgrade CSV file {file}: {}", told("open", &path, &error)))
            })?;
            cosmos::parse_csv(&bytes)
                .map_err(|error| Complaint::new(format!("error parsing upgrade CSV file {file}: {error}")))
        }
    }
}

/// Looks at an upgrade without changing anything.
fn examine(settings: &Settings, name: &str, executable: &str) -> Result<Upgrade, Complaint> {
    let release = cosmos::release_of(name, settings.recase())?;
    let path = absolute(Path::new(executable));
    let found = followed(&RealDisk, &path)
        .map_err(|error| Complaint::file("failed to load executable path: ", "stat", Path::new(executable), &error))?;
    let Some((source, facts)) = found else {
        return Err(Complaint::new(format!("invalid executable path: stat {executable}: no such file or directory")));
    };
    if facts.kind != Kind::File {
        return Err(Complaint::new(format!("failed to read binary: {executable} is not a regular file")));
    }
    let program = settings.upgrades().join(&release).join("bin").join(&settings.name);
    Ok(Upgrade { name: settings.recase().apply(name), given: executable.to_owned(), source, program })
}

fn refuse_existing(program: &Path, force: bool) -> Result<(), Complaint> {
    let found = followed(&RealDisk, program)
        .map_err(|error| Complaint::file("failed to check if file exists: ", "stat", program, &error))?;
    if found.is_some() && !force {
        return Err(Complaint::new(format!("file already exists at {}", program.display())));
    }
    Ok(())
}

fn install(upgrade: &Upgrade, log: &super::log::Log) -> Result<(), Complaint> {
    let folder = upgrade.program.parent().unwrap_or(Path::new("/"));
    durable::make_directories(&RealDisk, folder, FOLDER_MODE)
        .map_err(|error| Complaint::file("failed to create upgrade directory: ", "mkdir", folder, &error))?;
    // Given the program that is in place already, there is nothing to copy, and nothing to lose on the way.
    if followed(&RealDisk, &upgrade.program).ok().flatten().is_none_or(|(there, _)| there != upgrade.source) {
        place::copy(&upgrade.source, &upgrade.program)?;
    }
    log.info(&format!("Using {} for {} upgrade", upgrade.given, upgrade.name));
    log.info(&format!("Upgrade binary located at {}", upgrade.program.display()));
    Ok(())
}

fn announce(log: &super::log::Log, path: &Path, name: &str, height: i64) {
    let path = path.display();
    log.info(&format!("{path} created, {name} upgrade binary will switch at height {height}"));
}
