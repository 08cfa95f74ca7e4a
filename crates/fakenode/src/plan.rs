//! Scheduled upgrades, and the plan file that a halting version leaves, well or badly written.

use crate::error::Error;
use crate::files;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// How long the second half of a slowly written file takes.
const SLOW_WRITE: Duration = Duration::from_secs(1);

/// One entry of the network's schedule, `name@height` as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Upgrade {
    /// What it is called.
    pub name: String,
    /// The first height that needs the new version.
    pub height: u64,
}

/// The content of a plan file, in the order of keys of Cosmos nodes.
#[derive(Serialize)]
struct Plan<'a> {
    name: &'a str,
    height: u64,
    info: &'a str,
}

/// How a plan file can be written badly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Torn {
    /// Half of it, and never more.
    Half,
    /// Nothing in it.
    Empty,
    /// In place and in two halves, a second apart.
    Slow,
}

impl TryFrom<String> for Upgrade {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.rsplit_once('@').filter(|(name, _)| !name.is_empty());
        parts
            .and_then(|(name, height)| Some(Self { name: name.to_owned(), height: height.parse().ok()? }))
            .ok_or_else(|| format!("`{text}` is no upgrade such as `v2@100`"))
    }
}

impl From<Upgrade> for String {
    fn from(upgrade: Upgrade) -> Self {
        format!("{}@{}", upgrade.name, upgrade.height)
    }
}

impl Upgrade {
    /// Writes the plan file in the way asked for.
    pub(crate) fn write_plan(&self, path: &Path, info: &str, torn: Option<Torn>) -> Result<(), Error> {
        let plan = Plan { name: &self.name, height: self.height, info };
        let text = serde_json::to_string(&plan).map_err(Error::json(path))?;
        let (first, second) = text.as_bytes().split_at(text.len() / 2);
        let Some(torn) = torn else { return files::replace(path, text.as_bytes()) };
        let written = File::create(path).and_then(|mut file| match torn {
            Torn::Empty => Ok(()),
            Torn::Half => file.write_all(first),
            Torn::Slow => {
                file.write_all(first)?;
                std::thread::sleep(SLOW_WRITE);
                file.write_all(second)
            }
        });
        written.map_err(Error::io("write", path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_an_upgrade() {
        let upgrade = Upgrade::try_from("v2@sdk@100".to_owned()).unwrap();
        assert_eq!((upgrade.name.as_str(), upgrade.height), ("v2@sdk", 100));
        assert_eq!(String::from(upgrade), "v2@sdk@100");
        for text in ["v2", "@5", "v2@", "v2@soon"] {
            assert!(Upgrade::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn plan_files_whole_and_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade-info.json");
        let upgrade = Upgrade { name: "v2".to_owned(), height: 100 };
        let parsed = |path: &Path| serde_json::from_slice::<serde_json::Value>(&std::fs::read(path).unwrap());
        for torn in [None, Some(Torn::Slow)] {
            upgrade.write_plan(&path, "see notes", torn).unwrap();
            let plan = parsed(&path).unwrap();
            assert_eq!(plan, serde_json::json!({"name": "v2", "height": 100, "info": "see notes"}));
        }
        for torn in [Torn::Half, Torn::Empty] {
            upgrade.write_plan(&path, "", Some(torn)).unwrap();
            assert!(parsed(&path).is_err(), "{torn:?}");
        }
    }
}
