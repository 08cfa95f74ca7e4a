//! What a unit wrote before it ended: the end of its log, as far back as its launch.
//!
//! Reads a bounded number of bytes and remembers nothing. What is compressed by now was written long before the end.

use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::Path;

use ov_sys::Disk;

use super::LogMark;
use super::log_line::contains;
use crate::compress::rotated;

/// So much of the end is looked at: more than a crashing program prints.
const LAST_WORDS_BYTES_MAX: u64 = 4 << 20;

impl LogMark {
    /// The first of these texts that stands in the last words since the mark.
    pub fn last_words<'a>(&self, disk: &dyn Disk, texts: &'a [String]) -> io::Result<Option<&'a str>> {
        let words = self.tail(disk, LAST_WORDS_BYTES_MAX)?;
        Ok(texts.iter().find(|text| contains(&words, text.as_bytes())).map(String::as_str))
    }

    /// The last bytes since the mark, from the newest file back.
    fn tail(&self, disk: &dyn Disk, bytes_max: u64) -> io::Result<Vec<u8>> {
        let rotated: Vec<_> = rotated(disk, &self.log)?.into_iter().filter(|file| !file.compressed).collect();
        let newest = rotated.last().map_or(0, |file| file.counter) + 1;
        let files =
            rotated.iter().map(|file| (file.counter, file.path.as_path())).chain([(newest, self.log.as_path())]);
        let mut tail = Vec::new();
        for (counter, path) in files.rev().take_while(|(counter, _)| *counter >= self.counter) {
            let from = if counter == self.counter { self.offset } else { 0 };
            let wanted = bytes_max.saturating_sub(tail.len() as u64);
            if wanted == 0 {
                break;
            }
            let mut piece = end_of(disk, path, from, wanted)?;
            piece.append(&mut tail);
            tail = piece;
        }
        Ok(tail)
    }
}

/// The last bytes of a file, but none before `from`; nothing when it is gone.
fn end_of(disk: &dyn Disk, path: &Path, from: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut reader = match disk.open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        reader => reader?,
    };
    let len = reader.seek(SeekFrom::End(0))?;
    reader.seek(SeekFrom::Start(len.saturating_sub(bytes_max).max(from)))?;
    let mut bytes = Vec::new();
    reader.take(bytes_max).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use ov_sys::RealDisk;

    use super::*;

    struct Log(tempfile::TempDir);

    impl Log {
        fn path(&self) -> PathBuf {
            self.0.path().join("main.log")
        }

        fn write(&self, text: &str) {
            let before = fs::read_to_string(self.path()).unwrap_or_default();
            fs::write(self.path(), before + text).unwrap();
        }

        fn rotate(&self, counter: u64) {
            let to = self.0.path().join(format!("main.log.20261120T061500Z-{counter:06}"));
            fs::rename(self.path(), to).unwrap();
        }
    }

    #[test]
    fn only_what_was_written_since_the_mark_counts() {
        let log = Log(tempfile::tempdir().unwrap());
        let texts = ["danger".to_owned(), "doom".to_owned()];
        log.write("danger of the run before\n");
        let mark = LogMark::now(&RealDisk, &log.path()).unwrap();
        let said = || mark.last_words(&RealDisk, &texts).unwrap();
        assert_eq!(said(), None);
        log.write("all is well, do");
        log.rotate(1);
        log.write("om\n");
        assert_eq!(said(), Some("doom"), "also where a rotation cut it");
        log.rotate(2);
        log.write("danger\n");
        assert_eq!(said(), Some("danger"));
        fs::remove_file(log.path()).unwrap();
        assert_eq!(said(), Some("doom"));
    }

    #[test]
    fn no_more_than_the_end_is_read() {
        let log = Log(tempfile::tempdir().unwrap());
        let mark = LogMark::now(&RealDisk, &log.path()).unwrap();
        log.write("0123456789");
        log.rotate(1);
        log.write("abcde");
        let tail = |bytes_max| String::from_utf8(mark.tail(&RealDisk, bytes_max).unwrap()).unwrap();
        assert_eq!([tail(3), tail(5), tail(7), tail(99)], ["cde", "abcde", "89abcde", "0123456789abcde"]);
    }
}
