//! Where the crash matrix kills the program inside the journal.

ov_sys::crash_points! {
    /// The edges between what is written and what is durable.
    pub enum CrashPoint {
        /// An append is written and not yet synced.
        Written = "journal.written",
        /// An append is durable and not yet acknowledged.
        Synced = "journal.synced",
        /// A new segment is in place and not yet acknowledged.
        Rotated = "journal.rotated",
        /// Recovery has written the newest segment anew and not yet acknowledged it.
        Opened = "journal.opened",
    }
}
