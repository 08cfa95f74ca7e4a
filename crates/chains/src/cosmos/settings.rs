//! The settings of the original: one table with the name, the kind and the default of each, which reading, showing and
//! exporting all go by.
//!
//! Pure: the environment is asked through a function, files come as text. What only the disk can tell is checked in
//! [`super::check`].

use std::path::{Path, PathBuf};

use super::duration::GoDuration;
use super::names::Recase;
use super::time_format::TimeFormat;

/// What an operator set, defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// The node's home.
    pub home: String,
    /// The file name of the node's program.
    pub name: String,
    /// Whether a missing release is fetched.
    pub allow_download: bool,
    /// Whether what is fetched must name its checksum.
    pub must_have_checksum: bool,
    /// Whether the node is launched again after an upgrade.
    pub restart_after_upgrade: bool,
    /// A pause between the halt and the backup.
    pub restart_delay: GoDuration,
    /// How long a node may take to end before it is killed.
    pub shutdown_grace: GoDuration,
    /// How often the plan file is looked at.
    pub poll_interval: GoDuration,
    /// Whether the data is not kept before an upgrade.
    pub skip_backup: bool,
    /// Where the data is kept.
    pub backup_dir: String,
    /// How often a pre-upgrade that asks for it is tried again. A negative number means not at all, as zero does.
    pub pre_upgrade_retries: i64,
    /// Where the node answers over gRPC.
    pub grpc_address: String,
    /// Whether our own lines are left out.
    pub disable_logs: bool,
    /// Whether our own lines have colours.
    pub color_logs: bool,
    /// How our own lines tell the time.
    pub time_format: TimeFormat,
    /// A script that is run before the switch.
    pub custom_pre_upgrade: String,
    /// Whether the names of upgrades keep their case.
    pub disable_recase: bool,
}

/// Where one setting stands, and of which kind it is.
#[derive(Debug)]
pub(super) enum Slot<'a> {
    /// Any text.
    Text(&'a mut String),
    /// Yes or no.
    Switch(&'a mut bool),
    /// A length of time. Zero means none, where that has a meaning.
    Length(&'a mut GoDuration, Zero),
    /// A whole number.
    Number(&'a mut i64),
    /// A form of the time.
    Time(&'a mut TimeFormat),
}

/// What a length of nothing means in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// That there is none.
    None,
    /// Nothing: it is wrong.
    Wrong,
}

/// One setting.
#[derive(Debug)]
pub(super) struct Row {
    /// The environment variable; in lower case, the key in the file.
    pub(super) name: &'static str,
    /// What holds when it is not given.
    pub(super) default: &'static str,
    /// Where it stands.
    pub(super) slot: fn(&mut Settings) -> Slot<'_>,
}

impl Row {
    /// The key in the file.
    pub(super) fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// The home, of which messages speak by name.
pub(super) const HOME: &str = "DAEMON_HOME";
/// The program's name.
pub(super) const NAME: &str = "DAEMON_NAME";
/// The place of backups.
pub(super) const BACKUP_DIR: &str = "DAEMON_DATA_BACKUP_DIR";

const fn row(name: &'static str, default: &'static str, slot: fn(&mut Settings) -> Slot<'_>) -> Row {
    Row { name, default, slot }
}

/// Every setting, in the order of the original's file.
pub(super) const TABLE: [Row; 17] = [
    row(HOME, "", |s| Slot::Text(&mut s.home)),
    row(NAME, "", |s| Slot::Text(&mut s.name)),
    row("DAEMON_ALLOW_DOWNLOAD_BINARIES", "false", |s| Slot::Switch(&mut s.allow_download)),
    row("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "false", |s| Slot::Switch(&mut s.must_have_checksum)),
    row("DAEMON_RESTART_AFTER_UPGRADE", "true", |s| Slot::Switch(&mut s.restart_after_upgrade)),
    row("DAEMON_RESTART_DELAY", "0", |s| Slot::Length(&mut s.restart_delay, Zero::None)),
    row("DAEMON_SHUTDOWN_GRACE", "0", |s| Slot::Length(&mut s.shutdown_grace, Zero::None)),
    row("DAEMON_POLL_INTERVAL", "300ms", |s| Slot::Length(&mut s.poll_interval, Zero::Wrong)),
    row("UNSAFE_SKIP_BACKUP", "false", |s| Slot::Switch(&mut s.skip_backup)),
    // The home, which is only known once all is read.
    row(BACKUP_DIR, "", |s| Slot::Text(&mut s.backup_dir)),
    row("DAEMON_PREUPGRADE_MAX_RETRIES", "0", |s| Slot::Number(&mut s.pre_upgrade_retries)),
    row("DAEMON_GRPC_ADDRESS", "localhost:9090", |s| Slot::Text(&mut s.grpc_address)),
    row("COSMOVISOR_DISABLE_LOGS", "false", |s| Slot::Switch(&mut s.disable_logs)),
    row("COSMOVISOR_COLOR_LOGS", "true", |s| Slot::Switch(&mut s.color_logs)),
    row("COSMOVISOR_TIMEFORMAT_LOGS", "kitchen", |s| Slot::Time(&mut s.time_format)),
    row("COSMOVISOR_CUSTOM_PREUPGRADE", "", |s| Slot::Text(&mut s.custom_pre_upgrade)),
    row("COSMOVISOR_DISABLE_RECASE", "false", |s| Slot::Switch(&mut s.disable_recase)),
];

impl Settings {
    /// Our own folder, as the original has it.
    pub fn root(&self) -> PathBuf {
        Path::new(&self.home).join("cosmovisor")
    }

    /// The file that `init` writes.
    pub fn config_file(&self) -> PathBuf {
        self.root().join("config.toml")
    }

    /// The link to the release that runs.
    pub fn current(&self) -> PathBuf {
        self.root().join("current")
    }

    /// The folder of the first release.
    pub fn genesis(&self) -> PathBuf {
        self.root().join(super::names::GENESIS)
    }

    /// The program of the first release.
    pub fn genesis_program(&self) -> PathBuf {
        self.genesis().join("bin").join(&self.name)
    }

    /// One folder per upgrade.
    pub fn upgrades(&self) -> PathBuf {
        self.root().join("upgrades")
    }

    /// The node's data.
    pub fn data(&self) -> PathBuf {
        Path::new(&self.home).join("data")
    }

    /// The file that the node writes when it halts for an upgrade.
    pub fn plan_file(&self) -> PathBuf {
        self.data().join("upgrade-info.json")
    }

    /// The plans that people scheduled ahead.
    pub fn schedule_file(&self) -> PathBuf {
        self.data().join("upgrade-info.json.batch")
    }

    /// Whether names are lowered.
    pub fn recase(&self) -> Recase {
        if self.disable_recase { Recase::Keep } else { Recase::Lower }
    }
}
