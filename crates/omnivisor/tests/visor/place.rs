//! A home of Visor, and the program called as `visor` on it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A home in a temporary folder.
pub(crate) struct Place {
    top: tempfile::TempDir,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// A home that nobody made yet.
    pub(crate) fn new() -> Self {
        Self { top: tempfile::tempdir().unwrap() }
    }

    /// A home that `init` made.
    pub(crate) fn made() -> Self {
        let place = Self::new();
        assert_eq!(place.call(&["init", "--home", "home", "--with-data-node"]).code, 0);
        place
    }

    /// A path in the home.
    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.top.path().join("home").join(inside)
    }

    /// A path beside the home.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    pub(crate) fn mode(&self, inside: &str) -> u32 {
        fs::metadata(self.path(inside)).unwrap().permissions().mode() & 0o7777
    }

    /// The names in a folder of the home, sorted.
    pub(crate) fn names(&self, inside: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(inside)).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program under this name.
    pub(crate) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_omnivisor"));
        command.arg0(name).args(arguments).current_dir(self.top.path()).stdin(Stdio::null());
        command.env_clear().env("TZ", "UTC").env("PATH", "/usr/bin:/bin");
        command
    }

    /// Calls `visor` with these arguments.
    pub(crate) fn call(&self, arguments: &[&str]) -> Ended {
        ended(self.command("visor", arguments))
    }
}

impl Ended {
    /// What was said on standard output, without the times.
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert_eq!((self.code, self.err.as_str()), (0, ""), "{self:?}");
        self.out.lines().map(|line| line.split_once('\t').unwrap().1).collect()
    }

    /// Fails the test unless the call failed with exactly this, and without a word on how it is used.
    pub(crate) fn refused(&self, why: &str) {
        let said = (self.code, self.out.as_str(), self.err.as_str());
        assert_eq!(said, (1, "", format!("Error: {why}\n").as_str()));
    }
}

/// Runs a call to its end.
pub(crate) fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}
