//! One world: time passes, things happen in their order, and after each of them the laws are looked after.

use std::collections::VecDeque;

use ov_engine::{Input, UnitReport};
use ov_sys::sim_disk::Fault;
use ov_sys::{Clock, Random, SimClock};
use ov_types::{Moment, RunId, StopRule, UnitName};

use crate::daemon::{Daemon, Job, Proof};
use crate::law::Known;
use crate::pair::{Fall, has_partner};
use crate::process::{Deed, Foretold, Gate};
use crate::schedule::Schedule;
use crate::units::Units;
use crate::{Home, Lawful, Tally, Violation};

/// Lines of what happened that are kept for a failure.
const TRACE_LINES_MAX: usize = 120;
/// So many wake-ups without any time passing are a daemon that never sleeps.
const IDLE_WAKES_MAX: u32 = 20;

/// Something that will happen.
#[derive(Debug)]
pub(crate) enum Event {
    /// Somebody starts a daemon.
    DaemonStart,
    /// The daemon of this number finishes something.
    Of(u64, Box<Task>),
    /// A process does something.
    Process(u32, Deed),
    /// What a process left behind ends.
    LeftoverGone { unit: UnitName, run: RunId },
    /// The disk can be written again.
    Writable,
    /// There is room again.
    Room,
}

/// Something in the hands of a daemon.
#[derive(Debug)]
pub(crate) enum Task {
    Launch { unit: UnitName, run: RunId },
    Stop { unit: UnitName, run: RunId, rule: StopRule },
    OrphansGone { unit: UnitName },
    Report { unit: UnitName, report: UnitReport },
    Step(Box<Job>),
    Prove(Box<Proof>),
    Scouts { consulted: bool },
    Poll { pid: u32 },
    Unpause,
}

/// A node, its machine and its people.
#[derive(Debug)]
pub struct World {
    pub(crate) random: Random,
    pub(crate) home: Home,
    /// Milliseconds since the world began, whatever its clocks say.
    pub(crate) true_ms: u64,
    pub(crate) schedule: Schedule<Event>,
    pub(crate) units: Units,
    pub(crate) daemon: Option<Daemon>,
    /// Daemons so far; what was in the hands of an earlier one is gone.
    pub(crate) generation: u64,
    pub(crate) boots: u64,
    pub(crate) gates: Vec<Gate>,
    /// The one of them that the node itself tells of, as long as it runs and has not come there.
    pub(crate) foretold: Option<Foretold>,
    pub(crate) known: Known,
    /// What a fall of one asks of the other.
    pub(crate) fall: Option<Fall>,
    /// A fault that waits for an operation of the disk.
    pub(crate) armed: Option<(u64, Fault)>,
    pub(crate) segment_bytes_max: u64,
    /// A daemon was told to stop and said that everything has.
    pub(crate) told_to_exit: bool,
    pub(crate) tally: Tally,
    trace: VecDeque<String>,
    idle_wakes: u32,
}

impl World {
    /// A world as its seed makes it; nothing has happened in it.
    pub fn new(seed: u64) -> Lawful<Self> {
        let mut random = Random::new(seed);
        let clock = SimClock::new(Moment { monotonic_ms: 50_000, wall_ms: 1_700_000_000_000 });
        let home = Home::new(&mut random, clock, has_partner(seed))?;
        let segment_bytes_max = if random.chance(1, 2) { 20_000 } else { 1 << 20 };
        let mut units = Units::default();
        for unit in home.shape.units.keys() {
            units.of(unit);
        }
        Ok(Self {
            random,
            home,
            true_ms: 0,
            schedule: Schedule::default(),
            units,
            daemon: None,
            generation: 0,
            boots: 1,
            gates: Vec::new(),
            foretold: None,
            known: Known::default(),
            fall: None,
            armed: None,
            segment_bytes_max,
            told_to_exit: false,
            tally: Tally::default(),
            trace: VecDeque::new(),
            idle_wakes: 0,
        })
    }

    /// Everything that happens in it, to the end.
    pub fn live(&mut self) -> Lawful {
        let natures: Vec<String> = self.home.natures.iter().map(|nature| format!("{nature:?}")).collect();
        self.note(format!("the programs are {}", natures.join(", ")));
        self.plan(0, Event::DaemonStart);
        let disturbances = 8 + self.random.below(32);
        for _ in 0..disturbances {
            let within_ms = [50, 2_000, 8_000, 20_000][usize::try_from(self.random.below(4)).unwrap_or(0)];
            let until_ms = self.true_ms + self.random.below(within_ms);
            self.pass(until_ms)?;
            self.disturb()?;
            self.settle()?;
        }
        self.calm_down()
    }

    /// What happened last, a line each.
    pub fn trace(&self) -> String {
        self.trace.iter().flat_map(|line| ["  ", line, "\n"]).collect()
    }

    /// What happened, counted.
    pub fn into_tally(self) -> Tally {
        self.tally
    }

    pub(crate) fn note(&mut self, line: impl Into<String>) {
        if self.trace.len() >= TRACE_LINES_MAX {
            self.trace.pop_front();
        }
        let line = format!("{:>9} {}", self.true_ms, line.into());
        if std::env::var_os("SIM_TRACE").is_some() {
            #[expect(clippy::print_stderr, reason = "asked for by whoever looks at one seed")]
            {
                eprintln!("{line}");
            }
        }
        self.trace.push_back(line);
    }

    pub(crate) fn plan(&mut self, wait_ms: u64, event: Event) {
        self.schedule.plan(self.true_ms + wait_ms, event);
    }

    /// When the daemon wants to be woken.
    fn wake_ms(&self) -> Option<u64> {
        let at_ms = self.daemon.as_ref()?.core.node().next_wake_ms()?;
        Some(self.true_ms + at_ms.saturating_sub(self.home.clock.now().monotonic_ms))
    }

    /// Lets time pass until then, with everything that happens on the way.
    pub(crate) fn pass(&mut self, until_ms: u64) -> Lawful {
        loop {
            let (planned, wake) = (self.schedule.next_ms(), self.wake_ms());
            let Some(next_ms) = planned.into_iter().chain(wake).min().filter(|next_ms| *next_ms <= until_ms) else {
                break;
            };
            self.advance_to(next_ms);
            if planned == Some(next_ms) {
                if let Some(event) = self.schedule.take() {
                    self.happen(event)?;
                }
            } else {
                self.wake()?;
            }
            self.settle()?;
        }
        self.advance_to(until_ms);
        Ok(())
    }

    fn wake(&mut self) -> Lawful {
        self.idle_wakes += 1;
        if self.idle_wakes > IDLE_WAKES_MAX {
            return Err(Violation::new("the daemon is woken again and again without any time passing"));
        }
        self.give(Input::Wake)
    }

    fn advance_to(&mut self, at_ms: u64) {
        if let Some(by_ms) = at_ms.checked_sub(self.true_ms).filter(|by_ms| *by_ms > 0) {
            self.home.clock.advance(by_ms);
            self.true_ms = at_ms;
            self.idle_wakes = 0;
        }
    }

    fn happen(&mut self, event: Event) -> Lawful {
        match event {
            Event::DaemonStart => self.start_daemon(),
            Event::Of(generation, task) if generation == self.generation => self.carry_out(*task),
            Event::Of(..) => Ok(()),
            Event::Process(pid, deed) => self.act(pid, deed),
            Event::LeftoverGone { unit, run } => self.end_leftover(&unit, run),
            Event::Writable => {
                self.make_writable();
                Ok(())
            }
            Event::Room => {
                self.home.disk.set_capacity(None);
                Ok(())
            }
        }
    }

    /// What follows at once from what just happened: deaths, and a look after the laws.
    pub(crate) fn settle(&mut self) -> Lawful {
        self.meet_fault();
        self.check_fall()?;
        self.check_disk()
    }
}
