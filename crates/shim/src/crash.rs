//! Crash points: places where a test makes the shim kill itself, to prove that whoever comes next
//! copes. The point is named in the environment variable [`CRASH_VARIABLE`]: `<name>` for the first
//! time it is reached, `<name>#<n>` for the n-th. Owns the count of those times.

use std::sync::atomic::{AtomicU32, Ordering};

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
        /// How often the one point that the environment names was reached.
        static VISITS: AtomicU32 = AtomicU32::new(0);
        let Some(due) = std::env::var(CRASH_VARIABLE).ok().and_then(|text| self.due_visit(&text)) else {
            return;
        };
        if VISITS.fetch_add(1, Ordering::Relaxed) + 1 == due {
            // It cannot fail for a process of one's own; if it did, the test would notice.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        }
    }

    /// At which visit of this point the text asks for death.
    fn due_visit(self, text: &str) -> Option<u32> {
        match text.strip_prefix(self.name())? {
            "" => Some(1),
            visit => visit.strip_prefix('#')?.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_or_without_a_visit() {
        for point in CrashPoint::ALL {
            assert_eq!(point.due_visit(point.name()), Some(1));
            assert_eq!(point.due_visit(&format!("{}#3", point.name())), Some(3));
            assert_eq!(point.due_visit(&format!("{}x", point.name())), None);
            assert_eq!(point.due_visit(""), None);
            let named = CrashPoint::ALL.iter().filter(|other| other.due_visit(point.name()).is_some());
            assert_eq!(named.count(), 1);
        }
    }
}
