//! The command line of the family's program: which part of it is meant, and with which flags.
//!
//! Unknown flags are refused, as the real program refuses them: whoever passes one to the wrong part is found out.

use super::witness::{Launch, Role, Witness};
use super::{core, data_node, tools};
use crate::error::Error;
use crate::life::Ending;
use crate::profile::Profile;
use crate::switches::{self, Switches};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The names of the program, the last one that of a data node before it became part of the others.
pub(crate) const NAMES: [&str; 4] = ["vega", "zeta", "fury", DATA_NODE_ALONE];
const DATA_NODE_ALONE: &str = "data-node";

/// Flags that both parts have, then those of one; each takes a value.
const COMMON_FLAGS: &[&str] = &["home"];
const CORE_FLAGS: &[&str] = &[
    "snapshot.load-from-block-height",
    "admin.server.socket-path",
    "admin.server.http-path",
    "nodewallet-passphrase-file",
    "tendermint-home",
];
const DATA_NODE_FLAGS: &[&str] = &["config"];
const TOOL_FLAGS: &[&str] = &["output", "db-path", "block-height"];

/// What one process of the program was called with.
#[derive(Debug)]
pub(super) struct Call {
    /// The name of the program, which tells the family's member.
    pub(super) name: String,
    pub(super) profile: Profile,
    /// The switches that were set on the command line.
    pub(super) flags: Map<String, Value>,
    values: BTreeMap<&'static str, String>,
    role: Role,
    arguments: Vec<String>,
}

impl Call {
    /// The value of a flag of the real program.
    pub(super) fn value(&self, flag: &str) -> Option<&str> {
        self.values.get(flag).map(String::as_str)
    }

    /// Vega's home; without a flag it is where nobody put anything on purpose.
    pub(super) fn home(&self) -> PathBuf {
        let default = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".vega");
        self.value("home").map_or_else(default, PathBuf::from)
    }

    pub(super) fn switches(&self) -> Result<Switches, Error> {
        Switches::from_layers([&self.profile.switches, &self.flags])
    }

    /// Opens the witness, and notes this launch.
    pub(super) fn witness(&self) -> Result<Witness, Error> {
        let switches = self.switches()?;
        let home = self.value("home").map(PathBuf::from);
        let witness = Witness::open(&switches, home.as_deref(), self.role, &self.profile.version)?;
        witness.note_launch(&Launch::now(self.role, &self.profile.version, &self.name, &self.arguments))?;
        Ok(witness)
    }

    pub(super) fn wants_json(&self) -> bool {
        self.value("output") == Some("json")
    }
}

/// The program under one of its [`NAMES`].
pub(crate) fn main(name: &str, arguments: &[String]) -> Result<Ending, Error> {
    let mut rest = arguments.to_vec();
    let flags = switches::take_flags(&mut rest)?;
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    let (role, known, words) = part(name, &words).ok_or_else(|| Error::Usage(format!("`{}`", words.join(" "))))?;
    let values = values(words, known)?;
    let profile = Profile::of_this_program()?;
    let call = Call { name: name.to_owned(), profile, flags, values, role, arguments: arguments.to_vec() };
    match role {
        Role::Core => core::run(&call),
        Role::DataNode => data_node::run(&call),
        Role::Version => tools::version(&call),
        Role::History => tools::latest_segment(&call),
        Role::Snapshots => tools::snapshots(&call),
    }
}

/// Which part of the program is meant, its flags, and the words behind.
fn part<'a, 'b>(name: &str, words: &'a [&'b str]) -> Option<(Role, &'static [&'static str], &'a [&'b str])> {
    let is_data_node_alone = name == DATA_NODE_ALONE;
    let found = match words {
        ["version", rest @ ..] => (Role::Version, TOOL_FLAGS, rest),
        ["tools", "snapshot", rest @ ..] => (Role::Snapshots, TOOL_FLAGS, rest),
        ["datanode", rest @ ..] if !is_data_node_alone => return part(DATA_NODE_ALONE, rest),
        ["start" | "node", rest @ ..] if is_data_node_alone => (Role::DataNode, DATA_NODE_FLAGS, rest),
        ["network-history", "latest-history-segment", rest @ ..] if is_data_node_alone => {
            (Role::History, TOOL_FLAGS, rest)
        }
        ["start" | "node", rest @ ..] => (Role::Core, CORE_FLAGS, rest),
        _ => return None,
    };
    Some(found)
}

/// `--flag value` and `--flag=value`; the last one counts.
fn values(words: &[&str], known: &'static [&'static str]) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut values = BTreeMap::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let flag = word.strip_prefix("--").ok_or_else(|| Error::Usage(format!("unexpected `{word}`")))?;
        let (flag, inline) = flag.split_once('=').map_or((flag, None), |(flag, value)| (flag, Some(value)));
        let known = COMMON_FLAGS.iter().chain(known).find(|known| **known == flag);
        let known = known.ok_or_else(|| Error::Usage(format!("unknown flag `{flag}'")))?;
        let value = inline.or_else(|| words.next().copied());
        let value = value.ok_or_else(|| Error::Usage(format!("expected argument for flag `{flag}'")))?;
        values.insert(*known, value.to_owned());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<&str> {
        line.split_whitespace().collect()
    }

    #[test]
    fn the_name_tells_what_start_means() {
        for (name, line, role) in [
            ("vega", "start --home x", Role::Core),
            ("zeta", "node", Role::Core),
            ("vega", "datanode start", Role::DataNode),
            ("data-node", "node", Role::DataNode),
            ("data-node", "network-history latest-history-segment", Role::History),
            ("vega", "datanode network-history latest-history-segment --output json", Role::History),
            ("vega", "tools snapshot", Role::Snapshots),
            ("vega", "datanode version", Role::Version),
        ] {
            assert_eq!(part(name, &words(line)).map(|found| found.0), Some(role), "{name} {line}");
        }
        for (name, line) in [("vega", "network-history latest-history-segment"), ("vega", "fly"), ("vega", "")] {
            assert!(part(name, &words(line)).is_none(), "{name} {line}");
        }
    }

    #[test]
    fn flags_have_values_and_strangers_are_refused() {
        let found = values(&words("--home x --tendermint-home=y=z --home w"), CORE_FLAGS).unwrap();
        assert_eq!((found["home"].as_str(), found["tendermint-home"].as_str()), ("w", "y=z"));
        for line in ["--fly 1", "stray", "--home", "--output json"] {
            assert!(values(&words(line), CORE_FLAGS).is_err(), "{line}");
        }
        assert!(values(&words("--snapshot.load-from-block-height 5"), DATA_NODE_FLAGS).is_err());
    }
}
