//! What the processes do by themselves: make blocks, sign them, halt for an upgrade, raise the format of the data,
//! crash, and end when told to.
//!
//! Main keeps its files as a careful node does: what it signs is durable before it is signed, and a disk that fails ends
//! it. That it never signs twice is nothing it could notice by itself: the world remembers.

use std::io;

use ov_engine::UnitReport;
use ov_sys::disk::Disk;
use ov_sys::durable;
use ov_types::{ExitStatus, RunId, UnitName};

use crate::units::Process;
use crate::world::Event;
use crate::{Lawful, Nature, Violation, World};

/// How long a block takes.
const BLOCK_MS: u64 = 2_000;
/// Every so many blocks, a file that is never changed is written.
const BLOCKS_PER_FILE: u64 = 4;

/// Something a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It makes the next block.
    Block,
    /// It ends by itself.
    Exits(i32),
    /// It ends because it was told to.
    Stopped,
    /// It is killed, with all that belongs to it.
    Killed,
}

/// From this height on, the rules of this level hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gate {
    pub(crate) height: u64,
    pub(crate) level: u64,
}

/// A gate that the node knows of before it is there, and where its release may be had from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Foretold {
    pub(crate) gate: Gate,
    pub(crate) source: Option<String>,
}

impl World {
    /// A process does something, if it still lives.
    pub(crate) fn act(&mut self, pid: u32, deed: Deed) -> Lawful {
        let Some(unit) = self.units.owner(pid) else { return Ok(()) };
        match deed {
            Deed::Block => self.block(pid),
            Deed::Exits(code) => {
                self.tally.count("unit.crashed");
                self.end_process(&unit, ExitStatus::Code(code))
            }
            Deed::Stopped => {
                self.tally.count("unit.stopped");
                self.end_process(&unit, ExitStatus::Code(0))
            }
            Deed::Killed => {
                self.tally.count("unit.killed");
                if let Some(process) = &mut self.units.of(&unit).process {
                    process.leaves_behind = false;
                }
                self.end_process(&unit, ExitStatus::Signal(9))
            }
        }
    }

    /// The process of a unit is no more.
    pub(crate) fn end_process(&mut self, unit: &UnitName, status: ExitStatus) -> Lawful {
        let true_ms = self.true_ms;
        let here = self.units.of(unit);
        let Some(Process { run, launched_ms, leaves_behind, ending, .. }) = here.process.take() else { return Ok(()) };
        here.ended = Some((status, true_ms.saturating_sub(launched_ms)));
        here.settled = ending;
        here.leftover = leaves_behind;
        let shim = here.shim;
        if !ending {
            self.note_fall(unit);
        }
        self.note(format!("{unit} run {run} ended: {status}"));
        if leaves_behind {
            let wait_ms = 50 + self.random.below(1_500);
            self.plan(wait_ms, Event::LeftoverGone { unit: unit.clone(), run });
        }
        if shim {
            self.report(unit.clone(), UnitReport::Exited { run, status: Some(status) })?;
            if !leaves_behind {
                self.report(unit.clone(), UnitReport::Empty { run })?;
            }
        }
        Ok(())
    }

    /// What a process left behind has ended too.
    pub(crate) fn end_leftover(&mut self, unit: &UnitName, run: RunId) -> Lawful {
        let here = self.units.of(unit);
        if here.run != run || !here.leftover {
            return Ok(());
        }
        here.leftover = false;
        if here.shim { self.report(unit.clone(), UnitReport::Empty { run }) } else { Ok(()) }
    }

    /// Main starts.
    pub(crate) fn begin_process(&mut self, pid: u32) -> Lawful {
        let Some(main) = self.units.main() else { return Ok(()) };
        let program = main.program;
        let begun = self.read_data(program.level, program.nature.raises());
        let exit = |wait_ms, code| (wait_ms, Event::Process(pid, Deed::Exits(code)));
        let wait_ms = 100 + self.random.below(1_500);
        let (wait_ms, event) = match (begun, program.nature) {
            (Ok(Some(height)), nature) => {
                if let Some(main) = self.units.main() {
                    main.height = height;
                }
                match nature {
                    Nature::Crashing | Nature::Ruining => exit(wait_ms, 1),
                    Nature::Forbidden => exit(wait_ms, 77),
                    _ => (BLOCK_MS / 2, Event::Process(pid, Deed::Block)),
                }
            }
            (Ok(None), _) => {
                self.tally.count("unit.refused-data");
                self.check_refused(program)?;
                exit(50, 3)
            }
            (Err(error), _) => {
                self.note(format!("process {pid} cannot use its data: {error}"));
                exit(50, 1)
            }
        };
        self.plan(wait_ms, event);
        Ok(())
    }

    /// The height of the data; nothing when its format is beyond this level.
    fn read_data(&mut self, level: u64, raises: bool) -> io::Result<Option<u64>> {
        let home = self.home.clone();
        let format = home.format()?;
        if format > level {
            return Ok(None);
        }
        let signed = home.data("sign_state.json");
        if home.disk.facts(&home.shape.layout.data)?.is_none() {
            home.disk.make_directory(&home.shape.layout.data, 0o755)?;
        }
        if home.disk.facts(&signed)?.is_none() {
            durable::replace(&home.disk, &signed, &sign_text(0), 0o600)?;
        }
        if raises && format < level {
            durable::replace(&home.disk, &home.data("format"), level.to_string().as_bytes(), 0o644)?;
            self.tally.count("node.raised");
        }
        match home.disk.read(&home.data("height"), 64) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(0))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn block(&mut self, pid: u32) -> Lawful {
        self.plan(BLOCK_MS, Event::Process(pid, Deed::Block));
        let Some(main) = self.units.main() else { return Ok(()) };
        let (next, level, nature) = (main.height + 1, main.program.level, main.program.nature);
        if nature == Nature::Still || main.ending {
            return Ok(());
        }
        let gate = self.gates.iter().find(|gate| next > gate.height && level < gate.level).copied();
        if let Some(gate) = gate {
            self.halt(pid, gate);
            return Ok(());
        }
        if let Some(main) = self.units.main() {
            main.stands_still = false;
        }
        match self.write_block(next) {
            Ok(signed) => {
                if let Some(main) = self.units.main() {
                    main.height = next;
                }
                if signed {
                    self.known.sign(next)?;
                }
                Ok(())
            }
            Err(error) => {
                self.note(format!("process {pid} cannot write: {error}"));
                self.plan(1, Event::Process(pid, Deed::Exits(1)));
                Ok(())
            }
        }
    }

    /// Whether it was signed, which it is not if the file says that it was.
    fn write_block(&mut self, height: u64) -> io::Result<bool> {
        let home = self.home.clone();
        let path = home.data("sign_state.json");
        let text = home.disk.read(&path, 1_000)?;
        let before = ov_vault::sign_state::parse(&text).map_err(|_| io::ErrorKind::InvalidData)?;
        let signs = before.height < height;
        if signs {
            durable::replace(&home.disk, &path, &sign_text(height), 0o600)?;
        }
        if height.is_multiple_of(BLOCKS_PER_FILE) {
            durable::replace(&home.disk, &home.data(&format!("{}.sst", height % 3)), b"blocks", 0o644)?;
        }
        durable::replace(&home.disk, &home.data("height"), height.to_string().as_bytes(), 0o644)?;
        Ok(signs)
    }

    /// The rules of the next block are not known to this program: it says so in a file, and stops.
    fn halt(&mut self, pid: u32, gate: Gate) {
        let text = format!("{{\"name\":\"v{}\",\"height\":{}}}", gate.level, gate.height);
        let (home, path) = (self.home.clone(), self.home.data("upgrade-info.json"));
        self.known.halted.insert((gate.level, gate.height));
        let there = home.disk.read(&path, 1_000).unwrap_or_default();
        if there != text.as_bytes() {
            self.tally.count("node.halted");
            self.note(format!("the node halts at {} for v{}", gate.height, gate.level));
            let torn = there.is_empty() && self.random.chance(1, 4);
            let written = if torn {
                let half = text.as_bytes().split_at(text.len() / 2).0;
                home.disk.create(&path, 0o644).and_then(|mut writer| writer.write_all(half))
            } else {
                durable::replace(&home.disk, &path, text.as_bytes(), 0o644)
            };
            if let Err(error) = written {
                self.note(format!("the plan file cannot be written: {error}"));
            }
            self.look_for_plans(false);
            if torn {
                return;
            }
        }
        let Some(main) = self.units.main() else { return };
        if !main.stands_still {
            main.stands_still = true;
            if self.random.chance(1, 2) {
                self.plan(100, Event::Process(pid, Deed::Exits(1)));
            }
        }
    }
}

fn sign_text(height: u64) -> Vec<u8> {
    format!("{{\"height\":\"{height}\",\"round\":0,\"step\":3}}").into_bytes()
}

impl crate::law::Known {
    /// A block is signed: for the first time, or a law is broken.
    fn sign(&mut self, height: u64) -> Lawful {
        if height <= self.signed {
            return Err(Violation::new(format!("height {height} was signed after {} was", self.signed)));
        }
        self.signed = height;
        Ok(())
    }
}
