//! Many processes that do nothing: what looking after them costs, and how long their start and stop take.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::child::{self, marks, now_ns};
use super::peers::{Peer, Unit};
use crate::processes::{self, wait_until};

const PATIENCE: Duration = Duration::from_secs(120);
/// Until everybody has done what there is to do after a start.
const SETTLE: Duration = Duration::from_secs(15);

/// What a supervisor of idle processes costs, without those processes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) cost: processes::Cost,
    pub(super) wakes_per_minute: f64,
}

/// Looks at a supervisor of `count` processes that sleep.
pub(super) fn idle(peer: Peer, omnivisor: &Path, folder: &Path, count: usize, window: Duration) -> Result<Idle> {
    let unit =
        |number| Unit { name: format!("u{number}"), command: vec!["/bin/sleep".into(), "100000".into()], log: None };
    let units: Vec<Unit> = (0..count).map(unit).collect();
    let running = peer.start(omnivisor, folder, &units)?;
    let children = || running.family().into_iter().filter(|pid| processes::name(*pid) == "sleep").count();
    wait_until("all processes to run", PATIENCE, || children() == count)?;
    std::thread::sleep(SETTLE);
    let mut own = running.family();
    own.retain(|pid| processes::name(*pid) != "sleep");
    let (before, began) = (processes::switches(&own), Instant::now());
    std::thread::sleep(window);
    let woken = u32::try_from(processes::switches_between(&before, &processes::switches(&own))).unwrap_or(u32::MAX);
    let wakes_per_minute = f64::from(woken) * 60.0 / began.elapsed().as_secs_f64();
    // Looked at last: reading the memory of a process may wake it.
    let cost = processes::cost(&own);
    running.stop()?;
    Ok(Idle { cost, wakes_per_minute })
}

/// How long it took to get all processes up, and down again with the supervisor itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartStop {
    pub(super) start_ms: f64,
    pub(super) stop_ms: f64,
}

/// Starts and stops a supervisor of `count` processes.
pub(super) fn start_stop(peer: Peer, programs: &Programs, folder: &Path, count: usize) -> Result<StartStop> {
    let file = folder.join("marks");
    let units: Vec<Unit> = (0..count).map(|number| programs.marking(&file, &format!("u{number}"))).collect();
    let began = now_ns();
    let running = peer.start(&programs.omnivisor, folder, &units)?;
    wait_until("all processes to start", PATIENCE, || marks(&file).len() >= count)?;
    let last = marks(&file).iter().map(|mark| mark.at_ns).max().context("find a mark")?;
    std::thread::sleep(Duration::from_secs(2));
    let stopping = Instant::now();
    running.stop()?;
    Ok(StartStop { start_ms: milliseconds(last - began), stop_ms: stopping.elapsed().as_secs_f64() * 1e3 })
}

/// The programs that take part in every measurement.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) omnivisor: PathBuf,
    /// What is looked after.
    pub(super) child: PathBuf,
}

impl Programs {
    /// A process that says when it began, and waits.
    pub(super) fn marking(&self, file: &Path, name: &str) -> Unit {
        let command = [&self.child.display().to_string(), child::NAME, "mark", &file.display().to_string(), name];
        Unit { name: name.to_owned(), command: command.map(str::to_owned).to_vec(), log: None }
    }
}

pub(super) fn milliseconds(ns: u64) -> f64 {
    Duration::from_nanos(ns).as_secs_f64() * 1e3
}
