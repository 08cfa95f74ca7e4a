//! What a command of the drop-in works with: the settings, and its voice.

use std::path::{Path, PathBuf};

use ov_chains::cosmos::{self, Settings};
use ov_release::{CurrentRelease, Layout};
use ov_sys::RealDisk;
use ov_types::ReleaseName;

use super::grammar::CONFIG;
use super::log::Log;
use crate::drop_in::{Call, Complaint, environment};

/// Settings that were checked, and where our own lines go.
pub(super) struct Scene {
    pub(super) settings: Settings,
    pub(super) log: Log,
}

impl Scene {
    /// What a call says: the file that it names, and the environment.
    pub(super) fn of(call: &Call) -> Result<Self, Complaint> {
        let config = call.value(CONFIG).filter(|path| !path.is_empty()).map(|path| absolute(Path::new(path)));
        let (settings, extras) = cosmos::load(&RealDisk, config.as_deref(), &environment)?;
        let log = Log::of(&settings, extras.log_to);
        Ok(Self { settings, log })
    }

    /// The program of the release that `current` names, or would name if it were there. Changes nothing.
    pub(super) fn current_program(&self) -> Result<PathBuf, Complaint> {
        let layout = layout(&self.settings);
        let release = current(&self.settings)?;
        Ok(layout.directory(&release).join("bin").join(&self.settings.name))
    }
}

/// Where the releases of these settings lie.
pub(super) fn layout(settings: &Settings) -> Layout {
    let genesis = ReleaseName::new(cosmos::GENESIS).ok().map(|genesis| (genesis, settings.genesis()));
    Layout { placed: genesis.into_iter().collect(), ..Layout::new(settings.upgrades(), settings.current()) }
}

/// The release that `current` names. If there is no such link: the upgrade that was carried out last, else the first
/// release. What is there and no link to a release is refused: it may be all that tells which data this is.
pub(super) fn current(settings: &Settings) -> Result<ReleaseName, Complaint> {
    let link = settings.current();
    let shown = link.display();
    let found = ov_release::current(&RealDisk, &layout(settings)).map_err(|error| Complaint::new(error.to_string()))?;
    match found {
        CurrentRelease::Release(release) => Ok(release),
        CurrentRelease::Missing => {
            let applied = cosmos::applied(&RealDisk, settings)
                .map_err(|error| Complaint::file("", "open", &settings.upgrades(), &error))?;
            cosmos::choose_current(None, &applied).ok_or_else(|| Complaint::new("there is no release"))
        }
        CurrentRelease::Dangling(text) => Err(Complaint::new(format!(
            "symlink genesis current: file exists: {shown} leads to {}, where nothing is; restore that folder, or point \
             the link to the release that the data needs: `ln -sfn upgrades/NAME {shown}`",
            text.display()
        ))),
        CurrentRelease::NotALink(_) => Err(Complaint::new(format!(
            "symlink genesis current: file exists: {shown} is no link; move it away, and point a link to the release \
             that the data needs: `ln -sfn upgrades/NAME {shown}`"
        ))),
        CurrentRelease::Outside(target) => Err(Complaint::new(format!(
            "current binary is invalid: {shown} leads to {}, which is neither {} nor a folder in {}",
            target.display(),
            settings.genesis().display(),
            settings.upgrades().display()
        ))),
    }
}

/// A path as the disk wants it.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
