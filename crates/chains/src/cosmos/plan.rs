//! The files that hold plans: the one a halting node writes, the schedule that people make, and the copy that an upgrade
//! leaves in its folder.
//!
//! All three hold the same object, `{"name", "time", "height", "info"}`. Reading takes what any version of the node or
//! of the original wrote, heights as text and unknown fields included; writing gives what the original reads. What
//! can be wrong is told and never stops anything. Paths and the time of reading are the caller's.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::names::Recase;

/// The time that stands in a plan which has none.
const NO_TIME: &str = "0001-01-01T00:00:00Z";
/// No schedule is longer.
const SCHEDULE_LEN_MAX: usize = 10_000;

/// One plan as a file tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlanInfo {
    /// Its name, letter for letter.
    pub name: String,
    /// Unused by the node for a long time, and carried along.
    pub time: String,
    /// The first height that needs the new release.
    pub height: i64,
    /// Where to get it, in one of several forms.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub info: String,
}

/// Why a file holds no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// There is nothing in it. It may be being written.
    #[error("it is empty")]
    Empty,
    /// It is not whole JSON. It may be being written.
    #[error("it is not whole JSON: {0}")]
    Torn(String),
    /// It is JSON, and something else.
    #[error("{0}")]
    Unfit(&'static str),
    /// One of several is wrong.
    #[error("entry {position}: {why}")]
    Entry {
        /// Which, counted from 0.
        position: usize,
        /// Why.
        why: &'static str,
    },
}

impl InvalidPlan {
    /// Whether it may be whole a moment later.
    pub fn may_be_being_written(&self) -> bool {
        matches!(self, InvalidPlan::Empty | InvalidPlan::Torn(_))
    }
}

impl PlanInfo {
    /// A plan of a person: a name and a height.
    pub fn new(name: impl Into<String>, height: i64) -> Self {
        Self { name: name.into(), time: NO_TIME.to_owned(), height, info: String::new() }
    }

    /// Reads a plan file, or the copy of an applied plan.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidPlan> {
        match json(bytes)? {
            Value::Object(fields) => Self::of(&fields).map_err(InvalidPlan::Unfit),
            _ => Err(InvalidPlan::Unfit("it is not a JSON object")),
        }
    }

    fn of(fields: &Map<String, Value>) -> Result<Self, &'static str> {
        let name = match fields.get("name") {
            Some(Value::String(name)) => name.clone(),
            None | Some(Value::Null) => String::new(),
            Some(_) => return Err("its name is not a text"),
        };
        if name.is_empty() {
            return Err("name cannot be empty");
        }
        let height = match fields.get("height") {
            // Newer nodes write 64-bit numbers as text.
            Some(Value::String(text)) => text.parse().ok(),
            Some(Value::Number(number)) => number.as_i64(),
            None | Some(Value::Null) => Some(0),
            Some(_) => None,
        };
        let height = height.ok_or("its height is not a block height")?;
        if height <= 0 {
            return Err("height must be greater than 0");
        }
        let text = |key: &str| match fields.get(key) {
            Some(Value::String(text)) => text.clone(),
            None | Some(Value::Null) => String::new(),
            // Somebody forgot to put the list of addresses between quotes; it is readable all the same.
            Some(other) => other.to_string(),
        };
        let time = Some(text("time")).filter(|time| !time.is_empty()).unwrap_or_else(|| NO_TIME.to_owned());
        Ok(Self { name, time, height, info: text("info") })
    }

    /// The text of a plan file.
    pub fn to_text(&self) -> String {
        // Texts and a number always serialise.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

/// The plans that people scheduled ahead, by rising height; no name is in it twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schedule {
    plans: Vec<PlanInfo>,
}

impl Schedule {
    /// Reads a batch file. An empty one is an empty schedule.
    pub fn parse(bytes: &[u8], recase: Recase) -> Result<Self, InvalidPlan> {
        let entries = match json(bytes) {
            Err(InvalidPlan::Empty) => return Ok(Self::default()),
            other => match other? {
                Value::Array(entries) => entries,
                Value::Null => return Ok(Self::default()),
                _ => return Err(InvalidPlan::Unfit("it is not a JSON array")),
            },
        };
        if entries.len() > SCHEDULE_LEN_MAX {
            return Err(InvalidPlan::Unfit("it holds more than 10000 plans"));
        }
        let mut schedule = Self::default();
        for (position, entry) in entries.iter().enumerate() {
            let plan = entry.as_object().ok_or("it is not a JSON object").and_then(PlanInfo::of);
            schedule.put(plan.map_err(|why| InvalidPlan::Entry { position, why })?, recase);
        }
        Ok(schedule)
    }

    /// Puts a plan where its height wants it; an earlier plan of the same name gives way and is returned.
    pub fn put(&mut self, plan: PlanInfo, recase: Recase) -> Option<PlanInfo> {
        let same = |other: &PlanInfo| recase.apply(&other.name) == recase.apply(&plan.name);
        let replaced = self.plans.iter().position(same).map(|index| self.plans.remove(index));
        let index = self.plans.partition_point(|other| other.height <= plan.height);
        self.plans.insert(index, plan);
        replaced
    }

    /// The plan of this name.
    pub fn find(&self, name: &str, recase: Recase) -> Option<&PlanInfo> {
        self.plans.iter().find(|plan| recase.apply(&plan.name) == recase.apply(name))
    }

    /// All plans, by rising height.
    pub fn plans(&self) -> &[PlanInfo] {
        &self.plans
    }

    /// The text of a batch file.
    pub fn to_text(&self) -> String {
        // Texts and numbers always serialise.
        serde_json::to_string_pretty(&self.plans).unwrap_or_default()
    }
}

fn json(bytes: &[u8]) -> Result<Value, InvalidPlan> {
    if bytes.trim_ascii().is_empty() {
        return Err(InvalidPlan::Empty);
    }
    serde_json::from_slice(bytes).map_err(|error| InvalidPlan::Torn(error.to_string()))
}

/// Reads back what was written; derived here so that nobody else makes one unchecked.
impl<'de> Deserialize<'de> for PlanInfo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of(&Map::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plan(text: &str) -> Result<PlanInfo, InvalidPlan> {
        PlanInfo::parse(text.as_bytes())
    }

    #[test]
    fn plans_of_all_writers_are_read() {
        let expected = PlanInfo { info: "x".to_owned(), ..PlanInfo::new("V2", 49) };
        for text in [
            r#"{"name":"V2","height":49,"info":"x"}"#,
            r#"{"name":"V2","time":"0001-01-01T00:00:00Z","height":"49","info":"x","upgraded_client_state":null}"#,
            "\n{\"info\":\"x\",\"height\":49,\"name\":\"V2\",\"surprise\":[1]} \n",
        ] {
            assert_eq!(plan(text).as_ref(), Ok(&expected), "{text}");
        }
        assert_eq!(plan(r#"{"name":"a","height":1,"info":{"binaries":{}}}"#).unwrap().info, r#"{"binaries":{}}"#);
    }

    #[test]
    fn what_is_no_plan_is_told_apart() {
        for text in ["", "  \n", "{", r#"{"name":"v2","height":4"#, "\0\0"] {
            assert!(plan(text).unwrap_err().may_be_being_written(), "{text:?}");
        }
        for (text, why) in [
            ("{}", "name cannot be empty"),
            (r#"{"name":"","height":1}"#, "name cannot be empty"),
            (r#"{"name":7,"height":1}"#, "its name is not a text"),
            (r#"{"name":"a"}"#, "height must be greater than 0"),
            (r#"{"name":"a","height":0}"#, "height must be greater than 0"),
            (r#"{"name":"a","height":-5}"#, "height must be greater than 0"),
            (r#"{"name":"a","height":1.5}"#, "its height is not a block height"),
            (r#"{"name":"a","height":"soon"}"#, "its height is not a block height"),
            (r#"{"name":"a","height":18446744073709551615}"#, "its height is not a block height"),
            ("[]", "it is not a JSON object"),
        ] {
            let error = plan(text).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.may_be_being_written()), (why, false), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_what_the_original_writes() {
        assert_eq!(
            PlanInfo::new("v2", 49).to_text(),
            "{\"name\":\"v2\",\"time\":\"0001-01-01T00:00:00Z\",\"height\":49}\n"
        );
        let mut schedule = Schedule::default();
        assert_eq!(schedule.put(PlanInfo::new("v3", 200), Recase::Lower), None);
        assert_eq!(schedule.put(PlanInfo::new("v2", 100), Recase::Lower), None);
        assert_eq!(
            schedule.to_text(),
            "[\n  {\n    \"name\": \"v2\",\n    \"time\": \"0001-01-01T00:00:00Z\",\n    \"height\": 100\n  },\n  {\n    \
             \"name\": \"v3\",\n    \"time\": \"0001-01-01T00:00:00Z\",\n    \"height\": 200\n  }\n]"
        );
        assert_eq!(Schedule::parse(schedule.to_text().as_bytes(), Recase::Lower), Ok(schedule));
        assert_eq!(Schedule::default().to_text(), "[]");
    }

    #[test]
    fn a_schedule_has_each_name_once_and_rises() {
        let mut schedule = Schedule::default();
        for (name, height) in [("c", 30), ("a", 10), ("b", 10), ("A", 40)] {
            let replaced = schedule.put(PlanInfo::new(name, height), Recase::Lower);
            assert_eq!(replaced.map(|plan| plan.height), (name == "A").then_some(10));
        }
        let names: Vec<&str> = schedule.plans().iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "A"]);
        assert_eq!(schedule.find("a", Recase::Lower).map(|plan| plan.height), Some(40));
        assert_eq!(schedule.find("a", Recase::Keep), None);
    }

    #[test]
    fn schedules_are_read_whole_or_not_at_all() {
        let parse = |text: &str| Schedule::parse(text.as_bytes(), Recase::Lower);
        for text in ["", " ", "[]", "null"] {
            assert_eq!(parse(text), Ok(Schedule::default()), "{text:?}");
        }
        let wrong = r#"[{"name":"a","height":1},{"name":"b","height":0}]"#;
        assert_eq!(parse(wrong).unwrap_err().to_string(), "entry 1: height must be greater than 0");
        assert_eq!(parse("{}").unwrap_err().to_string(), "it is not a JSON array");
        assert!(parse("[{").unwrap_err().may_be_being_written());
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = PlanInfo::parse(&bytes);
            let _ = Schedule::parse(&bytes, Recase::Keep);
        }

        #[test]
        fn plans_come_back_and_torn_ones_are_waited_for(
            name in ".{1,20}", height in 1_i64.., info in ".{0,30}", cut: prop::sample::Index,
        ) {
            let plan = PlanInfo { info, ..PlanInfo::new(name, height) };
            let text = plan.to_text();
            prop_assert_eq!(PlanInfo::parse(text.as_bytes()), Ok(plan));
            let torn = &text.as_bytes()[..cut.index(text.len() - 1)];
            prop_assert!(PlanInfo::parse(torn).unwrap_err().may_be_being_written());
        }

        #[test]
        fn schedules_rise_and_come_back(plans in proptest::collection::vec(("[a-cA-C]{1,2}", 1_i64..50), 0..20)) {
            let mut schedule = Schedule::default();
            for (name, height) in plans {
                schedule.put(PlanInfo::new(name, height), Recase::Lower);
            }
            prop_assert!(schedule.plans().is_sorted_by_key(|plan| plan.height));
            prop_assert_eq!(Schedule::parse(schedule.to_text().as_bytes(), Recase::Lower), Ok(schedule));
        }
    }
}
