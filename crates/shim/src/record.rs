//! The durable record of a unit's last run: the file `run` in the unit's directory.
//!
//! The file has one slot of 4 KiB per phase, overwritten in place; the valid slot with the highest
//! sequence number counts (`docs/formats/shim.md`). Only an exit that nobody asked for is synced to
//! the disk: what else is recorded says something about living processes, and those do not outlive
//! what the page cache outlives; and nobody judges how a run ended that was told to end. Since an exit has a slot of its own, a power cut during any other write cannot
//! tear it. Owns the file while the shim lives; anyone may read it.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

use crate::protocol::Phase;
use crate::status::ExitStatus;

/// The file in the unit's directory.
pub const RECORD_FILE: &str = "run";

const SLOT_BYTES: usize = 4096;
/// The slot of each phase is its place in this list.
const SLOTS: [Phase; 4] = [Phase::Launching, Phase::Running, Phase::Exited, Phase::Empty];
const FIRST_LINE: &str = "omnivisor-run 1.";
const THIS_MINOR: &str = "0";

/// What is known about a unit's last run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RunRecord {
    /// Which run.
    pub run: u64,
    /// How far it was.
    pub phase: Phase,
    /// Its main process, once there was one.
    pub pid: Option<u32>,
    /// When that process started, in clock ticks since boot: pid and this never come twice.
    pub start_ticks: Option<u64>,
    /// The boot of the host in which it ran.
    pub boot_id: String,
    /// When the launch began.
    pub launched_at_unix_ms: u64,
    /// How the main process ended.
    pub exit: Option<ExitStatus>,
    /// When it ended.
    pub exited_at_unix_ms: Option<u64>,
    /// Nobody has to judge how it ended: it was told to end, or whoever had judged it let it be forgotten.
    pub settled: bool,
}

/// The record as a shim holds it.
#[derive(Debug)]
pub(crate) struct RecordFile {
    file: File,
    sequence: u64,
}

impl RecordFile {
    /// Opens or makes the record, and reads what an earlier shim left in it.
    pub(crate) fn open(directory: &Path) -> io::Result<(Self, Option<RunRecord>)> {
        let path = directory.join(RECORD_FILE);
        let file = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let length = (SLOT_BYTES * SLOTS.len()) as u64;
        if file.metadata()?.len() < length {
            // Written once in full, so that overwriting needs neither space nor metadata later.
            file.write_all_at(&vec![0; SLOT_BYTES * SLOTS.len()], 0)?;
            file.sync_all()?;
            File::open(directory)?.sync_all()?;
        }
        let (sequence, record) = newest(&file)?.map_or((0, None), |(sequence, record)| (sequence, Some(record)));
        Ok((Self { file, sequence }, record))
    }

    /// Writes the record; durable against a power cut only if asked.
    pub(crate) fn write(&mut self, record: &RunRecord, durable: bool) -> io::Result<()> {
        self.sequence += 1;
        let slot = SLOTS.iter().position(|phase| *phase == record.phase).unwrap_or_default();
        let mut bytes = record.to_text(self.sequence).into_bytes();
        bytes.resize(SLOT_BYTES, 0);
        self.file.write_all_at(&bytes, (slot * SLOT_BYTES) as u64)?;
        if durable {
            self.file.sync_data()?;
        }
        Ok(())
    }
}

/// Reads the record in a unit's directory; nothing if there never was a run.
pub fn read_record(directory: &Path) -> io::Result<Option<RunRecord>> {
    match File::open(directory.join(RECORD_FILE)) {
        Ok(file) => Ok(newest(&file)?.map(|(_, record)| record)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Lets the end of the last run be forgotten. Only while no shim lives, whose file it is otherwise; a run of which
/// something may be left is not touched.
pub fn settle_record(directory: &Path) -> io::Result<()> {
    match read_record(directory)? {
        Some(record) if record.phase == Phase::Empty && !record.settled => {
            RecordFile::open(directory)?.0.write(&RunRecord { settled: true, ..record }, false)
        }
        _ => Ok(()),
    }
}

fn newest(file: &File) -> io::Result<Option<(u64, RunRecord)>> {
    let mut newest: Option<(u64, RunRecord)> = None;
    for slot in 0..SLOTS.len() {
        let mut bytes = [0; SLOT_BYTES];
        match file.read_exact_at(&mut bytes, (slot * SLOT_BYTES) as u64) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) => return Err(error),
        }
        let found = RunRecord::from_slot(&bytes)?;
        if found.as_ref().map(|found| found.0) > newest.as_ref().map(|newest| newest.0) {
            newest = found;
        }
    }
    Ok(newest)
}

impl RunRecord {
    fn to_text(&self, sequence: u64) -> String {
        let (code, signal, core) = match self.exit {
            Some(ExitStatus::Code(code)) => (Some(code), None, None),
            Some(ExitStatus::Signal { signal, core_dumped }) => (None, Some(signal), Some(i32::from(core_dumped))),
            None => (None, None, None),
        };
        let lines = [
            ("sequence", Some(sequence.to_string())),
            ("run", Some(self.run.to_string())),
            ("phase", Some(self.phase.name().to_owned())),
            ("boot", Some(self.boot_id.clone())),
            ("launched", Some(self.launched_at_unix_ms.to_string())),
            ("pid", self.pid.map(|pid| pid.to_string())),
            ("start", self.start_ticks.map(|ticks| ticks.to_string())),
            ("exited", self.exited_at_unix_ms.map(|at| at.to_string())),
            ("code", code.map(|code| code.to_string())),
            ("signal", signal.map(|signal| signal.to_string())),
            ("core", core.map(|core| core.to_string())),
            ("settled", self.settled.then(|| "1".to_owned())),
        ];
        let mut text = format!("{FIRST_LINE}{THIS_MINOR}\n");
        for (name, value) in lines {
            if let Some(value) = value {
                text.extend([name, " ", &value, "\n"]);
            }
        }
        let checksum = format!("crc32 {:08x}\n", crc32(text.as_bytes()));
        text.push_str(&checksum);
        text
    }

    /// Nothing for a slot that is unused or torn; an error for one of a newer major version.
    fn from_slot(bytes: &[u8]) -> io::Result<Option<(u64, Self)>> {
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let Some(text) = bytes.get(..end).and_then(|text| std::str::from_utf8(text).ok()) else {
            return Ok(None);
        };
        let Some((body, checksum)) = text.rsplit_once("crc32 ") else {
            return Ok(None);
        };
        if u32::from_str_radix(checksum.trim_end(), 16) != Ok(crc32(body.as_bytes())) {
            return Ok(None);
        }
        if !body.starts_with(FIRST_LINE) {
            let message = "the run record was written by a newer major version";
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Self::from_body(body))
    }

    fn from_body(body: &str) -> Option<(u64, Self)> {
        let mut record = Self::default();
        let (mut sequence, mut signal, mut core_dumped) = (None, None, false);
        for (name, value) in body.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "sequence" => sequence = Some(value.parse().ok()?),
                "run" => record.run = value.parse().ok()?,
                "phase" => record.phase = Phase::from_name(value)?,
                "boot" => value.clone_into(&mut record.boot_id),
                "launched" => record.launched_at_unix_ms = value.parse().ok()?,
                "pid" => record.pid = Some(value.parse().ok()?),
                "start" => record.start_ticks = Some(value.parse().ok()?),
                "exited" => record.exited_at_unix_ms = Some(value.parse().ok()?),
                "code" => record.exit = Some(ExitStatus::Code(value.parse().ok()?)),
                "signal" => signal = Some(value.parse().ok()?),
                "core" => core_dumped = value == "1",
                "settled" => record.settled = value == "1",
                // Of a newer minor version.
                _ => {}
            }
        }
        if let Some(signal) = signal {
            record.exit = Some(ExitStatus::Signal { signal, core_dumped });
        }
        Some((sequence?, record))
    }
}

/// The checksum that `gzip` and `cksum -a crc32b` use; the bytes are few, so there is no table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: u64, phase: Phase) -> RunRecord {
        RunRecord { run, phase, boot_id: "b".into(), ..RunRecord::default() }
    }

    #[test]
    fn checksum_is_the_well_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn the_newest_record_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, before) = RecordFile::open(directory.path()).unwrap();
        assert_eq!(before, None);
        let exit = Some(ExitStatus::Signal { signal: 11, core_dumped: true });
        let exited = RunRecord { exit, pid: Some(7), ..record(3, Phase::Exited) };
        file.write(&record(3, Phase::Launching), false).unwrap();
        file.write(&exited, true).unwrap();
        assert_eq!(read_record(directory.path()).unwrap(), Some(exited.clone()));
        let (mut file, before) = RecordFile::open(directory.path()).unwrap();
        assert_eq!(before, Some(exited));
        file.write(&record(4, Phase::Launching), false).unwrap();
        assert_eq!(read_record(directory.path()).unwrap().unwrap().run, 4);
    }

    #[test]
    fn a_torn_slot_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let (mut file, _) = RecordFile::open(directory.path()).unwrap();
        file.write(&record(1, Phase::Exited), true).unwrap();
        file.write(&record(1, Phase::Empty), false).unwrap();
        for offset in 0..60 {
            file.file.write_all_at(&[0xff], (3 * SLOT_BYTES + offset) as u64).unwrap();
            assert_eq!(read_record(directory.path()).unwrap().unwrap().phase, Phase::Exited);
        }
    }

    #[test]
    fn a_newer_major_version_is_refused_and_garbage_is_not() {
        let body = "omnivisor-run 2.0\nsequence 1\n";
        let text = format!("{body}crc32 {:08x}\n", crc32(body.as_bytes()));
        assert!(RunRecord::from_slot(text.as_bytes()).is_err());
        assert_eq!(RunRecord::from_slot(b"crc32 crc32 zz").unwrap(), None);
        assert_eq!(RunRecord::from_slot(&[0xff; 64]).unwrap(), None);
    }
}
