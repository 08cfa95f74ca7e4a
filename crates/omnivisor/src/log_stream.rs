//! A unit's output as one stream of bytes, over all the files it is kept in.
//!
//! The shim writes the log and renames it when it rotates; the daemon may then compress it, and the oldest ones go.
//! Read in the order of their counters and then the current one, they are exactly what the unit wrote. Nothing here
//! keeps the writer from going on: every question is asked again when the answer may have changed meanwhile.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use ov_daemon::compress::{Rotated, rotated};
use ov_sys::Disk;

const BUFFER_BYTES: usize = 256 * 1024;
/// How often a file may be rotated or compressed under our hands before we give up.
const TRIES_MAX: u32 = 100;

/// The stream. After its end was reached, reading on yields what was written since.
pub(crate) struct LogStream<'a> {
    disk: &'a dyn Disk,
    log: PathBuf,
    /// The counter of the file being read; for the current file, the one that it will get.
    counter: u64,
    reading: Option<Reading>,
    /// Lines still to be passed over before the first byte is shown.
    skip: u64,
}

struct Reading {
    reader: Box<dyn Read>,
    read_bytes: u64,
    /// Which file it is while it is the current one. The open file keeps the number from being used again.
    current_inode: Option<u64>,
}

impl<'a> LogStream<'a> {
    /// The last `lines` lines of a log, or everything.
    pub(crate) fn open(disk: &'a dyn Disk, log: &Path, lines: Option<usize>) -> io::Result<Self> {
        let mut stream = Self { disk, log: log.to_owned(), counter: 0, reading: None, skip: 0 };
        if let Some(lines) = lines {
            stream.go_to_last(u64::try_from(lines).unwrap_or(u64::MAX))?;
        }
        Ok(stream)
    }

    /// Reads on; zero at the present end.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(reading) = &mut self.reading else {
                if self.open_next()? {
                    continue;
                }
                return Ok(0);
            };
            let count = reading.reader.read(buffer)?;
            reading.read_bytes += count as u64;
            if count == 0 && !self.goes_on()? {
                return Ok(0);
            }
            let shown = self.pass_over(buffer, count);
            if shown > 0 {
                return Ok(shown);
            }
        }
    }

    /// At the end of what could be read: whether there is more, here or in the next file.
    fn goes_on(&mut self) -> io::Result<bool> {
        let Some(reading) = &mut self.reading else { return Ok(true) };
        let Some(inode) = reading.current_inode else {
            self.reading = None;
            self.counter += 1;
            return Ok(true);
        };
        match self.disk.facts(&self.log)?.filter(|facts| facts.inode == inode) {
            Some(facts) if facts.len >= reading.read_bytes => return Ok(facts.len > reading.read_bytes),
            // Somebody cut it short: it begins anew.
            Some(_) => self.reading = None,
            // It was rotated: nothing is written to it any more, but something may have been since our last read.
            None => reading.current_inode = None,
        }
        Ok(true)
    }

    /// Opens the next file; false while there is none.
    fn open_next(&mut self) -> io::Result<bool> {
        for _ in 0..TRIES_MAX {
            let is_next = |rotated: &Rotated| rotated.counter >= self.counter;
            let files = rotated(self.disk, &self.log)?;
            if let Some(next) = files.iter().find(|rotated| is_next(rotated)) {
                if let Some(reader) = open(self.disk, next)? {
                    self.counter = next.counter;
                    self.reading = Some(Reading { reader, read_bytes: 0, current_inode: None });
                    return Ok(true);
                }
                continue;
            }
            let Some(before) = self.disk.facts(&self.log)? else { return Ok(false) };
            let Some(reader) = unless_missing(self.disk.open(&self.log))? else { continue };
            let after = self.disk.facts(&self.log)?;
            let was_rotated = rotated(self.disk, &self.log)?.iter().any(is_next);
            if was_rotated || after.is_none_or(|after| after.inode != before.inode) {
                continue;
            }
            self.counter = self.counter.max(next_counter(&files));
            self.reading = Some(Reading { reader, read_bytes: 0, current_inode: Some(before.inode) });
            return Ok(true);
        }
        Err(io::Error::other("it is rotated faster than it can be read"))
    }

    /// Drops the lines that are to be passed over from the front of the buffer; says how many bytes are left.
    fn pass_over(&mut self, buffer: &mut [u8], count: usize) -> usize {
        let mut start = 0;
        while self.skip > 0 {
            let Some(rest) = buffer.get(start..count).filter(|rest| !rest.is_empty()) else { return 0 };
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else { return 0 };
            start += end + 1;
            self.skip -= 1;
        }
        buffer.copy_within(start..count, 0);
        count - start
    }

    /// Makes the stream begin with the last `lines` lines: looks from the newest file backwards for enough of them.
    fn go_to_last(&mut self, lines: u64) -> io::Result<()> {
        let mut files = rotated(self.disk, &self.log)?;
        files.dedup_by_key(|rotated| rotated.counter);
        self.counter = next_counter(&files);
        let mut found = match unless_missing(self.disk.open(&self.log))? {
            Some(mut reader) => count_lines(reader.as_mut(), true)?,
            None => 0,
        };
        while found < lines
            && let Some(earlier) = files.pop()
        {
            if let Some(mut reader) = open(self.disk, &earlier)? {
                found += count_lines(reader.as_mut(), false)?;
                self.counter = earlier.counter;
            }
        }
        self.skip = found.saturating_sub(lines);
        Ok(())
    }
}

/// Counts line ends, and the rest after the last one if `count_rest`.
fn count_lines(reader: &mut dyn Read, count_rest: bool) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let (mut lines, mut last) = (0, b'\n');
    loop {
        let count = reader.read(&mut buffer)?;
        let Some(bytes) = buffer.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        lines += bytes.split(|byte| *byte == b'\n').count() as u64 - 1;
        last = bytes.last().copied().unwrap_or(last);
    }
    Ok(lines + u64::from(count_rest && last != b'\n'))
}

/// The counter that the current file will get.
fn next_counter(rotated: &[Rotated]) -> u64 {
    rotated.last().map_or(1, |last| last.counter + 1)
}

/// Opens a rotated file; `None` when it is gone, or compressed by now.
fn open(disk: &dyn Disk, rotated: &Rotated) -> io::Result<Option<Box<dyn Read>>> {
    let reader = unless_missing(disk.open(&rotated.path))?;
    Ok(reader.map(|reader| if rotated.compressed { Box::new(MultiGzDecoder::new(reader)) as _ } else { reader as _ }))
}

fn unless_missing<T>(answer: io::Result<T>) -> io::Result<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;
    use std::fs;
    use std::io::Write as _;

    struct Logs {
        folder: tempfile::TempDir,
    }

    impl Logs {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn log(&self) -> PathBuf {
            self.folder.path().join("main.log")
        }

        fn rotated(&self, counter: u64) -> PathBuf {
            self.folder.path().join(format!("main.log.20261120T0615{counter:02}Z-{counter:06}"))
        }

        fn append(&self, bytes: &[u8]) {
            let mut file = fs::File::options().create(true).append(true).open(self.log()).unwrap();
            file.write_all(bytes).unwrap();
        }

        fn rotate(&self, counter: u64) {
            fs::rename(self.log(), self.rotated(counter)).unwrap();
        }

        fn compress(&self, counter: u64) {
            let plain = fs::read(self.rotated(counter)).unwrap();
            let target = fs::File::create(format!("{}.gz", self.rotated(counter).display())).unwrap();
            let mut encoder = flate2::write::GzEncoder::new(target, flate2::Compression::fast());
            encoder.write_all(&plain).unwrap();
            encoder.finish().unwrap();
            fs::remove_file(self.rotated(counter)).unwrap();
        }
    }

    fn rest(stream: &mut LogStream<'_>) -> Vec<u8> {
        let (mut all, mut buffer) = (Vec::new(), [0; 7]);
        loop {
            match stream.read(&mut buffer).unwrap() {
                0 => return all,
                count => all.extend_from_slice(&buffer[..count]),
            }
        }
    }

    fn last(logs: &Logs, lines: usize) -> String {
        let mut stream = LogStream::open(&RealDisk, &logs.log(), Some(lines)).unwrap();
        String::from_utf8(rest(&mut stream)).unwrap()
    }

    #[test]
    fn all_files_are_one_stream_byte_by_byte() {
        let logs = Logs::new();
        let bytes: Vec<u8> = (0..=255).cycle().take(3_000).collect();
        for (index, part) in bytes.chunks(700).enumerate() {
            logs.append(part);
            if index < 4 {
                logs.rotate(index as u64 + 9);
            }
        }
        logs.compress(9);
        logs.compress(10);
        // Names that look alike are not of this log.
        fs::write(logs.folder.path().join("main.log.old"), "x").unwrap();
        fs::write(logs.folder.path().join("main.log.20261120T061500Z-000011.gz.part"), "x").unwrap();
        let mut stream = LogStream::open(&RealDisk, &logs.log(), None).unwrap();
        assert_eq!(rest(&mut stream), bytes);
    }

    #[test]
    fn following_survives_rotations_at_any_time() {
        let logs = Logs::new();
        let mut stream = LogStream::open(&RealDisk, &logs.log(), None).unwrap();
        assert_eq!(rest(&mut stream), b"", "there is no file yet");
        logs.append(b"one ");
        assert_eq!(rest(&mut stream), b"one ");
        logs.append(b"two ");
        logs.rotate(1);
        logs.append(b"three ");
        assert_eq!(rest(&mut stream), b"two three ");
        // Two rotations between two looks, one of them compressed by then, and the log not there yet.
        logs.append(b"four ");
        logs.rotate(2);
        logs.append(b"five ");
        logs.rotate(3);
        logs.compress(2);
        logs.compress(3);
        assert_eq!(rest(&mut stream), b"four five ");
        assert_eq!(rest(&mut stream), b"");
        logs.append(b"six");
        assert_eq!(rest(&mut stream), b"six");
    }

    #[test]
    fn a_log_that_was_cut_short_begins_anew() {
        let logs = Logs::new();
        logs.append(b"a long text");
        let mut stream = LogStream::open(&RealDisk, &logs.log(), None).unwrap();
        rest(&mut stream);
        fs::File::options().write(true).truncate(true).open(logs.log()).unwrap();
        logs.append(b"new");
        assert_eq!(rest(&mut stream), b"new");
    }

    #[test]
    fn the_last_lines_are_counted_over_files() {
        let logs = Logs::new();
        assert_eq!(last(&logs, 5), "");
        logs.append(b"1\n2\n3\n");
        logs.rotate(1);
        logs.append(b"4\n");
        logs.rotate(2);
        logs.compress(1);
        logs.append(b"5\n6");
        for (lines, expected) in
            [(0, ""), (1, "6"), (2, "5\n6"), (3, "4\n5\n6"), (5, "2\n3\n4\n5\n6"), (99, "1\n2\n3\n4\n5\n6")]
        {
            assert_eq!(last(&logs, lines), expected, "{lines} lines");
        }
    }

    #[test]
    fn a_line_may_be_as_long_as_it_likes() {
        let logs = Logs::new();
        let line = vec![b'x'; 3 * BUFFER_BYTES];
        logs.append(b"short\n");
        logs.append(&line);
        assert_eq!(last(&logs, 1).len(), line.len());
    }
}
