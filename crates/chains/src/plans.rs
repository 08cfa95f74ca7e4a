//! Plans in files that somebody else writes: how their names become releases, who writes them, and what follows.
//!
//! Rules as data, and the pure functions behind them. Reading the files is the daemon's business.

use ov_types::{Height, ReleaseName};

use crate::cosmos;

pub use crate::cosmos::{
    Author, Current, Doubt, Evidence, Fit, FitEvidence, KnownRelease, Main, Meaning, Stale, fit, meaning,
};

/// How the plans in a file are to be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRules {
    /// How a plan's name becomes that of its release.
    pub names: PlanNames,
    /// Who writes the file.
    pub writers: PlanWriters,
    /// Heights at which the operator wants no upgrade.
    pub skipped: Vec<u64>,
    /// How often the file is looked at besides when the kernel tells of a change.
    pub every_ms: Option<u64>,
}

impl Default for PlanRules {
    fn default() -> Self {
        Self { names: PlanNames::AsTheyAre, writers: PlanWriters::Node, skipped: Vec::new(), every_ms: None }
    }
}

/// How a plan's name becomes that of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanNames {
    /// Letter for letter.
    AsTheyAre,
    /// Escaped like a part of a web address.
    Escaped {
        /// And lowered before.
        lowered: bool,
    },
}

/// Who writes a file of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanWriters {
    /// The node, when it halts, and nobody else.
    Node,
    /// The node when it halts, and people ahead of time.
    NodeOrPeople,
    /// People, ahead of time: the file is a list.
    People,
    /// People who keep a map of all releases of the chain: those that lie ahead are plans.
    Registry {
        /// So many of them, so that not all are fetched at once.
        ahead: usize,
    },
}

impl PlanWriters {
    /// Whether the file holds several plans, each of which comes and goes by itself.
    pub fn are_many(self) -> bool {
        matches!(self, PlanWriters::People | PlanWriters::Registry { .. })
    }
}

impl PlanNames {
    fn recase(self) -> cosmos::Recase {
        match self {
            PlanNames::Escaped { lowered: true } => cosmos::Recase::Lower,
            _ => cosmos::Recase::Keep,
        }
    }

    /// The release that a plan of this name leads to, or why there can be none.
    pub fn release(self, name: &str) -> Result<ReleaseName, String> {
        match self {
            PlanNames::AsTheyAre => ReleaseName::new(name).map_err(|error| error.to_string()),
            PlanNames::Escaped { .. } => cosmos::release_of(name, self.recase()).map_err(|error| error.to_string()),
        }
    }

    /// Whether two releases are one.
    pub fn same(self, a: &ReleaseName, b: &ReleaseName) -> bool {
        match self {
            PlanNames::AsTheyAre => a == b,
            PlanNames::Escaped { .. } => cosmos::same(a, b),
        }
    }

    /// The name of the plan that leads to this release, as it stands in the file that it was learned from.
    pub fn written(self, release: &ReleaseName, file: &[u8]) -> Option<String> {
        let plan = cosmos::PlanInfo::parse(file).ok()?;
        self.release(&plan.name).is_ok_and(|found| self.same(&found, release)).then_some(plan.name)
    }

    /// A plan that leads to this release, as a node writes it at its halt.
    pub fn plan_of(self, release: &ReleaseName, height: Height, info: Option<&str>) -> Vec<u8> {
        let height = i64::try_from(height.0).unwrap_or(i64::MAX);
        let info = info.unwrap_or_default().to_owned();
        cosmos::PlanInfo { info, ..cosmos::PlanInfo::new(release.as_str(), height) }.to_text().into_bytes()
    }

    /// The copy of a plan that lies with its release once it was carried out. `written` is what stands in the file
    /// that the plan was learned from, if it is still there.
    pub fn applied_copy(self, release: &ReleaseName, height: Height, written: Option<&[u8]>) -> Vec<u8> {
        let height = i64::try_from(height.0).unwrap_or(i64::MAX);
        let is_it = |plan: &cosmos::PlanInfo| self.release(&plan.name).is_ok_and(|found| self.same(&found, release));
        let written = written.and_then(|bytes| cosmos::PlanInfo::parse(bytes).ok()).filter(is_it);
        let plan = match written {
            Some(plan) => cosmos::PlanInfo { name: self.recase().apply(&plan.name), height, ..plan },
            None => cosmos::PlanInfo::new(release.as_str(), height),
        };
        plan.to_text().into_bytes()
    }
}

/// The height in the copy of an applied plan.
pub fn applied_height(copy: &[u8]) -> Option<Height> {
    let plan = cosmos::PlanInfo::parse(copy).ok()?;
    u64::try_from(plan.height).ok().map(Height)
}

/// What the copy of an applied plan says besides.
pub fn applied_info(copy: &[u8]) -> Option<String> {
    cosmos::PlanInfo::parse(copy).ok().map(|plan| plan.info).filter(|info| !info.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    #[test]
    fn names_are_taken_as_they_are_or_escaped() {
        assert_eq!(PlanNames::AsTheyAre.release("V2"), Ok(name("V2")));
        assert!(PlanNames::AsTheyAre.release("my upgrade").is_err());
        assert_eq!(PlanNames::Escaped { lowered: true }.release("My Upgrade"), Ok(name("my%20upgrade")));
        assert_eq!(PlanNames::Escaped { lowered: false }.release("My Upgrade"), Ok(name("My%20Upgrade")));
        assert!(PlanNames::Escaped { lowered: true }.same(&name("v2"), &name("V2")));
        assert!(!PlanNames::AsTheyAre.same(&name("v2"), &name("V2")));
    }

    #[test]
    fn a_copy_keeps_what_was_written_and_is_made_without_it() {
        let names = PlanNames::Escaped { lowered: true };
        let written = br#"{"name":"V2","height":"90","info":"x"}"#;
        let copy = names.applied_copy(&name("v2"), Height(100), Some(written));
        let copy = String::from_utf8(copy).unwrap();
        assert!(copy.contains(r#""name":"v2""#) && copy.contains(r#""info":"x""#), "{copy}");
        assert_eq!(applied_height(copy.as_bytes()), Some(Height(100)));
        assert_eq!(names.written(&name("v2"), written).as_deref(), Some("V2"));
        assert_eq!(names.written(&name("v3"), written), None);
        for other in [None, Some(&b"{"[..]), Some(&br#"{"name":"v3","height":1,"info":"y"}"#[..])] {
            let copy = String::from_utf8(names.applied_copy(&name("v2"), Height(100), other)).unwrap();
            assert!(copy.contains(r#""name":"v2""#) && !copy.contains("info"), "{copy}");
        }
    }
}
