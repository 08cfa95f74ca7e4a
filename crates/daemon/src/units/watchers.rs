//! Watches one launch of a unit: is it ready, is it healthy. Each watcher is a task that asks, counts, and reports;
//! all of them end when the launch does.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ov_chains::NodeShape;
use ov_chains::shape::Readiness;
use ov_engine::UnitReport;
use ov_sys::{Clock, Disk};
use ov_types::{RunId, UnitName};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::probe::{LogMark, Prober, Question, Scene, UnitNow};

use super::launch;

/// What a process said through its notify socket since its launch.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said(Arc<Mutex<Words>>);

#[derive(Debug, Clone, Default)]
struct Words {
    ready: bool,
    alive_at_ms: Option<u64>,
    status: Option<String>,
}

impl Said {
    /// Takes a datagram in.
    pub(crate) fn take(&self, text: &str, now_ms: u64) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in text.lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => words.ready = true,
                Some(("WATCHDOG", "1")) => words.alive_at_ms = Some(now_ms),
                Some(("STATUS", status)) => words.status = Some(status.to_owned()),
                _ => {}
            }
        }
    }

    /// What was known before this daemon.
    pub(crate) fn remember(&self, ready: bool, status: Option<String>) {
        let mut words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (words.ready, words.status) = (ready, status);
    }

    /// What it says of itself.
    pub(crate) fn status(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).status.clone()
    }

    /// `heard_since_ms`: since when anybody listens. Silence before that says nothing.
    fn now(&self, clock: &dyn Clock, heard_since_ms: u64) -> UnitNow {
        let words = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last_ms = words.alive_at_ms.unwrap_or_default().max(heard_since_ms);
        let silent_for = Some(Duration::from_millis(clock.now().monotonic_ms.saturating_sub(last_ms)));
        UnitNow { running: true, said_ready: words.ready, silent_for }
    }
}

/// The watchers of one launch. Dropped, they end.
#[derive(Debug)]
pub(crate) struct Watchers {
    _tasks: JoinSet<()>,
}

/// Everything a watcher works with.
#[derive(Debug, Clone)]
struct Post {
    unit: UnitName,
    run: RunId,
    said: Said,
    clock: Arc<dyn Clock>,
    reports: mpsc::Sender<(UnitName, UnitReport)>,
}

impl Watchers {
    /// Starts the watchers of a launch, which makes a failure good or not. `mark` is where its log stood when it was
    /// launched.
    pub(crate) fn start(
        shape: &NodeShape,
        (unit, run, is_relaunch): (&UnitName, RunId, bool),
        said: &Said,
        mark: Option<LogMark>,
        (disk, clock): (&Arc<dyn Disk>, &Arc<dyn Clock>),
        reports: &mpsc::Sender<(UnitName, UnitReport)>,
    ) -> Self {
        let mut tasks = JoinSet::new();
        let Some(unit_shape) = shape.units.get(unit) else { return Self { _tasks: tasks } };
        let post =
            Post { unit: unit.clone(), run, said: said.clone(), clock: Arc::clone(clock), reports: reports.clone() };
        let scene = |timeout_ms: u64| Scene {
            disk: Arc::clone(disk),
            release: launch::current_release(&**disk, shape),
            environment: Vec::new(),
            directory: Some(shape.layout.home.clone()),
            timeout: Duration::from_millis(timeout_ms),
        };
        if let Some(Readiness { probe, every_ms, timeout_ms }) = &unit_shape.readiness {
            let prober = Prober::new(probe.clone(), Question::Ready, scene(*timeout_ms), mark);
            drop(tasks.spawn(watch_readiness(post.clone(), prober, *every_ms)));
        }
        if let Some(health) = &unit_shape.health {
            let prober = Prober::new(health.probe.clone(), Question::Healthy, scene(health.timeout_ms), None);
            let failures_max = if is_relaunch { health.failures_of_relaunch } else { health.failures };
            drop(tasks.spawn(watch_health(post, prober, health.every_ms, failures_max)));
        }
        Self { _tasks: tasks }
    }
}

async fn watch_readiness(post: Post, mut prober: Prober, every_ms: u64) {
    let began_ms = post.clock.now().monotonic_ms;
    loop {
        let answer = prober.ask(post.said.now(&*post.clock, began_ms)).await;
        if answer.ok {
            let report = UnitReport::Ready { run: post.run, ready: true };
            let _ = post.reports.send((post.unit, report)).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(every_ms.max(10))).await;
    }
}

async fn watch_health(post: Post, mut prober: Prober, every_ms: u64, failures_max: u32) {
    let began_ms = post.clock.now().monotonic_ms;
    let mut failures: u32 = 0;
    let mut told = None;
    loop {
        tokio::time::sleep(Duration::from_millis(every_ms.max(10))).await;
        let answer = prober.ask(post.said.now(&*post.clock, began_ms)).await;
        failures = if answer.ok { 0 } else { failures.saturating_add(1) };
        let verdict = if answer.ok { Some(true) } else { (failures >= failures_max.max(1)).then_some(false) };
        if let Some(healthy) = verdict
            && told != Some(healthy)
        {
            told = Some(healthy);
            let report = UnitReport::Health { run: post.run, healthy, answers: failures, message: answer.message };
            if post.reports.send((post.unit.clone(), report)).await.is_err() {
                return;
            }
        }
    }
}
