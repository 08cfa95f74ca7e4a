//! Small vocabularies that configurations use: signals, resources, notifications.

/// Signals that can ask a process to end, with their numbers on Linux.
pub const SIGNALS: [(&str, i32); 7] =
    [("TERM", 15), ("INT", 2), ("HUP", 1), ("QUIT", 3), ("USR1", 10), ("USR2", 12), ("KILL", 9)];

/// The names of resources that can be limited, as `prlimit --help` has them.
pub const RESOURCES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// What a webhook can be told, by [`ov_types::EventKind::notification`].
pub const NOTIFICATIONS: [&str; 17] = [
    "upgrade-discovered",
    "upgrade-moved",
    "upgrade-blocked",
    "upgrade-armed",
    "upgrade-near",
    "upgrade-started",
    "upgrade-held",
    "upgrade-committed",
    "upgrade-rolled-back",
    "upgrade-withdrawn",
    "upgrade-superseded",
    "needs-operator",
    "crash-loop",
    "unit-parked",
    "given-up",
    "stuck",
    "configuration-refused",
];

/// How long before its trigger it is told that an upgrade is near, unless somebody chose otherwise: a day, an hour, ten
/// minutes.
pub const NEAR_MS: [u64; 3] = [86_400_000, 3_600_000, 600_000];

/// How long a unit may be given to end, at most, where nobody said how long.
pub const GRACE_MS_MAX: u64 = 600_000;

/// The number of a signal given as `TERM`, `SIGTERM`, `sigterm` or `15`.
pub fn signal_number(text: &str) -> Option<i32> {
    let upper = text.trim().to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name.parse::<i32>().ok();
    SIGNALS.iter().find(|(known, value)| *known == name || number == Some(*value)).map(|(_, value)| *value)
}

/// The known word that is most like a misspelt one, if any is like it.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let bound = 1.max(word.chars().count() / 3);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["TERM", "SIGTERM", "sigterm", "Term", "15", " TERM "] {
            assert_eq!(signal_number(text), Some(15), "{text}");
        }
        for text in ["", "SIG", "STOP", "0", "-15", "SIGSIGTERM", "99"] {
            assert_eq!(signal_number(text), None, "{text}");
        }
    }

    #[test]
    fn a_misspelt_word_is_recognised_and_another_is_not() {
        let known = ["restart", "never-restart", "grace"];
        assert_eq!(nearest("restrat", known), Some("restart"));
        assert_eq!(nearest("never_restart", known), Some("never-restart"));
        assert_eq!(nearest("x", ["grace"]), None);
    }
}
