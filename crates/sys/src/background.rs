//! A program that runs beside us, and does not outlive us by accident.
//!
//! It gets a process group of its own, so that what is typed at our terminal reaches us alone. This is not for nodes,
//! which run under the shim and are to outlive everybody.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::host;
use crate::process::{Ending, ending_of};

/// A program that was started. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    /// Starts `program`. It reads nothing, and both its outputs are appended to the file `output`.
    pub fn start<A: Into<OsString>>(
        program: &Path,
        arguments: impl IntoIterator<Item = A>,
        environment: &[(&str, Option<&str>)],
        output: &Path,
    ) -> io::Result<Self> {
        let output = OpenOptions::new().append(true).create(true).open(output)?;
        let mut command = Command::new(program);
        command.args(arguments.into_iter().map(Into::into)).process_group(0);
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        for (name, value) in environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(Self { child: command.spawn()? })
    }

    /// Its process id. It stays taken until the end was seen here.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    pub fn ended(&mut self) -> io::Result<Option<Ending>> {
        Ok(self.child.try_wait()?.map(ending_of))
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub fn kill(&mut self) -> io::Result<Ending> {
        self.child.kill()?;
        Ok(ending_of(self.child.wait()?))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Ended already is as good; there is nobody left to tell.
        let _ = self.kill();
    }
}

/// Kills one process with SIGKILL: the one with this pid that started at this time, and no later one. True if it was
/// there to be killed.
pub fn kill_process(pid: u32, start_ticks: u64) -> io::Result<bool> {
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    let handle = match pidfd_open(target, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(rustix::io::Errno::SRCH) => return Ok(false),
        Err(errno) => return Err(errno.into()),
    };
    // Looked at behind the handle: from here on the pid cannot come to mean another process unnoticed.
    if !host::is_alive(pid, start_ticks)? {
        return Ok(false);
    }
    match pidfd_send_signal(handle, Signal::KILL) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::SRCH) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(folder: &Path) -> Background {
        Background::start(Path::new("/bin/sleep"), ["600"], &[], &folder.join("output")).unwrap()
    }

    #[test]
    fn what_it_says_is_kept_and_how_it_ends_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("output");
        let script = "echo $GREETING$HOME; echo oops >&2; exit 3";
        let environment = [("GREETING", Some("hello")), ("HOME", None)];
        let mut program = Background::start(Path::new("/bin/sh"), ["-c", script], &environment, &output).unwrap();
        let ending = loop {
            if let Some(ending) = program.ended().unwrap() {
                break ending;
            }
            std::thread::yield_now();
        };
        assert_eq!(ending, Ending::Exited(3));
        assert_eq!(std::fs::read_to_string(output).unwrap(), "hello\noops\n");
    }

    #[test]
    fn dropped_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let program = sleeper(folder.path());
        let pid = program.pid();
        drop(program);
        assert_eq!(host::process_facts(pid).unwrap(), None);
    }

    #[test]
    fn only_the_process_that_is_meant_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut program = sleeper(folder.path());
        let started = host::process_facts(program.pid()).unwrap().unwrap().start_ticks;
        assert!(!kill_process(program.pid(), started + 1).unwrap());
        assert_eq!(program.ended().unwrap(), None);
        assert!(kill_process(program.pid(), started).unwrap());
        assert_eq!(program.kill().unwrap(), Ending::Signaled(9));
        assert!(!kill_process(program.pid(), started).unwrap());
    }
}
