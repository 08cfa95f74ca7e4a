//! Where things lie in a home, and what `current` says there.
//!
//! A link that is missing leads to the first release only where nothing shows that the node ever ran: on a node that went
//! through an upgrade, an old program would meet new data. Whatever else is there than a link to a release is refused,
//! and left alone. Looks, and changes nothing.

use std::path::{Path, PathBuf};

use ov_release::CurrentRelease;
use ov_sys::{Disk, durable};
use ov_types::ReleaseName;

use super::init::GENESIS;
use super::run_config::RUN_CONFIG_FILE;
use super::settings::{CONFIG_FILE, Settings};
use crate::shape::HomeLayout;

/// What a home says of the release that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The link names this one.
    Release(ReleaseName),
    /// There is no link, and the node never ran: this one is to be linked.
    Fresh(ReleaseName),
}

impl Standing {
    /// The release.
    pub fn release(&self) -> &ReleaseName {
        match self {
            Standing::Release(release) | Standing::Fresh(release) => release,
        }
    }
}

/// Where things lie. A release whose folder the settings name otherwise lies there; so does one to which somebody led the
/// link by hand, and which lies elsewhere.
pub fn layout(disk: &dyn Disk, settings: &Settings) -> HomeLayout {
    let home = &settings.home;
    let mapped = settings.upgrade_folders.iter().filter_map(|(tag, folder)| {
        let release = ReleaseName::new(tag).ok()?;
        let folder = below(home, folder);
        (folder != home.join(tag)).then_some((release, folder))
    });
    let mut layout = HomeLayout {
        config: Some(home.join(CONFIG_FILE)),
        launch_file: Some(RUN_CONFIG_FILE.to_owned()),
        releases: home.clone(),
        placed: mapped.collect(),
        first: ReleaseName::new(GENESIS).ok(),
        absolute_link: true,
        ..HomeLayout::of_home(home)
    };
    if let Ok(CurrentRelease::Outside(folder)) = ov_release::current(disk, &layout.releases())
        && let Some(release) = folder.file_name().and_then(|name| ReleaseName::new(name.to_str()?).ok())
    {
        layout.placed.insert(release, folder);
    }
    layout
}

/// A path below a folder as the original joins them: by the text, and an absolute one too.
fn below(folder: &Path, inside: &str) -> PathBuf {
    let mut path = folder.to_owned();
    for part in inside.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path
}

/// What `current` says, or why it cannot be gone by, with what to do.
pub fn standing(disk: &dyn Disk, layout: &HomeLayout) -> Result<Standing, String> {
    let link = layout.current.display();
    let remedy = format!("`ln -sfn {}/NAME {link}`", layout.home.display());
    let releases = layout.releases();
    match ov_release::current(disk, &releases).map_err(|error| error.to_string())? {
        CurrentRelease::Release(release) => {
            look_into(disk, &releases.directory(&release)).map_err(|why| {
                format!("{why}; put it there, or point the link to the release that the data needs: {remedy}")
            })?;
            Ok(Standing::Release(release))
        }
        CurrentRelease::Missing => {
            let first = layout.first.as_ref().ok_or("there is no first release")?;
            if durable::exists(disk, &layout.journal()).unwrap_or(true) {
                return Err(format!(
                    "{link} is missing, and the node has run already: point it to the release that its data needs, which \
                     `omnivisor upgrade history --home {}` may tell: {remedy}",
                    layout.home.display()
                ));
            }
            look_into(disk, &releases.directory(first))?;
            Ok(Standing::Fresh(first.clone()))
        }
        CurrentRelease::Dangling(text) => Err(format!(
            "{link} leads to {}, where nothing is; restore that folder, or point the link to the release that the data \
             needs: {remedy}",
            text.display()
        )),
        CurrentRelease::NotALink(_) => Err(format!(
            "{link} is no link; move it away, and point a link to the release that the data needs: {remedy}"
        )),
        CurrentRelease::Outside(folder) => Err(format!(
            "{link} leads to {}, whose name cannot be that of a release; point it to another folder: {remedy}",
            folder.display()
        )),
    }
}

/// A release must say what to launch.
fn look_into(disk: &dyn Disk, folder: &Path) -> Result<(), String> {
    let file = folder.join(RUN_CONFIG_FILE);
    match durable::followed(disk, &file) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(format!("missing run config in \"{}\" folder", file.display())),
        Err(error) => Err(crate::cosmos::told("stat", &file, &error)),
    }
}
