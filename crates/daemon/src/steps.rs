//! The steps of an upgrade that touch files and programs: each with probe, apply, verify and undo.
//!
//! All of them are idempotent, and none remembers anything: what an undo needs stands in the facts that earlier steps
//! left in the journal. [`carry_out`] is the only caller, in the daemon, in the simulator and in the step matrix.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use ov_chains::NodeShape;
use ov_engine::{Entry, Ledger, Phase, StepCall};
use ov_release::fetch::Cancel;
use ov_sys::{Clock, Disk};
use ov_types::record::{Outcome, StepFacts};
use ov_types::{Direction, Finding, Height, Plan, PlanId, Problem, ReleaseName, SnapshotId, Step, Trigger};
use ov_vault::SignState;

use crate::core::Core;
use crate::doctor::{self, Depth, DoctorInput};
use crate::fetch::Supply;
use crate::scout::Sighting;
use crate::source::ShapeSource;

mod command;
mod commit;
mod examine;
mod hook;
mod keep;
mod migrate;
mod recheck;
mod stage;
mod standing;
mod switch;

pub(crate) use keep::{copying, data_rules, describe, of_vault, take};
pub(crate) use stage::{of_release, stage};
pub(crate) use standing::Show;
pub use standing::Standing;

/// What every step works with.
#[derive(Debug, Clone)]
pub struct Workshop {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The node.
    pub shape: Arc<NodeShape>,
    /// Where that was learned.
    pub source: Arc<dyn ShapeSource>,
    /// Which releases must stay, and what runs.
    pub standing: Standing,
    /// Snapshots that retention must leave: those of plans that are not over, and, for a plan back from the last
    /// committed upgrade, the one of that upgrade: who goes back may want the data of before it.
    pub kept: BTreeSet<SnapshotId>,
    /// What the validator was last seen to have signed.
    pub recorded_sign_state: Option<SignState>,
    /// How long the slowest unit may take to stop.
    pub stop_ms_max: u64,
    /// The last height seen.
    pub height: Option<Height>,
    /// Where main was told, at its last launch, to halt by itself.
    pub halt_at: Option<Height>,
    /// Plans that wait for their trigger.
    pub plans: Vec<Plan>,
    /// What releases are fetched with.
    pub supply: Supply,
    /// Set when the result is no longer wanted.
    pub abandoned: Cancel,
}

/// Where a node's things are, for [`Workshop::of`].
#[derive(Debug, Clone)]
pub struct Place {
    /// The file system.
    pub disk: Arc<dyn Disk>,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
    /// The node.
    pub shape: Arc<NodeShape>,
    /// Where that was learned.
    pub source: Arc<dyn ShapeSource>,
    /// What releases are fetched with.
    pub supply: Supply,
}

impl Workshop {
    /// The workshop of a node as its engine knows it now. What only the plan `except` needs is not protected from
    /// that plan's own steps.
    pub fn of(core: &Core, place: Place, except: Option<PlanId>) -> Self {
        let (node, ledger) = (core.node(), core.node().ledger());
        let live = || ledger.entries().filter(|entry| !entry.is_over());
        let committed = |entry: &&Entry| entry.phase == Phase::Ended { outcome: Outcome::Committed };
        let is_left = |entry: &&Entry| live().any(|back| entry.facts.previous.as_ref() == Some(&back.plan.release));
        let last = ledger.entries().rev().find(committed).filter(is_left);
        let kept = live().chain(last).filter_map(|entry| entry.facts.snapshot.clone()).collect();
        let Place { disk, clock, shape, source, supply } = place;
        let stop_ms_max = stop_ms_max(ledger, &shape);
        Self {
            disk,
            clock,
            shape,
            source,
            standing: core.standing(except),
            kept,
            recorded_sign_state: recorded_sign_state(node),
            stop_ms_max,
            height: node.height().map(|(height, _)| height),
            halt_at: ledger.halt_at(),
            plans: waiting_plans(ledger),
            supply,
            abandoned: Cancel::default(),
        }
    }

    /// The same for the node as it will be once this release is current, which must be in its place.
    pub(crate) fn as_of(&self, release: &ReleaseName) -> Result<Self, Problem> {
        if self.shape.layout.launch_file.is_none() {
            return Ok(self.clone());
        }
        let shape = self.source.shape(&*self.disk, Some(release))?;
        Ok(Self { shape: Arc::new(shape), ..self.clone() })
    }

    /// What a release gets when it is staged, if it does not bring it.
    pub(crate) fn additions(&self, release: &ReleaseName) -> Vec<ov_release::Addition> {
        let folder = self.release_directory(release);
        self.shape.fetch.additions.iter().map(|addition| addition.fill(release, &folder)).collect()
    }

    /// Where releases lie.
    pub fn layout(&self) -> ov_release::Layout {
        release_layout(&self.shape)
    }

    /// Has the doctor look.
    pub fn examine(&self, plan: Option<&Plan>, release: Option<&ReleaseName>, depth: Depth) -> Vec<Finding> {
        doctor::examine(&DoctorInput {
            disk: &*self.disk,
            shape: &self.shape,
            source: &*self.source,
            layout: self.layout(),
            depth,
            clock: &*self.clock,
            plan,
            release,
            plans: &self.plans,
            height: self.height,
            recorded_sign_state: self.recorded_sign_state,
            stop_ms_max: self.stop_ms_max,
            supply: &self.supply,
            own: &self.standing.own_processes(),
        })
    }

    /// The directory of a release.
    pub fn release_directory(&self, release: &ReleaseName) -> PathBuf {
        self.layout().directory(release)
    }

    /// The name of the plan that leads to a release, as it was written where it was learned.
    pub(crate) fn name_as_written(&self, release: &ReleaseName) -> String {
        name_as_written(&*self.disk, &self.shape, release).unwrap_or_else(|| release.to_string())
    }

    /// What the files of plans say besides of the one that leads to a release.
    pub(crate) fn info_as_written(&self, release: &ReleaseName) -> Option<String> {
        self.shape.plan_files().find_map(|(path, rules)| match crate::scout::look(&*self.disk, path, rules) {
            Sighting::Found(plans, _) => plans.into_iter().find(|plan| plan.release == *release)?.info,
            Sighting::Absent | Sighting::NotYet(_) | Sighting::Unusable(_) => None,
        })
    }

    /// The program of a release, relative to its directory, if main is launched through `current`.
    pub fn program_in_release(&self) -> Option<String> {
        program_in_release(&self.shape)
    }

    /// What the data says of its format, if the chain has such a marker.
    pub(crate) fn format_marker(&self) -> Result<Option<String>, Problem> {
        let Some(path) = &self.shape.keep.format_file else { return Ok(None) };
        ov_vault::format_marker(&*self.disk, path)
            .map_err(|error| keep::of_vault("read the data's format marker", &error))
    }

    fn is_abandoned(&self) -> bool {
        self.abandoned.is_cancelled()
    }
}

/// Plans that wait for their trigger. An upgrade under way stands against none of them: they come after it, or take its
/// place.
pub(crate) fn waiting_plans(ledger: &Ledger) -> Vec<Plan> {
    let waiting = ledger.entries().filter(|entry| !entry.is_over() && !entry.is_in_window());
    waiting.map(|entry| entry.plan.clone()).collect()
}

/// The name of the plan that leads to a release, letter for letter, if it stands in a file.
pub(crate) fn name_as_written(disk: &dyn Disk, shape: &NodeShape, release: &ReleaseName) -> Option<String> {
    shape.plan_files().find_map(|(path, rules)| {
        let bytes = disk.read(path, crate::scout::PLAN_BYTES_MAX).ok()?;
        rules.names.written(release, &bytes)
    })
}

/// How long the slowest unit may take to stop, by what the journal says.
pub(crate) fn stop_ms_max(ledger: &Ledger, shape: &NodeShape) -> u64 {
    let rules = shape.engine.units.iter();
    rules.map(|(name, rules)| ledger.stop_rule(name, rules.stop).grace_ms).max().unwrap_or(0)
}

/// What the journal says was signed.
pub fn recorded_sign_state(node: &ov_engine::Node) -> Option<SignState> {
    node.ledger().sign_state().map(|(height, round, step)| SignState { height, round, step })
}

/// Where the releases of a node lie.
pub fn release_layout(shape: &NodeShape) -> ov_release::Layout {
    shape.layout.releases()
}

/// The program of a release, relative to its directory, if main is launched through `current` or `{release}`.
pub fn program_in_release(shape: &NodeShape) -> Option<String> {
    program_of_unit(shape, &ov_types::UnitName::main())
}

/// The same for any unit.
pub(crate) fn program_of_unit(shape: &NodeShape, unit: &ov_types::UnitName) -> Option<String> {
    let marker = PathBuf::from("/\u{1}release");
    let main = shape.units.get(unit)?;
    let program = main.launch.program.fill_path(&marker);
    let inside = program.strip_prefix(&marker).or_else(|_| program.strip_prefix(&shape.layout.current)).ok()?;
    inside.to_str().map(str::to_owned)
}

/// One step.
trait Work {
    /// What the step found out, if its effect is there already: then it is not applied again.
    fn probe(&self, shop: &Workshop, call: &StepCall) -> Result<Option<StepFacts>, Problem>;
    /// Brings the effect about.
    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem>;
    /// Reads back what was brought about.
    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem>;
    /// Takes the effect back. It may not be there, or only half.
    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem>;
}

fn work_of(step: Step) -> Option<&'static dyn Work> {
    match step {
        Step::Stage => Some(&stage::Stage),
        Step::Examine => Some(&examine::Examine),
        Step::Recheck => Some(&recheck::Recheck),
        Step::Keep => Some(&keep::Keep),
        Step::Switch => Some(&switch::Switch),
        Step::Migrate => Some(&migrate::Migrate),
        Step::Commit => Some(&commit::Commit),
        // Carried out by the units themselves, and by the proof.
        Step::Stop | Step::Start | Step::Prove => None,
    }
}

/// Whether a step is carried out here.
pub(crate) fn is_carried_out(step: Step) -> bool {
    work_of(step).is_some()
}

/// Carries out a step, forward or backward.
pub fn carry_out(shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
    let Some(work) = work_of(call.step) else { return Ok(StepFacts::default()) };
    if call.direction == Direction::Backward {
        crash_point(call, "undo");
        let facts = work.undo(shop, call)?;
        crash_point(call, "undone");
        return Ok(facts);
    }
    crash_point(call, "begin");
    let facts = match work.probe(shop, call)? {
        Some(facts) => facts,
        None => work.apply(shop, call)?,
    };
    crash_point(call, "applied");
    if shop.is_abandoned() {
        return Err(Problem::transient("OV-UPG-042", format!("finish {}", call.step)).cause("it was given up"));
    }
    work.verify(shop, call)?;
    crash_point(call, "verified");
    Ok(facts)
}

fn crash_point(call: &StepCall, edge: &str) {
    ov_sys::crash_point::reach(&format!("step.{}.{edge}", call.step));
}

/// The state of the node as a sentence, for problems in the window: what runs is decided by where the upgrade is.
fn state_at(call: &StepCall) -> String {
    let from = call.facts.previous.as_ref().map_or_else(|| "the old release".to_owned(), ToString::to_string);
    match (call.step, call.direction) {
        (Step::Recheck, Direction::Forward) if call.facts.holds_units == Some(true) => {
            "the node is stopped; nothing was changed since".to_owned()
        }
        (step, Direction::Forward) if step <= Step::Recheck => match call.plan.trigger {
            Trigger::Halt { height } => format!("the node halted at height {height} and waits; nothing was changed"),
            _ => "the node runs as before; nothing was changed".to_owned(),
        },
        (Step::Keep, Direction::Forward) => format!("the node is stopped; `current` still names {from}"),
        (Step::Switch | Step::Migrate, Direction::Forward) => {
            format!("the node is stopped between {from} and {}", call.plan.release)
        }
        (Step::Commit, Direction::Forward) => format!("the node runs {}, proven", call.plan.release),
        _ => format!("the node is on its way back to {from}"),
    }
}
