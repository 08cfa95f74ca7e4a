//! What nobody can hide: every launch with its words, every block with the version that ran it, and signs of two
//! processes where one may be.
//!
//! It lies in a directory of its own, of which no home is a part, and so is what running processes are told: the file
//! `core.json` or `data-node.json` there holds switches above all others, and is read again while the process runs.

use crate::error::Error;
use crate::files;
use crate::lifecycle::monotonic_ns;
use crate::plan::Upgrade;
use crate::sign::{self, Violation};
use crate::switches::Switches;
use crate::verify::VersionSpan;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::path::{Path, PathBuf};

const LAUNCHES: &str = "launches.log";
const BLOCKS: &str = "blocks.log";
const UPGRADES: &str = "upgrades.log";

/// Which part of the program a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// `start`.
    Core,
    /// `datanode start`.
    DataNode,
    /// `version`.
    Version,
    /// `datanode network-history latest-history-segment`.
    History,
    /// `tools snapshot`.
    Snapshots,
}

impl Role {
    /// As files of the witness call it. The short-lived parts are told things together.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Core => "core",
            Self::DataNode => "data-node",
            Self::Version | Self::History | Self::Snapshots => "tools",
        }
    }
}

/// A start of the program, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// Which part of the program it was.
    pub role: Role,
    /// The version of the copy that was started.
    pub version: String,
    /// The name it was called by.
    pub name: String,
    /// Everything behind the name.
    pub arguments: Vec<String>,
    /// The process.
    pub pid: u32,
    /// `CLOCK_MONOTONIC` at that moment.
    pub monotonic_ns: u64,
}

impl Launch {
    pub(super) fn now(role: Role, version: &str, name: &str, arguments: &[String]) -> Self {
        let (version, name, arguments) = (version.to_owned(), name.to_owned(), arguments.to_vec());
        Self { role, version, name, arguments, pid: std::process::id(), monotonic_ns: monotonic_ns() }
    }
}

/// A block that was carried out, for the first time or again.
#[derive(Debug, Serialize, Deserialize)]
struct Block {
    height: u64,
    version: String,
}

/// The witness as one process writes it. Commands that know no home and were told no directory write nothing.
#[derive(Debug)]
pub(super) struct Witness {
    directory: Option<PathBuf>,
    role: Role,
    version: String,
}

impl Witness {
    /// The directory is the one that the switches name, else it lies beside Vega's home.
    pub(super) fn open(switches: &Switches, home: Option<&Path>, role: Role, version: &str) -> Result<Self, Error> {
        let beside = |home: &Path| {
            let mut name = home.as_os_str().to_owned();
            name.push(".witness");
            PathBuf::from(name)
        };
        let directory = switches.witness.as_ref().map(PathBuf::from).or_else(|| home.map(beside));
        if let Some(directory) = &directory {
            files::make_directory(directory)?;
        }
        Ok(Self { directory, role, version: version.to_owned() })
    }

    /// Where the life of this part is noted, for processes that live.
    pub(super) fn life(&self) -> Result<PathBuf, Error> {
        let directory = self.directory.as_ref();
        let directory = directory.ok_or_else(|| Error::Usage("neither `--home` nor `--witness`".to_owned()))?;
        Ok(directory.join(self.role.name()))
    }

    pub(super) fn note_launch(&self, launch: &Launch) -> Result<(), Error> {
        self.append(LAUNCHES, launch)
    }

    /// Carried out a block.
    pub(super) fn note_block(&self, height: u64) -> Result<(), Error> {
        self.append(BLOCKS, &Block { height, version: self.version.clone() })
    }

    /// The network reached the height of an upgrade.
    pub(super) fn note_upgrade(&self, upgrade: &Upgrade) -> Result<(), Error> {
        self.append(UPGRADES, upgrade)
    }

    /// A rule was broken.
    pub(super) fn accuse(&self, kind: &str, height: u64) -> Result<(), Error> {
        let Some(directory) = &self.directory else { return Ok(()) };
        sign::Witness::new(directory, &self.version).record(kind, height)
    }

    /// The right to sign with the key in this home, guarded by a memory that is not in it.
    pub(super) fn signer(&self, home: &Path, switches: &Switches) -> Result<sign::Signer, Error> {
        let directory = self.directory.as_deref().unwrap_or(home);
        sign::Signer::open(home, sign::Witness::new(directory, &self.version), switches)
    }

    /// Proof that no other process plays this part anywhere, for as long as the handle lives.
    pub(super) fn alone(&self) -> Result<Option<File>, Error> {
        let Some(directory) = &self.directory else { return Ok(None) };
        let lock = files::try_lock(&directory.join(format!("{}.lock", self.role.name())))?;
        if lock.is_none() {
            self.accuse(&format!("two-{}s", self.role.name()), 0)?;
            return Err(Error::Locked);
        }
        Ok(lock)
    }

    /// What the witness knows of the network until now.
    pub(super) fn expectation(&self) -> Result<Expectation, Error> {
        let Some(directory) = &self.directory else { return Ok(Expectation::default()) };
        let upgrades = read_lines(&directory.join(UPGRADES))?;
        let first: Option<Block> = read_lines(&directory.join(BLOCKS))?.into_iter().next();
        Ok(Expectation { upgrades, first: first.map(|block| block.version) })
    }

    /// What this part is told now, above all else.
    pub(super) fn told(&self) -> Result<Map<String, Value>, Error> {
        let Some(directory) = &self.directory else { return Ok(Map::new()) };
        let path = directory.join(self.role.name()).with_extension("json");
        let text = files::read_if_there(&path)?.unwrap_or_else(|| "{}".to_owned());
        serde_json::from_str(&text).map_err(Error::json(&path))
    }

    fn append(&self, file: &str, value: &impl Serialize) -> Result<(), Error> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let path = directory.join(file);
        let line = serde_json::to_string(value).map_err(Error::json(&path))?;
        files::append_line(&path, &line)
    }
}

/// Which version must run which block.
#[derive(Debug, Default)]
pub(super) struct Expectation {
    upgrades: Vec<Upgrade>,
    first: Option<String>,
}

impl Expectation {
    /// That of the last upgrade below the height, else the one that ran the first block; none if nobody ran any.
    pub(super) fn version(&self, height: u64) -> Option<&str> {
        let below = self.upgrades.iter().filter(|upgrade| upgrade.height < height);
        let last = below.max_by_key(|upgrade| upgrade.height).map(|upgrade| upgrade.name.as_str());
        last.or(self.first.as_deref())
    }
}

/// Tells a part what holds from now on, above all that it was told before.
pub fn tell(directory: &Path, role: Role, switches: &Map<String, Value>) -> Result<(), Error> {
    Switches::default().with(switches)?;
    files::make_directory(directory)?;
    files::replace_json(&directory.join(role.name()).with_extension("json"), switches)
}

/// Every start of the program, oldest first.
pub fn launches(directory: &Path) -> Result<Vec<Launch>, Error> {
    read_lines(&directory.join(LAUNCHES))
}

/// Which version carried out which blocks, in the order in which it happened: a block that was carried out again begins
/// a span of its own.
pub fn blocks(directory: &Path) -> Result<Vec<VersionSpan>, Error> {
    let mut spans: Vec<VersionSpan> = Vec::new();
    for Block { height, version } in read_lines(&directory.join(BLOCKS))? {
        match spans.last_mut() {
            Some(span) if span.version == version && span.to + 1 == height => span.to = height,
            _ => spans.push(VersionSpan { version, from: height, to: height }),
        }
    }
    Ok(spans)
}

/// Every broken rule: `two-cores`, `two-data-nodes`, `wrong-version` (with the height), `dirty-database`, and
/// those of a validator: `two-signers` and `double-sign`.
pub fn violations(directory: &Path) -> Result<Vec<Violation>, Error> {
    sign::read_violations(directory)
}

/// A line that is being written by a process that lives does not end yet, and is left for the next look.
fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, Error> {
    let text = files::read_if_there(path)?.unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).map_err(Error::json(path))).collect()
}
