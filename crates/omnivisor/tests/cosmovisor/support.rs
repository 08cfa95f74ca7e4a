//! A home in Cosmovisor's layout, and the program called as `cosmovisor` on it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The name of the node's program in these tests.
pub(crate) const NAME: &str = "simd";

/// A home in a temporary folder.
pub(crate) struct Home {
    top: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Home {
    /// A home that nobody made yet.
    pub(crate) fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        let home = top.path().join("home").to_str().unwrap().to_owned();
        let variables = [("DAEMON_HOME", home.as_str()), ("DAEMON_NAME", NAME), ("COSMOVISOR_COLOR_LOGS", "false")];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        Self { top, variables }
    }

    /// A home with a first release that `current` names, and data.
    pub(crate) fn made() -> Self {
        let home = Self::new();
        home.program("cosmovisor/genesis/bin/simd", "genesis");
        fs::create_dir_all(home.path("data")).unwrap();
        symlink("genesis", home.path("cosmovisor/current")).unwrap();
        home
    }

    /// A path in the home.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.top.path().join("home").join(inside)
    }

    /// A path beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// The same as text.
    pub(crate) fn text(&self, inside: &str) -> String {
        self.path(inside).to_str().unwrap().to_owned()
    }

    /// Sets a variable for calls from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a program into the home that tells its arguments, its folder and this mark.
    pub(crate) fn program(&self, inside: &str, mark: &str) -> PathBuf {
        write_program(&self.path(inside), mark)
    }

    /// The same beside the home: an executable to be added.
    pub(crate) fn executable(&self, name: &str) -> String {
        write_program(&self.beside(name), name).to_str().unwrap().to_owned()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omnivisor"));
        command.arg0("cosmovisor").args(arguments).current_dir(self.top.path()).stdin(Stdio::null());
        command.env_clear().env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Calls `cosmovisor` with these arguments.
    pub(crate) fn call(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments))
    }

    /// The same with somebody who answers.
    pub(crate) fn call_answering(&self, arguments: &[&str], answer: &str) -> Ended {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A program that does not ask may be gone already.
        let _ = child.stdin.take().unwrap().write_all(answer.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    pub(crate) fn mode(&self, inside: &str) -> u32 {
        fs::metadata(self.path(inside)).unwrap().permissions().mode() & 0o7777
    }

    /// The names in a folder of the home, sorted.
    pub(crate) fn names(&self, inside: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(inside))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl From<std::process::Output> for Ended {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ended {
    /// Fails the test unless the call succeeded; the lines that it said, without their times.
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out.lines().map(|line| line.split_once(" INF ").map_or(line, |(_, message)| message)).collect()
    }

    /// Fails the test unless the call failed with exactly this.
    pub(crate) fn refused(&self, why: &str) {
        assert_eq!((self.code, self.err.as_str()), (1, format!("Error: {why}\n").as_str()), "{self:?}");
    }
}

/// Runs a call to its end.
pub(crate) fn ended(mut command: Command) -> Ended {
    command.output().unwrap().into()
}

fn write_program(path: &Path, mark: &str) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n  'version --long --output json') echo '{{\"name\": \"{mark}\"}}' ;;\n  *fail*) exit 3 ;;\n  *) echo \"{mark}: $* in $(pwd)\" ;;\nesac\n"
    );
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}
