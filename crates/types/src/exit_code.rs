//! The one table of exit codes.

/// How a command of `omnivisor` ends. Scripts may rely on these numbers; `docs/exit-codes.md` is made from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// It did what was asked.
    Done = 0,
    /// It failed; the message says how, and in what state the node is.
    Failed = 1,
    /// The command line was wrong; nothing was done.
    Usage = 2,
    /// The configuration is wrong; nothing was started or changed.
    Configuration = 3,
    /// Another daemon already looks after this node.
    AlreadyRunning = 4,
    /// No daemon answers for this node.
    NotRunning = 5,
    /// The doctor found an error.
    Unhealthy = 6,
    /// What was asked is refused in the present state; nothing was changed.
    Refused = 7,
    /// An upgrade stands where only a person may decide.
    NeedsOperator = 8,
    /// The journal or another file of ours is damaged; nothing was started.
    Damaged = 9,
    /// It did not finish within its bound.
    TimedOut = 10,
}

impl ExitCode {
    /// Every code with its name and meaning, in order.
    pub const TABLE: [(ExitCode, &'static str, &'static str); 11] = [
        (ExitCode::Done, "done", "It did what was asked."),
        (ExitCode::Failed, "failed", "It failed; the message says how, and in what state the node is."),
        (ExitCode::Usage, "usage", "The command line was wrong; nothing was done."),
        (ExitCode::Configuration, "configuration", "The configuration is wrong; nothing was started or changed."),
        (ExitCode::AlreadyRunning, "already-running", "Another daemon already looks after this node."),
        (ExitCode::NotRunning, "not-running", "No daemon answers for this node."),
        (ExitCode::Unhealthy, "unhealthy", "The doctor found an error."),
        (ExitCode::Refused, "refused", "What was asked is refused in the present state; nothing was changed."),
        (ExitCode::NeedsOperator, "needs-operator", "An upgrade stands where only a person may decide."),
        (ExitCode::Damaged, "damaged", "The journal or another file of ours is damaged; nothing was started."),
        (ExitCode::TimedOut, "timed-out", "It did not finish within its bound."),
    ];

    /// The number given to the system.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The code with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::TABLE.iter().map(|(code, _, _)| *code).find(|code| code.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_are_unique() {
        for (index, (code, name, meaning)) in ExitCode::TABLE.iter().enumerate() {
            assert_eq!(usize::from(code.number()), index);
            assert_eq!(ExitCode::TABLE.iter().filter(|(_, other, _)| other == name).count(), 1);
            assert!(meaning.ends_with('.'));
        }
    }
}
