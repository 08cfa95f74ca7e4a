//! Everything a fakenode can be told to do, as one table.
//!
//! The table makes the struct, its defaults, the command-line flags, the help text and the keys of
//! profiles and of `POST /control`. It must stay the only place where a switch is named.

use crate::error::Error;
use crate::plan::{Torn, Upgrade};
use crate::vega::Admin;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::str::FromStr;

/// One switch as data, for the help text and for parsing flags.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    /// The heading under which help shows it.
    pub group: &'static str,
    /// The key in profiles; the flag is the same with dashes.
    pub name: &'static str,
    /// What a value looks like; empty for a switch that is on or off.
    pub value: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Text of a flag to JSON.
    parse: fn(&str) -> Option<Value>,
}

/// A type that a switch can have.
trait FlagValue {
    const SHAPE: &'static str;
    fn parse(text: &str) -> Option<Value>;
}

impl FlagValue for bool {
    const SHAPE: &'static str = "";
    fn parse(text: &str) -> Option<Value> {
        text.parse::<bool>().ok().map(Value::from)
    }
}

impl FlagValue for u64 {
    const SHAPE: &'static str = "N";
    fn parse(text: &str) -> Option<Value> {
        parse_number(text).map(Value::from)
    }
}

impl FlagValue for u8 {
    const SHAPE: &'static str = "N";
    fn parse(text: &str) -> Option<Value> {
        text.parse::<Self>().ok().map(Value::from)
    }
}

impl FlagValue for String {
    const SHAPE: &'static str = "TEXT";
    fn parse(text: &str) -> Option<Value> {
        Some(Value::from(text))
    }
}

impl FlagValue for Vec<String> {
    const SHAPE: &'static str = "A,B";
    fn parse(text: &str) -> Option<Value> {
        Some(text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect())
    }
}

impl FlagValue for Vec<Upgrade> {
    const SHAPE: &'static str = "A@1,B@2";
    fn parse(text: &str) -> Option<Value> {
        Vec::<String>::parse(text)
    }
}

impl FlagValue for Torn {
    const SHAPE: &'static str = "half|empty|slow";
    fn parse(text: &str) -> Option<Value> {
        String::parse(text)
    }
}

impl FlagValue for Admin {
    const SHAPE: &'static str = "absent|garbage|text|error|null|null-release";
    fn parse(text: &str) -> Option<Value> {
        String::parse(text)
    }
}

impl FlagValue for SignalName {
    const SHAPE: &'static str = "NAME";
    fn parse(text: &str) -> Option<Value> {
        String::parse(text)
    }
}

/// A signal by its name without `SIG`, such as `KILL`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SignalName(pub(crate) Signal);

impl TryFrom<String> for SignalName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let signal = Signal::from_str(&format!("SIG{text}"));
        signal.map(Self).map_err(|_| format!("`{text}` is no signal such as `KILL`"))
    }
}

impl From<SignalName> for String {
    fn from(name: SignalName) -> Self {
        name.0.as_str().trim_start_matches("SIG").to_owned()
    }
}

impl<T: FlagValue> FlagValue for Option<T> {
    const SHAPE: &'static str = T::SHAPE;
    fn parse(text: &str) -> Option<Value> {
        T::parse(text)
    }
}

/// A whole number with an optional binary unit: `7`, `64MiB`, `2GiB`.
fn parse_number(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (digits, shift) = unit.unwrap_or((text, &0));
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

macro_rules! switches {
    ($($group:literal { $($name:ident: $kind:ty = $default:expr, $help:literal;)* })*) => {
        /// What one run of a fakenode does. Every field is a switch; see [`SWITCHES`].
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Switches {
            $($(#[doc = $help] pub $name: $kind,)*)*
        }

        impl Default for Switches {
            fn default() -> Self {
                Self { $($($name: $default,)*)* }
            }
        }

        /// Every switch, in the order of the help text.
        pub const SWITCHES: &[Switch] = &[
            $($(Switch {
                group: $group,
                name: stringify!($name),
                value: <$kind as FlagValue>::SHAPE,
                help: $help,
                parse: <$kind as FlagValue>::parse,
            },)*)*
        ];
    };
}

switches! {
    "Blocks and data" {
        network: String = "fake-1".into(), "Name of the network.";
        block_ms: u64 = 200, "Time between two blocks.";
        segment_blocks: u64 = 50, "Blocks in one write-once file.";
        initial_height: u64 = 1, "Height of the first block of an empty data directory.";
        data_bytes: u64 = 0, "Fill the data directory with write-once files of this size in all (units KiB, MiB, GiB).";
        stop_blocks: bool = false, "Make no blocks.";
        comet: bool = false, "Keep the height in blockstore.db and state.db too, as CometBFT does in LevelDB; a halted node then answers with that of the block that it cannot carry out.";
    }
    "Answers" {
        http: Option<String> = None, "Listen here, such as 127.0.0.1:0; the port is written to HOME/http.port.";
        healthy: bool = true, "Whether /health answers 200.";
        catching_up: bool = false, "What /status says about syncing.";
        hang_http: bool = false, "Accept requests and never answer.";
        http_delay_ms: u64 = 0, "Wait before each answer.";
        report_version: Option<String> = None, "Claim to be this version.";
    }
    "Start" {
        start_delay_ms: u64 = 0, "Wait before opening the data directory.";
        ready_delay_ms: u64 = 0, "Time from start to READY=1 and to a good /health.";
        notify: bool = true, "Tell NOTIFY_SOCKET about READY and STOPPING, and ping it if WATCHDOG_USEC is set.";
        crash_starts: u64 = 0, "Crash at the first N starts of this version, counted in HOME.";
    }
    "Stop" {
        stop_delay_ms: u64 = 0, "Time that a graceful stop takes.";
        stop_exit: u8 = 0, "Exit code of a graceful stop.";
        ignore_term: bool = false, "Ignore SIGTERM.";
        ignore_int: bool = false, "Ignore SIGINT.";
    }
    "Failures" {
        crash: bool = false, "Crash now.";
        crash_after: Option<u64> = None, "Crash after N blocks of this run.";
        crash_at: Option<u64> = None, "Crash whenever this height is reached.";
        crash_exit: u8 = 1, "Exit code of a crash.";
        crash_says: Option<String> = None, "Say this before a crash.";
        crash_signal: Option<SignalName> = None, "Crash by this signal instead: KILL, ABRT, SEGV, TERM.";
        hang: bool = false, "Stop answering and making blocks.";
        hang_after: Option<u64> = None, "Hang after N blocks of this run.";
        freeze: bool = false, "Send SIGSTOP to itself, once.";
        leak_mib_per_second: u64 = 0, "Leak memory at this rate.";
        leak_mib_max: u64 = 64, "Stop leaking here.";
    }
    "Processes" {
        children: u64 = 0, "Spawn N children that live on until told to stop; pids in HOME/pids.";
        detach: bool = false, "Double fork a process into its own session; its pid in HOME/pids/detached.";
        helpers_ignore_term: bool = false, "The processes made by children and detach ignore SIGTERM.";
        hoppers: u64 = 0, "Start N chains of processes that each detach a successor and exit; pids in HOME/pids/hops.";
        hopping_ms: u64 = 60_000, "How long the chains go on.";
    }
    "Output" {
        quiet: bool = false, "Print nothing but the flood.";
        flood_bytes: u64 = 0, "Write this much of the checkable pattern to standard output at start.";
        flood_newlines: bool = true, "Whether the pattern has lines.";
        flood_bytes_per_second: u64 = 0, "Pace of the flood; 0 is as fast as possible.";
        flood_exit: Option<u8> = None, "Exit with this code once the flood is written.";
    }
    "Upgrades" {
        upgrades: Vec<Upgrade> = Vec::new(), "The network's schedule, as name@height; a version that does not handle the name halts before that height.";
        handles: Vec<String> = Vec::new(), "Names of the upgrades that this version handles.";
        refuse_early: bool = true, "Refuse to run below the height of a scheduled upgrade that this version handles.";
        halt_at: Option<u64> = None, "Short for one scheduled upgrade at this height.";
        plan_name: String = "v2".into(), "Name of the upgrade of halt_at.";
        plan_info: String = String::new(), "The info text of plan files.";
        plan_torn: Option<Torn> = None, "How the plan file is written badly: half (and never more), empty, slow (the rest a second later).";
        halt_exit: Option<u8> = None, "Exit code at a halt; without it the process stays alive.";
        halt_height: Option<u64> = None, "As of nodes of the Cosmos family: halt by configuration at this height, in the way of sdk_version.";
        sdk_version: Option<String> = None, "The Cosmos SDK that version --long names; without it none is named, and halt_height is as in the newest.";
        max_height: Option<u64> = None, "Make no block above this height, and write no plan.";
        data_format: u64 = 1, "Newest data format of this version; older data is migrated, newer refused.";
        pre_upgrade: Vec<String> = Vec::new(), "Exit codes of one run of the command pre-upgrade after the other, the last one again and again; without any, there is no such command.";
        migrate_ms: u64 = 0, "Time that a migration takes.";
        migrate_crash: bool = false, "Crash in the middle of a migration.";
    }
    "Signing" {
        sign: bool = false, "Sign every block like a validator.";
        sign_directory: Option<String> = None, "Where sign.log, sign.lock and violations.log are; HOME by default.";
        key_file: String = "config/priv_validator_key.json".into(), "Where the key is, below HOME.";
        state_file: String = "data/priv_validator_state.json".into(), "Where the sign state is, below HOME.";
        signer_listens: Option<String> = None, "Wait here for a signer elsewhere, and keep whoever connects.";
        exit_without_key: bool = false, "Exit instead of making a missing key.";
    }
    "Vega" {
        witness: Option<String> = None, "Where a core and a data node are witnessed, and told things by core.json, data-node.json and tools.json; HOME.witness by default.";
        snapshot_blocks: u64 = 10, "Blocks from one local snapshot of a core to the next.";
        history_blocks: Option<u64> = None, "Blocks in one segment of a data node's history; as in snapshots by default.";
        history_lag_blocks: u64 = 0, "How many blocks the history is behind the data node.";
        broker: Option<String> = None, "Unix socket on which a data node hears what its core did; a core waits for it.";
        admin: Option<Admin> = None, "How the admin server misbehaves.";
        release_tag_field: Option<String> = None, "What the admin server calls the tag of a release; by the program's name without it.";
        hang_commands: Vec<String> = Vec::new(), "Commands that never end: version, history, snapshots.";
        fail_commands: Vec<String> = Vec::new(), "Commands that fail.";
        noise: bool = false, "Commands print more than what they were asked for.";
        database_stays_dirty: bool = false, "A data node whose database was not shut down does not start.";
    }
}

impl Switches {
    /// The switches that result from layers of keys, later layers winning.
    pub fn from_layers<'a>(layers: impl IntoIterator<Item = &'a Map<String, Value>>) -> Result<Self, Error> {
        let mut merged = Map::new();
        for layer in layers {
            merged.extend(layer.clone());
        }
        serde_json::from_value(Value::Object(merged)).map_err(Error::Switches)
    }

    /// These switches with some keys replaced.
    pub fn with(&self, changes: &Map<String, Value>) -> Result<Self, Error> {
        let Value::Object(mut merged) = serde_json::to_value(self).map_err(Error::Switches)? else {
            return Ok(self.clone());
        };
        merged.extend(changes.clone());
        serde_json::from_value(Value::Object(merged)).map_err(Error::Switches)
    }

    /// The schedule of the network, in the order of heights.
    pub(crate) fn schedule(&self) -> Vec<Upgrade> {
        let short = self.halt_at.map(|height| Upgrade { name: self.plan_name.clone(), height });
        let mut schedule: Vec<Upgrade> = self.upgrades.iter().cloned().chain(short).collect();
        schedule.sort_by_key(|upgrade| upgrade.height);
        schedule
    }

    pub(crate) fn handles(&self, upgrade: &Upgrade) -> bool {
        self.handles.contains(&upgrade.name)
    }
}

/// Takes every known switch out of `arguments` and returns them as one layer.
///
/// `--flag value`, `--flag=value` and, for switches that are on or off, plain `--flag`.
pub(crate) fn take_flags(arguments: &mut Vec<String>) -> Result<Map<String, Value>, Error> {
    let mut layer = Map::new();
    let mut rest = Vec::new();
    let mut queue = std::mem::take(arguments).into_iter();
    while let Some(argument) = queue.next() {
        let (flag, inline) = match argument.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        let Some(switch) = SWITCHES.iter().find(|switch| flag == switch.flag()) else {
            rest.push(argument);
            continue;
        };
        let text = match inline {
            Some(text) => text,
            None if switch.value.is_empty() => "true".to_owned(),
            None => queue.next().ok_or_else(|| Error::Usage(format!("`{flag}` needs a value")))?,
        };
        let value = (switch.parse)(&text).ok_or_else(|| Error::Usage(format!("`{text}` is no value for `{flag}`")))?;
        layer.insert(switch.name.to_owned(), value);
    }
    *arguments = rest;
    Ok(layer)
}

impl Switch {
    /// The command-line form of the name.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }
}

/// The table as help text.
pub(crate) fn help() -> String {
    let defaults = serde_json::to_value(Switches::default()).unwrap_or_default();
    let line = |switch: &Switch| {
        let flag = format!("{} {}", switch.flag(), switch.value);
        let default = match &defaults[switch.name] {
            Value::Bool(true) => " [default: true]".to_owned(),
            Value::Number(number) => format!(" [default: {number}]"),
            Value::String(text) if !text.is_empty() => format!(" [default: {text}]"),
            _ => String::new(),
        };
        format!("  {flag:<30} {}{default}", switch.help)
    };
    let mut lines = Vec::new();
    for group in SWITCHES.chunk_by(|one, other| one.group == other.group) {
        lines.push(format!("\n{}:", group[0].group));
        lines.extend(group.iter().map(line));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn flags_become_a_layer_and_the_rest_stays() {
        let mut arguments =
            words("start --block-ms 5 --ignore-term --handles=v2,v3 extra --healthy=false --data-bytes 2KiB");
        let layer = take_flags(&mut arguments).unwrap();
        assert_eq!(arguments, words("start extra"));
        let switches = Switches::from_layers([&layer]).unwrap();
        assert_eq!(switches.block_ms, 5);
        assert!(switches.ignore_term);
        assert!(!switches.healthy);
        assert_eq!(switches.handles, ["v2", "v3"]);
        assert_eq!(switches.data_bytes, 2048);
    }

    #[test]
    fn bad_values_are_refused() {
        for line in ["--block-ms soon", "--block-ms", "--healthy=perhaps", "--data-bytes 99999999999GiB"] {
            assert!(take_flags(&mut words(line)).is_err(), "{line}");
        }
    }

    #[test]
    fn unknown_keys_and_wrong_types_are_refused() {
        for text in [r#"{"nonsense": 1}"#, r#"{"block_ms": "soon"}"#] {
            let layer: Map<String, Value> = serde_json::from_str(text).unwrap();
            assert!(Switches::from_layers([&layer]).is_err(), "{text}");
            assert!(Switches::default().with(&layer).is_err(), "{text}");
        }
    }

    #[test]
    fn later_layers_win() {
        let layer = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap();
        let switches =
            Switches::from_layers([&layer(r#"{"block_ms": 1, "sign": true}"#), &layer(r#"{"block_ms": 2}"#)]).unwrap();
        assert_eq!((switches.block_ms, switches.sign), (2, true));
        assert_eq!(switches.with(&layer(r#"{"sign": false}"#)).unwrap().block_ms, 2);
    }

    #[test]
    fn help_names_every_switch() {
        let text = help();
        for switch in SWITCHES {
            assert!(text.contains(&switch.flag()), "{}", switch.name);
        }
    }
}
