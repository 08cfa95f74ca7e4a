//! What a reload changed, and when the new value holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ov_types::UnitName;
use ov_types::api::ReloadReport;
use serde::Serialize;
use serde_json::Value;

use crate::shape::NodeShape;

/// Every setting of a node with its value, defaults included, by the path of its key.
///
/// Values may be secret, so they are compared and never shown.
#[derive(Clone, Default, PartialEq)]
pub struct Written {
    values: BTreeMap<Vec<String>, Value>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Written({} keys)", self.values.len())
    }
}

impl Written {
    /// The settings in a value that serialises to nested tables.
    pub(crate) fn of(settings: &impl Serialize) -> Self {
        let mut values = BTreeMap::new();
        // A type of ours with text keys always serialises; if it did not, a reload would report nothing.
        flatten(serde_json::to_value(settings).unwrap_or_default(), &mut Vec::new(), &mut values);
        Self { values }
    }
}

fn flatten(value: Value, path: &mut Vec<String>, values: &mut BTreeMap<Vec<String>, Value>) {
    match value {
        Value::Object(table) => {
            for (name, value) in table {
                path.push(name);
                flatten(value, path, values);
                path.pop();
            }
        }
        Value::Null => {}
        value => drop(values.insert(path.clone(), value)),
    }
}

/// When a changed value holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// As soon as the configuration is read.
    Now,
    /// When the unit is launched the next time.
    NextLaunch,
    /// When the daemon starts the next time.
    NextDaemon,
}

/// What changed between two configurations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys whose new value holds now.
    pub now: Vec<String>,
    /// Keys whose new value holds from the next start of what they are about: a unit, or the daemon.
    pub next_start: Vec<String>,
    /// Units that are new.
    pub added: Vec<UnitName>,
    /// Units that are gone.
    pub removed: Vec<UnitName>,
    /// Units whose running process was launched with something that is different now.
    pub outdated: Vec<UnitName>,
    /// Whether something changed that only the next daemon will heed. Until then it goes on with the old layout.
    pub needs_daemon: bool,
}

impl Changes {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is told to whoever asked for the reload.
    pub fn report(&self) -> ReloadReport {
        let told = |names: &[UnitName], what: &str| -> Vec<String> {
            names.iter().map(|name| format!("unit.{name} ({what})")).collect()
        };
        ReloadReport {
            now: [told(&self.added, "new"), told(&self.removed, "gone"), self.now.clone()].concat(),
            next_start: self.next_start.clone(),
        }
    }
}

/// What changed from one configuration of a node to another.
pub fn diff(old: &NodeShape, new: &NodeShape) -> Changes {
    let of = |these: &NodeShape, others: &NodeShape| -> Vec<UnitName> {
        these.units.keys().filter(|name| !others.units.contains_key(name)).cloned().collect()
    };
    let mut changes = Changes { added: of(new, old), removed: of(old, new), ..Changes::default() };
    let (before, after) = (&old.written.values, &new.written.values);
    let keys: BTreeSet<&Vec<String>> = before.keys().chain(after.keys()).collect();
    let mut outdated = BTreeSet::new();
    for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
        let unit = unit_of(key);
        if unit.as_ref().is_some_and(|unit| changes.added.contains(unit) || changes.removed.contains(unit)) {
            continue;
        }
        match holds(key) {
            Holds::Now => changes.now.push(key.join(".")),
            Holds::NextLaunch => {
                changes.next_start.push(key.join("."));
                outdated.extend(unit);
            }
            Holds::NextDaemon => {
                changes.next_start.push(key.join("."));
                changes.needs_daemon = true;
            }
        }
    }
    changes.outdated = outdated.into_iter().collect();
    changes
}

/// The unit that a key is about. The validator is `main`.
fn unit_of(key: &[String]) -> Option<UnitName> {
    match key {
        [section, ..] if section == "validator" => Some(UnitName::main()),
        [section, name, ..] if section == "unit" => UnitName::new(name.as_str()).ok(),
        _ => None,
    }
}

/// Keys whose new value does not hold at once; `*` is any name, and a row speaks for everything below it.
const LATER: [(&str, Holds); 24] = [
    ("chain", Holds::NextDaemon),
    ("paths", Holds::NextDaemon),
    ("cosmos.program", Holds::NextLaunch),
    ("cosmos.args", Holds::NextLaunch),
    ("metrics.listen", Holds::NextDaemon),
    // A process holds the lease on its key from its launch to its end.
    ("validator", Holds::NextLaunch),
    ("unit.*.program", Holds::NextLaunch),
    ("unit.*.args", Holds::NextLaunch),
    ("unit.*.env", Holds::NextLaunch),
    ("unit.*.env-file", Holds::NextLaunch),
    ("unit.*.inherit-env", Holds::NextLaunch),
    ("unit.*.cwd", Holds::NextLaunch),
    ("unit.*.user", Holds::NextLaunch),
    ("unit.*.group", Holds::NextLaunch),
    ("unit.*.umask", Holds::NextLaunch),
    ("unit.*.limits", Holds::NextLaunch),
    ("unit.*.nice", Holds::NextLaunch),
    ("unit.*.oom-score-adjust", Holds::NextLaunch),
    ("unit.*.stdin", Holds::NextLaunch),
    ("unit.*.output", Holds::NextLaunch),
    ("unit.*.log.path", Holds::NextLaunch),
    // The socket is given to the process when it is launched.
    ("unit.*.ready.notify", Holds::NextLaunch),
    ("unit.*.health.notify", Holds::NextLaunch),
    // The first line may have been written long ago.
    ("unit.*.ready.log-line", Holds::NextLaunch),
];

fn holds(key: &[String]) -> Holds {
    let speaks_for = |row: &str| {
        let row: Vec<&str> = row.split('.').collect();
        row.len() <= key.len() && row.iter().zip(key).all(|(name, segment)| *name == "*" || name == segment)
    };
    LATER.iter().find(|(row, _)| speaks_for(row)).map_or(Holds::Now, |(_, holds)| *holds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generic::read;
    use std::path::Path;

    fn shape(text: &str) -> NodeShape {
        let text = format!("{text}\n[unit.main]\nprogram = \"x\"\n");
        read(&ov_sys::RealDisk, text.as_bytes(), Path::new("/n"), Path::new("/n/omnivisor.toml")).unwrap()
    }

    #[test]
    fn rules_hold_now_and_launches_from_the_next_one() {
        let old = shape("[unit.a]\nprogram = \"x\"\nargs = [\"1\"]\n[unit.gone]\nprogram = \"x\"");
        let new = shape(
            "[unit.a]\nprogram = \"x\"\nargs = [\"2\"]\nstop.grace = \"5s\"\nlog.keep = 3\n[unit.new]\nprogram = \
             \"x\"\n[metrics]\nlisten = \"127.0.0.1:1\"\n[[webhook]]\nurl = \"https://hooks.example/hunter2\"",
        );
        let changes = diff(&old, &new);
        let name = |name: &str| UnitName::new(name).unwrap();
        assert_eq!(changes.added, [name("new")]);
        assert_eq!(changes.removed, [name("gone")]);
        assert_eq!(changes.outdated, [name("a")]);
        assert_eq!(changes.now, ["unit.a.log.keep", "unit.a.stop.grace", "webhook"]);
        assert_eq!(changes.next_start, ["metrics.listen", "unit.a.args"]);
        assert!(changes.needs_daemon);
        assert_eq!(changes.report().now[..2], ["unit.new (new)", "unit.gone (gone)"]);
        assert!(!format!("{new:?}").contains("hunter2"));
    }

    #[test]
    fn another_key_to_sign_with_needs_another_process() {
        let changes = diff(&shape(""), &shape("[validator]\nkey = \"key.json\""));
        assert_eq!((changes.outdated, changes.next_start), (vec![UnitName::main()], vec!["validator.key".to_owned()]));
        assert!(!changes.needs_daemon);
    }

    #[test]
    fn what_a_family_is_told_is_heeded_when_its_node_is_launched() {
        let node = |args: &str| {
            let text = format!("chain = \"cosmos\"\n[cosmos]\nprogram = \"simd\"\nargs = [{args}]\n");
            let home = Path::new("/no/home");
            read(&ov_sys::RealDisk, text.as_bytes(), home, &home.join("omnivisor.toml")).unwrap()
        };
        let changes = diff(&node("\"start\""), &node("\"start\", \"--trace\""));
        assert_eq!(changes.next_start, ["cosmos.args", "unit.main.args"]);
        assert_eq!((changes.outdated, changes.now.len()), (vec![UnitName::main()], 0));
    }

    #[test]
    fn writing_a_default_down_changes_nothing() {
        let changes =
            diff(&shape(""), &shape("[unit.main.stop]\ngrace = \"1m30s\"\n[upgrade]\non-failure = \"rollback\""));
        assert!(changes.is_empty(), "{changes:?}");
    }

    #[test]
    fn every_row_speaks_for_a_key_that_exists() {
        let schema = crate::schema();
        for (row, _) in LATER {
            let place = row.split('.').fold(&schema, |place, name| match name {
                "*" => &place["additionalProperties"],
                name => &place["properties"][name],
            });
            assert!(place.is_object(), "{row} is no key");
        }
    }
}
