//! What `config.toml` says: every key, what holds where it is missing, and the shapes of older releases.
//!
//! The original has defaults only in the file that its `init` writes: a key that is missing is zero there, which nobody
//! wants. Here it is what `init` writes, unless the original's zeros are asked for. Pure: the file comes as bytes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ov_types::ReleaseName;

use super::fields::{Fields, Remarks, document};
use super::flavour::Flavour;
use super::legacy;

/// The file in a home.
pub const CONFIG_FILE: &str = "config.toml";

/// What an operator set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The home.
    pub home: PathBuf,
    /// So many polls in a row may fail before the core was ever reached, and behind an upgrade.
    pub first_connection_retries: u64,
    /// So many may fail once the core was launched again after a failure.
    pub restart_connection_retries: u64,
    /// How often the processes are launched again.
    pub restarts: u64,
    /// The pause before that.
    pub restart_delay_seconds: u64,
    /// The pause between "ready to upgrade" and the signal to end.
    pub stop_delay_seconds: u64,
    /// How long the processes may take to end.
    pub stop_timeout_seconds: u64,
    /// The folders of releases whose folder is not called as their tag is.
    pub upgrade_folders: BTreeMap<String, String>,
    /// Whether, and from where, a missing release is fetched.
    pub auto_install: AutoInstall,
}

/// Where missing releases come from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoInstall {
    /// Whether they are fetched.
    pub enabled: bool,
    /// Who publishes them.
    pub owner: String,
    /// Where.
    pub repository: String,
    /// The file of a release.
    pub asset: String,
    /// The program in it, if it is not the file itself.
    pub program: Option<String>,
}

impl AutoInstall {
    /// The path of the program in the folder of a release that was fetched.
    pub fn program(&self) -> &str {
        self.program.as_deref().unwrap_or(&self.asset)
    }
}

/// What holds where a key is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// What is documented, which is what `init` writes.
    Documented,
    /// Nothing and zero, as in the original.
    Zero,
}

/// One number.
pub(super) struct Row {
    /// Its key.
    pub(super) key: &'static str,
    /// What is documented.
    pub(super) default: fn(&Flavour) -> u64,
    /// Whether `init` writes it.
    pub(super) is_written: fn(&Flavour) -> bool,
    slot: fn(&mut Settings) -> &mut u64,
}

/// Every number, in the order of the file.
pub(super) const NUMBERS: [Row; 6] = [
    Row {
        key: "maxNumberOfFirstConnectionRetries",
        default: |flavour| flavour.first_connection_retries,
        is_written: |_| true,
        slot: |settings| &mut settings.first_connection_retries,
    },
    Row {
        key: "maxNumberOfRestartConnectionRetries",
        default: |_| 10,
        is_written: |flavour| flavour.writes_restart_connection_retries,
        slot: |settings| &mut settings.restart_connection_retries,
    },
    row("maxNumberOfRestarts", |_| 3, |settings| &mut settings.restarts),
    row("restartsDelaySeconds", |_| 5, |settings| &mut settings.restart_delay_seconds),
    row("stopDelaySeconds", |_| 0, |settings| &mut settings.stop_delay_seconds),
    row("stopSignalTimeoutSeconds", |_| 15, |settings| &mut settings.stop_timeout_seconds),
];

const fn row(key: &'static str, default: fn(&Flavour) -> u64, slot: fn(&mut Settings) -> &mut u64) -> Row {
    Row { key, default, is_written: |_| true, slot }
}

const FOLDERS: &str = "upgradeFolders";
const AUTO_INSTALL: &str = "autoInstall";
const ASSET: &str = "asset";
const ASSET_KEYS: [&str; 2] = ["name", "binaryName"];

/// Reads a file, or says why it is none.
pub fn read_settings(
    bytes: &[u8],
    home: &Path,
    flavour: &Flavour,
    missing: Missing,
) -> Result<(Settings, Remarks), String> {
    let table = document(bytes)?;
    let fields = Fields::of_file(&table);
    let mut remarks = Remarks::default();
    let mut settings = Settings { home: home.to_owned(), ..Settings::default() };
    for row in &NUMBERS {
        let default = if missing == Missing::Documented { (row.default)(flavour) } else { 0 };
        *(row.slot)(&mut settings) = fields.number(row.key, &mut remarks).unwrap_or(default);
    }
    settings.upgrade_folders = folders(&fields, &mut remarks);
    if let Some(section) = fields.table(AUTO_INSTALL, &mut remarks) {
        settings.auto_install = auto_install(&section, flavour, missing, &mut remarks);
    }
    let known: Vec<&str> = NUMBERS.iter().map(|row| row.key).chain([FOLDERS, AUTO_INSTALL]).collect();
    fields.only(&known, &mut remarks);
    Ok((settings, remarks))
}

fn folders(fields: &Fields<'_>, remarks: &mut Remarks) -> BTreeMap<String, String> {
    let mut folders = BTreeMap::new();
    let Some(section) = fields.table(FOLDERS, remarks) else { return folders };
    for (tag, value) in section.entries() {
        let Some(folder) = value.as_str() else {
            remarks.wrong(&section.path(tag), "the name of a folder", value);
            continue;
        };
        if let Err(error) = ReleaseName::new(tag) {
            remarks.warnings.push(format!("{} means nothing: {error}", section.path(tag)));
            continue;
        }
        folders.insert(tag.to_owned(), folder.to_owned());
    }
    folders
}

/// A section that is not there lets nothing be fetched: nobody named a place. Of one that is, what it leaves out is what
/// is documented.
fn auto_install(section: &Fields<'_>, flavour: &Flavour, missing: Missing, remarks: &mut Remarks) -> AutoInstall {
    let default = match missing {
        Missing::Zero => AutoInstall::default(),
        Missing::Documented => written(flavour),
    };
    let mut found = AutoInstall {
        enabled: section.switch("enabled", remarks).unwrap_or(default.enabled),
        owner: section.text("repositoryOwner", remarks).unwrap_or(default.owner),
        repository: section.text("repository", remarks).unwrap_or(default.repository),
        ..AutoInstall::default()
    };
    let asset = section.table(ASSET, remarks);
    let name = asset.as_ref().and_then(|asset| asset.text("name", remarks));
    let program = asset.as_ref().and_then(|asset| asset.text("binaryName", remarks));
    let old = legacy::asset(section, asset.as_ref(), flavour, name.is_some(), remarks);
    (found.asset, found.program) = match (name, old) {
        (Some(name), _) => (name, program),
        (None, Some(old)) => (old.name, old.program.or(program)),
        (None, None) => (default.asset, program.or(default.program)),
    };
    // Nobody can launch an archive.
    let is_archive = Path::new(&found.asset).extension().is_some_and(|it| it.eq_ignore_ascii_case("zip"));
    if missing == Missing::Documented && found.program.is_none() && is_archive {
        found.program = Some(flavour.name.to_owned());
    }
    if found.enabled && found.asset.is_empty() {
        let why = "missing required auto install vega asset definition in Visor config: nothing can be fetched until \
                   `name` stands in [autoInstall.asset]";
        remarks.warnings.push(why.to_owned());
    }
    if let Some(asset) = &asset {
        asset.only(&[&ASSET_KEYS[..], &legacy::KEYS].concat(), remarks);
    }
    section.only(&["enabled", "repositoryOwner", "repository", ASSET, legacy::SECTION], remarks);
    found
}

/// What `init` writes.
pub(super) fn written(flavour: &Flavour) -> AutoInstall {
    AutoInstall {
        enabled: true,
        owner: flavour.owner.to_owned(),
        repository: flavour.repository.to_owned(),
        asset: flavour.asset(),
        program: Some(flavour.name.to_owned()),
    }
}
