//! What tells the meaning of a plan file that people may write too: gathered here, judged by [`ov_chains::plans`].
//!
//! The difficulty is time. A height that was asked for may be a moment old, one that is remembered may be months old;
//! a node that halts writes its plan, over whatever stood there, and ends a moment later. So a file that was written
//! just before main ended by itself is the node's, whatever is remembered; and a home that was handed over stands
//! where its node halted, unless its data was written after the plan. Where the data of a node that is down tells its height
//! exactly, all this is not needed.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ov_chains::plans::{self, Author, Current, Evidence, Main, Meaning, PlanRules, PlanWriters};
use ov_chains::{HeightAtRest, NodeShape};
use ov_sys::Disk;
use ov_sys::disk::Kind;
use ov_types::{Height, ReleaseName, Trigger};

use super::{Candidate, Known, MainSeen, Writing};

/// A node that wrote its plan is gone this long after, if it ends by itself at all.
const HALT_MS_MAX: i64 = 10_000;
/// Data that is this much newer than the plan was written by a node that went on.
const WENT_ON_MS: i64 = 60_000;
/// So many files are looked at to tell how new the data is.
const NAMES_MAX: usize = 10_000;
const COPY_BYTES_MAX: u64 = 1 << 20;

/// What was gathered about one file.
pub(super) struct Gathered<'a> {
    disk: &'a dyn Disk,
    shape: &'a NodeShape,
    known: &'a Known,
    writing: Option<Writing>,
}

impl<'a> Gathered<'a> {
    pub(super) fn of(disk: &'a dyn Disk, shape: &'a NodeShape, known: &'a Known, writing: Option<Writing>) -> Self {
        Self { disk, shape, known, writing }
    }

    /// When the plan is due; or why it is not carried out, if that is worth a word.
    pub(super) fn meaning(&self, rules: &PlanRules, plan: &Candidate) -> Result<Trigger, Option<String>> {
        let height = plan.height;
        if rules.writers == PlanWriters::Node {
            return if self.is_current(rules, &plan.release) { Err(None) } else { Ok(Trigger::Halt { height }) };
        }
        let halted = self.has_halted(rules, plan, self.author(rules, height))?;
        Ok(if halted { Trigger::Halt { height } } else { Trigger::Height { height } })
    }

    /// Whether the release is the current one.
    pub(super) fn is_current(&self, rules: &PlanRules, release: &ReleaseName) -> bool {
        self.known.current.as_ref().is_some_and(|current| rules.names.same(current, release))
    }

    /// Whether a plan that was told ahead is one that may come; or why not, if that is worth a word.
    pub(super) fn is_ahead(&self, rules: &PlanRules, plan: &Candidate) -> Result<(), Option<String>> {
        // What is told by word is no sign of a halt.
        self.has_halted(rules, plan, Author::Person).map(drop)
    }

    fn has_halted(&self, rules: &PlanRules, plan: &Candidate, author: Author) -> Result<bool, Option<String>> {
        let current = self.known.current.as_ref().map(|release| self.current(release));
        let evidence = Evidence {
            release: &plan.release,
            height: plan.height,
            author,
            current: current.as_ref(),
            known: self.height(),
            is_at_rest: self.known.lies_at().is_some(),
            main: self.main(),
            skipped: &rules.skipped,
        };
        match plans::meaning(&evidence) {
            Meaning::Halted => Ok(true),
            Meaning::Waits => Ok(false),
            Meaning::Applied => Err(None),
            Meaning::Stale(stale) => Err(Some(stale.why().to_owned())),
            Meaning::Skipped => Err(Some("the node is told to skip that height".to_owned())),
        }
    }

    /// While main runs one block below the height of the plan, the node may not have made that block's effects durable
    /// yet: only a height that stands, or one above, tells a halt from a plan that was written ahead.
    fn author(&self, rules: &PlanRules, Height(height): Height) -> Author {
        let runs = self.known.main == MainSeen::Runs;
        let is_beyond = self.known.height.is_some_and(|Height(seen)| seen >= height);
        let is_open = runs && !is_beyond && !self.known.is_settled;
        if rules.writers.are_many() || is_open { Author::Person } else { Author::Unknown }
    }

    fn main(&self) -> Main {
        match self.known.main {
            MainSeen::Runs => Main::Runs,
            MainSeen::EndedItself { failed: true, .. } => Main::Halted,
            MainSeen::EndedItself { .. } if self.is_of_the_end() => Main::Halted,
            MainSeen::NotYet if !self.data_went_on() => Main::Halted,
            MainSeen::NotYet | MainSeen::EndedItself { .. } | MainSeen::Stopped => Main::Down,
        }
    }

    /// What the data itself says needs no other witness, unless it tells a bound only.
    fn height(&self) -> Option<Height> {
        if let Some(height) = self.known.lies_at() {
            return Some(height);
        }
        if self.is_of_the_end() {
            return None;
        }
        let bound = self.known.at_rest.map(|at_rest| at_rest.at_least);
        self.known.height.max(self.known.remembered).max(bound)
    }

    /// Whether the file was written just before main ended by itself.
    fn is_of_the_end(&self) -> bool {
        let MainSeen::EndedItself { at_ms, .. } = self.known.main else { return false };
        self.writing.is_some_and(|writing| (-1_000..=HALT_MS_MAX).contains(&(at_ms - writing.modified_ms)))
    }

    /// Whether the node wrote data after the plan.
    fn data_went_on(&self) -> bool {
        let Some(writing) = self.writing else { return false };
        let data = &self.shape.layout.data;
        let newest = newest_below(self.disk, data);
        newest.is_some_and(|newest| newest > writing.modified_ms.saturating_add(WENT_ON_MS))
    }

    fn current(&self, release: &ReleaseName) -> Current {
        let layout = &self.shape.layout;
        let directory = crate::steps::release_layout(self.shape).directory(release);
        let copy = self.shape.applied_copy.as_ref().map(|name| directory.join(name));
        let copy = copy.and_then(|path| self.disk.read(&path, COPY_BYTES_MAX).ok());
        let made = self.disk.facts(&layout.current).ok().flatten().map(|facts| wall_ms(facts.modified));
        Current {
            release: release.clone(),
            applied: copy.and_then(|copy| plans::applied_height(&copy)),
            is_first: layout.is_first(release),
            is_newer_than_plan: made.zip(self.writing).is_some_and(|(made, writing)| made > writing.modified_ms),
        }
    }
}

/// How high the data is of a node that does not run, if its files tell.
pub(super) fn at_rest(disk: &dyn Disk, shape: &NodeShape, known: &Known) -> Option<HeightAtRest> {
    let files = shape.height_at_rest.as_ref().filter(|_| known.main != MainSeen::Runs)?;
    ov_chains::height_at_rest(disk, files).unwrap_or_else(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        tracing::debug!("the height of the data is not known: failed to {error}{cause}");
        None
    })
}

/// When any file in the folders of the data directory was changed last. What lies beside them is not the node's alone.
fn newest_below(disk: &dyn Disk, data: &Path) -> Option<i64> {
    let list = |folder: &Path| disk.list(folder).unwrap_or_default().into_iter();
    let facts = |path: &PathBuf| disk.facts(path).ok().flatten();
    let folders = list(data)
        .map(|name| data.join(name))
        .filter(|path| facts(path).is_some_and(|facts| facts.kind == Kind::Directory));
    let files = folders.flat_map(|folder| list(&folder).map(move |name| folder.join(name))).take(NAMES_MAX);
    files.filter_map(|path| facts(&path).map(|facts| wall_ms(facts.modified))).max()
}

/// Milliseconds since 1970.
pub(super) fn wall_ms(at: SystemTime) -> i64 {
    let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    at.duration_since(UNIX_EPOCH).map_or_else(|before| -ms(before.duration()), ms)
}

#[cfg(test)]
mod tests;
