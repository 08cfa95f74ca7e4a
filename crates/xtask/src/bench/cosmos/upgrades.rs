//! Upgrades one after the other: how soon each is noticed, how long nothing runs, how long the whole takes.

use std::path::Path;
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use fakenode::lifecycle::Step;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::subject::{Cared, PATIENCE, Subject};
use crate::bench::child::now_ns;
use crate::bench::crowd::milliseconds;
use crate::bench::switch::make_data;
use crate::processes::wait_until;

const BLOCK_MS: u64 = 50;
/// Longer than it takes to prove a new release.
const BLOCKS_BETWEEN: u64 = 160;

/// What one upgrade took.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "units come last")]
pub(super) struct Upgrade {
    /// From the plan's writing until somebody knows of it.
    pub(super) noticed_ms: f64,
    /// From the plan's writing to the end of the old process.
    pub(super) stopped_ms: f64,
    /// From there to the first instruction of the new one.
    pub(super) gap_ms: f64,
    /// From the plan's writing to the first instruction of the new process.
    pub(super) whole_ms: f64,
}

/// Who knows of the upgrades before the node halts for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foresight {
    /// Nobody: the node writes the plan at its halt.
    None,
    /// A supervisor that can be told of several: by a schedule here, by the node over gRPC otherwise.
    Scheduled,
}

/// Takes a node with so much data through upgrades.
pub(super) fn upgrades(
    subject: &Subject,
    folder: &Path,
    data_bytes: u64,
    count: usize,
    foresight: Foresight,
) -> Result<Vec<Upgrade>> {
    let schedule: Vec<(String, u64)> =
        (1..=count as u64).map(|number| (format!("u{number}"), number * BLOCKS_BETWEEN)).collect();
    let mut cared = subject.prepare(folder, BLOCK_MS, &schedule)?;
    make_data(&cared.home.join("data/application.db"), data_bytes)?;
    if foresight == Foresight::Scheduled {
        let program = subject.node.display();
        let list: Vec<String> = schedule.iter().map(|(name, height)| format!("{name}:{program}:{height}")).collect();
        cared.call(&["add-batch-upgrade", "--upgrade-list", &list.join(",")])?;
    }
    cared.start()?;
    (1..=count).map(|number| next(&mut cared, number)).collect()
}

/// Waits for the next upgrade, the `number`th.
fn next(cared: &mut Cared, number: usize) -> Result<Upgrade> {
    let gone = watch(cared.node()?)?;
    wait_until("the node to halt", PATIENCE, || cared.entries(Step::Halted).len() >= number)?;
    let mut is_there = true;
    wait_until("the new process to run", PATIENCE, || {
        is_there = cared.is_there();
        !is_there || cared.entries(Step::Exec).len() > number
    })?;
    ensure!(is_there, "see the supervisor go on: {}", cared.last_words());
    let written_ns = cared.entries(Step::Halted).get(number - 1).context("find the halt")?.monotonic_ns;
    let new = cared.entries(Step::Exec).into_iter().nth(number).context("find the new process")?;
    ensure!(new.version == format!("u{number}"), "see the upgrade {number}: {} runs", new.version);
    let gone_ns = gone.join().ok().context("watch the old process")??;
    let from = |early: u64, late: u64| milliseconds(late.saturating_sub(early));
    // The original tells nobody, but kills the old process as soon as it knows.
    let noticed_ns = cared.plan_known_ns(number)?.unwrap_or(gone_ns);
    Ok(Upgrade {
        noticed_ms: from(written_ns, noticed_ns),
        stopped_ms: from(written_ns, gone_ns),
        gap_ms: from(gone_ns, new.monotonic_ns),
        whole_ms: from(written_ns, new.monotonic_ns),
    })
}

/// When a process ended.
fn watch(pid: u32) -> Result<JoinHandle<rustix::io::Result<u64>>> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("make sense of a process id")?;
    let process = pidfd_open(pid, PidfdFlags::empty()).context("watch the old process")?;
    Ok(std::thread::spawn(move || poll(&mut [PollFd::new(&process, PollFlags::IN)], None).map(|_| now_ns())))
}
