//! The commands that have their say and end: the version, the last segment of the history, the local snapshots.

use super::chain::{self, LEVEL_DB_IN_USE, Snapshot};
use super::command::Call;
use super::history::{Place, Segment};
use crate::error::Error;
use crate::files;
use crate::life::Ending;
use crate::output::say;
use crate::switches::Switches;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

/// A command that hangs ends all the same some day, so that nothing of a test stays for ever.
const HANG: Duration = Duration::from_secs(600);
const NO_SEGMENTS: &str = "no history segments found";

/// A local snapshot as the command lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The block behind which it was taken.
    pub height: u64,
    /// The running number of the tree.
    pub version: u64,
    /// How many values it holds.
    pub size: u64,
    /// What it is.
    pub hash: String,
}

/// `version`.
pub(super) fn version(call: &Call) -> Result<Ending, Error> {
    let switches = begin(call, "version")?;
    let version = switches.report_version.as_ref().unwrap_or(&call.profile.version);
    let hash = format!("{:08x}", crc32c::crc32c(version.as_bytes()));
    let name = call.name[..1].to_uppercase() + &call.name[1..];
    print(call, &switches, &json_line(&[("version", json!(version)), ("hash", json!(hash))]), || {
        format!("{name} CLI {version} ({hash})")
    });
    Ok(Ending::Exit(0))
}

/// `datanode network-history latest-history-segment`.
pub(super) fn latest_segment(call: &Call) -> Result<Ending, Error> {
    let switches = begin(call, "history")?;
    let (text, code) = match find_segment(&Place::new(&call.home())) {
        Ok(segment) => (format!("{{\"LatestSegment\":{}}}", serde_json::to_string(&segment).unwrap_or_default()), 0),
        Err(reason) => (json!({ "error": reason }).to_string(), 1),
    };
    print(call, &switches, &text, || text.clone());
    Ok(Ending::Exit(code))
}

/// A living data node is asked; else the index must be free.
fn find_segment(place: &Place) -> Result<Segment, String> {
    let found = if let Ok(mut stream) = UnixStream::connect(place.api()) {
        let mut text = String::new();
        stream.read_to_string(&mut text).map_err(|error| error.to_string())?;
        serde_json::from_str::<Option<Segment>>(&text).map_err(|error| error.to_string())?
    } else {
        let index = place.try_index().map_err(|error| error.to_string())?;
        let _index = index.ok_or(format!("failed to open level db: {LEVEL_DB_IN_USE}"))?;
        place.latest().map_err(|error| error.to_string())?
    };
    found.ok_or_else(|| NO_SEGMENTS.to_owned())
}

/// `tools snapshot`: refused while the core runs, and where there never was one.
pub(super) fn snapshots(call: &Call) -> Result<Ending, Error> {
    let switches = begin(call, "snapshots")?;
    let folder = call.value("db-path").map_or_else(|| chain::snapshots_folder(&call.home()), PathBuf::from);
    let refused = |reason: &str| Error::damaged(&folder, reason);
    if !folder.join("LOCK").exists() {
        return Err(refused("file does not exist"));
    }
    let _lock = files::try_lock(&folder.join("LOCK"))?.ok_or_else(|| refused(LEVEL_DB_IN_USE))?;
    let wanted = call.value("block-height").and_then(|height| height.parse::<u64>().ok()).filter(|height| *height > 0);
    let local = chain::list(&folder)?;
    let one = local.iter().find(|snapshot| Some(snapshot.height) == wanted);
    let mut listed: Vec<Listed> = one.map_or(local.iter().map(listed).collect(), |one| vec![listed(one)]);
    listed.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.height));
    let text = format!("{{\"snapshots\":{}}}", serde_json::to_string(&listed).unwrap_or_default());
    print(call, &switches, &text, || {
        let line = |it: &Listed| {
            let Listed { height, version, size, hash } = it;
            format!("\n\tHeight: {height}, Version: {version}, Size {size}, Hash: {hash}")
        };
        format!("Snapshots available: {}{}", listed.len(), listed.iter().map(line).collect::<String>())
    });
    Ok(Ending::Exit(0))
}

fn listed(snapshot: &Snapshot) -> Listed {
    let Snapshot { height, version, done } = snapshot;
    let hash = format!("{:064x}", crc32c::crc32c(format!("{height} {done:?}").as_bytes()));
    Listed { height: *height, version: *version, size: 1, hash }
}

/// What every command does first: it is noted, and then it hangs or fails if it was told so.
fn begin(call: &Call, name: &str) -> Result<Switches, Error> {
    let witness = call.witness()?;
    let switches = call.switches()?.with(&witness.told()?)?;
    let named = |list: &[String]| list.iter().any(|it| it == name);
    if named(&switches.hang_commands) {
        sleep(HANG);
    }
    if named(&switches.fail_commands) {
        return Err(Error::Usage(format!("`{name}`, as it was told")));
    }
    Ok(switches)
}

/// Members in this order, as the real program writes them.
fn json_line(members: &[(&str, Value)]) -> String {
    let members: Vec<String> = members.iter().map(|(name, value)| format!("{}:{value}", json!(name))).collect();
    format!("{{{}}}", members.join(","))
}

fn print(call: &Call, switches: &Switches, text: &str, human: impl Fn() -> String) {
    if switches.noise {
        say("2023-10-01T00:00:00.000Z\tINFO\ta library says hello");
        let _ = writeln!(std::io::stderr(), "a library warns");
    }
    say(&if call.wants_json() { text.to_owned() } else { human() });
    if switches.noise {
        say("a library says goodbye");
    }
}
