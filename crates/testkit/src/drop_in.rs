//! A drop-in as somebody runs it: one process that looks after others, what all of them write, and their end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use crate::mount::unmount_below;
use crate::processes::kill_marked;
use crate::{marked_processes, wait_for, wait_until};

/// The bit of SIGTERM in a mask of signals.
const SIGTERM_BIT: u64 = 1 << 14;

/// Everything that belongs to a folder. What was started is gone when this is dropped.
#[derive(Debug)]
pub struct DropIn {
    folder: PathBuf,
    running: Option<Child>,
}

impl DropIn {
    /// Nothing runs yet; whatever will names this folder in its words or its environment.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), running: None }
    }

    /// Starts it, its output in the folder.
    pub fn start(&mut self, mut command: Command) {
        assert!(self.running.is_none(), "it is running already");
        let file = |name: &str| File::create(self.folder.join(name)).unwrap();
        self.running = Some(command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap());
    }

    /// What the present or last run wrote to standard output, its processes' lines and its own.
    pub fn out(&self) -> String {
        self.written("stdout")
    }

    /// The same of standard error.
    pub fn err(&self) -> String {
        self.written("stderr")
    }

    fn written(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.join(name)).unwrap_or_default()).into_owned()
    }

    /// Waits until something of this was written.
    pub fn wait_for_line(&self, part: &str) {
        wait_until(&format!("a line with {part:?}"), || self.out().contains(part));
    }

    /// Whether the drop-in itself runs.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// The drop-in's own process.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().unwrap().id()
    }

    /// Waits for the drop-in's own end; nothing of the node is left then.
    pub fn wait_for_exit(&mut self) -> ExitStatus {
        let mut child = self.running.take().expect("it runs");
        let status = wait_for("the drop-in to end", || child.try_wait().unwrap());
        wait_until("nothing of the node to be left", || marked_processes(&self.folder).is_empty());
        status
    }

    /// Sends a signal, once there is somebody to hear it: before, it would only end the drop-in, as kill -9 does.
    pub fn signal(&self, name: &str) {
        wait_until("the drop-in to listen", || {
            let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            caught
                .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
                .is_some_and(|mask| mask & SIGTERM_BIT != 0)
        });
        Command::new("kill").args([format!("-{name}"), self.pid().to_string()]).status().unwrap();
    }

    /// Ends it in order.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Kills the drop-in and nothing else.
    pub fn kill(&mut self) {
        let mut child = self.running.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Kills everything, as a power cut does.
    pub fn kill_all(&mut self) {
        self.kill();
        kill_marked(&self.folder);
    }
}

impl Drop for DropIn {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("standard output:\n{}\nstandard error:\n{}", self.out(), self.err());
        }
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        kill_marked(&self.folder);
        unmount_below(&self.folder);
    }
}
