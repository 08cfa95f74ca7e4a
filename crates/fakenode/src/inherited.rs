//! What the parent handed over, written to `HOME/inherited.json` for tests to look at.

use crate::error::Error;
use crate::files;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::Path;

/// Lines of `/proc/self/status` that a parent decides.
const STATUS_LINES: &[&str] = &["PPid", "Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "NoNewPrivs", "CapEff"];

/// Looks at everything. It must run before anything else opens files or changes signals.
pub(crate) fn look() -> Value {
    let (group, session) = group_and_session();
    json!({
        "pid": std::process::id(),
        "group": group,
        "session": session,
        "arguments": std::env::args().collect::<Vec<_>>(),
        "environment": environment(),
        "working_directory": std::env::current_dir().ok(),
        "descriptors": descriptors(),
        "limits": limits(),
        "status": status(),
        "cgroup": read("/proc/self/cgroup").trim(),
        "oom_score_adj": read("/proc/self/oom_score_adj").trim(),
    })
}

/// Writes what [`look`] saw.
pub(crate) fn write(home: &Path, inherited: &Value) -> Result<(), Error> {
    files::replace_json(&home.join("inherited.json"), inherited)
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn environment() -> Map<String, Value> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into()))
        .collect()
}

/// Number to target of each open descriptor; the one that lists them is left out.
fn descriptors() -> Map<String, Value> {
    let folder = Path::new("/proc/self/fd");
    let Ok(entries) = fs::read_dir(folder) else { return Map::new() };
    let numbers: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    let target = |name: &std::ffi::OsString| fs::read_link(folder.join(name)).ok();
    numbers
        .iter()
        .filter_map(|name| Some((name.to_string_lossy().into_owned(), target(name)?.to_string_lossy().into())))
        .collect()
}

fn status() -> Map<String, Value> {
    read("/proc/self/status")
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(name, _)| STATUS_LINES.contains(name))
        .map(|(name, value)| (name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" ").into()))
        .collect()
}

/// Name to soft limit, as the kernel words it.
fn limits() -> Map<String, Value> {
    const NAME_COLUMNS: usize = 26;
    read("/proc/self/limits")
        .lines()
        .skip(1)
        .filter_map(|line| line.split_at_checked(NAME_COLUMNS))
        .filter_map(|(name, rest)| Some((name.trim().to_owned(), rest.split_whitespace().next()?.into())))
        .collect()
}

/// Fields 5 and 6 of `/proc/self/stat`, counted behind the name, which may hold spaces.
fn group_and_session() -> (Option<u32>, Option<u32>) {
    let text = read("/proc/self/stat");
    let mut fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(2);
    let mut number = || fields.next()?.parse().ok();
    (number(), number())
}
