//! A terminal of a test's own, with one program at it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::wait_for;

/// A program at a terminal. It is killed when this is dropped.
#[derive(Debug)]
pub struct Terminal {
    keyboard: File,
    program: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs a program at a new terminal.
    pub fn run(command: &mut Command) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap();
        tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: 120, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let theirs = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let stdio = || Stdio::from(theirs.try_clone().unwrap());
        let program = command.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let keyboard = File::from(ours);
        let shown = Arc::new(Mutex::new(Vec::new()));
        // What is shown has to be taken, or whoever shows it waits.
        let (kept, mut screen) = (Arc::clone(&shown), keyboard.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                kept.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { keyboard, program, shown }
    }

    /// A shell with job control, which owns the terminal and carries out a script in a folder.
    pub fn shell(folder: &Path, script: &str) -> Self {
        let script = format!("set -m; cd '{}'; {script}", folder.display());
        Self::run(Command::new("setsid").args(["--ctty", "--wait", "sh", "-c", &script]))
    }

    /// Presses these keys.
    pub fn type_in(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Whether this was shown.
    pub fn shows(&self, text: &str) -> bool {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).contains(text)
    }

    /// Whether what is typed is shown.
    pub fn echoes(&self) -> bool {
        self.modes().contains(LocalModes::ECHO)
    }

    /// Whether it is one to type commands at.
    pub fn is_cooked(&self) -> bool {
        self.modes().contains(LocalModes::ICANON | LocalModes::ECHO)
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(&self.keyboard).unwrap().local_modes
    }

    /// Sends the program a signal.
    pub fn signal(&self, name: &str) {
        let pid = self.program.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Waits for the program's end.
    pub fn wait(&mut self) -> ExitStatus {
        wait_for("the program at the terminal to end", || self.program.try_wait().unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
