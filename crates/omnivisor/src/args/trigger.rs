//! When a plan is due, as it is typed.

use jiff::Timestamp;
use ov_types::{Height, Span, Trigger};

/// When a plan is due, before anybody looked at the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// As soon as everything is prepared.
    Now,
    /// At a height.
    Height(Height),
    /// At a time, in milliseconds since 1970.
    At(i64),
    /// After this many milliseconds.
    In(u64),
}

impl When {
    /// The trigger this means at the time `now_ms`.
    pub(crate) fn trigger(self, now_ms: i64) -> Trigger {
        match self {
            When::Now => Trigger::Now,
            When::Height(height) => Trigger::Height { height },
            When::At(wall_ms) => Trigger::Time { wall_ms },
            When::In(ms) => Trigger::Time { wall_ms: now_ms.saturating_add_unsigned(ms) },
        }
    }
}

/// Reads `2026-11-20T16:00:00Z` or `+2h`.
pub(super) fn time(text: &str) -> Result<When, String> {
    if let Some(span) = text.strip_prefix('+') {
        return span.parse::<Span>().map(|span| When::In(span.ms())).map_err(|error| error.to_string());
    }
    let moment: Timestamp = text.parse().map_err(|_| {
        "expected a time with its zone such as `2026-11-20T16:00:00Z` or `2026-11-20T17:00:00+01:00`, or a wait \
         such as `+2h`"
            .to_owned()
    })?;
    Ok(When::At(moment.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_with_a_zone_or_relative() {
        let noon = 1_795_176_000_000;
        for (text, expected) in [
            ("2026-11-20T12:00:00Z", When::At(noon)),
            ("2026-11-20 13:00:00+01:00", When::At(noon)),
            ("+90s", When::In(90_000)),
            ("+1h30m", When::In(5_400_000)),
        ] {
            assert_eq!(time(text), Ok(expected), "{text}");
        }
        for text in ["", "+", "2h", "+2", "tomorrow", "2026-11-20T12:00:00", "12:00"] {
            assert!(time(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_wait_is_counted_from_now() {
        assert_eq!(When::In(500).trigger(1_000), Trigger::Time { wall_ms: 1_500 });
        assert_eq!(When::In(u64::MAX).trigger(0), Trigger::Time { wall_ms: i64::MAX });
    }
}
