//! Lengths of time as programs in Go read and print them: `300ms`, `1.5h`, `1m30s`.
//!
//! Pure text and numbers. Why a text is refused is said in the words that operators know from there.

use std::fmt;
use std::str::FromStr;

/// A length of time in nanoseconds; may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration {
    nanoseconds: i64,
}

const SECOND: u64 = 1_000_000_000;

/// Units as they are read. Both signs for micro are in use.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];

/// Units below a second as they are printed, largest first.
const SMALL_UNITS: [(&str, u64); 3] = [("ms", 1_000_000), ("µs", 1_000), ("ns", 1)];

impl GoDuration {
    /// So many nanoseconds.
    pub const fn from_nanoseconds(nanoseconds: i64) -> Self {
        Self { nanoseconds }
    }

    /// So many milliseconds.
    pub const fn from_ms(milliseconds: i64) -> Self {
        Self { nanoseconds: milliseconds.saturating_mul(1_000_000) }
    }

    /// Nanoseconds.
    pub const fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    /// Whole milliseconds, rounded up so that something never becomes nothing; nothing for a negative length.
    pub fn ms(self) -> u64 {
        u64::try_from(self.nanoseconds).unwrap_or(0).div_ceil(1_000_000)
    }
}

/// Why a text is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDuration {
    /// It does not look like one, or is too long for 64 bits of nanoseconds.
    #[error("time: invalid duration {0:?}")]
    Malformed(String),
    /// A number stands alone.
    #[error("time: missing unit in duration {0:?}")]
    NoUnit(String),
    /// A unit that nobody knows.
    #[error("time: unknown unit {0:?} in duration {1:?}")]
    UnknownUnit(String, String),
}

impl FromStr for GoDuration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        let malformed = || InvalidDuration::Malformed(text.to_owned());
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(malformed());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (part, tail) = part(rest, text)?;
            total = total.checked_add(part).ok_or_else(malformed)?;
            rest = tail;
        }
        // The most negative length has no positive counterpart.
        let nanoseconds = if negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() };
        nanoseconds.map(Self::from_nanoseconds).ok_or_else(malformed)
    }
}

/// One number with its unit, in nanoseconds, and what follows it.
fn part<'a>(rest: &'a str, whole: &str) -> Result<(u64, &'a str), InvalidDuration> {
    let malformed = || InvalidDuration::Malformed(whole.to_owned());
    let (integer, tail) = digits(rest);
    let (fraction, tail) = match tail.strip_prefix('.') {
        Some(tail) => digits(tail),
        None => ("", tail),
    };
    if integer.is_empty() && fraction.is_empty() {
        return Err(malformed());
    }
    let length = tail.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(tail.len());
    let (unit, tail) = tail.split_at(length);
    if unit.is_empty() {
        return Err(InvalidDuration::NoUnit(whole.to_owned()));
    }
    let scale = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
    let scale = scale.ok_or_else(|| InvalidDuration::UnknownUnit(unit.to_owned(), whole.to_owned()))?;
    let integer: u64 = if integer.is_empty() { 0 } else { integer.parse().map_err(|_| malformed())? };
    let nanoseconds = integer.checked_mul(scale).and_then(|whole| whole.checked_add(of_fraction(fraction, scale)));
    Ok((nanoseconds.ok_or_else(malformed)?, tail))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Digits behind the point, times a unit; what is less than a nanosecond is cut off.
fn of_fraction(digits: &str, scale: u64) -> u64 {
    // No unit has more than 13 decimal digits of nanoseconds, so later digits cannot matter.
    let (value, power) = digits.bytes().take(18).fold((0_u128, 1_u128), |(value, power), digit| {
        (value * 10 + u128::from(digit.wrapping_sub(b'0')), power * 10)
    });
    u64::try_from(value * u128::from(scale) / power).unwrap_or(u64::MAX)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.nanoseconds.unsigned_abs();
        if all == 0 {
            return f.write_str("0s");
        }
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        if let Some((unit, scale)) = SMALL_UNITS.iter().find(|(_, scale)| all < SECOND && all >= *scale) {
            return write!(f, "{}{unit}", decimal(all, *scale));
        }
        let (hours, minutes) = (all / (3_600 * SECOND), all / (60 * SECOND) % 60);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(all % (60 * SECOND), SECOND))
    }
}

/// `value / scale` without zeros at the end.
fn decimal(value: u64, scale: u64) -> String {
    let width = usize::try_from(scale.ilog10()).unwrap_or(0);
    let text = format!("{}.{:0width$}", value / scale, value % scale);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_are_read_as_there() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("+0", 0),
            ("0s", 0),
            ("5s", 5_000_000_000),
            ("300ms", 300_000_000),
            ("1.5h", 5_400_000_000_000),
            ("1h15m30.918273645s", 4_530_918_273_645),
            ("-3m", -180_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("1us1µs1μs", 3_000),
            ("0.3333333333333333333h", 1_200_000_000_000 - 1),
            ("9223372036854775807ns", i64::MAX),
            ("-9223372036854775808ns", i64::MIN),
        ] {
            assert_eq!(text.parse::<GoDuration>().map(GoDuration::nanoseconds), Ok(nanoseconds), "{text}");
        }
    }

    #[test]
    fn what_is_refused_is_refused_in_the_same_words() {
        for (text, why) in [
            ("600", "time: missing unit in duration \"600\""),
            ("", "time: invalid duration \"\""),
            ("bad", "time: invalid duration \"bad\""),
            (".s", "time: invalid duration \".s\""),
            ("-", "time: invalid duration \"-\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("1d", "time: unknown unit \"d\" in duration \"1d\""),
            ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
            ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
            ("99999999999999999999h", "time: invalid duration \"99999999999999999999h\""),
            ("9223372036.9s", "time: invalid duration \"9223372036.9s\""),
        ] {
            assert_eq!(text.parse::<GoDuration>().map_err(|error| error.to_string()), Err(why.to_owned()), "{text}");
        }
    }

    #[test]
    fn lengths_are_printed_as_there() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (300_000_000, "300ms"),
            (3_300_000_000, "3.3s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
            (245_001_000_000, "4m5.001s"),
            (-180_000_000_000, "-3m0s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(GoDuration::from_nanoseconds(nanoseconds).to_string(), text);
        }
    }

    #[test]
    fn a_little_more_than_nothing_is_not_nothing() {
        let ms = |text: &str| text.parse::<GoDuration>().unwrap().ms();
        assert_eq!((ms("1ns"), ms("1ms"), ms("1.0001ms"), ms("-1s")), (1, 1, 2, 0));
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(nanoseconds: i64) {
            let length = GoDuration::from_nanoseconds(nanoseconds);
            prop_assert_eq!(length.to_string().parse::<GoDuration>(), Ok(length));
        }

        #[test]
        fn no_text_makes_reading_panic(text in "[-+]?([0-9.]{0,22}[a-zµμ ]{0,3}){0,4}", other in ".{0,20}") {
            let _ = text.parse::<GoDuration>();
            let _ = other.parse::<GoDuration>();
        }
    }
}
