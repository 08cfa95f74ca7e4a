//! Any bytes as a journal segment: refused, or cut to a beginning that reads the same again.
//!
//! Random bytes never match a checksum, so when the first byte is odd the lines behind it get their right
//! numbers and checksums first, and the fuzzer reaches what stands behind those.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ov_journal::{Sequence, check_segment};

fn with_checksums(text: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    for (index, rest) in text.split(|&byte| byte == b'\n').enumerate() {
        let number = format!("{:012}", index + 1);
        let covered = [number.as_bytes(), b" ", rest].concat();
        segment.extend_from_slice(format!("{number} {:08x} ", crc32c::crc32c(&covered)).as_bytes());
        segment.extend_from_slice(rest);
        segment.push(b'\n');
    }
    segment
}

fuzz_target!(|bytes: &[u8]| {
    let repaired = match bytes {
        [mode, text @ ..] if mode % 2 == 1 => Some(with_checksums(text)),
        _ => None,
    };
    let bytes = repaired.as_deref().unwrap_or(bytes);
    if let Ok((records, accepted)) = check_segment(bytes, Sequence(1)) {
        assert!(accepted <= bytes.len());
        // What recovery keeps and writes anew must be read as the same, with nothing left to cut.
        let again = check_segment(&bytes[..accepted], Sequence(1)).ok();
        assert_eq!(again, Some((records, accepted)));
    }
});
