//! Output whose every byte can be checked: fast to make, and it says where bytes went missing.
//!
//! The stream is blocks of 4,096 bytes, each 64 lines of 64 bytes. The first line of a block names
//! the block, the others their place in it. Without newlines a full stop takes their place.

const LINE_BYTES: usize = 64;
const NUMBER_DIGITS: usize = 16;
/// Size of one block of the pattern.
pub const BLOCK_BYTES: usize = LINE_BYTES * 64;

/// The stream of one flavour.
#[derive(Debug, Clone)]
pub struct Pattern {
    template: [u8; BLOCK_BYTES],
}

impl Pattern {
    /// The pattern with or without newlines.
    pub fn new(newlines: bool) -> Self {
        let mut template = [0; BLOCK_BYTES];
        for (index, line) in template.chunks_mut(LINE_BYTES).enumerate() {
            let text = format!("{index:016x} the quick brown node jumps over a lazy fork");
            line.fill(b' ');
            line[..text.len()].copy_from_slice(text.as_bytes());
            line[LINE_BYTES - 1] = if newlines { b'\n' } else { b'.' };
        }
        Self { template }
    }

    /// Writes the stream from `offset` on into `buffer`.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        let block_bytes = BLOCK_BYTES as u64;
        let mut number = offset / block_bytes;
        let mut skip = usize::try_from(offset % block_bytes).unwrap_or(0);
        let mut rest = buffer;
        while !rest.is_empty() {
            let length = rest.len().min(BLOCK_BYTES - skip);
            let (part, tail) = rest.split_at_mut(length);
            part.copy_from_slice(&self.template[skip..skip + length]);
            if skip < NUMBER_DIGITS {
                let digits = &hex(number)[skip..NUMBER_DIGITS.min(skip + length)];
                part[..digits.len()].copy_from_slice(digits);
            }
            (rest, number, skip) = (tail, number + 1, 0);
        }
    }
}

/// Follows a stream and remembers the first byte that is not as it should be.
#[derive(Debug, Clone)]
pub struct Checker {
    pattern: Pattern,
    offset: u64,
}

impl Checker {
    /// Expects the stream from its beginning.
    pub fn new(newlines: bool) -> Self {
        Self { pattern: Pattern::new(newlines), offset: 0 }
    }

    /// How many bytes were right so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next bytes, or returns the offset of the first wrong one.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(), u64> {
        let mut expected = [0; BLOCK_BYTES];
        for chunk in bytes.chunks(BLOCK_BYTES) {
            let expected = &mut expected[..chunk.len()];
            self.pattern.fill(self.offset, expected);
            if expected != chunk {
                let right = expected.iter().zip(chunk).take_while(|(a, b)| a == b).count();
                self.offset += right as u64;
                return Err(self.offset);
            }
            self.offset += chunk.len() as u64;
        }
        Ok(())
    }
}

fn hex(number: u64) -> [u8; NUMBER_DIGITS] {
    let mut digits = [0; NUMBER_DIGITS];
    for (index, digit) in digits.iter_mut().enumerate() {
        let nibble = (number >> (4 * (NUMBER_DIGITS - 1 - index))) & 0xf;
        *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or(0)];
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cut_of_the_stream_is_the_same_stream() {
        let pattern = Pattern::new(true);
        let mut whole = vec![0; 3 * BLOCK_BYTES + 100];
        pattern.fill(0, &mut whole);
        for (from, length) in [(0, 1), (3, 20), (15, 2), (BLOCK_BYTES - 1, 2), (BLOCK_BYTES + 7, 2 * BLOCK_BYTES)] {
            let mut part = vec![0; length];
            pattern.fill(from as u64, &mut part);
            assert_eq!(part, whole[from..from + length], "{from}+{length}");
        }
    }

    #[test]
    fn the_checker_finds_lost_repeated_and_changed_bytes() {
        let mut bytes = vec![0; 2 * BLOCK_BYTES];
        Pattern::new(false).fill(0, &mut bytes);
        assert!(!bytes.contains(&b'\n'));
        let mut checker = Checker::new(false);
        assert_eq!(checker.feed(&bytes), Ok(()));
        assert_eq!(checker.offset(), 2 * BLOCK_BYTES as u64);

        let without_a_block = [&bytes[..10], &bytes[10 + BLOCK_BYTES..]].concat();
        assert!(Checker::new(false).feed(&without_a_block).is_err());
        let twice_a_byte = [&bytes[..101], &bytes[100..]].concat();
        assert!(Checker::new(false).feed(&twice_a_byte).is_err());
        bytes[5000] ^= 1;
        assert_eq!(Checker::new(false).feed(&bytes), Err(5000));
        assert!(Checker::new(true).feed(&bytes).is_err());
    }
}
