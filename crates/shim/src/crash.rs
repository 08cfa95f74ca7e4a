//! Crash points: places where a test makes the shim kill itself, to prove that whoever comes next
//! copes. The point is named in the environment variable [`CRASH_VARIABLE`]. Owns no state.

/// The environment variable that names the point at which the shim dies.
pub const CRASH_VARIABLE: &str = "OMNIVISOR_CRASH_AT";

/// A place where the shim can be told to die by SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// The launch is recorded, and nothing has been started.
    AfterLaunchingRecord,
    /// The process runs, and its pid is not recorded.
    AfterSpawn,
    /// The process has been reaped, and its exit status is not recorded.
    BeforeExitRecord,
    /// The exit status is recorded, and nobody has been told.
    AfterExitRecord,
}

impl CrashPoint {
    /// Every point, for the crash matrix.
    pub const ALL: [Self; 4] =
        [Self::AfterLaunchingRecord, Self::AfterSpawn, Self::BeforeExitRecord, Self::AfterExitRecord];

    /// The name by which the environment variable names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::AfterLaunchingRecord => "shim-after-launching-record",
            Self::AfterSpawn => "shim-after-spawn",
            Self::BeforeExitRecord => "shim-before-exit-record",
            Self::AfterExitRecord => "shim-after-exit-record",
        }
    }

    /// Dies here if the environment says so.
    pub(crate) fn reached(self) {
        if std::env::var_os(CRASH_VARIABLE).is_some_and(|name| name == self.name()) {
            // It cannot fail for a process of one's own; if it did, the test would notice.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }
}
