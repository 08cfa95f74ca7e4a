//! The daemon's hands on units and on the rest of the world: launches, stops, looks for plans and for the height.

use ov_daemon::steps::recorded_sign_state;
use ov_engine::{Input, Order, UnitReport, Wish};
use ov_types::{FailurePolicy, Height, Origin, RunId, StopRule, Trigger, UnitName};

use crate::home::release;
use crate::process::{Deed, Foretold};
use crate::units::Process;
use crate::world::{Event, Task};
use crate::{Lawful, Nature, Program, Violation, World};

/// Where the node itself is asked.
const NODE: &str = "node";

impl World {
    /// Carries out what the daemon has in its hands.
    pub(crate) fn carry_out(&mut self, task: Task) -> Lawful {
        match task {
            Task::Launch { unit, run } => self.launch(&unit, run),
            Task::Stop { unit, run, rule } => {
                self.stop(&unit, run, rule);
                Ok(())
            }
            Task::OrphansGone { unit } => {
                let here = self.units.of(&unit);
                (here.process, here.leftover) = (None, false);
                self.give(Input::Unit(unit, UnitReport::OrphansGone))
            }
            Task::Report { unit, report } => self.report(unit, report),
            Task::Step(job) => self.run_step(&job),
            Task::Prove(proof) => self.prove(*proof),
            Task::Scouts { consulted } => self.ask_scouts(consulted),
            Task::Poll { pid } => self.poll(pid),
            Task::Unpause => self.order(Order::Unpause).map(drop),
        }
    }

    fn ask_scouts(&mut self, consulted: bool) -> Lawful {
        let current = ov_release::current(&self.home.disk, &self.home.layout()).ok();
        let current = current.and_then(ov_release::CurrentRelease::release);
        let known = ov_daemon::scout::Known { current, ..Default::default() };
        for input in ov_daemon::scout::ask(&self.home.disk, &self.home.shape, &known).inputs {
            let name = if matches!(input, Input::PlanSeen(_)) { "plan.seen" } else { "plan.gone" };
            self.tally.count(name);
            self.give(input)?;
        }
        if consulted { self.give(Input::Consulted) } else { Ok(()) }
    }

    /// Asks the node, if it runs, what it knows of upgrades to come. At the height of one it has forgotten it, and takes
    /// nothing back.
    pub(crate) fn ask_node(&mut self) -> Lawful {
        let Some((height, level)) = self.units.main().map(|main| (main.height, main.program.level)) else {
            return Ok(());
        };
        let Some(daemon) = &self.daemon else { return Ok(()) };
        let told = self.foretold.clone();
        let origin = |level: u64| Origin::Service { address: NODE.to_owned(), name: release(level).to_string() };
        let said = told.as_ref().map(|told| origin(told.gate.level));
        let named = daemon.core.node().ledger().entries().filter(|entry| !entry.is_over());
        let named = named.flat_map(|entry| entry.named.keys()).filter(|named| matches!(named, Origin::Service { .. }));
        let gone: Vec<Origin> = named.filter(|named| Some(*named) != said.as_ref()).cloned().collect();
        for origin in gone {
            self.tally.count("plan.foretold.gone");
            self.give(Input::PlanGone(origin))?;
        }
        let Some(Foretold { gate, source }) = told.filter(|told| height < told.gate.height && level < told.gate.level)
        else {
            return Ok(());
        };
        self.tally.count("plan.foretold");
        self.give(Input::PlanSeen(Wish {
            release: release(gate.level),
            trigger: Trigger::AwaitHalt { height: Height(gate.height) },
            on_failure: FailurePolicy::Hold,
            origin: origin(gate.level),
            source,
            info: None,
            sha256: None,
            keep: true,
            replaces: None,
        }))
    }

    fn poll(&mut self, pid: u32) -> Lawful {
        let Some(main) = self.units.main().filter(|main| main.pid == pid) else { return Ok(()) };
        let (run, height) = (main.run, main.height);
        self.later(2_000, Task::Poll { pid });
        if let Some(daemon) = &mut self.daemon {
            daemon.seen = Some((run, height));
        }
        self.give(Input::Height(Height(height)))?;
        self.ask_node()
    }

    /// What a shim, or a unit's task, says.
    pub(crate) fn report(&mut self, unit: UnitName, report: UnitReport) -> Lawful {
        if self.daemon.is_none() {
            return Ok(());
        }
        if unit.is_main() && matches!(report, UnitReport::Empty { .. }) {
            self.note_sign_state()?;
        }
        self.give(Input::Unit(unit, report))
    }

    fn launch(&mut self, unit: &UnitName, run: RunId) -> Lawful {
        let fail = |message: &str, is_unsafe| UnitReport::LaunchFailed { run, message: message.to_owned(), is_unsafe };
        if self.units.of(unit).is_occupied() && self.units.of(unit).shim {
            return Err(Violation::new(format!(
                "{unit} was to be launched while run {} lives",
                self.units.of(unit).run
            )));
        }
        let not_before_ms = self.units.of(unit).not_before_ms;
        if self.true_ms < not_before_ms {
            let early_ms = not_before_ms - self.true_ms;
            return Err(Violation::new(format!("{unit} is launched {early_ms} ms before the end of its pause")));
        }
        if unit.is_main() {
            let signed = self.daemon.as_ref().and_then(|daemon| recorded_sign_state(daemon.core.node()));
            if let Some(doubt) = ov_daemon::doubt_about_signing(&self.home.disk, &self.home.shape, signed) {
                self.tally.count("unit.not-launched");
                return self.report(unit.clone(), fail(&doubt, true));
            }
        }
        let program =
            if unit.is_main() { self.program_to_launch() } else { Some(Program { level: 0, nature: Nature::Good }) };
        let Some(program) = program.filter(|program| program.nature != Nature::Broken && !self.random.chance(1, 60))
        else {
            self.tally.count("unit.not-launched");
            return self.report(unit.clone(), fail("exec: it cannot be run", false));
        };
        let process = Process {
            pid: 0,
            run,
            launched_ms: self.true_ms,
            program,
            ignores_term: self.random.chance(1, 12),
            leaves_behind: self.random.chance(1, 12),
            ending: false,
            height: 0,
            stands_still: false,
        };
        let pid = self.units.launch(unit, &process)?;
        self.note(format!("{unit} run {run}: process {pid} of {program}"));
        self.tally.count("unit.launched");
        let wait_ms = self.random.below(20);
        self.later(wait_ms, Task::Report { unit: unit.clone(), report: UnitReport::Launched { run, pid } });
        if unit.is_main() {
            self.later(wait_ms + 300, Task::Poll { pid });
            self.begin_process(pid)?;
        }
        Ok(())
    }

    fn program_to_launch(&self) -> Option<Program> {
        let path = self.home.shape.layout.current.join("bin/node");
        let bytes = ov_sys::Disk::read(&self.home.disk, &path, 1_000).ok()?;
        Program::parse(&bytes)
    }

    fn stop(&mut self, unit: &UnitName, run: RunId, rule: StopRule) {
        let here = self.units.of(unit);
        let Some(process) = here.process.as_mut().filter(|process| process.run == run && here.shim) else { return };
        let (pid, ignores) = (process.pid, process.ignores_term);
        process.ending = true;
        self.plan(rule.grace_ms, Event::Process(pid, Deed::Killed));
        if !ignores {
            let wait_ms = self.random.below(1_500);
            self.plan(wait_ms, Event::Process(pid, Deed::Stopped));
        }
    }
}
