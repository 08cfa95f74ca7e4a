//! What the tests of supervision share: nodes with a word more in their configuration, events, switches of fakenode.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use fakenode::Profile;
use ov_client::Since;
use ov_testkit::{TestNode, wait_for};
use ov_types::api::UnitOrder;
use ov_types::{EventKind, UnitName};
use serde_json::Value;

pub(super) const PROGRAM: &str = env!("CARGO_BIN_EXE_omnivisor");

/// A node that was not started: `keys` are added to `[unit.main]`, `args` to its arguments, `more` to the file.
pub(super) fn laid_out(keys: &str, args: &[&str], more: &str) -> TestNode {
    let node = TestNode::bare(Path::new(PROGRAM));
    configure(&node, keys, args, more);
    node.start_with(&Profile::new("v1"));
    node
}

/// The same for a node that is there already.
pub(super) fn configure(node: &TestNode, keys: &str, args: &[&str], more: &str) {
    let text = node.configuration(args, more);
    node.write_configuration(&text.replacen("[unit.main]\n", &format!("[unit.main]\n{keys}\n"), 1));
}

/// Such a node, started.
pub(super) fn started(keys: &str, args: &[&str], more: &str) -> TestNode {
    let mut node = laid_out(keys, args, more);
    node.start();
    node
}

/// A shell script as program and arguments of a unit.
pub(super) fn shell(script: &str) -> String {
    format!("program = \"/bin/sh\"\nargs = [\"-c\", {script:?}]\n")
}

/// A second fakenode as program and arguments of a helper, with a home of its own.
pub(super) fn second_node(more: &str) -> String {
    let args = "\"start\", \"--home\", \"{home}/{unit}\", \"--block-ms\", \"20\"";
    format!("program = \"current/bin/fakenode\"\nargs = [{args}{more}]\n")
}

pub(super) fn name(unit: &str) -> UnitName {
    UnitName::new(unit).unwrap()
}

/// Everything that happened so far.
pub(super) fn events(node: &TestNode) -> Vec<EventKind> {
    node.client().events(Since::Oldest).expect("the daemon answers").into_iter().map(|event| event.kind).collect()
}

/// Waits for the first event that `pick` wants.
pub(super) fn wait_for_event<T>(node: &TestNode, what: &str, pick: impl Fn(&EventKind) -> Option<T>) -> T {
    wait_for(what, || events(node).iter().find_map(&pick))
}

/// Where the first such event stands.
pub(super) fn position(events: &[EventKind], what: &str, is_it: impl Fn(&EventKind) -> bool) -> usize {
    events.iter().position(is_it).unwrap_or_else(|| panic!("no event: {what}; there are {events:#?}"))
}

/// How often a unit was started, over all daemons.
pub(super) fn starts(node: &TestNode, unit: &str) -> usize {
    let this =
        |kind: &EventKind| matches!(kind, EventKind::UnitStarted { unit: started, .. } if *started == name(unit));
    events(node).iter().filter(|kind| this(kind)).count()
}

/// Waits until a unit was started so often.
pub(super) fn wait_for_starts(node: &TestNode, unit: &str, count: usize) {
    wait_for(&format!("{count} starts of {unit}"), || (starts(node, unit) >= count).then_some(()));
}

pub(super) fn order(node: &TestNode, unit: &str, order: UnitOrder) {
    node.client().unit(&name(unit), order).expect("the order is taken");
}

/// What a fakenode got from its parent.
pub(super) fn inherited(home: &Path) -> Value {
    let path = home.join("inherited.json");
    let text = wait_for("what the unit inherited", || fs::read_to_string(&path).ok());
    serde_json::from_str(&text).unwrap()
}

/// The processes that a fakenode wrote down in `HOME/pids`, by name.
pub(super) fn noted_pid(node: &TestNode, name: &str) -> u32 {
    let path = node.path("pids").join(name);
    wait_for(&format!("{name} to be there"), || fs::read_to_string(&path).ok()?.trim().parse().ok())
}

/// The shim of a unit whose process has this id.
pub(super) fn parent_of(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().parse().unwrap()
}

pub(super) fn kill(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([format!("-{signal}"), pid.to_string()]).status().unwrap();
    assert!(sent.success(), "process {pid} could not be sent {signal}");
}

pub(super) fn is_root() -> bool {
    own_user() == 0
}

fn own_user() -> u32 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Whether a rotated log file was compressed.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

/// Everything a unit's log holds, rotated and compressed files included, in order.
pub(super) fn whole_log(log: &Path) -> Vec<u8> {
    let (folder, base) = (log.parent().unwrap(), log.file_name().unwrap().to_str().unwrap());
    let mut rotated = std::collections::BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        let Some(suffix) = file.strip_prefix(&format!("{base}.")) else { continue };
        let counter = suffix.trim_end_matches(".gz").rsplit_once('-').unwrap().1;
        // While a file is being compressed there are both, and the plain one is whole.
        let counter: u64 = counter.parse().unwrap();
        if !is_compressed(&entry.path()) || !rotated.contains_key(&counter) {
            rotated.insert(counter, entry.path());
        }
    }
    let mut bytes = Vec::new();
    for path in rotated.into_values() {
        let file = fs::File::open(&path).unwrap();
        if is_compressed(&path) {
            flate2::read::GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        } else {
            std::io::BufReader::new(file).read_to_end(&mut bytes).unwrap();
        }
    }
    bytes.extend(fs::read(log).unwrap_or_default());
    bytes
}
