//! Finds the plan in the file that a node writes when it wants to be upgraded.
//!
//! The file is written by somebody else, at any moment and perhaps not in one step, so whatever is in it leads to a
//! [`Sighting`] and never to an error: a bad file must not end the supervision of a good node. Owns no state: whether
//! a plan was handled before is the caller's to know.

mod evidence;
mod fit;
pub mod service;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ov_chains::plans::{PlanNames, PlanRules, PlanWriters};
use ov_chains::shape::Scout;
use ov_chains::version_map::{InvalidMap, Version, VersionMap};
use ov_chains::{HeightAtRest, NodeShape};
use ov_engine::{Input, Wish};
use ov_sys::Disk;
use ov_types::{FailurePolicy, Height, Origin, ReleaseName, Trigger};
use serde_json::{Map, Value};

use evidence::{Gathered, wall_ms};

/// The largest plan file that is read. The `info` of a real one is a list of download addresses, a few KiB.
pub const PLAN_BYTES_MAX: u64 = 1 << 20;

/// What a look at a plan file gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sighting {
    /// There is no such file.
    Absent,
    /// There is no whole plan in it, and why: it may be being written, so look again when it changes.
    NotYet(String),
    /// It is whole, and no plan of ours can be made from it, and why.
    Unusable(String),
    /// Plans: one, unless the file is a list; and why no plan can be made from other entries of a list.
    Found(Vec<Candidate>, Vec<String>),
}

/// What a plan file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The release to go to.
    pub release: ReleaseName,
    /// The height at which the node halts.
    pub height: Height,
    /// What the plan says besides; text as it is, anything else as JSON.
    pub info: Option<String>,
}

/// What is known of a node when its scouts are asked.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// What `current` names.
    pub current: Option<ReleaseName>,
    /// The last height it was seen at.
    pub height: Option<Height>,
    /// The height below which it cannot be any more, remembered or from what it has signed.
    pub remembered: Option<Height>,
    /// Whether an upgrade is under way, which alone says what is launched.
    pub is_upgrading: bool,
    /// The height that it was last seen at, as the journal has it.
    pub noted: Option<Height>,
    /// How high its data is, if main does not run and its files tell.
    pub at_rest: Option<HeightAtRest>,
    /// The height has stood for a while, or was just reached when the file was written.
    pub is_settled: bool,
    /// How main is.
    pub main: MainSeen,
    /// Where plans are named that are not over.
    pub named: Vec<Named>,
}

/// A plan that is not over, and a place where it is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// That place.
    pub origin: Origin,
    /// The release to go to.
    pub release: ReleaseName,
    /// The height at which it is due by what is said there.
    pub height: Option<Height>,
}

impl Known {
    /// The height of its data, of a node that does not run.
    fn lies_at(&self) -> Option<Height> {
        self.at_rest.and_then(|at_rest| at_rest.certain())
    }

    /// The height of the last plan that is past. What is only remembered may be the height of other data.
    fn past(&self) -> Option<Height> {
        // Data that lies there goes on with its next block.
        let next = self.at_rest.map(|at_rest| Height(at_rest.at_least.0.saturating_add(1)));
        if self.lies_at().is_some() { next } else { next.max(self.height) }
    }
}

/// How main is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MainSeen {
    /// No daemon of this time has launched it.
    #[default]
    NotYet,
    /// Its process runs.
    Runs,
    /// It ended by itself.
    EndedItself {
        /// When, in milliseconds since 1970.
        at_ms: i64,
        /// Whether with a failure.
        failed: bool,
    },
    /// It was told to end.
    Stopped,
}

/// What a look at all scouts gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// For the engine.
    pub inputs: Vec<Input>,
    /// How each file is written now: when that changes, it is looked at again.
    pub writings: BTreeMap<PathBuf, Writing>,
    /// What people should know of files that no plan comes from, by the file or the plan.
    pub remarks: BTreeMap<String, String>,
    /// How high the data was, if main did not run and its files told.
    pub at_rest: Option<HeightAtRest>,
}

/// One state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writing {
    /// When it was changed last, in milliseconds since 1970.
    pub modified_ms: i64,
    /// Its length.
    pub len: u64,
    /// The height of the plan in it, if there is one.
    pub height: Option<Height>,
}

/// How a file is written now; `None` when it is not there.
pub fn writing(disk: &dyn Disk, path: &Path) -> Option<Writing> {
    let facts = disk.facts(path).ok().flatten()?;
    Some(Writing { modified_ms: wall_ms(facts.modified), len: facts.len, height: None })
}

/// Asks every scout of a node, and says what it saw in the words of the engine. A plan for the release that runs is
/// one that was carried out.
pub fn ask(disk: &dyn Disk, shape: &NodeShape, known: &Known) -> Looked {
    let known = &Known { at_rest: evidence::at_rest(disk, shape, known), ..known.clone() };
    let mut looked = Looked { at_rest: known.at_rest, ..Looked::default() };
    let known_origins = || known.named.iter().map(|named| &named.origin);
    let releases = known.at_rest.map(|_| fit::releases(disk, shape)).unwrap_or_default();
    let last_behind = fit::last_behind(&releases, known.at_rest);
    for scout in &shape.scouts {
        let Scout::PlanFile { path, on_failure, rules } = scout else {
            looked.inputs.extend(service::halted_before_it_said_so(scout, known));
            continue;
        };
        let mut writing = writing(disk, path);
        match look_ahead(disk, shape, path, rules, known) {
            Sighting::Found(plans, unusable) => {
                let origins: Vec<Origin> = plans.iter().map(|plan| origin_of(path, rules, plan)).collect();
                let mut meanings = Vec::new();
                for plan in &plans {
                    if let Some(writing) = &mut writing {
                        writing.height = Some(plan.height);
                    }
                    let evidence = Gathered::of(disk, shape, known, writing);
                    meanings.push(evidence.meaning(rules, plan));
                }
                pass_over(&mut meanings, known.lies_at().or(known.height), last_behind);
                for ((plan, origin), meaning) in plans.iter().zip(&origins).zip(meanings) {
                    match meaning {
                        Ok(trigger) => looked.inputs.push(Input::PlanSeen(wish(plan, trigger, *on_failure, origin))),
                        Err(why) => {
                            looked.inputs.push(Input::PlanGone(origin.clone()));
                            let about =
                                format!("the plan for {} at height {} is not carried out", plan.release, plan.height);
                            let of = format!("{} {} {}", path.display(), plan.release, plan.height);
                            looked.remarks.extend(why.map(|why| (of, format!("{about}: {why}"))));
                        }
                    }
                }
                for why in unusable {
                    let why = format!("in the plan file {}, {why}", path.display());
                    looked.remarks.insert(why.clone(), why);
                }
                let gone = known_origins().filter(|known| is_of(known, path) && !origins.contains(known));
                looked.inputs.extend(gone.cloned().map(Input::PlanGone));
            }
            Sighting::Absent => {
                let all = known_origins().filter(|known| is_of(known, path)).cloned();
                let own = Origin::File { path: path.display().to_string() };
                looked.inputs.extend(all.filter(|known| *known != own).chain([own.clone()]).map(Input::PlanGone));
            }
            Sighting::NotYet(why) | Sighting::Unusable(why) => {
                let why = format!("the plan file {} is not used: {why}", path.display());
                looked.remarks.insert(path.display().to_string(), why);
            }
        }
        looked.writings.extend(writing.map(|writing| (path.clone(), writing)));
    }
    fit::look(disk, shape, known, releases, &mut looked);
    looked
}

/// Of several plans whose height is past, only the last fits the data: the others would be steps on the way that the node
/// has gone already. `last_behind`: the last upgrade behind the data of a node that is down, whether current is of it or not.
fn pass_over(meanings: &mut [Result<Trigger, Option<String>>], height: Option<Height>, last_behind: Option<Height>) {
    let past = |meaning: &Result<Trigger, Option<String>>| {
        let due = meaning.as_ref().ok().and_then(Trigger::height);
        due.filter(|due| height.is_some_and(|height| height >= *due))
    };
    let last = meanings.iter().filter_map(past).chain(last_behind).max();
    for meaning in meanings.iter_mut().filter(|meaning| past(meaning).is_some_and(|due| Some(due) < last)) {
        *meaning = Err(Some("the node is beyond the height of a later one as well".to_owned()));
    }
}

/// Plans of one list come and go one by one, so each of them has an origin of its own.
fn origin_of(path: &Path, rules: &PlanRules, plan: &Candidate) -> Origin {
    let path = path.display();
    if rules.writers.are_many() {
        Origin::File { path: format!("{path}#{}", plan.release) }
    } else {
        Origin::File { path: path.to_string() }
    }
}

fn is_of(origin: &Origin, file: &Path) -> bool {
    let file = file.display().to_string();
    matches!(origin, Origin::File { path } if *path == file || path.strip_prefix(&file).is_some_and(|rest| rest.starts_with('#')))
}

fn wish(plan: &Candidate, trigger: Trigger, on_failure: FailurePolicy, origin: &Origin) -> Wish {
    Wish {
        release: plan.release.clone(),
        trigger,
        on_failure,
        origin: origin.clone(),
        source: None,
        info: plan.info.clone(),
        sha256: None,
        keep: true,
        replaces: None,
    }
}

/// Looks at a plan file, and of a map of all releases takes what lies ahead of the node.
fn look_ahead(disk: &dyn Disk, shape: &NodeShape, path: &Path, rules: &PlanRules, known: &Known) -> Sighting {
    let PlanWriters::Registry { ahead } = rules.writers else { return look(disk, path, rules) };
    read(disk, path, |bytes| match VersionMap::parse(bytes, path, rules.names) {
        Err(InvalidMap::Torn(why)) => Sighting::NotYet(format!("it is not whole: {why}")),
        Err(InvalidMap::Unfit(why)) => Sighting::Unusable(why),
        Ok(map) => {
            let next = known.current.as_ref().map(|current| {
                let is_first = shape.layout.is_first(current);
                map.ahead(current, is_first, known.past())
            });
            let candidate = |version: &Version| Candidate {
                release: version.release.clone(),
                height: version.first,
                info: version.info.clone(),
            };
            Sighting::Found(next.unwrap_or_default().iter().take(ahead).map(candidate).collect(), Vec::new())
        }
    })
}

/// All releases of the chain, as far as the node has a map of them that can be used.
fn mapped(disk: &dyn Disk, shape: &NodeShape) -> Vec<Version> {
    let is_map = |scout: &&Scout| matches!(scout.rules().writers, PlanWriters::Registry { .. });
    let read = |scout: &Scout| {
        let path = scout.path()?;
        let bytes = disk.read(path, PLAN_BYTES_MAX).ok()?;
        Some(VersionMap::parse(&bytes, path, scout.rules().names).ok()?.versions().to_vec())
    };
    shape.scouts.iter().filter(is_map).filter_map(read).flatten().collect()
}

/// Looks at a plan file.
pub fn look(disk: &dyn Disk, path: &Path, rules: &PlanRules) -> Sighting {
    read(disk, path, |bytes| parse(bytes, rules))
}

fn read(disk: &dyn Disk, path: &Path, parse: impl FnOnce(&[u8]) -> Sighting) -> Sighting {
    match disk.read(path, PLAN_BYTES_MAX) {
        Ok(bytes) => parse(&bytes),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Sighting::Absent,
            io::ErrorKind::FileTooLarge => Sighting::Unusable(format!("it is longer than {PLAN_BYTES_MAX} bytes")),
            _ => Sighting::NotYet(format!("it cannot be read: {error}")),
        },
    }
}

/// Reads the contents of a plan file: `{"name": …, "height": …, "info": …}`, or a list of such.
pub fn parse(bytes: &[u8], rules: &PlanRules) -> Sighting {
    let is_list = rules.writers == PlanWriters::People;
    if bytes.trim_ascii().is_empty() {
        return if is_list {
            Sighting::Found(Vec::new(), Vec::new())
        } else {
            Sighting::NotYet("it is empty".to_owned())
        };
    }
    // The beginning of an object is never a whole JSON text, so whatever was torn ends here.
    let plans = match serde_json::from_slice::<Value>(bytes) {
        Err(error) => return Sighting::NotYet(format!("it is not whole JSON: {error}")),
        Ok(Value::Object(fields)) if !is_list => candidate(&fields, rules.names).map(|plan| (vec![plan], Vec::new())),
        Ok(Value::Array(entries)) if is_list => Ok(list(&entries, rules.names)),
        Ok(_) if is_list => Err("it is not a JSON array".to_owned()),
        Ok(_) => Err("it is not a JSON object".to_owned()),
    };
    plans.map_or_else(Sighting::Unusable, |(plans, unusable)| Sighting::Found(plans, unusable))
}

/// The plans of a list, and what is wrong with other entries: one that cannot be used holds up no other.
fn list(entries: &[Value], names: PlanNames) -> (Vec<Candidate>, Vec<String>) {
    let (mut plans, mut unusable) = (Vec::new(), Vec::new());
    for (position, entry) in entries.iter().enumerate() {
        let fields = entry.as_object().ok_or("it is not a JSON object".to_owned());
        match fields.and_then(|fields| candidate(fields, names)) {
            Ok(plan) => plans.push(plan),
            Err(why) => unusable.push(format!("entry {position} is not used: {why}")),
        }
    }
    (plans, unusable)
}

fn candidate(fields: &Map<String, Value>, names: PlanNames) -> Result<Candidate, String> {
    candidate_of([fields.get("name"), fields.get("height"), fields.get("info")], names)
}

/// A plan of which these are the name, the height and the info.
fn candidate_of([name, height, info]: [Option<&Value>; 3], names: PlanNames) -> Result<Candidate, String> {
    let name = name.and_then(Value::as_str).ok_or("it has no `name`")?;
    let release = names.release(name)?;
    let height = match height {
        Some(Value::Number(number)) => number.as_u64(),
        // Some encoders write 64-bit numbers as text.
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
        None => return Err("it has no `height`".to_owned()),
    };
    let height = height.filter(|height| *height > 0).ok_or("its `height` is not a block height")?;
    let info = match info {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    Ok(Candidate { release, height: Height(height), info })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;
    use proptest::prelude::*;

    fn found(text: &str) -> Candidate {
        match parse(text.as_bytes(), &PlanRules::default()) {
            Sighting::Found(mut plans, _) => plans.remove(0),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn a_plan_is_read_with_its_height_as_number_or_text() {
        let plan = found(r#"{"name":"v2","height":120,"info":"https://example.org"}"#);
        assert_eq!(plan.release.as_str(), "v2");
        assert_eq!((plan.height, plan.info.as_deref()), (Height(120), Some("https://example.org")));
        let plan = found(" {\"time\":\"0001-01-01T00:00:00Z\",\"height\":\"7\",\"name\":\"v3\",\"info\":{\"a\":1}}\n");
        assert_eq!((plan.height, plan.info.as_deref()), (Height(7), Some(r#"{"a":1}"#)));
        assert_eq!(found(r#"{"name":"v2","height":1}"#).info, None);
    }

    #[test]
    fn what_may_still_become_a_plan_is_told_from_what_will_not() {
        for torn in ["", " \n", "{", r#"{"name":"v2","height":12"#, r#"{"name":"v2","height":1}}"#, "\u{0}\u{0}"] {
            assert!(matches!(parse(torn.as_bytes(), &PlanRules::default()), Sighting::NotYet(_)), "{torn:?}");
        }
        for unusable in [
            "[]",
            "null",
            "{}",
            r#"{"name":"v2"}"#,
            r#"{"height":1}"#,
            r#"{"name":"v2","height":0}"#,
            r#"{"name":"v2","height":-1}"#,
            r#"{"name":"v2","height":1.5}"#,
            r#"{"name":"v2","height":"soon"}"#,
            r#"{"name":"../v2","height":1}"#,
            r#"{"name":"","height":1}"#,
            r#"{"name":7,"height":1}"#,
        ] {
            assert!(matches!(parse(unusable.as_bytes(), &PlanRules::default()), Sighting::Unusable(_)), "{unusable:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_a_folder_is_quoted_in_the_answer() {
        let Sighting::Unusable(why) = parse(br#"{"name":"my upgrade","height":1}"#, &PlanRules::default()) else {
            panic!("it was accepted")
        };
        assert!(why.contains("my upgrade") && why.contains("release name"), "{why}");
    }

    #[test]
    fn files_that_are_missing_too_long_or_no_files_stop_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert_eq!(look(&RealDisk, &path, &PlanRules::default()), Sighting::Absent);
        assert_eq!(look(&RealDisk, &path.join("below"), &PlanRules::default()), Sighting::Absent);
        std::fs::write(&path, vec![b' '; usize::try_from(PLAN_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(look(&RealDisk, &path, &PlanRules::default()), Sighting::Unusable(_)));
        assert_eq!(look(&RealDisk, &path.join("below"), &PlanRules::default()), Sighting::Absent);
        assert!(matches!(look(&RealDisk, folder.path(), &PlanRules::default()), Sighting::NotYet(_)));
        std::fs::write(&path, r#"{"name":"v2","height":3}"#).unwrap();
        assert!(matches!(look(&RealDisk, &path, &PlanRules::default()), Sighting::Found(..)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let people = PlanRules { writers: PlanWriters::People, ..PlanRules::default() };
            let _ = (parse(&bytes, &PlanRules::default()), parse(&bytes, &people));
        }

        #[test]
        fn every_torn_plan_is_waited_for(
            name in "[a-z0-9.]{1,20}",
            height in 1u64..,
            info in ".{0,40}",
            cut: prop::sample::Index,
        ) {
            prop_assume!(ReleaseName::new(name.clone()).is_ok());
            let text = serde_json::json!({"name": name, "height": height, "info": info}).to_string();
            prop_assert!(matches!(parse(text.as_bytes(), &PlanRules::default()), Sighting::Found(..)));
            prop_assert!(matches!(parse(&text.as_bytes()[..cut.index(text.len())], &PlanRules::default()), Sighting::NotYet(_)));
        }
    }
}
