//! From the moment a process is killed to the first instruction of the one that takes its place.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use super::child::{Mark, marks, now_ns};
use super::crowd::{Programs, milliseconds};
use super::peers::{Peer, Unit, send};
use crate::processes::{in_namespace, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
/// Processes are killed in turn, so that each has run for longer than a second when its turn comes: every
/// supervisor then holds it for stable, and none backs off.
const UNITS: usize = 20;
const PACE: Duration = Duration::from_millis(110);
const STABLE: Duration = Duration::from_millis(1_200);

/// A process that is about to be killed, or was.
struct Kill<'a> {
    unit: &'a str,
    at_ns: u64,
}

/// Kills processes of a supervisor one by one; the milliseconds until each was back.
pub(super) fn relaunch(peer: Peer, programs: &Programs, folder: &Path, kills: usize) -> Result<Vec<f64>> {
    let file = folder.join("marks");
    let names: Vec<String> = (0..UNITS).map(|number| format!("u{number}")).collect();
    let units: Vec<Unit> = names.iter().map(|name| programs.marking(&file, name)).collect();
    let running = peer.start(&programs.omnivisor, folder, &units)?;
    wait_until("all processes to start", PATIENCE, || marks(&file).len() >= UNITS)?;
    let mut killed: Vec<Kill> = Vec::new();
    for name in names.iter().cycle().take(kills) {
        let earlier = killed.iter().filter(|kill| kill.unit == name).count();
        let starts = || marks(&file).into_iter().filter(|mark| mark.unit == *name).collect::<Vec<Mark>>();
        wait_until("a process to be back", PATIENCE, || starts().len() > earlier)?;
        let mark = starts().pop().context("find what to kill")?;
        std::thread::sleep(STABLE.saturating_sub(Duration::from_nanos(now_ns() - mark.at_ns)));
        let pid = in_namespace(&running.family(), mark.pid).context("find what to kill")?;
        killed.push(Kill { unit: name, at_ns: now_ns() });
        send(pid, Signal::KILL)?;
        std::thread::sleep(PACE);
    }
    wait_until("all processes to be back", PATIENCE, || marks(&file).len() >= UNITS + kills)?;
    let times = latencies(&marks(&file), &killed);
    running.stop()?;
    Ok(times)
}

/// From each kill to the next start of the same unit.
fn latencies(marks: &[Mark], killed: &[Kill]) -> Vec<f64> {
    let next_start = |kill: &Kill| {
        marks.iter().filter(|mark| mark.unit == kill.unit && mark.at_ns > kill.at_ns).map(|mark| mark.at_ns).min()
    };
    killed.iter().filter_map(|kill| Some(milliseconds(next_start(kill)? - kill.at_ns))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kill_is_paired_with_the_next_start_of_its_own_unit() {
        let mark = |unit: &str, at_ns| Mark { unit: unit.into(), pid: 1, at_ns };
        let marks = [mark("a", 1), mark("b", 2), mark("b", 5_000_000), mark("a", 8_000_000), mark("a", 20_000_000)];
        let kills = [Kill { unit: "a", at_ns: 3_000_000 }, Kill { unit: "b", at_ns: 4_000_000 }];
        assert_eq!(latencies(&marks, &kills), [5.0, 1.0]);
    }
}
