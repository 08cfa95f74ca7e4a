//! The ground the demo stands on: a temporary home, a daemon of its own, and the waits.
//!
//! Owns everything that the demo starts or makes, and takes it away again when it is dropped, whatever happened before.
//! It reaches the node as anybody would: through the control API, the files that the node leaves, and signals.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fakenode::Profile;
use fakenode::lifecycle::{self, Entry, Step as NodeStep};
use ov_client::Client;
use ov_sys::background::{Background, kill_process};
use ov_sys::host::{self, RunningProcess};
use ov_sys::process::Ending;
use ov_sys::{Disk as _, RealDisk, durable};
use ov_types::api::{NewPlan, PlanPhase, PlanStatus, Status, UnitStatus};
use ov_types::record::Outcome;
use ov_types::{FailurePolicy, PlanId, ReleaseName, Trigger, UnitState};

use super::interrupt::Interrupt;
use super::tell::Teller;
use super::{CONFIGURATION, Stop};
use crate::failure::Failure;
use crate::output::Console;
use crate::pause::pause;
use crate::session;

/// How long anything may take before the demo says that it did not happen.
const WAIT_MS_MAX: u64 = 60_000;
/// How often to look.
const LOOK_EVERY: Duration = Duration::from_millis(15);
/// How long the daemon may take to stop the node, when the demo tidies up.
const STOP_MS_MAX: u64 = 20_000;
/// More output than a node of the demo ever makes.
const OUTPUT_LEN_MAX: u64 = 16 << 20;

/// Everything the demo started and made.
#[derive(Debug)]
pub(super) struct Ground<'a> {
    /// The node's home.
    pub(super) home: PathBuf,
    /// Where the node answers.
    pub(super) address: SocketAddr,
    /// What is told.
    pub(super) teller: &'a Teller<'a>,
    program: PathBuf,
    interrupt: Interrupt,
    daemon: Option<Background>,
    keep: bool,
}

impl<'a> Ground<'a> {
    /// Makes a home: a new temporary one, or the named folder, which has to be empty.
    pub(super) fn prepare(named: Option<&Path>, keep: bool, teller: &'a Teller<'a>) -> Result<Self, Failure> {
        let program =
            std::env::current_exe().map_err(|error| Failure::file("find", Path::new("our own program"), &error))?;
        let interrupt =
            Interrupt::listen().map_err(|error| Failure::file("listen to", Path::new("signals"), &error))?;
        let address = own_address().map_err(|error| Failure::file("listen on", Path::new("127.0.0.0/8"), &error))?;
        let home = make_home(named)?;
        let ground = Self { home, address, teller, program, interrupt, daemon: None, keep: keep || named.is_some() };
        let configuration = CONFIGURATION.replace("ADDRESS", &address.to_string());
        let path = ground.home.join(crate::home::CONFIGURATION);
        durable::replace(&RealDisk, &path, configuration.as_bytes(), 0o644)
            .map_err(|error| Failure::file("write", &path, &error))?;
        Ok(ground)
    }

    /// The home stays when the demo is over: somebody will want to look.
    pub(super) fn keep(&mut self) {
        self.keep = true;
    }

    /// Whether it does.
    pub(super) fn is_kept(&self) -> bool {
        self.keep
    }

    // ---- releases and plans --------------------------------------------------------------------------------------

    /// Lays out a release to be staged from.
    pub(super) fn make_release(&self, profile: &Profile) -> Result<(ReleaseName, PathBuf), Stop> {
        let directory = self.home.join("incoming").join(&profile.version);
        profile.install(&directory, &self.program).map_err(|error| Stop::deviated(&error))?;
        Ok((ReleaseName::new(profile.version.clone()).map_err(|error| Stop::deviated(&error))?, directory))
    }

    /// Queues a plan, as `omnivisor plan add` would.
    pub(super) fn plan(&self, profile: &Profile, trigger: Trigger) -> Result<PlanId, Stop> {
        let (release, source) = self.make_release(profile)?;
        let wish = NewPlan {
            release,
            trigger,
            on_failure: Some(FailurePolicy::Rollback),
            source: Some(crate::home::absolute(&source)?),
            sha256: None,
            keep: None,
            replaces: None,
        };
        let done = self.ask(|client| client.add_plan(&wish))?;
        done.plan.ok_or_else(|| Stop::Deviated("the plan was taken, but got no number".to_owned()))
    }

    /// How far a plan is.
    pub(super) fn plan_status(&self, plan: PlanId) -> Result<PlanStatus, Stop> {
        let plans = self.ask(|client| client.plans(true))?;
        let found = plans.into_iter().find(|status| status.plan.id == plan);
        found.ok_or_else(|| Stop::Deviated(format!("plan {plan} is not known any more")))
    }

    /// Waits until a plan is over, and makes sure that it ended as wanted.
    pub(super) fn wait_for_end(&self, plan: PlanId, wanted: Outcome) -> Result<PlanStatus, Stop> {
        let ended = self.wait_for(&format!("the end of upgrade {plan}"), || {
            let status = self.plan_status(plan)?;
            let over = matches!(status.phase, PlanPhase::Ended { .. } | PlanPhase::NeedsOperator { .. });
            Ok(over.then_some(status))
        })?;
        match &ended.phase {
            PlanPhase::Ended { outcome, .. } if *outcome == wanted => Ok(ended),
            PlanPhase::Ended { outcome, because } => {
                let because = because.as_ref().map(|problem| format!(": failed to {problem}")).unwrap_or_default();
                Err(Stop::Deviated(format!("upgrade {plan} was to end {wanted:?}, and ended {outcome:?}{because}")))
            }
            phase => Err(Stop::Deviated(format!("upgrade {plan} was to end {wanted:?}, and stands at {phase:?}"))),
        }
    }

    // ---- the daemon ----------------------------------------------------------------------------------------------

    /// Starts a daemon, and waits until it answers. Its process id.
    pub(super) fn start_daemon(&mut self) -> Result<u32, Stop> {
        let log = self.daemon_log();
        let arguments = ["--home".into(), self.home.clone().into_os_string(), "run".into()];
        // What a service manager told the demo is not for its daemon.
        let environment = [("NOTIFY_SOCKET", None), ("WATCHDOG_USEC", None), ("OMNIVISOR_HOME", None)];
        let daemon = Background::start(&self.program, arguments, &environment, &log)
            .map_err(|error| Failure::file("start the daemon of", &self.home, &error))?;
        let pid = daemon.pid();
        self.daemon = Some(daemon);
        // Not a closure over `self`: the daemon's end is looked at, too.
        let began_ms = Console::monotonic_ms();
        while self.client().status().is_err() {
            if let Some(ending) = self.daemon_ended()? {
                return Err(Stop::Deviated(format!("the daemon was to run, and ended: {ending:?}")));
            }
            self.rest("the daemon to answer", began_ms)?;
        }
        Ok(pid)
    }

    /// Kills the daemon with SIGKILL. Its process id.
    pub(super) fn kill_daemon(&mut self) -> Result<u32, Stop> {
        let mut daemon = self.daemon.take().ok_or_else(|| Stop::Deviated("there is no daemon".to_owned()))?;
        let pid = daemon.pid();
        let ending = daemon.kill().map_err(|error| Stop::deviated(&error))?;
        match ending {
            Ending::Signaled(9) => Ok(pid),
            ending => Err(Stop::Deviated(format!("the daemon was to be killed, and ended by itself: {ending:?}"))),
        }
    }

    /// Stops the node and the daemon as a person would, and makes sure that nothing is left.
    pub(super) fn stop(&mut self) -> Result<(), Stop> {
        self.ask(|client| client.stop(false))?;
        let began_ms = Console::monotonic_ms();
        let ending = loop {
            match self.daemon_ended()? {
                Some(ending) => break ending,
                None => self.rest("the daemon to end", began_ms)?,
            }
        };
        self.daemon = None;
        if ending != Ending::Exited(0) {
            return Err(Stop::Deviated(format!("the daemon was to end well, and ended: {ending:?}")));
        }
        match self.left_over().as_slice() {
            [] => Ok(()),
            left => Err(Stop::Deviated(format!("processes are left: {:?}", pids(left)))),
        }
    }

    fn daemon_ended(&mut self) -> Result<Option<Ending>, Stop> {
        self.daemon.as_mut().map_or(Ok(None), |daemon| daemon.ended().map_err(|error| Stop::deviated(&error)))
    }

    /// Where the daemons' own lines are.
    pub(super) fn daemon_log(&self) -> PathBuf {
        self.home.join("daemon.log")
    }

    // ---- looking -------------------------------------------------------------------------------------------------

    /// Asks the daemon something.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(&Client) -> Result<T, ov_client::ClientError>,
    ) -> Result<T, Stop> {
        Ok(session::ask(&self.home, question)?)
    }

    fn client(&self) -> Client {
        Client::new(&self.home)
    }

    /// How the node is.
    pub(super) fn status(&self) -> Result<Status, Stop> {
        self.ask(Client::status)
    }

    /// The height the daemon saw last.
    pub(super) fn height(&self) -> Result<u64, Stop> {
        Ok(self.status()?.height.map_or(0, |height| height.0))
    }

    /// Everything that the node noted about its own life.
    pub(super) fn life(&self) -> Result<Vec<Entry>, Stop> {
        lifecycle::read(&self.home).map_err(|error| Stop::deviated(&error))
    }

    /// How often the node heard that it should stop, as its output tells.
    pub(super) fn stops_heard(&self) -> Result<usize, Stop> {
        let path = self.home.join(".omnivisor/logs/main.log");
        let output = RealDisk.read(&path, OUTPUT_LEN_MAX).map_err(|error| Stop::deviated(&error))?;
        Ok(String::from_utf8_lossy(&output).matches("received SIGTERM, stopping").count())
    }

    /// Waits until main is ready, runs this version, and is this high; with its process, as the daemon and the node
    /// itself tell it.
    pub(super) fn wait_for_main(&self, version: &str, height: u64) -> Result<(Status, u32), Stop> {
        self.wait_for(&format!("{version} to make block {height}"), || {
            let status = self.status()?;
            let seen = status.height.is_some_and(|seen| seen.0 >= height);
            let ready =
                main_of(&status).filter(|main| main.state == UnitState::Ready && seen).and_then(|main| main.pid);
            let life = self.life()?;
            let last = life.iter().rev().find(|entry| entry.step == NodeStep::Exec);
            let right = last.filter(|last| last.version == version && Some(last.pid) == ready);
            Ok(right.map(|last| (status, last.pid)))
        })
    }

    /// Waits until `look` finds something.
    pub(super) fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Result<Option<T>, Stop>) -> Result<T, Stop> {
        let began_ms = Console::monotonic_ms();
        loop {
            if let Some(found) = look()? {
                return Ok(found);
            }
            self.rest(what, began_ms)?;
        }
    }

    /// A pause between two looks, with a sign of life; or the end of patience.
    fn rest(&self, what: &str, began_ms: u64) -> Result<(), Stop> {
        if self.interrupt.is_asked() {
            return Err(Stop::Interrupted);
        }
        if Console::monotonic_ms().saturating_sub(began_ms) > WAIT_MS_MAX {
            let bound = crate::output::span(WAIT_MS_MAX);
            return Err(Stop::Deviated(format!("waited {bound} in vain for {what}")));
        }
        let height = self.client().status().ok().and_then(|status| status.height);
        let height = height.map(|height| format!("height {height}, ")).unwrap_or_default();
        self.teller.progress(&format!("{height}waiting for {what}"))?;
        pause(LOOK_EVERY);
        Ok(())
    }

    // ---- tidying up ----------------------------------------------------------------------------------------------

    /// Processes of this home that live: our own program file, or one that lies in the home, which names the home.
    fn left_over(&self) -> Vec<RunningProcess> {
        let names_home = |process: &RunningProcess| {
            let home = self.home.as_os_str().as_encoded_bytes();
            process.arguments.iter().any(|word| word.as_encoded_bytes().starts_with(home))
        };
        let is_ours = |process: &RunningProcess| {
            let serves = ["run", "shim"].iter().any(|word| process.arguments.iter().any(|argument| argument == word));
            let from = process.program.as_deref();
            from.is_some_and(|from| from.starts_with(&self.home) || from == self.program && serves)
        };
        let running = host::running_processes().unwrap_or_default();
        running.into_iter().filter(|process| names_home(process) && is_ours(process)).collect()
    }

    /// Ends what still runs: in order if there is a daemon, else by SIGKILL, shims first.
    fn end_everything(&mut self) {
        let is_stopping = self.daemon.is_some() && self.client().patience(Duration::from_secs(5)).stop(false).is_ok();
        let began_ms = Console::monotonic_ms();
        let waited_ms = || Console::monotonic_ms().saturating_sub(began_ms);
        while is_stopping && matches!(self.daemon_ended(), Ok(None)) && waited_ms() < STOP_MS_MAX {
            pause(LOOK_EVERY);
        }
        // Dropped, it is killed if it still runs.
        self.daemon = None;
        while waited_ms() < 2 * STOP_MS_MAX {
            let mut left = self.left_over();
            if left.is_empty() {
                return;
            }
            // A shim that outlives its process would keep a record of how it ended; this home has no more use for it.
            left.sort_by_key(|process| !process.arguments.iter().any(|word| word == "shim"));
            for process in left {
                // It is looked at again.
                let _ = kill_process(process.pid, process.start_ticks);
            }
            pause(LOOK_EVERY);
        }
    }
}

impl Drop for Ground<'_> {
    fn drop(&mut self) {
        self.teller.quiet();
        self.end_everything();
        if !self.keep {
            // What cannot be removed is in a folder for temporary files.
            let _ = durable::remove_tree(&RealDisk, &self.home);
        }
    }
}

/// Kills a process of the node with SIGKILL. When that was, on the clock of the node's own notes.
pub(super) fn kill_node(pid: u32) -> Result<u64, Stop> {
    let facts = host::process_facts(pid).map_err(|error| Stop::deviated(&error))?;
    let started = facts.ok_or_else(|| Stop::Deviated(format!("process {pid} is not there to be killed")))?;
    let now_ns = lifecycle::monotonic_ns();
    if kill_process(pid, started.start_ticks).map_err(|error| Stop::deviated(&error))? {
        return Ok(now_ns);
    }
    Err(Stop::Deviated(format!("process {pid} ended before it could be killed")))
}

/// The unit that is the node.
pub(super) fn main_of(status: &Status) -> Option<&UnitStatus> {
    status.units.iter().find(|unit| unit.name.is_main())
}

fn pids(processes: &[RunningProcess]) -> Vec<u32> {
    processes.iter().map(|process| process.pid).collect()
}

/// A new temporary folder, or the named one, which has to be empty.
fn make_home(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let make = |path: &Path| durable::make_directories(&RealDisk, path, 0o700);
    if let Some(named) = named {
        make(named).map_err(|error| Failure::file("make", named, &error))?;
        let names = RealDisk.list(named).map_err(|error| Failure::file("look into", named, &error))?;
        if names.is_empty() {
            return Ok(named.to_owned());
        }
        let hint = "name a folder that does not exist yet, or none at all";
        return Err(Failure::usage(format!("use {} for a demo, because it is not empty", named.display()), hint));
    }
    let folder = std::env::temp_dir();
    let mut number = 0;
    loop {
        let home = folder.join(format!("omnivisor-demo-{}-{number}", std::process::id()));
        match RealDisk.make_directory(&home, 0o700) {
            Ok(()) => return Ok(home),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(Failure::file("make", &home, &error)),
        }
    }
}

/// A loopback address that is free, with a port that the system gives to nobody by itself.
fn own_address() -> std::io::Result<SocketAddr> {
    let process = std::process::id().to_be_bytes();
    let mut last = std::io::ErrorKind::AddrInUse.into();
    for number in 1..=100 {
        let address = SocketAddr::from(([127, 100 + process[2] % 100, process[3], number], 26_657));
        match TcpListener::bind(address) {
            Ok(_) => return Ok(address),
            Err(error) => last = error,
        }
    }
    Err(last)
}
