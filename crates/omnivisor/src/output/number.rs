//! Times, lengths of time and sizes as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The time it is, and where.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// Milliseconds since 1970.
    pub(crate) now_ms: i64,
    /// The zone times are written in.
    pub(crate) zone: TimeZone,
}

impl Clock {
    /// Date and time to the second.
    pub(crate) fn absolute(&self, at_ms: i64) -> String {
        self.format(at_ms, "%Y-%m-%d %H:%M:%S")
    }

    /// The time alone; with its date when that is another day.
    pub(crate) fn short(&self, at_ms: i64) -> String {
        if self.format(at_ms, "%F") == self.format(self.now_ms, "%F") {
            self.format(at_ms, "%H:%M:%S")
        } else {
            self.absolute(at_ms)
        }
    }

    /// How long ago, or in how long.
    pub(crate) fn relative(&self, at_ms: i64) -> String {
        let distance = self.now_ms.abs_diff(at_ms);
        if at_ms > self.now_ms { format!("in {}", span(distance)) } else { format!("{} ago", span(distance)) }
    }

    /// Both.
    pub(crate) fn both(&self, at_ms: i64) -> String {
        format!("{} ({})", self.relative(at_ms), self.short(at_ms))
    }

    fn format(&self, at_ms: i64, how: &str) -> String {
        match Timestamp::from_millisecond(at_ms) {
            Ok(moment) => moment.to_zoned(self.zone.clone()).strftime(how).to_string(),
            Err(_) => format!("{at_ms} ms"),
        }
    }
}

/// A length of time with the digits that matter.
pub(crate) fn span(ms: u64) -> String {
    ov_types::Span::from_ms(ms).rounded()
}

/// A size with the digits that matter.
pub(crate) fn size(bytes: u64) -> String {
    ov_types::ByteSize(bytes).rounded()
}

/// Text of others on one line: what is no printable character becomes a space, so that nothing a node says can move
/// the cursor.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// Text of others over several lines: as [`one_line`], but line ends stay.
pub(crate) fn printable(text: &str) -> String {
    let keep = |character: char| character == '\n' || !character.is_control();
    text.chars().map(|character| if keep(character) { character } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_536, "1.5 KiB"),
            (150 << 20, "150 MiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn times_are_told_relative_to_now_and_absolute() {
        let clock = Clock { now_ms: 1_795_176_000_000, zone: TimeZone::UTC };
        assert_eq!(clock.both(clock.now_ms - 90_000), "1m30s ago (11:58:30)");
        assert_eq!(clock.both(clock.now_ms + 86_400_000), "in 1d (2026-11-21 12:00:00)");
        assert_eq!(clock.absolute(i64::MAX), format!("{} ms", i64::MAX));
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{9b}d"), "a [2Jb c d");
        assert_eq!(printable("a\u{1b}\nb"), "a \nb");
    }
}
