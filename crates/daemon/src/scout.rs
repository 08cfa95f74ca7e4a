//! Finds the plan in the file that a node writes when it wants to be upgraded.
//!
//! The file is written by somebody else, at any moment and perhaps not in one step, so whatever is in it leads to a
//! [`Sighting`] and never to an error: a bad file must not end the supervision of a good node. Owns no state: whether
//! a plan was handled before is the caller's to know.

use std::io;
use std::path::Path;

use ov_chains::NodeShape;
use ov_chains::shape::Scout;
use ov_engine::{Input, Wish};
use ov_sys::Disk;
use ov_types::{Height, Origin, ReleaseName, Trigger};
use serde_json::{Map, Value};

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
    /// A plan.
    Found(Candidate),
}

/// What a plan file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The release to go to: the plan's name, letter for letter.
    pub release: ReleaseName,
    /// The height at which the node halts.
    pub height: Height,
    /// What the plan says besides; text as it is, anything else as JSON.
    pub info: Option<String>,
}

/// Asks every scout of a node, and says what it saw in the words of the engine. A plan for the release that runs is
/// one that was carried out.
pub fn ask(disk: &dyn Disk, shape: &NodeShape, current: Option<&ReleaseName>) -> Vec<Input> {
    let mut seen = Vec::new();
    for scout in &shape.scouts {
        let Scout::PlanFile { path, on_failure } = scout;
        let origin = Origin::File { path: path.display().to_string() };
        match look(disk, path) {
            Sighting::Found(found) if current == Some(&found.release) => {}
            Sighting::Found(found) => seen.push(Input::PlanSeen(Wish {
                release: found.release,
                trigger: Trigger::Halt { height: found.height },
                on_failure: *on_failure,
                origin,
                source: None,
                sha256: None,
                keep: true,
                replaces: None,
            })),
            Sighting::Absent => seen.push(Input::PlanGone(origin)),
            Sighting::NotYet(why) | Sighting::Unusable(why) => {
                tracing::warn!("the plan file {} is not used: {why}", path.display());
            }
        }
    }
    seen
}

/// Looks at a plan file.
pub fn look(disk: &dyn Disk, path: &Path) -> Sighting {
    match disk.read(path, PLAN_BYTES_MAX) {
        Ok(bytes) => parse(&bytes),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Sighting::Absent,
            io::ErrorKind::FileTooLarge => Sighting::Unusable(format!("it is longer than {PLAN_BYTES_MAX} bytes")),
            _ => Sighting::NotYet(format!("it cannot be read: {error}")),
        },
    }
}

/// Reads the contents of a plan file: `{"name": …, "height": …, "info": …}`.
pub fn parse(bytes: &[u8]) -> Sighting {
    if bytes.trim_ascii().is_empty() {
        return Sighting::NotYet("it is empty".to_owned());
    }
    // The beginning of an object is never a whole JSON text, so whatever was torn ends here.
    match serde_json::from_slice::<Value>(bytes) {
        Err(error) => Sighting::NotYet(format!("it is not whole JSON: {error}")),
        Ok(Value::Object(fields)) => candidate(&fields).map_or_else(Sighting::Unusable, Sighting::Found),
        Ok(_) => Sighting::Unusable("it is not a JSON object".to_owned()),
    }
}

fn candidate(fields: &Map<String, Value>) -> Result<Candidate, String> {
    let name = fields.get("name").and_then(Value::as_str).ok_or("it has no `name`")?;
    let release = ReleaseName::new(name).map_err(|error| error.to_string())?;
    let height = match fields.get("height") {
        Some(Value::Number(number)) => number.as_u64(),
        // Some encoders write 64-bit numbers as text.
        Some(Value::String(text)) => text.parse().ok(),
        Some(_) => None,
        None => return Err("it has no `height`".to_owned()),
    };
    let height = height.filter(|height| *height > 0).ok_or("its `height` is not a block height")?;
    let info = match fields.get("info") {
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
        match parse(text.as_bytes()) {
            Sighting::Found(candidate) => candidate,
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
            assert!(matches!(parse(torn.as_bytes()), Sighting::NotYet(_)), "{torn:?}");
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
            assert!(matches!(parse(unusable.as_bytes()), Sighting::Unusable(_)), "{unusable:?}");
        }
    }

    #[test]
    fn a_name_that_cannot_be_a_folder_is_quoted_in_the_answer() {
        let Sighting::Unusable(why) = parse(br#"{"name":"my upgrade","height":1}"#) else { panic!("it was accepted") };
        assert!(why.contains("my upgrade") && why.contains("release name"), "{why}");
    }

    #[test]
    fn files_that_are_missing_too_long_or_no_files_stop_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        assert_eq!(look(&RealDisk, &path), Sighting::Absent);
        assert_eq!(look(&RealDisk, &path.join("below")), Sighting::Absent);
        std::fs::write(&path, vec![b' '; usize::try_from(PLAN_BYTES_MAX).unwrap() + 1]).unwrap();
        assert!(matches!(look(&RealDisk, &path), Sighting::Unusable(_)));
        assert_eq!(look(&RealDisk, &path.join("below")), Sighting::Absent);
        assert!(matches!(look(&RealDisk, folder.path()), Sighting::NotYet(_)));
        std::fs::write(&path, r#"{"name":"v2","height":3}"#).unwrap();
        assert!(matches!(look(&RealDisk, &path), Sighting::Found(_)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&bytes);
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
            prop_assert!(matches!(parse(text.as_bytes()), Sighting::Found(_)));
            prop_assert!(matches!(parse(&text.as_bytes()[..cut.index(text.len())]), Sighting::NotYet(_)));
        }
    }
}
