//! One case: a scenario, and the points at which one daemon after the other dies in it.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ov_client::Since;
use ov_testkit::{PATIENCE, TestNode, marked_processes, wait_until};
use ov_types::EventKind;

use super::scenario::Scenario;

/// Cases that are under way at once: they wait more than they work.
const AT_ONCE: usize = 6;

/// A scenario, and where the daemons die that take turns in it.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) scenario: &'static Scenario,
    /// As in `OMNIVISOR_CRASH_AT`.
    pub(super) deaths: Vec<String>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.scenario.name, self.deaths.join(","))
    }
}

/// Who is to die in a daemon's turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dying {
    Daemon,
    /// The shim that this daemon starts; every one that it starts, in fact.
    Shim,
    Nobody,
}

/// How a daemon's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The program, or its shim, killed itself as told.
    Died,
    /// Everything was done before that.
    Done,
}

impl Case {
    /// Runs it, and says how many of the deaths happened.
    pub(super) fn run(&self) -> usize {
        let mut node = (self.scenario.home)();
        let mut died = 0;
        for point in &self.deaths {
            node.set_environment("OMNIVISOR_CRASH_AT", point);
            node.spawn();
            let whose = if point.starts_with("shim-") { Dying::Shim } else { Dying::Daemon };
            if self.turn(&mut node, whose) == Turn::Died {
                died += 1;
            }
        }
        node.unset_environment("OMNIVISOR_CRASH_AT");
        node.spawn();
        assert_eq!(self.turn(&mut node, Dying::Nobody), Turn::Done, "the last daemon must live");
        // The last turn left its daemon to be looked at.
        self.check(&mut node);
        died
    }

    /// Lets the present daemon go on until it dies or everything is done.
    fn turn(&self, node: &mut TestNode, whose: Dying) -> Turn {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let done = (self.scenario.advance)(node).unwrap_or(false);
            if let Some(exit) = node.try_exit() {
                assert_eq!(exit.status.signal(), Some(9), "it died in another way: {}\n{}", exit.status, exit.log);
                return Turn::Died;
            }
            if whose == Dying::Shim && lost_a_shim(node) {
                node.kill_daemon();
                return Turn::Died;
            }
            if done {
                if whose != Dying::Nobody {
                    node.kill_daemon();
                }
                return Turn::Done;
            }
            assert!(Instant::now() < deadline, "it does not come to its end: {:?}", node.client().status());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What must hold whatever died.
    fn check(&self, node: &mut TestNode) {
        let wanted = self.scenario.ends_with;
        let pid = node.wait_for_up("main");
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
        assert_eq!(program, node.path(&format!("releases/{wanted}/bin/fakenode")), "the right program runs");
        let running = |pid: &u32| std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program);
        assert_eq!(marked_processes(node.home()).iter().filter(|pid| running(pid)).count(), 1, "one main");
        assert_eq!(node.current(), wanted);
        let releases = node.client().releases().unwrap();
        let current: Vec<_> = releases.iter().filter(|release| release.current).collect();
        assert!(matches!(&current[..], [one] if one.complete && one.name.as_str() == wanted), "{releases:?}");
        assert!(!node.client().history(None, None).unwrap().is_empty(), "the history can be read");
        (self.scenario.check)(node);
        let height = node.status().height.unwrap_or_default().0;
        wait_until("blocks to go on", || node.status().height.is_some_and(|seen| seen.0 > height));
        let exit = node.stop();
        assert!(exit.status.success(), "{}", exit.log);
        node.check_data();
        for folder in [".", "releases", "snapshots"] {
            assert_eq!(leftovers(&node.path(folder)), Vec::<String>::new(), "leftovers in {folder}");
        }
    }
}

/// Hidden names, which are those of things that are half made or half removed; ours in the home is no such thing.
fn leftovers(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.') && name != ".omnivisor").collect()
}

/// Whether a shim was lost: nothing else ends main without anybody seeing how, or keeps it from being launched.
fn lost_a_shim(node: &TestNode) -> bool {
    let events = node.client().events(Since::Oldest).unwrap_or_default();
    events.iter().any(|event| {
        matches!(event.kind, EventKind::UnitExited { status: None, .. } | EventKind::UnitNotStarted { .. })
    })
}

/// Runs many cases, some at once, and fails with the names of those that failed. Says of each how many deaths it saw.
#[expect(clippy::print_stdout, reason = "`cargo xtask crash` shows how far it is")]
pub(super) fn run_all(cases: &[Case]) -> Vec<usize> {
    let queue = Mutex::new(cases.iter().enumerate());
    let done = Mutex::new(vec![0; cases.len()]);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((index, case)) = { queue.lock().unwrap().next() } {
                    match catch_unwind(AssertUnwindSafe(|| case.run())) {
                        Ok(died) => {
                            println!("{case}: {died} deaths");
                            done.lock().unwrap()[index] = died;
                        }
                        Err(_) => failed.lock().unwrap().push(format!("cargo xtask crash --case {case}")),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{} of {} cases failed; replay with:\n{}", failed.len(), cases.len(), failed.join("\n"));
    done.into_inner().unwrap()
}
