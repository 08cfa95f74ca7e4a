//! The keeper's part of a launch: everything around the process that has to be in place before it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Keeper;
use crate::clock::now_unix_ms;
use crate::crash::CrashPoint;
use crate::launch::{LaunchError, Stage, Surroundings, UNIT_VARIABLE, spawn};
use crate::notify::NotifySocket;
use crate::orphans;
use crate::protocol::{Event, Phase};
use crate::pump::Pump;
use crate::record::RunRecord;
use crate::run::{Ending, Run};
use crate::spec::{Output, Spec};
use crate::tree::{self, ProcessStat};

/// How often a unit that starts processes in its first moments is looked through for those.
const GATHER_PASSES_MAX: usize = 8;

impl Keeper {
    /// Launches the unit, and tells what came of it. Only called while nothing runs.
    pub(super) fn launch(&mut self, spec: &Spec) {
        let run = spec.run;
        match self.try_launch(spec) {
            Ok(pid) => {
                self.tell(Event::Launched { run, pid });
                // The kernel moves a process only after a grace period of ten milliseconds and more: nobody waits for
                // that, neither the unit nor the daemon.
                let cgroup = spec.cgroup.as_deref().filter(|cgroup| gather(cgroup, pid));
                if let Some(run) = &mut self.run {
                    run.cgroup = cgroup.map(Path::to_owned);
                }
            }
            Err(LaunchError { stage, message }) => {
                let stage = stage.name().to_owned();
                self.tell(Event::LaunchFailed { run, stage, message });
            }
        }
    }

    fn try_launch(&mut self, spec: &Spec) -> Result<u32, LaunchError> {
        self.refuse_beside_orphans()?;
        let leases = Arc::new(take_leases(&spec.leases)?);
        let output = self.prepare_output(spec)?;
        let mut environment = vec![(UNIT_VARIABLE, self.marker(spec.run))];
        if spec.notify {
            environment.push(("NOTIFY_SOCKET", self.prepare_notify(spec)?));
        }
        let mut record = RunRecord {
            run: spec.run,
            phase: Phase::Launching,
            boot_id: orphans::boot_id(),
            launched_at_unix_ms: now_unix_ms(),
            ..RunRecord::default()
        };
        self.write_record(&record)?;
        CrashPoint::AfterLaunchingRecord.reached();
        let surroundings = Surroundings { output, environment, leases: Arc::clone(&leases) };
        let spawned = spawn(spec, surroundings);
        CrashPoint::AfterSpawn.reached();
        let pid = spawned.as_ref().ok().copied();
        record.phase = if pid.is_some() { Phase::Running } else { Phase::Empty };
        record.pid = pid;
        // It is our child and not reaped: the process is there, if only as a zombie.
        record.start_ticks = pid.and_then(ProcessStat::of).map(|stat| stat.start_ticks);
        let recorded = self.write_record(&record);
        let leases = if pid.is_some() { leases } else { Arc::default() };
        self.run = Some(Run {
            record,
            acknowledged: false,
            leases,
            cgroup: None,
            ready: false,
            status_text: None,
            leftover_grace: Duration::from_millis(spec.leftover_grace_ms),
            ending: Ending::default(),
        });
        if let Err(error) = recorded {
            self.complain(error.message);
        }
        spawned
    }

    /// A process of an earlier run that lost its shim still is that unit's process: there must
    /// never be two.
    fn refuse_beside_orphans(&mut self) -> Result<(), LaunchError> {
        let Some(last) = self.predecessor.as_mut().filter(|last| last.phase != Phase::Empty) else {
            return Ok(());
        };
        let found = orphans::find_with(self.directory.path(), Some(last));
        if found.is_empty() {
            last.phase = Phase::Empty;
            return Ok(());
        }
        let pids: Vec<u32> = found.iter().map(|orphan| orphan.pid).collect();
        let message = format!("processes of run {} live without their shim: {pids:?}", last.run);
        Err(LaunchError { stage: Stage::Orphans, message })
    }

    fn prepare_output(&mut self, spec: &Spec) -> Result<Option<OwnedFd>, LaunchError> {
        let Output::Pump(settings) = &spec.output else {
            return Ok(None);
        };
        let failed = |error| LaunchError::new(Stage::Output, &settings.path, &error);
        let pump = match &mut self.pump {
            Some(pump) => {
                pump.set(settings.clone());
                pump
            }
            none => none.insert(Pump::new(settings.clone()).map_err(failed)?),
        };
        pump.writer().map(Some).map_err(failed)
    }

    fn prepare_notify(&mut self, spec: &Spec) -> Result<std::ffi::OsString, LaunchError> {
        // Made anew for each run: nothing that an earlier one said is taken for this one's.
        let socket = NotifySocket::open(&self.directory, spec.user)
            .map_err(|error| LaunchError::new(Stage::Output, "notify socket", &error))?;
        Ok(self.notify.insert(socket).address())
    }

    fn marker(&self, run: u64) -> std::ffi::OsString {
        let mut marker = self.directory.path().as_os_str().to_owned();
        marker.push(format!(":{run}"));
        marker
    }

    fn write_record(&mut self, record: &RunRecord) -> Result<(), LaunchError> {
        let written = self.record.write(record, false);
        written.map_err(|error| LaunchError::new(Stage::Record, self.directory.path(), &error))
    }
}

/// Locks every lease, or none.
fn take_leases(paths: &[PathBuf]) -> Result<Vec<OwnedFd>, LaunchError> {
    let mut leases = Vec::with_capacity(paths.len());
    for path in paths {
        let lease = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .and_then(|file| file.try_lock().map(|()| file).map_err(io::Error::from));
        leases.push(lease.map_err(|error| LaunchError::new(Stage::Lease, path, &error))?.into());
    }
    Ok(leases)
}

/// Makes a cgroup and moves the main process into it, with what that has started meanwhile. Says whether it is there;
/// where we may not do that, the unit runs without one. Whatever slips through is found as a part of the tree.
fn gather(cgroup: &Path, main: u32) -> bool {
    match fs::create_dir(cgroup) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return false,
        _ => {}
    }
    // Only cgroups of version 2 have this file.
    let is_ours = cgroup.join("cgroup.kill").exists() && enter(cgroup, main);
    if !is_ours {
        let _ = fs::remove_dir(cgroup);
        return false;
    }
    for _ in 0..GATHER_PASSES_MAX {
        let inside = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        let inside: Vec<u32> = inside.lines().filter_map(|pid| pid.parse().ok()).collect();
        let mut outside = tree::descendants(std::process::id());
        outside.retain(|pid| !inside.contains(pid) && ProcessStat::of(*pid).is_some_and(ProcessStat::lives));
        let before = outside.len();
        // A pid comes again only after all others: it cannot have become a stranger's since it was seen here.
        outside.retain(|pid| !(tree::is_under(std::process::id(), *pid) && enter(cgroup, *pid)));
        if outside.len() == before {
            break;
        }
    }
    true
}

fn enter(cgroup: &Path, pid: u32) -> bool {
    File::options().write(true).open(cgroup.join("cgroup.procs")).is_ok_and(|mut procs| {
        // In one write, as the kernel wants it.
        procs.write_all(pid.to_string().as_bytes()).is_ok()
    })
}
