//! Starting a shim, from the daemon's side. Owns nothing: the shim detaches itself.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::crash::CRASH_VARIABLE;
use crate::unit_dir::UnitDir;

/// How a shim is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimProgram {
    /// The program file; normally the daemon's own.
    pub program: PathBuf,
    /// What comes before `--dir <unit directory>`; normally `shim`.
    pub arguments: Vec<OsString>,
    /// Whether units of this shim may read the daemon's standard input.
    pub inherit_stdin: bool,
    /// Whether units of this shim may write to the daemon's standard output and error.
    pub inherit_output: bool,
}

impl ShimProgram {
    /// Starts a shim for a directory. It lives on when the child is dropped and when we end; as
    /// long as we live, it has to be waited for.
    pub fn start(&self, directory: &UnitDir) -> io::Result<Child> {
        let stdio = |inherits| if inherits { Stdio::inherit() } else { Stdio::null() };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg("--dir")
            .arg(directory.path())
            // What is secret in our environment is not left lying in that of a shim.
            .env_clear()
            .envs(std::env::var_os(CRASH_VARIABLE).map(|point| (CRASH_VARIABLE, point)))
            .stdin(stdio(self.inherit_stdin))
            .stdout(stdio(self.inherit_output))
            .stderr(stdio(self.inherit_output));
        command.spawn()
    }
}
