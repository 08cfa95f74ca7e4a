//! The keeper: the one thread of a shim, which waits for whatever comes first and acts on it.
//!
//! Owns all that belongs to the unit: lock, record, run, pump, sockets. It never waits for anybody:
//! all it owns is non-blocking, and nothing wakes it while the unit runs and says nothing.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal as NixSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::WaitOptions;

use crate::clock::now_unix_ms;
use crate::connection::Connection;
use crate::crash::CrashPoint;
use crate::memory;
use crate::notify::{NOTIFY_FILE, NotifySocket};
use crate::protocol::{Event, Phase};
use crate::pump::Pump;
use crate::record::{RecordFile, RunRecord};
use crate::run::Run;
use crate::status::ExitStatus;
use crate::unit_dir::{SOCKET_FILE, UnitDir};

mod launch;
mod talk;

/// How long after the last thing it did, other than pumping a little, the shim gives its memory back.
const TIDY_AFTER: Duration = Duration::from_millis(250);
/// How long a shim without a run waits for the next daemon.
const LINGER: Duration = Duration::from_secs(5);

/// The shim of one unit.
#[derive(Debug)]
pub(crate) struct Keeper {
    directory: UnitDir,
    _lock: OwnedFd,
    signals: SignalFd,
    listener: UnixListener,
    /// Who commands.
    control: Option<Connection>,
    /// Who connected and has not said hello.
    candidate: Option<Connection>,
    record: RecordFile,
    /// The last run of an earlier shim. Processes of it may live as long as its phase is not empty.
    predecessor: Option<RunRecord>,
    run: Option<Run>,
    pump: Option<Pump>,
    notify: Option<NotifySocket>,
    trouble: Option<String>,
    /// Since when there has been neither a run nor a daemon.
    idle_since: Option<Instant>,
    /// When memory is to be given back.
    tidy_at: Option<Instant>,
    quits: bool,
}

/// What there is to do.
#[derive(Debug, Default)]
struct Ready {
    signals: bool,
    listener: bool,
    control: bool,
    candidate: bool,
    notify: bool,
    pump: bool,
}

impl Keeper {
    /// Takes the directory over; nothing if another shim has it.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let directory = UnitDir::open(path)?;
        let Some(lock) = directory.lock()? else {
            return Ok(None);
        };
        // Signals meant to end everything that belongs to a service do not end the keeper of its
        // units: whatever can be blocked is blocked, and only SIGCHLD is looked at.
        SigSet::all().thread_block()?;
        let mut children = SigSet::empty();
        children.add(NixSignal::SIGCHLD);
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let signals = SignalFd::with_flags(&children, flags)?;
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let (record, last) = RecordFile::open(directory.path())?;
        let listener = directory.listen()?;
        Ok(Some(Self {
            directory,
            _lock: lock,
            signals,
            listener,
            control: None,
            candidate: None,
            record,
            predecessor: last,
            run: None,
            pump: None,
            notify: None,
            trouble: None,
            idle_since: Some(Instant::now()),
            tidy_at: Some(Instant::now() + TIDY_AFTER),
            quits: false,
        }))
    }

    /// Does the shim's work until it is not needed any more.
    pub(crate) fn run(mut self) -> io::Result<()> {
        while !self.quits {
            let ready = self.wait()?;
            if ready.signals {
                while let Ok(Some(_)) = self.signals.read_signal() {}
                self.reap();
            }
            if ready.pump
                && let Some(pump) = &mut self.pump
            {
                pump.turn();
            }
            if ready.notify {
                self.hear_unit();
            }
            if ready.listener
                && let Some(candidate) = Connection::accept(&self.listener)
            {
                self.candidate = Some(candidate);
            }
            if ready.candidate {
                self.hear_candidate();
            }
            if ready.control {
                self.hear_control();
            }
            let now = Instant::now();
            self.on_time(now);
            self.tell_of_pump();
            let is_swollen = ready.pump && self.pump.as_ref().is_some_and(Pump::is_swollen);
            if ready.signals || ready.listener || ready.control || ready.candidate || is_swollen {
                self.tidy_at = Some(now + TIDY_AFTER);
            }
        }
        self.leave();
        Ok(())
    }

    fn wait(&self) -> io::Result<Ready> {
        let connections = [&self.control, &self.candidate];
        let [control, candidate] = connections.map(|slot| slot.as_ref().map(|it| (it.as_fd(), it.interest())));
        let sources = [
            Some((std::os::fd::AsFd::as_fd(&self.signals), PollFlags::IN)),
            Some((std::os::fd::AsFd::as_fd(&self.listener), PollFlags::IN)),
            control,
            candidate,
            self.notify.as_ref().map(|socket| (socket.as_fd(), PollFlags::IN)),
            self.pump.as_ref().map(|pump| (pump.reader(), PollFlags::IN)),
        ];
        let mut fds: Vec<_> =
            sources.iter().flatten().map(|(fd, interest)| PollFd::from_borrowed_fd(*fd, *interest)).collect();
        let timeout = self.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let mut answers = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut happened = sources.iter().map(|source| source.is_some() && answers.next() == Some(true));
        let mut next = || happened.next().unwrap_or_default();
        Ok(Ready {
            signals: next(),
            listener: next(),
            control: next(),
            candidate: next(),
            notify: next(),
            pump: next(),
        })
    }

    /// When to wake up though nothing happens; never while a unit just runs.
    fn deadline(&self) -> Option<Instant> {
        let run = self.run.as_ref().and_then(Run::deadline);
        let pump = self.pump.as_ref().and_then(Pump::deadline);
        let idle = self.idle_since.map(|since| since + LINGER);
        [run, pump, idle, self.tidy_at].into_iter().flatten().min()
    }

    fn on_time(&mut self, now: Instant) {
        if let Some(pump) = &mut self.pump {
            pump.on_time(now);
        }
        if let Some(trouble) = self.run.as_mut().and_then(|run| run.on_time(now)) {
            self.complain(trouble);
        }
        if self.tidy_at.is_some_and(|tidy_at| tidy_at <= now) {
            self.tidy_at = None;
            if let Some(pump) = &mut self.pump {
                pump.shrink();
            }
            memory::give_back();
        }
        if self.control.is_some() || self.is_occupied() {
            self.idle_since = None;
        } else {
            let since = *self.idle_since.get_or_insert(now);
            self.quits |= now.duration_since(since) >= LINGER;
        }
    }

    fn is_occupied(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.record.phase != Phase::Empty)
    }

    /// Collects every process that has ended. That the kernel knows no child any more is the proof
    /// that the tree is empty: whatever loses its parent becomes a child of the shim.
    fn reap(&mut self) {
        let main = self.run.as_ref().and_then(Run::main);
        let mut main_status = None;
        let is_empty = loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == main => {
                    main_status = ExitStatus::from_wait(status);
                }
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break false,
                Err(_) => break true,
            }
        };
        if let Some(status) = main_status {
            self.main_ended(status, is_empty);
        } else if is_empty && self.is_occupied() {
            self.emptied();
        }
        if let Some(run) = self.run.as_ref().filter(|_| !is_empty) {
            run.on_reaped();
        }
    }

    fn main_ended(&mut self, status: ExitStatus, is_empty: bool) {
        let Some(run) = &mut self.run else {
            return;
        };
        let at_unix_ms = now_unix_ms();
        run.record.exit = Some(status);
        run.record.exited_at_unix_ms = Some(at_unix_ms);
        run.record.phase = if is_empty { Phase::Empty } else { Phase::Exited };
        let number = run.record.run;
        CrashPoint::BeforeExitRecord.reached();
        // The end of a run that was told to end is judged by nobody, also when the power was cut: that is no hurry.
        let written = self.record.write(&run.record, !run.record.settled);
        CrashPoint::AfterExitRecord.reached();
        if let Err(error) = written {
            self.complain(format!("recording the exit of run {number}: {error}"));
        }
        if let Some(pump) = &mut self.pump {
            pump.drain();
        }
        self.tell_of_pump();
        self.tell(Event::Exited { run: number, status, at_unix_ms });
        if is_empty {
            self.release();
        } else if let Some(run) = &mut self.run {
            run.end_leftovers(Instant::now());
        }
    }

    /// The last process that was left is gone.
    fn emptied(&mut self) {
        let Some(run) = &mut self.run else {
            return;
        };
        run.record.phase = Phase::Empty;
        if let Err(error) = self.record.write(&run.record, false) {
            self.complain(format!("recording that nothing is left: {error}"));
        }
        if let Some(pump) = &mut self.pump {
            pump.drain();
        }
        self.release();
    }

    /// Gives back what only a run may hold, and says that it is over.
    fn release(&mut self) {
        if let Some(run) = &mut self.run {
            run.leases = std::sync::Arc::default();
            let run = run.record.run;
            self.tell(Event::Empty { run });
        }
    }

    fn tell_of_pump(&mut self) {
        let events = self.pump.as_mut().map(Pump::take_events).unwrap_or_default();
        for event in events {
            self.tell(event);
        }
    }

    /// Removes what would only mislead others. The lock goes last, with the process.
    fn leave(mut self) {
        if let Some(pump) = &mut self.pump {
            pump.drain();
        }
        for name in [SOCKET_FILE, NOTIFY_FILE] {
            let _ = self.directory.clear(name);
        }
        if let Some(cgroup) = self.run.as_ref().and_then(|run| run.cgroup.as_ref()) {
            let _ = fs::remove_dir(cgroup);
        }
    }
}
