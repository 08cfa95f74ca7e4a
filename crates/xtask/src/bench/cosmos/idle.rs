//! Waiting for an upgrade that is far away: what that costs beside the node itself.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::subject::Subject;
use crate::processes::{self, Cost, naming};

const BLOCK_MS: u64 = 1_000;
const FAR_AWAY: &str = "1000000000";
/// Until everybody has done what there is to do after a start.
const SETTLE: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_secs(30);

/// What it costs, without the node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Idle {
    pub(super) cost: Cost,
    pub(super) processor_ms_per_minute: f64,
    pub(super) started_per_minute: f64,
}

/// Looks at a supervisor of a node whose next upgrade was scheduled ahead by hand.
pub(super) fn idle(subject: &Subject, folder: &Path) -> Result<Idle> {
    let mut cared = subject.prepare(folder, BLOCK_MS, &[])?;
    let program = subject.node.to_string_lossy().into_owned();
    cared.call(&["add-upgrade", "far", &program, "--upgrade-height", FAR_AWAY])?;
    cared.start()?;
    std::thread::sleep(SETTLE);
    let (root, node) = (cared.root.as_ref().context("find the supervisor")?.id(), cared.node()?);
    // What it starts only to ask the node comes and goes.
    let asks = |pid: &u32| processes::arguments(*pid).get(1).is_some_and(|word| word == "status");
    let own: Vec<u32> = naming(&cared.home).into_iter().filter(|pid| *pid != node && !asks(pid)).collect();
    ensure!(own.contains(&root), "see the supervisor wait: {}", cared.last_words());
    let asked = || fs::read_to_string(cared.home.join("asked")).unwrap_or_default().lines().count();
    let (asked_before, ms_before, began) = (asked(), processes::processor_ms(&own), Instant::now());
    std::thread::sleep(WINDOW);
    let started = u32::try_from(asked() - asked_before).unwrap_or(u32::MAX);
    let used_ms = processes::processor_ms(&own) - ms_before;
    let per_minute = 60.0 / began.elapsed().as_secs_f64();
    ensure!(cared.node()? == node && cared.is_there(), "see the node left alone: {}", cared.last_words());
    Ok(Idle {
        // Looked at last: reading the memory of a process may wake it.
        cost: processes::cost(&own),
        processor_ms_per_minute: used_ms * per_minute,
        started_per_minute: f64::from(started) * per_minute,
    })
}
