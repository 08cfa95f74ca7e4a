//! Runs a program to its end, bounded in time and in output: version commands, hooks, exec probes.
//!
//! The program gets a process group of its own, so that a timeout ends its children too. Its end is what
//! counts, not the end of its output: a child it left behind holding the pipe does not hold us. This is
//! not for nodes, which run under the shim. Owns the list of what runs, so that [`end_all`] leaves nothing
//! behind when we end before a program does.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How often a program that is still open for writing somewhere is tried again, and how long in between.
const BUSY_ATTEMPTS: u32 = 50;
const BUSY_PAUSE: Duration = Duration::from_millis(4);

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Path of the program, or a name to look up in `PATH`.
    pub program: PathBuf,
    /// Arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// Set on top of our own environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Working directory; ours when `None`.
    pub directory: Option<PathBuf>,
    /// The whole group is killed after this time.
    pub timeout: Duration,
    /// Bytes kept of each of the two outputs. What is beyond is read and thrown away.
    pub output_bytes_max: usize,
}

impl Program {
    /// A program without arguments, with five seconds and 64 KiB.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            directory: None,
            timeout: Duration::from_secs(5),
            output_bytes_max: 64 * 1024,
        }
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }
}

/// How long [`end_all`] waits for those that it killed.
const KILLED_BOUND: Duration = Duration::from_secs(2);

/// The groups of the programs that run now; a group leaves before its number can come to mean another.
struct Register {
    running: Vec<Pid>,
    closed: bool,
}

static REGISTER: Mutex<Register> = Mutex::new(Register { running: Vec::new(), closed: false });
static REAPED: Condvar = Condvar::new();

fn register() -> MutexGuard<'static, Register> {
    REGISTER.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills every program that runs, with its group, and lets none start any more: for when we end ourselves.
pub fn end_all() {
    let mut register = register();
    register.closed = true;
    for group in &register.running {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    // One that even SIGKILL does not end at once is not worth waiting for.
    drop(REAPED.wait_timeout_while(register, KILLED_BOUND, |register| !register.running.is_empty()));
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this code.
    Exited(i32),
    /// By this signal, not from us.
    Signaled(i32),
    /// Killed by us when its time was up.
    TimedOut,
}

/// What a program left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended.
    pub ending: Ending,
    /// Its standard output, up to the limit.
    pub stdout: Vec<u8>,
    /// Its standard error, up to the limit.
    pub stderr: Vec<u8>,
    /// Whether either was longer.
    pub truncated: bool,
}

impl Output {
    /// Whether it exited with code 0.
    pub fn success(&self) -> bool {
        self.ending == Ending::Exited(0)
    }
}

/// Runs `program` to its end. The calling thread waits; at most the timeout.
pub fn run(program: &Program) -> io::Result<Output> {
    let deadline = Instant::now() + program.timeout;
    let mut running = Running::start(program)?;
    let timed_out = loop {
        running.stdout.drain()?;
        running.stderr.drain()?;
        let left = deadline.saturating_duration_since(Instant::now());
        if running.wait_for_news(left)? {
            break false;
        }
        if left.is_zero() {
            break true;
        }
    };
    if timed_out {
        running.kill_group();
    }
    let status = running.reap()?;
    // What was written before the end is in the pipes by now.
    running.stdout.drain()?;
    running.stderr.drain()?;
    Ok(Output {
        ending: if timed_out { Ending::TimedOut } else { ending_of(status) },
        truncated: running.stdout.truncated || running.stderr.truncated,
        stdout: std::mem::take(&mut running.stdout.kept),
        stderr: std::mem::take(&mut running.stderr.kept),
    })
}

pub(crate) fn ending_of(status: ExitStatus) -> Ending {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ending::Exited(code),
        (None, signal) => Ending::Signaled(signal.unwrap_or_default()),
    }
}

/// A started program. Dropped before it was waited for, it is killed with its group and reaped.
struct Running {
    child: Child,
    group: Pid,
    exit: OwnedFd,
    stdout: Capture,
    stderr: Capture,
    reaped: bool,
}

impl Running {
    fn start(program: &Program) -> io::Result<Self> {
        let mut command = Command::new(&program.program);
        command
            .args(&program.arguments)
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(directory) = &program.directory {
            command.current_dir(directory);
        }
        let mut register = register();
        if register.closed {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "it was not run, because we are about to end"));
        }
        let mut child = spawn(&mut command)?;
        register.running.push(Pid::from_child(&child));
        drop(register);
        match Self::attach(&mut child, program.output_bytes_max) {
            Ok((group, exit, stdout, stderr)) => Ok(Self { child, group, exit, stdout, stderr, reaped: false }),
            Err(error) => {
                let _ = child.kill();
                let _ = reap(&mut child);
                Err(error)
            }
        }
    }

    /// Waits for its end.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        self.reaped = true;
        reap(&mut self.child)
    }

    fn attach(child: &mut Child, limit: usize) -> io::Result<(Pid, OwnedFd, Capture, Capture)> {
        let group = Pid::from_child(child);
        let exit = pidfd_open(group, PidfdFlags::empty())?;
        let stdout = Capture::new(child.stdout.take().map(OwnedFd::from), limit)?;
        let stderr = Capture::new(child.stderr.take().map(OwnedFd::from), limit)?;
        Ok((group, exit, stdout, stderr))
    }

    /// Waits until there is output, the program ended or the time is up. True when it ended.
    fn wait_for_news(&self, left: Duration) -> io::Result<bool> {
        let mut sources = vec![PollFd::from_borrowed_fd(self.exit.as_fd(), PollFlags::IN)];
        let open = [&self.stdout, &self.stderr].into_iter().filter_map(Capture::source);
        sources.extend(open.map(|source| PollFd::from_borrowed_fd(source, PollFlags::IN)));
        let timeout = Timespec::try_from(left).map_err(|_| io::ErrorKind::InvalidInput)?;
        match poll(&mut sources, Some(&timeout)) {
            Ok(_) => Ok(!sources.first().is_none_or(|exit| exit.revents().is_empty())),
            Err(Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn kill_group(&self) {
        // The group's number stays taken until its leader is reaped, so this reaches nobody else.
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill_group();
            let _ = self.reap();
        }
    }
}

/// Waits for an end that is near, and forgets the program.
fn reap(child: &mut Child) -> io::Result<ExitStatus> {
    // The number of a process that is dead and not reaped is still its own: until then it may be killed.
    if let Ok(handle) = pidfd_open(Pid::from_child(child), PidfdFlags::empty()) {
        let _ = poll(&mut [PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN)], None);
    }
    let mut register = register();
    register.running.retain(|group| *group != Pid::from_child(child));
    let status = child.wait();
    REAPED.notify_all();
    status
}

/// A program file just written may still be open for writing in a child that another thread is about to
/// exec; that passes within milliseconds.
fn spawn(command: &mut Command) -> io::Result<Child> {
    for _ in 1..BUSY_ATTEMPTS {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => std::thread::sleep(BUSY_PAUSE),
            result => return result,
        }
    }
    command.spawn()
}

/// The reading end of one output and what is kept of it.
struct Capture {
    source: Option<File>,
    kept: Vec<u8>,
    limit: usize,
    truncated: bool,
}

impl Capture {
    fn new(source: Option<OwnedFd>, limit: usize) -> io::Result<Self> {
        if let Some(source) = &source {
            rustix::io::ioctl_fionbio(source, true)?;
        }
        Ok(Self { source: source.map(File::from), kept: Vec::new(), limit, truncated: false })
    }

    fn source(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there. Gives way after a while, so that a flood cannot outrun the deadline.
    fn drain(&mut self) -> io::Result<()> {
        const ROUNDS_MAX: usize = 64;
        let mut buffer = [0; 16 * 1024];
        for _ in 0..ROUNDS_MAX {
            let Some(source) = &mut self.source else { return Ok(()) };
            match source.read(&mut buffer) {
                Ok(0) => self.source = None,
                Ok(count) => {
                    let room = self.limit - self.kept.len();
                    self.truncated |= count > room;
                    self.kept.extend_from_slice(&buffer[..count.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Becomes another program: same process, same arguments, and what is not marked close-on-exec stays open. Returns
/// only when that failed.
pub fn become_program(program: &std::path::Path, arguments: impl IntoIterator<Item = OsString>) -> io::Error {
    Command::new(program).args(arguments).exec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        Program::new("/bin/sh").arguments(["-c", script])
    }

    #[test]
    fn outputs_and_code_come_back() {
        let program = Program {
            environment: vec![("GREETING".into(), "good morning".into())],
            directory: Some("/".into()),
            ..shell("echo $GREETING; pwd; echo oops >&2; exit 3")
        };
        let output = run(&program).unwrap();
        assert_eq!(output.ending, Ending::Exited(3));
        assert_eq!(output.stdout, b"good morning\n/\n");
        assert_eq!(output.stderr, b"oops\n");
        assert!(!output.truncated);
        assert!(!output.success());
    }

    #[test]
    fn a_signal_is_told_from_a_code() {
        assert_eq!(run(&shell("kill -TERM $$")).unwrap().ending, Ending::Signaled(15));
    }

    #[test]
    fn the_whole_group_ends_with_its_time() {
        let program = Program { timeout: Duration::from_millis(300), ..shell("sleep 600 & echo $!; sleep 600") };
        let output = run(&program).unwrap();
        assert_eq!(output.ending, Ending::TimedOut);
        let child: u32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while crate::host::process_facts(child).unwrap().is_some_and(|facts| !facts.zombie) {
            assert!(Instant::now() < deadline, "the child of the killed program still runs");
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_flood_is_cut_and_does_not_block() {
        let program = Program { output_bytes_max: 1000, ..shell("head -c 3000000 /dev/zero") };
        let output = run(&program).unwrap();
        assert_eq!(output.ending, Ending::Exited(0));
        assert_eq!(output.stdout.len(), 1000);
        assert!(output.truncated);
    }

    #[test]
    fn an_endless_flood_ends_with_its_time() {
        let program = Program { timeout: Duration::from_millis(200), ..shell("cat /dev/zero") };
        assert_eq!(run(&program).unwrap().ending, Ending::TimedOut);
    }

    #[test]
    fn a_child_left_behind_does_not_hold_us() {
        let output = run(&Program { timeout: Duration::from_secs(30), ..shell("sleep 40 & echo $!") }).unwrap();
        assert_eq!(output.ending, Ending::Exited(0));
        let child: i32 = String::from_utf8(output.stdout).unwrap().trim().parse().unwrap();
        rustix::process::kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    }

    #[test]
    fn no_program_is_an_error() {
        assert_eq!(run(&Program::new("/no/such/program")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
