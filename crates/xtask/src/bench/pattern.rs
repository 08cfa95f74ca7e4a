//! Output of which every byte is known: numbered lines of a fixed length.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

const LINE_BYTES: usize = 128;
const LINES: usize = 1024;
const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Makes the stream, a piece of many lines at a time.
struct Pieces {
    piece: Vec<u8>,
    next_line: u64,
}

impl Pieces {
    fn new() -> Self {
        let mut line = [b'.'; LINE_BYTES];
        line[LINE_BYTES - 1] = b'\n';
        Self { piece: line.repeat(LINES), next_line: 0 }
    }

    fn next(&mut self) -> &[u8] {
        for line in self.piece.chunks_exact_mut(LINE_BYTES) {
            let number = self.next_line.to_be_bytes();
            for (two, byte) in line.chunks_exact_mut(2).zip(number) {
                two[0] = DIGITS[usize::from(byte >> 4)];
                two[1] = DIGITS[usize::from(byte & 15)];
            }
            self.next_line += 1;
        }
        &self.piece
    }
}

/// The largest length of a stream that is not longer than this.
pub(super) fn whole_pieces(bytes: u64) -> u64 {
    let piece = (LINE_BYTES * LINES) as u64;
    bytes / piece * piece
}

/// Writes the stream.
pub(super) fn pour(output: &mut impl Write, bytes: u64) -> Result<()> {
    let mut pieces = Pieces::new();
    for _ in 0..bytes / (LINE_BYTES * LINES) as u64 {
        output.write_all(pieces.next()).context("pour")?;
    }
    Ok(())
}

/// The number of the first line that begins in this file; nothing if it is empty.
pub(super) fn first_whole_line(file: &Path) -> Result<Option<u64>> {
    let mut start = Vec::new();
    let input = File::open(file).with_context(|| format!("open {}", file.display()))?;
    input.take(2 * LINE_BYTES as u64).read_to_end(&mut start).with_context(|| format!("read {}", file.display()))?;
    // A line is longer than its number, and full stops part the two: a rest of a line ends before the first number.
    let begin = if start.get(16) == Some(&b'.') && start.len() >= LINE_BYTES && start[LINE_BYTES - 1] == b'\n' {
        0
    } else {
        start.iter().position(|byte| *byte == b'\n').map_or(start.len(), |end| end + 1)
    };
    let digits = start.get(begin..begin + 16).and_then(|digits| std::str::from_utf8(digits).ok());
    Ok(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()))
}

/// Fails unless these files hold the stream one after the other, without a byte less, more or other.
pub(super) fn check(files: &[PathBuf], bytes: u64) -> Result<()> {
    let mut input: Box<dyn io::Read> = Box::new(io::empty());
    for file in files {
        input = Box::new(input.chain(File::open(file).with_context(|| format!("open {}", file.display()))?));
    }
    let mut pieces = Pieces::new();
    let mut seen = vec![0; LINE_BYTES * LINES];
    for number in 0..bytes / (LINE_BYTES * LINES) as u64 {
        input.read_exact(&mut seen).with_context(|| format!("read piece {number} back"))?;
        ensure!(seen == pieces.next(), "find piece {number} as it was written");
    }
    ensure!(input.read(&mut seen).context("read the end")? == 0, "find the end where it should be");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_lost_changed_or_added_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = whole_pieces(400_000);
        let mut stream = Vec::new();
        pour(&mut stream, bytes).unwrap();
        assert_eq!(stream.len() as u64, bytes);
        let files = [folder.path().join("1"), folder.path().join("2")];
        let keep = |stream: &[u8]| {
            std::fs::write(&files[0], &stream[..1000]).unwrap();
            std::fs::write(&files[1], &stream[1000..]).unwrap();
        };
        keep(&stream);
        check(&files, bytes).unwrap();
        assert_eq!(first_whole_line(&files[0]).unwrap(), Some(0));
        assert_eq!(first_whole_line(&files[1]).unwrap(), Some(1000 / LINE_BYTES as u64 + 1));
        keep(&stream[..stream.len() - 1]);
        check(&files, bytes).unwrap_err();
        keep(&[&stream[..], b"x"].concat());
        check(&files, bytes).unwrap_err();
        stream[200_000] ^= 1;
        keep(&stream);
        check(&files, bytes).unwrap_err();
    }
}
