//! How fast a process's output reaches rotated files, whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::child::{self, marks, now_ns};
use super::crowd::Programs;
use super::pattern;
use super::peers::{Peer, Unit, find};
use crate::processes::wait_until;

const PATIENCE: Duration = Duration::from_secs(180);
const NAME: &str = "u0";

/// What takes output in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sink {
    Omnivisor,
    S6Log,
    Svlogd,
    Supervisord,
    /// Rotates nothing: the speed of the machine.
    Cat,
}

impl Sink {
    pub(super) const ALL: [Self; 5] = [Self::Omnivisor, Self::S6Log, Self::Svlogd, Self::Supervisord, Self::Cat];

    pub(super) fn name(self) -> &'static str {
        ["omnivisor", "s6-log", "svlogd", "supervisord", "cat"][self as usize]
    }

    /// Gigabytes a second from the first byte written to the last byte in a file. Every byte is then compared.
    pub(super) fn pour(self, programs: &Programs, folder: &Path, bytes: u64) -> Result<f64> {
        let bytes = pattern::whole_pieces(bytes);
        let logs = folder.join("logs");
        fs::create_dir_all(&logs).context("make a folder")?;
        let ended_ns = match self {
            Self::Omnivisor => supervised(Peer::Omnivisor, programs, folder, bytes)?,
            Self::Supervisord => supervised(Peer::Supervisord, programs, folder, bytes)?,
            Self::S6Log => piped("s6-log n1000 s67108864", programs, folder, bytes)?,
            Self::Svlogd => {
                fs::write(logs.join("config"), "s67108864\nn1000\n")?;
                piped("svlogd -b 65536", programs, folder, bytes)?
            }
            Self::Cat => piped("cat >", programs, folder, bytes)?,
        };
        pattern::check(&in_order(&logs)?, bytes)?;
        let began = marks(&folder.join("marks")).first().context("find the mark")?.at_ns;
        let rate = f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1e6;
        Ok(rate / Duration::from_nanos(ended_ns - began).as_secs_f64())
    }
}

fn pouring(programs: &Programs, folder: &Path, bytes: u64, ending: &str) -> Vec<String> {
    let (child, file) = (programs.child.display().to_string(), folder.join("marks").display().to_string());
    [&child, child::NAME, "pour", &file, NAME, &bytes.to_string(), ending].map(str::to_owned).to_vec()
}

fn supervised(peer: Peer, programs: &Programs, folder: &Path, bytes: u64) -> Result<u64> {
    peer.is_here()?;
    let logs = folder.join("logs");
    let command = pouring(programs, folder, bytes, "stay");
    let unit = Unit { name: NAME.to_owned(), command, log: Some(logs.join("main.log")) };
    let running = peer.start(&programs.omnivisor, folder, &[unit])?;
    wait_until("all bytes to arrive", PATIENCE, || length(&logs) >= bytes)?;
    let ended_ns = now_ns();
    running.stop()?;
    Ok(ended_ns)
}

fn piped(logger: &str, programs: &Programs, folder: &Path, bytes: u64) -> Result<u64> {
    let program = logger.split(' ').next().unwrap_or_default();
    ensure!(find(program).is_some(), "find it: it is not installed");
    // s6-log takes only what begins like this for a folder.
    let place = if program == "cat" { "./logs/main.log" } else { "./logs" };
    let mut source = Command::new(&programs.child)
        .args(pouring(programs, folder, bytes, "end").split_off(1))
        .stdout(Stdio::piped())
        .spawn()
        .context("start the source")?;
    let stdin = source.stdout.take().context("take its output")?;
    let shell = format!("exec {logger} {place}");
    let status = Command::new("sh").args(["-c", &shell]).current_dir(folder).stdin(stdin).status();
    let ended_ns = now_ns();
    source.wait().context("wait for the source")?;
    ensure!(status.context("start the logger")?.success(), "end the logger well");
    Ok(ended_ns)
}

fn length(folder: &Path) -> u64 {
    files(folder).iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_log = |name: &str| !["lock", "state", "config"].contains(&name);
    entries.filter(|entry| entry.file_name().to_str().is_some_and(is_log)).map(|entry| entry.path()).collect()
}

/// Log files, the oldest first: by the number of the line that each begins in or before, whatever its name.
fn in_order(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut numbered = Vec::new();
    for file in files(folder) {
        if let Some(place) = pattern::first_whole_line(&file)? {
            numbered.push((place, file));
        }
    }
    numbered.sort();
    Ok(numbered.into_iter().map(|(_, file)| file).collect())
}
