//! What goes wrong: disks that fail, fill up or stop being written to, processes and machines that die, clocks that
//! are set.

use ov_engine::UnitReport;
use ov_sys::disk::Disk;
use ov_sys::sim_disk::Fault;
use ov_types::UnitName;
use std::path::Path;

use crate::process::Deed;
use crate::world::Event;
use crate::{Lawful, World};

impl World {
    /// Something goes wrong, now or at one of the next operations of the disk.
    pub(crate) fn trouble(&mut self) -> Lawful {
        match self.random.below(12) {
            0..=5 => self.arm(),
            6 => self.kill_daemon(),
            7 => self.cut_power(),
            8 => self.fill_disk(),
            9 => self.set_clock(),
            10 => return self.lose_shim(),
            _ => self.crash_process(),
        }
        Ok(())
    }

    /// Lets one of the next operations fail, most often one of the very next.
    fn arm(&mut self) {
        if self.armed.is_some() {
            return;
        }
        let faults = [Fault::NoSpace, Fault::InputOutput, Fault::ReadOnly, Fault::Kill, Fault::PowerCut];
        let fault = faults[usize::try_from(self.random.below(5)).unwrap_or(0)];
        let within = [10, 40, 200, 600][usize::try_from(self.random.below(4)).unwrap_or(0)];
        let at = self.home.disk.operations() + 1 + self.random.below(within);
        self.home.disk.fail_at(at, fault);
        self.armed = Some((at, fault));
        self.note(format!("{fault:?} waits for operation {at}"));
    }

    /// If the armed fault has happened: what follows from it.
    pub(crate) fn meet_fault(&mut self) {
        let Some((at, fault)) = self.armed else { return };
        if self.home.disk.is_alive() && self.home.disk.operations() < at {
            return;
        }
        self.armed = None;
        self.note(format!("{fault:?} happened"));
        self.tally.count(match fault {
            Fault::NoSpace => "fault.no-space",
            Fault::InputOutput => "fault.input-output",
            Fault::ReadOnly => "fault.read-only",
            Fault::Kill => "fault.kill",
            Fault::PowerCut => "fault.power-cut",
        });
        match fault {
            Fault::Kill => self.kill_daemon(),
            Fault::PowerCut => return self.cut_power(),
            Fault::NoSpace | Fault::InputOutput | Fault::ReadOnly => {}
        }
        let wait_ms = self.random.below(20_000);
        self.plan(wait_ms, Event::Writable);
    }

    /// The daemon is killed, wherever it is.
    fn kill_daemon(&mut self) {
        self.note("the daemon is killed");
        self.tally.count("death.killed");
        self.forget_armed();
        self.home.disk.kill();
        if self.daemon.is_some() {
            self.end_daemon(3_000);
        }
    }

    /// The machine loses its power, and boots again.
    pub(crate) fn cut_power(&mut self) {
        self.note("the power goes");
        self.tally.count("death.power-cut");
        self.forget_armed();
        let seed = self.random.number();
        self.home.disk.crash(seed);
        self.home.clock.reboot();
        self.boots += 1;
        self.units.lose_power();
        self.schedule.retain(|event| matches!(event, Event::Room));
        self.end_daemon(10_000);
    }

    /// A restart forgets the faults that wait.
    fn forget_armed(&mut self) {
        self.armed = None;
    }

    /// A file system that was mounted read-only is mounted for writing again; one that failed needs a reboot.
    pub(crate) fn make_writable(&mut self) {
        let read_only = self.home.aside().disk.room(Path::new("/")).is_ok_and(|room| room.read_only);
        if read_only && self.random.chance(1, 2) {
            return self.cut_power();
        }
        self.home.disk.set_read_only(false);
    }

    fn fill_disk(&mut self) {
        self.note("the disk is full");
        self.tally.count("fault.full-disk");
        self.home.disk.set_capacity(Some(self.random.below(20_000)));
        let wait_ms = self.random.below(30_000);
        self.plan(wait_ms, Event::Room);
    }

    fn set_clock(&mut self) {
        let by_ms = i64::try_from(self.random.below(7_200_000)).unwrap_or(0);
        let (name, by_ms) = if self.random.chance(1, 2) { ("forward", by_ms) } else { ("back", -by_ms) };
        self.note(format!("the clock is set {name} by {by_ms} ms"));
        self.tally.count(format!("clock.{name}"));
        self.home.clock.step_wall(by_ms);
    }

    fn lose_shim(&mut self) -> Lawful {
        let names = self.units.names();
        let among = u64::try_from(names.len()).unwrap_or(1);
        let unit = names[usize::try_from(self.random.below(among)).unwrap_or(0)].clone();
        let here = self.units.of(&unit);
        if !here.shim {
            return Ok(());
        }
        here.shim = false;
        let occupied = here.is_occupied();
        self.note(format!("the shim of {unit} dies"));
        if occupied {
            self.tally.count("unit.orphaned");
            self.note_fall(&unit);
        }
        self.report(unit, UnitReport::Lost)
    }

    fn crash_process(&mut self) {
        let other = self.other_of(&UnitName::main()).filter(|_| self.random.chance(1, 2));
        let unit = other.unwrap_or_else(UnitName::main);
        if let Some(pid) = self.units.of(&unit).process.as_ref().map(|process| process.pid) {
            self.plan(0, Event::Process(pid, Deed::Exits(2)));
        }
    }
}
