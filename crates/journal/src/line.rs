//! One line of a segment, written and read. Pure.
//!
//! ```text
//! 000000000042 e5d7ddbe 1/2 {"kind":"armed",…}
//! number       checksum part record
//! ```
//!
//! `part` says which of how many lines of one append it is: an append counts only as a whole. The checksum
//! (CRC-32C) covers the line without the checksum itself and the blank after it.

use crate::Sequence;

/// The longest record, as JSON.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;

/// The largest number that has its place.
pub(crate) const NUMBER_MAX: u64 = 999_999_999_999;

const NUMBER_DIGITS: usize = 12;
const CHECKSUM_DIGITS: usize = 8;
/// Where the part begins.
const PART_START: usize = NUMBER_DIGITS + 1 + CHECKSUM_DIGITS + 1;
/// The longest line, with room for the part.
const LINE_BYTES_MAX: usize = RECORD_BYTES_MAX + PART_START + 32;

/// Which of how many lines of one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Counted from one.
    pub(crate) index: u32,
    pub(crate) count: u32,
}

impl Part {
    /// Whether it begins an append.
    pub(crate) fn begins(self) -> bool {
        self.index == 1
    }

    /// Whether it ends an append.
    pub(crate) fn ends(self) -> bool {
        self.index == self.count
    }

    /// Whether it may stand after `before`.
    pub(crate) fn follows(self, before: Option<Part>) -> bool {
        match before {
            Some(before) if !before.ends() => self.count == before.count && self.index == before.index + 1,
            _ => self.begins(),
        }
    }
}

/// An intact line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) sequence: Sequence,
    pub(crate) part: Part,
    pub(crate) json: &'a [u8],
}

/// Adds a line to `out`, its end included.
pub(crate) fn encode(out: &mut Vec<u8>, sequence: Sequence, part: Part, json: &[u8]) {
    let number = format!("{:0width$}", sequence.0, width = NUMBER_DIGITS);
    let part = format!(" {}/{} ", part.index, part.count);
    let checksum = [part.as_bytes(), json]
        .iter()
        .fold(crc32c::crc32c(number.as_bytes()), |checksum, piece| crc32c::crc32c_append(checksum, piece));
    out.extend_from_slice(format!("{number} {checksum:08x}{part}").as_bytes());
    out.extend_from_slice(json);
    out.push(b'\n');
}

/// Reads a line without its end; `None` unless it is exactly what [`encode`] writes.
pub(crate) fn decode(line: &[u8]) -> Option<Line<'_>> {
    if line.len() > LINE_BYTES_MAX {
        return None;
    }
    let (number, rest) = line.split_at_checked(NUMBER_DIGITS)?;
    let (checksum, covered) = rest.split_at_checked(1 + CHECKSUM_DIGITS)?;
    let found = crc32c::crc32c_append(crc32c::crc32c(number), covered);
    if checksum != format!(" {found:08x}").as_bytes() {
        return None;
    }
    let fields = covered.strip_prefix(b" ")?;
    let end = fields.iter().position(|&byte| byte == b' ')?;
    let (part, json) = fields.split_at(end);
    Some(Line { sequence: Sequence(digits(number)?), part: parse_part(part)?, json: json.strip_prefix(b" ")? })
}

/// Where in these bytes a line may begin, judged by what stands before its part.
pub(crate) fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let windows = bytes.windows(PART_START).enumerate();
    let plausible = windows.filter(|(_, window)| {
        window[NUMBER_DIGITS] == b' '
            && window[PART_START - 1] == b' '
            && window[..NUMBER_DIGITS].iter().all(u8::is_ascii_digit)
    });
    plausible.map(|(start, _)| start)
}

fn parse_part(text: &[u8]) -> Option<Part> {
    let slash = text.iter().position(|&byte| byte == b'/')?;
    let (index, count) = text.split_at(slash);
    let index = u32::try_from(digits(index)?).ok()?;
    let count = u32::try_from(digits(count.strip_prefix(b"/")?)?).ok()?;
    (1 <= index && index <= count).then_some(Part { index, count })
}

/// A decimal number of digits alone.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number <= NUMBER_MAX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut out = Vec::new();
        encode(&mut out, Sequence(42), Part { index: 2, count: 3 }, br#"{"kind":"armed"}"#);
        out
    }

    #[test]
    fn a_line_has_its_documented_form() {
        let line = sample();
        let text = String::from_utf8(line.clone()).unwrap();
        assert!(text.starts_with("000000000042 "), "{text}");
        assert!(text.ends_with(" 2/3 {\"kind\":\"armed\"}\n"), "{text}");
        let without_checksum = format!("{}{}", &text[..12], text[21..].trim_end());
        assert_eq!(text[13..21], format!("{:08x}", crc32c::crc32c(without_checksum.as_bytes())));
        let read = decode(&line[..line.len() - 1]).unwrap();
        assert_eq!(read.sequence, Sequence(42));
        assert_eq!(read.part, Part { index: 2, count: 3 });
        assert_eq!(read.json, br#"{"kind":"armed"}"#);
    }

    #[test]
    fn no_changed_bit_and_no_other_length_is_intact() {
        let line = sample();
        let line = &line[..line.len() - 1];
        for at in 0..line.len() {
            for bit in 0..8 {
                let mut other = line.to_vec();
                other[at] ^= 1 << bit;
                assert_eq!(decode(&other), None, "bit {bit} of byte {at}");
            }
            assert_eq!(decode(&line[..at]), None, "cut at {at}");
        }
        assert_eq!(decode(&[line, b"x"].concat()), None);
        assert_eq!(decode(&vec![b'0'; LINE_BYTES_MAX + 1]), None);
    }

    #[test]
    fn a_right_checksum_over_a_wrong_form_is_not_intact() {
        for (number, rest) in [
            ("00000000004x", " 1/1 {}"),
            ("000000000042", " 0/1 {}"),
            ("000000000042", " 2/1 {}"),
            ("000000000042", " 1/1"),
            ("000000000042", " /1 {}"),
            ("000000000042", " 1/99999999999 {}"),
            ("000000000042", " +1/1 {}"),
            ("000000000042", "1/1 {}"),
        ] {
            let checksum = crc32c::crc32c(format!("{number}{rest}").as_bytes());
            assert_eq!(decode(format!("{number} {checksum:08x}{rest}").as_bytes()), None, "{number}{rest}");
        }
    }

    #[test]
    fn parts_follow_each_other() {
        let part = |index, count| Part { index, count };
        assert!(part(1, 2).follows(None));
        assert!(!part(2, 2).follows(None));
        assert!(part(2, 2).follows(Some(part(1, 2))));
        assert!(!part(2, 3).follows(Some(part(1, 2))));
        assert!(!part(1, 1).follows(Some(part(1, 2))));
        assert!(part(1, 1).follows(Some(part(2, 2))));
    }
}
