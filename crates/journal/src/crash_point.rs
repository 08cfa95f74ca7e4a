//! Where the crash matrix kills the program inside the journal.

/// The edges between what is written and what is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashPoint {
    /// An append is written and not yet synced.
    Written,
    /// An append is durable and not yet acknowledged.
    Synced,
    /// A new segment is in place and not yet acknowledged.
    Rotated,
    /// Recovery has written the newest segment anew and not yet acknowledged it.
    Opened,
}

impl CrashPoint {
    /// All of them.
    pub const ALL: [CrashPoint; 4] = [CrashPoint::Written, CrashPoint::Synced, CrashPoint::Rotated, CrashPoint::Opened];

    /// The name to put into `OMNIVISOR_CRASH_AT`.
    pub fn name(self) -> &'static str {
        match self {
            CrashPoint::Written => "journal.written",
            CrashPoint::Synced => "journal.synced",
            CrashPoint::Rotated => "journal.rotated",
            CrashPoint::Opened => "journal.opened",
        }
    }

    pub(crate) fn reach(self) {
        ov_sys::crash_point::reach(self.name());
    }
}
