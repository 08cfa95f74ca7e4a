//! Runs a program at our own terminal: with our standard input and outputs, until it ends by itself.
//!
//! For commands that people run beside a node. Nothing bounds such a program but whoever called it.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::process::{Ending, ending_of};

/// A program at our terminal.
#[derive(Debug)]
pub struct Attached {
    child: Child,
    process: OwnedFd,
}

impl Attached {
    /// Starts it. It finds itself called by `name`.
    pub fn start(program: &Path, name: &str, arguments: &[String], directory: &Path) -> io::Result<Self> {
        let arguments = arguments.iter().map(OsString::from);
        let mut child = Command::new(program).arg0(name).args(arguments).current_dir(directory).spawn()?;
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(process) => Ok(Self { child, process }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    /// What passes a signal on to it, for as long as it lives.
    pub fn forwarder(&self) -> io::Result<impl Fn(i32) + Send + Sync + 'static> {
        let process = self.process.as_fd().try_clone_to_owned()?;
        Ok(move |number| {
            if let Some(signal) = Signal::from_named_raw(number) {
                // Gone already: there is nobody to tell.
                let _ = pidfd_send_signal(&process, signal);
            }
        })
    }

    /// Waits for its end.
    pub fn wait(mut self) -> io::Result<Ending> {
        self.child.wait().map(ending_of)
    }
}
