//! Lengths of time and sizes as people write them: `90s`, `1m30s`, `250ms`; `64MiB`, `2GB`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not a length of time or a size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidSpan {
    text: String,
    expected: &'static str,
}

impl fmt::Display for InvalidSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.text, self.expected)
    }
}

impl std::error::Error for InvalidSpan {}

/// A length of time in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span {
    milliseconds: u64,
}

/// Units of time, longest first, as they are printed.
const TIME_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// A length of time in milliseconds.
    pub const fn from_ms(milliseconds: u64) -> Self {
        Self { milliseconds }
    }

    /// A length of time in seconds.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { milliseconds: seconds.saturating_mul(1_000) }
    }

    /// Milliseconds.
    pub const fn ms(self) -> u64 {
        self.milliseconds
    }

    /// The standard library's form.
    pub const fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.milliseconds)
    }
}

impl Span {
    /// With the digits that matter to people: `948ms`, `1.9s`, `4m9s`. Not to be read back.
    pub fn rounded(self) -> String {
        match self.milliseconds {
            below @ 0..1_000 => Self::from_ms(below).to_string(),
            below @ 1_000..10_000 => format!("{}.{}s", below / 1_000, below % 1_000 / 100).replace(".0s", "s"),
            more => {
                let small = TIME_UNITS.iter().skip_while(|(_, scale)| more < *scale).nth(1);
                let small = small.map_or(1, |(_, scale)| *scale);
                Self::from_ms(more - more % small.max(1_000)).to_string()
            }
        }
    }
}

/// A number with its noun: `1 warning`, `2 warnings`.
pub fn counted(number: impl TryInto<u64>, noun: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

impl FromStr for Span {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan {
            text: text.to_owned(),
            expected: "a length of time such as `250ms`, `90s`, `1m30s` or `2h`",
        };
        let mut rest = text.trim();
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (number, tail) = split_digits(rest);
            let letters = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let scale = TIME_UNITS.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale);
            let number: u64 = number.parse().map_err(|_| invalid())?;
            let part = scale.and_then(|scale| number.checked_mul(scale)).ok_or_else(invalid)?;
            total = total.checked_add(part).ok_or_else(invalid)?;
            rest = tail.trim_start();
        }
        Ok(Self { milliseconds: total })
    }
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.milliseconds == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.milliseconds;
        for (unit, scale) in TIME_UNITS {
            if rest >= scale {
                write!(f, "{}{unit}", rest / scale)?;
                rest %= scale;
            }
        }
        Ok(())
    }
}

/// A size in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(pub u64);

/// Units of size; the binary ones first, largest first, because they are the ones we print.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

impl FromStr for ByteSize {
    type Err = InvalidSpan;

    fn from_str(text: &str) -> Result<Self, InvalidSpan> {
        let invalid = || InvalidSpan { text: text.to_owned(), expected: "a size such as `64MiB` or `2GB`" };
        let (number, unit) = split_digits(text.trim());
        let unit = if unit.trim().is_empty() { "B" } else { unit.trim() };
        let scale = SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, scale)| *scale);
        let number: u64 = number.parse().map_err(|_| invalid())?;
        scale.and_then(|scale| number.checked_mul(scale)).map(ByteSize).ok_or_else(invalid)
    }
}

impl ByteSize {
    /// With the digits that matter to people: `1.5 KiB`, `150 MiB`. Not to be read back.
    pub fn rounded(self) -> String {
        const UNITS: [(&str, u32); 4] = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
        let bytes = self.0;
        let Some((unit, shift)) = UNITS.iter().find(|(_, shift)| bytes >> shift > 0) else {
            return format!("{bytes} B");
        };
        // Whole numbers only: a float would not hold every size.
        let whole = bytes >> shift;
        let tenths = ((bytes & ((1 << shift) - 1)) >> (shift - 10)) * 10 / 1024;
        if whole >= 100 { format!("{whole} {unit}") } else { format!("{whole}.{tenths} {unit}") }
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = SIZE_UNITS
            .iter()
            .take(5)
            .find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale))
            .unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / scale)
    }
}

/// Text in, text out, checked on the way in.
macro_rules! text_form {
    ($type:ident) => {
        impl TryFrom<String> for $type {
            type Error = InvalidSpan;
            fn try_from(text: String) -> Result<Self, InvalidSpan> {
                text.parse()
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    };
}
text_form!(Span);
text_form!(ByteSize);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, ms) in
            [("0", 0), ("0s", 0), ("250ms", 250), ("90s", 90_000), ("1m30s", 90_000), ("1d 2h", 93_600_000)]
        {
            assert_eq!(text.parse::<Span>().unwrap().ms(), ms, "{text}");
        }
        for text in ["", "90", "s", "1x", "-1s", "1.5s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(text.parse::<Span>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn people_read_the_digits_that_matter() {
        for (ms, text) in [
            (0, "0s"),
            (948, "948ms"),
            (1_000, "1s"),
            (1_952, "1.9s"),
            (59_999, "59s"),
            (249_691, "4m9s"),
            (3_600_000, "1h"),
            (3_661_000, "1h1m"),
            (90_061_000, "1d1h"),
        ] {
            assert_eq!(Span::from_ms(ms).rounded(), text);
        }
        assert_eq!((counted(1, "warning"), counted(0, "error")), ("1 warning".to_owned(), "0 errors".to_owned()));
    }

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [("0", 0), ("17", 17), ("64MiB", 64 << 20), ("2GB", 2_000_000_000), ("1 kib", 1024)] {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        }
        for text in ["", "MiB", "1.5GB", "1XB", "99999999999TiB"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?} was accepted");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_are_inverse(ms in 0u64..u64::MAX / 2, bytes: u64) {
            prop_assert_eq!(Span::from_ms(ms).to_string().parse::<Span>().unwrap().ms(), ms);
            prop_assert_eq!(ByteSize(bytes).to_string().parse::<ByteSize>().unwrap().0, bytes);
        }

        #[test]
        fn no_text_makes_reading_panic(text in ".{0,40}") {
            let _ = text.parse::<Span>();
            let _ = text.parse::<ByteSize>();
        }
    }
}
