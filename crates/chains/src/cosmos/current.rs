//! Which release runs when `current` does not say: never blindly the first one, since an old program on new data is what
//! breaks nodes.
//!
//! Reads the copies of applied plans; decides nothing about a link that is there, which is the release room's business.

use std::io;

use ov_sys::Disk;
use ov_sys::disk::Kind;
use ov_types::{Height, ReleaseName};

use super::check::followed;
use super::names::GENESIS;
use super::plan::PlanInfo;
use super::settings::Settings;

/// The copy of the plan that lies in the folder of each upgrade that was carried out.
pub const APPLIED_FILE: &str = "upgrade-info.json";
const PLAN_BYTES_MAX: u64 = 1 << 20;

/// An upgrade that was carried out at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedPlan {
    /// Its release.
    pub release: ReleaseName,
    /// Its height.
    pub height: Height,
}

/// All upgrades that were carried out, by name. A copy that cannot be read tells nothing.
pub fn applied(disk: &dyn Disk, settings: &Settings) -> io::Result<Vec<AppliedPlan>> {
    let upgrades = settings.upgrades();
    let Some((upgrades, facts)) = followed(disk, &upgrades)? else { return Ok(Vec::new()) };
    if facts.kind != Kind::Directory {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for name in disk.list(&upgrades)? {
        let release = name.to_str().and_then(|name| ReleaseName::new(name).ok());
        let Some(release) = release else { continue };
        let copy = upgrades.join(&release).join(APPLIED_FILE);
        let Ok(bytes) = disk.read(&copy, PLAN_BYTES_MAX) else { continue };
        let height = PlanInfo::parse(&bytes).ok().and_then(|plan| u64::try_from(plan.height).ok());
        found.extend(height.map(|height| AppliedPlan { release, height: Height(height) }));
    }
    Ok(found)
}

/// The release that a missing `current` should name: the one that the journal knows, else the upgrade that was carried
/// out at the greatest height, else the first.
pub fn choose(journal: Option<&ReleaseName>, applied: &[AppliedPlan]) -> Option<ReleaseName> {
    let newest = || applied.iter().max_by_key(|plan| plan.height).map(|plan| &plan.release);
    journal.or_else(newest).cloned().or_else(|| ReleaseName::new(GENESIS).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    fn plan(release: &str, height: u64) -> AppliedPlan {
        AppliedPlan { release: name(release), height: Height(height) }
    }

    #[test]
    fn the_journal_knows_best_then_the_newest_copy_then_the_first_release() {
        let copies = [plan("v2", 100), plan("v3", 200), plan("v1", 50)];
        for (journal, applied, expected) in [
            (Some("v2"), &copies[..], "v2"),
            (None, &copies[..], "v3"),
            (Some("v2"), &[], "v2"),
            (None, &[], "genesis"),
        ] {
            let journal = journal.map(name);
            assert_eq!(choose(journal.as_ref(), applied), Some(name(expected)));
        }
    }

    #[test]
    fn copies_are_found_and_bad_ones_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let settings = Settings { home: home.path().to_str().unwrap().to_owned(), ..Settings::default() };
        assert_eq!(applied(&RealDisk, &settings).unwrap(), []);
        for (folder, text) in [
            ("v2", Some(r#"{"name":"v2","height":100}"#)),
            ("v3", Some(r#"{"name":"V3","height":"200"}"#)),
            ("torn", Some(r#"{"name":"to"#)),
            ("staged", None),
            (".hidden", Some(r#"{"name":"h","height":900}"#)),
        ] {
            let folder = settings.upgrades().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            if let Some(text) = text {
                std::fs::write(folder.join(APPLIED_FILE), text).unwrap();
            }
        }
        assert_eq!(applied(&RealDisk, &settings).unwrap(), [plan("v2", 100), plan("v3", 200)]);
    }
}
