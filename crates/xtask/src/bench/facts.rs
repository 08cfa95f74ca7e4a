//! What has to be known of a machine to make sense of a measurement, and nothing that tells which machine it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::peers::Peer;
use super::volume;

/// Processor, memory, kernel, file system, our version.
pub(super) fn of_machine(folder: &Path) -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let model = field(&read("/proc/cpuinfo"), "model name", ":");
    let memory_kib: u64 = field(&read("/proc/meminfo"), "MemTotal", ":").trim_end_matches(" kB").parse().unwrap_or(0);
    let release = read("/proc/sys/kernel/osrelease");
    let kernel: String =
        release.trim().chars().take_while(|letter| letter.is_ascii_digit() || *letter == '.').collect();
    vec![
        ("processors".to_owned(), format!("{processors} × {model}")),
        ("memory".to_owned(), format!("{} GB", memory_kib / 1_000_000)),
        ("kernel".to_owned(), format!("Linux {kernel}")),
        ("system".to_owned(), field(&read("/etc/os-release"), "PRETTY_NAME", "=").trim_matches('"').to_owned()),
        ("file system".to_owned(), volume::kind(folder)),
        ("omnivisor".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ]
}

/// The versions of the supervisors that are compared.
pub(super) fn of_peers() -> impl Iterator<Item = (String, String)> {
    Peer::ALL.into_iter().filter_map(|peer| Some((peer.name().to_owned(), version(peer.package()?))))
}

fn field(text: &str, name: &str, sign: &str) -> String {
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_once(sign).map_or("unknown", |(_, value)| value.trim()).to_owned()
}

/// Of a Debian package; others have to look for themselves.
fn version(package: &str) -> String {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    if text.is_empty() { "not from Debian, or not installed".to_owned() } else { format!("{text} (Debian)") }
}
