//! All releases of a chain by the height from which each of them makes the blocks: for a node that goes through its whole
//! history, and to tell which release fits data.
//!
//! Two forms of one document: `chain.json` or `versions.json` of the chain registry, whose entries lie in
//! `codebase.versions` or `versions`; and TOML with `[[versions]]` of the same keys `name`, `height` and `binaries`. Pure.

use std::path::Path;

use ov_types::{Height, ReleaseName};
use serde_json::Value;

use crate::plans::PlanNames;

/// No chain has more releases.
const VERSIONS_MAX: usize = 10_000;

/// One release of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Its name, as a plan that leads to it has it.
    pub release: ReleaseName,
    /// The first block that it makes; 0 for the release that the chain began with.
    pub first: Height,
    /// Where to get it, in the words of a plan: `{"binaries": {"os/arch": "address"}}`.
    pub info: Option<String>,
}

/// The releases of a chain, by rising height.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionMap {
    versions: Vec<Version>,
}

/// Why there is no map in a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMap {
    /// It may be being written.
    #[error("it is not whole: {0}")]
    Torn(String),
    /// It is whole, and something else.
    #[error("{0}")]
    Unfit(String),
}

impl VersionMap {
    /// Reads a map. The name of the file says which form it has.
    pub fn parse(bytes: &[u8], file: &Path, names: PlanNames) -> Result<Self, InvalidMap> {
        let is_toml = file.extension().is_some_and(|kind| kind == "toml");
        let document: Value = if is_toml {
            let text = String::from_utf8_lossy(bytes);
            toml::from_str(&text).map_err(|error| InvalidMap::Torn(error.message().to_owned()))?
        } else {
            serde_json::from_slice(bytes).map_err(|error| InvalidMap::Torn(error.to_string()))?
        };
        let entries = document.pointer("/codebase/versions").or_else(|| document.get("versions"));
        let Some(entries) = entries.and_then(Value::as_array) else {
            let expected = "it has no list `codebase.versions` or `versions`";
            return Err(InvalidMap::Unfit(expected.to_owned()));
        };
        if entries.len() > VERSIONS_MAX {
            return Err(InvalidMap::Unfit(format!("it has more than {VERSIONS_MAX} versions")));
        }
        let unfit = |(position, why)| InvalidMap::Unfit(format!("version {position}: {why}"));
        let read = entries.iter().enumerate().map(|(at, entry)| version(entry, names).map_err(|why| (at, why)));
        Self::of(read.collect::<Result<_, _>>().map_err(unfit)?)
    }

    fn of(mut versions: Vec<Version>) -> Result<Self, InvalidMap> {
        versions.sort_by_key(|version| version.first);
        let same = versions.windows(2).find(|pair| matches!(pair, [a, b] if a.first == b.first));
        if let Some([a, b]) = same {
            let why = format!("{} and {} begin at the same height, {}", a.release, b.release, a.first);
            return Err(InvalidMap::Unfit(why));
        }
        Ok(Self { versions })
    }

    /// The release that makes the block of this height; `None` where the map begins later. Data whose last block is
    /// below it fits that release.
    pub fn maker_of(&self, block: Height) -> Option<&Version> {
        self.versions.iter().rev().find(|version| version.first <= block)
    }

    /// The releases that a node has yet to go to, next first: those behind the one that runs. Of several whose height is
    /// past, only the last fits its data. A release that runs and is not in the map is placed by the height; where
    /// that is not known either, nothing can be told. `is_first` says that the chain's first release runs, whatever
    /// it is called.
    pub fn ahead(&self, current: &ReleaseName, is_first: bool, known: Option<Height>) -> &[Version] {
        let runs = self.versions.iter().position(|version| version.release == *current);
        let behind = match (runs, known) {
            (Some(runs), _) => runs + 1,
            (None, _) if is_first => self.versions.partition_point(|version| version.first == Height(0)),
            (None, Some(known)) => self.versions.partition_point(|version| version.first <= known),
            (None, None) => self.versions.len(),
        };
        let fits = known.map_or(0, |known| self.versions.partition_point(|version| version.first <= known));
        &self.versions[behind.max(fits.saturating_sub(1)).min(self.versions.len())..]
    }

    /// All of them, by rising height.
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }
}

fn version(entry: &Value, names: PlanNames) -> Result<Version, String> {
    let name = entry.get("name").and_then(Value::as_str).ok_or("it has no `name`")?;
    let first = match entry.get("height") {
        None | Some(Value::Null) => Some(0),
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
    };
    let first = first.ok_or_else(|| format!("the `height` of {name} is not a block height"))?;
    let binaries = entry.get("binaries").filter(|binaries| binaries.as_object().is_some_and(|map| !map.is_empty()));
    let info = binaries.map(|binaries| serde_json::json!({ "binaries": binaries }).to_string());
    Ok(Version { release: names.release(name)?, first: Height(first), info })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REGISTRY: &str = r#"{"chain_name": "x", "codebase": {"git_repo": "https://x", "versions": [
        {"name": "v3", "tag": "v3.1.0", "height": "200", "proposal": 16, "next_version_name": ""},
        {"name": "v1", "next_version_name": "V2"},
        {"name": "V2", "height": 100, "binaries": {"linux/amd64": "https://x/v2?checksum=sha256:00"}}]}}"#;
    const NAMES: PlanNames = PlanNames::Escaped { lowered: true };

    fn map(text: &str) -> Result<VersionMap, InvalidMap> {
        VersionMap::parse(text.as_bytes(), Path::new("chain.json"), NAMES)
    }

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    fn ahead(map: &VersionMap, current: &str, known: Option<u64>) -> Vec<String> {
        let ahead = map.ahead(&name(current), current == "genesis", known.map(Height));
        ahead.iter().map(|version| version.release.to_string()).collect()
    }

    #[test]
    fn both_forms_give_the_same_map() {
        let registry = map(REGISTRY).unwrap();
        let read: Vec<_> = registry.versions().iter().map(|it| (it.release.as_str(), it.first.0)).collect();
        assert_eq!(read, [("v1", 0), ("v2", 100), ("v3", 200)]);
        let info = registry.versions()[1].info.as_deref();
        assert_eq!(info, Some(r#"{"binaries":{"linux/amd64":"https://x/v2?checksum=sha256:00"}}"#));
        let toml = "[[versions]]\nname = \"v1\"\n[[versions]]\nname = \"v2\"\nheight = 100\nbinaries = { \"linux/amd64\" \
                    = \"https://x/v2?checksum=sha256:00\" }\n[[versions]]\nname = \"v3\"\nheight = 200\n";
        let toml = VersionMap::parse(toml.as_bytes(), Path::new("/n/versions.toml"), NAMES);
        assert_eq!(toml, Ok(registry));
    }

    #[test]
    fn what_is_no_map_is_told() {
        for (text, why) in [
            ("[]", "it has no list `codebase.versions` or `versions`"),
            (r#"{"versions": [{"height": 1}]}"#, "version 0: it has no `name`"),
            (r#"{"versions": [{"name": "a", "height": -1}]}"#, "version 0: the `height` of a is not a block height"),
            (r#"{"versions": [{"name": "a"}, {"name": "b"}]}"#, "a and b begin at the same height, 0"),
        ] {
            assert_eq!(map(text).unwrap_err().to_string(), why);
        }
        assert!(matches!(map("{\"versions\": ["), Err(InvalidMap::Torn(_))));
    }

    #[test]
    fn every_block_has_its_maker() {
        let map = map(REGISTRY).unwrap();
        let maker = |block: u64| map.maker_of(Height(block)).map(|version| version.release.as_str());
        for (block, expected) in
            [(0, "v1"), (1, "v1"), (99, "v1"), (100, "v2"), (199, "v2"), (200, "v3"), (9_999, "v3")]
        {
            assert_eq!(maker(block), Some(expected), "{block}");
        }
        let late = self::map(r#"{"versions": [{"name": "v5", "height": 500}]}"#).unwrap();
        assert_eq!(late.maker_of(Height(499)), None);
    }

    #[test]
    fn what_lies_ahead_is_behind_the_release_that_runs() {
        let map = map(REGISTRY).unwrap();
        for (current, known, expected) in [
            ("v1", None, &["v2", "v3"][..]),
            ("v1", Some(99), &["v2", "v3"]),
            ("v1", Some(100), &["v2", "v3"]),
            ("v1", Some(150), &["v2", "v3"]),
            // Only the last of those that are past fits the data.
            ("v1", Some(250), &["v3"]),
            ("v2", None, &["v3"]),
            ("v2", Some(99), &["v3"]),
            ("v3", Some(250), &[]),
            ("genesis", None, &["v2", "v3"]),
            ("genesis", Some(120), &["v2", "v3"]),
            // A release that the map does not know is placed by the height.
            ("v2.0.1", Some(150), &["v3"]),
            ("v2.0.1", None, &[]),
            ("v3.0.1", Some(250), &[]),
        ] {
            assert_eq!(ahead(&map, current, known), expected, "{current} at {known:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), toml: bool) {
            let file = Path::new(if toml { "a.toml" } else { "a.json" });
            let _ = VersionMap::parse(&bytes, file, NAMES);
        }

        #[test]
        fn a_node_goes_through_all_of_them_one_by_one(heights in proptest::collection::btree_set(1_u64..1000, 1..20)) {
            let mut versions = vec![Version { release: name("v0"), first: Height(0), info: None }];
            versions.extend(heights.iter().map(|at| Version { release: name(&format!("v{at}")), first: Height(*at), info: None }));
            let map = VersionMap::of(versions).unwrap();
            let mut current = name("v0");
            for block in 1..1001 {
                let next = map.ahead(&current, false, Some(Height(block))).first().filter(|next| next.first.0 <= block);
                if let Some(next) = next {
                    current = next.release.clone();
                }
                prop_assert_eq!(Some(&current), map.maker_of(Height(block)).map(|version| &version.release));
            }
        }
    }
}
