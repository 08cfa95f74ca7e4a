//! One run of a unit, from its launch until its tree is empty, and how it is brought to its end.
//!
//! The end has two stages: asked (a signal, then time to follow it), and killed (SIGKILL to the
//! whole tree, again and again until the kernel says that nothing is left). Owns the leases and the
//! times; the keeper reaps and tells it what it reaped.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::protocol::{Phase, Scope};
use crate::record::RunRecord;
use crate::tree;

/// The pause after the first attempt at killing a tree; it doubles.
const KILL_PAUSE: Duration = Duration::from_millis(2);
const KILL_PAUSE_MAX: Duration = Duration::from_millis(500);
/// After this long a tree that is not empty is reported.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) record: RunRecord,
    /// Whether the daemon has read how it ended.
    pub(crate) acknowledged: bool,
    /// Kept locked until the run is over.
    pub(crate) leases: Arc<Vec<OwnedFd>>,
    /// The cgroup that it really is in.
    pub(crate) cgroup: Option<PathBuf>,
    /// Whether it has said `READY=1`.
    pub(crate) ready: bool,
    /// The last `STATUS=` it said.
    pub(crate) status_text: Option<String>,
    pub(crate) leftover_grace: Duration,
    pub(crate) ending: Ending,
}

/// How far the end of a run is.
#[derive(Debug, Default)]
pub(crate) enum Ending {
    /// Nobody asked for it.
    #[default]
    NotAsked,
    /// It was asked, and is killed at that time.
    Asked { signal: i32, kill_at: Instant },
    /// It is being killed.
    Killing { since: Instant, next_at: Instant, pause: Duration, reported: bool },
}

impl Run {
    /// The main process, as long as it has not been reaped: until then its pid is its own.
    pub(crate) fn main(&self) -> Option<Pid> {
        let running = self.record.phase == Phase::Running;
        let pid = self.record.pid.filter(|_| running)?;
        i32::try_from(pid).ok().and_then(Pid::from_raw)
    }

    /// Asks for the end. Asked again, only an earlier end or another signal makes a difference.
    pub(crate) fn stop(&mut self, number: i32, grace: Duration, scope: Scope, now: Instant) {
        let mut kill_at = now.checked_add(grace).unwrap_or(now);
        let known = match self.ending {
            Ending::NotAsked => None,
            Ending::Asked { signal, kill_at: earlier } => {
                kill_at = kill_at.min(earlier);
                Some(signal)
            }
            Ending::Killing { .. } => return,
        };
        self.ending = Ending::Asked { signal: number, kill_at };
        if known != Some(number) {
            self.signal(number, scope);
        }
        // A process that is stopped gets its signal only when it goes on.
        self.signal(Signal::CONT.as_raw(), scope);
        if kill_at <= now {
            self.on_time(now);
        }
    }

    /// Sends a signal to the main process or its group; to what is left once it has ended.
    pub(crate) fn signal(&self, number: i32, scope: Scope) {
        let Some(signal) = Signal::from_named_raw(number) else {
            return;
        };
        match (self.main(), scope) {
            (Some(main), Scope::Group) if rustix::process::kill_process_group(main, signal).is_ok() => {}
            // The group is there as long as the main process has not been reaped, unless that
            // process moved to another one: then it is signalled alone. Its ending since then is
            // not an error.
            (Some(main), _) => drop(rustix::process::kill_process(main, signal).is_ok()),
            (None, _) => drop(tree::signal_tree(std::process::id(), signal)),
        }
    }

    /// The main process is gone and others are not: they are asked to end too.
    pub(crate) fn end_leftovers(&mut self, now: Instant) {
        let mut kill_at = now.checked_add(self.leftover_grace).unwrap_or(now);
        match self.ending {
            Ending::Killing { .. } => return,
            Ending::Asked { kill_at: earlier, .. } => kill_at = kill_at.min(earlier),
            Ending::NotAsked => {}
        }
        let signal = Signal::TERM.as_raw();
        self.ending = Ending::Asked { signal, kill_at };
        self.signal(signal, Scope::Group);
        self.signal(Signal::CONT.as_raw(), Scope::Group);
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.ending {
            _ if self.record.phase == Phase::Empty => None,
            Ending::NotAsked => None,
            Ending::Asked { kill_at, .. } => Some(kill_at),
            Ending::Killing { next_at, .. } => Some(next_at),
        }
    }

    /// Kills when it is time. Returns what a person should know.
    pub(crate) fn on_time(&mut self, now: Instant) -> Option<String> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return None;
        }
        let (since, pause, mut reported) = match self.ending {
            Ending::Killing { since, pause, reported, .. } => (since, pause, reported),
            _ => (now, KILL_PAUSE, false),
        };
        self.kill_tree();
        let mut trouble = None;
        if !reported && now.duration_since(since) > KILL_PATIENCE {
            reported = true;
            let left = tree::descendants(std::process::id());
            trouble = Some(format!("processes that do not die after SIGKILL: {left:?}"));
        }
        let next_at = now + pause;
        let pause = (pause * 2).min(KILL_PAUSE_MAX);
        self.ending = Ending::Killing { since, next_at, pause, reported };
        trouble
    }

    /// Goes on killing as soon as something has died: what it left behind is ours now.
    pub(crate) fn on_reaped(&self) {
        if matches!(self.ending, Ending::Killing { .. }) {
            tree::kill_own_children();
        }
    }

    fn kill_tree(&self) {
        if let Some(cgroup) = &self.cgroup {
            // An old kernel has no such file, and a process may have left the group: in any case
            // the tree is gone through as well.
            let _ = fs::write(cgroup.join("cgroup.kill"), "1");
        }
        tree::kill_own_children();
        // A child that cannot die now would protect what is under it.
        tree::signal_tree(std::process::id(), Signal::KILL);
    }
}
