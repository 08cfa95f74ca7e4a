//! What the node looks like, in the words of the API.

use ov_engine::{Entry, Node, Phase};
use ov_types::api::{DaemonStatus, PlanPhase, PlanStatus, Status, UnitStatus};
use ov_types::record::Outcome;
use ov_types::{Moment, ParkReason, Plan, Problem, ReleaseName, UnitName};

use super::Keeper;

impl Keeper {
    pub(super) fn current_release(&self) -> Option<ReleaseName> {
        let layout = self.workshop_layout();
        ov_release::current(&*self.disk, &layout).ok()?.release()
    }

    fn workshop_layout(&self) -> ov_release::Layout {
        crate::steps::release_layout(&self.shape)
    }

    pub(super) fn status(&self) -> Status {
        let node = self.core.node();
        let now = self.clock.now();
        let mut names: Vec<&UnitName> = self.shape.units.keys().collect();
        names.sort_by_key(|name| (!name.is_main(), (*name).clone()));
        let plans = self.plans(false);
        let units: Vec<UnitStatus> = names.into_iter().filter_map(|name| self.unit_status(name)).collect();
        let of_plans = plans.iter().filter_map(|plan| problem_of(&plan.phase));
        let problems = of_plans.chain(units.iter().filter_map(problem_of_unit)).chain(self.refused.clone()).collect();
        Status {
            node: self.shape.name.clone(),
            home: self.shape.layout.home.display().to_string(),
            chain: self.shape.chain.clone(),
            daemon: DaemonStatus {
                version: crate::VERSION.to_owned(),
                pid: std::process::id(),
                since_ms: self.started.wall_ms,
                stopping: node.is_shutting_down(),
            },
            release: self.current_release(),
            height: node.height().map(|(height, _)| height),
            height_age_ms: node.height().map(|(_, moved)| now.monotonic_ms.saturating_sub(moved)),
            blocks_per_hour: node.pace().blocks_per_hour(),
            units,
            plans,
            problems,
        }
    }

    fn unit_status(&self, name: &UnitName) -> Option<UnitStatus> {
        let view = self.core.node().unit_view(name)?;
        let here = self.units.get(name);
        Some(UnitStatus {
            name: name.clone(),
            state: view.state,
            pid: view.pid,
            run: (view.run.0 > 0).then_some(view.run),
            since_ms: view.since_ms.and_then(|_| here?.since_wall_ms),
            launch_in_ms: view.launch_in_ms,
            launches: view.launches,
            last_exit: view.last_exit,
            not_started: view.not_started,
            healthy: view.healthy,
            wanted: view.wanted,
            suspended: view.suspended,
            parked: view.parked,
            waiting_for: view.waiting_for,
            stop_grace_ms: view.stop_grace_ms,
            says: here.and_then(|here| here.said.status()),
        })
    }

    pub(super) fn plans(&self, all: bool) -> Vec<PlanStatus> {
        let node = self.core.node();
        let entries = node.ledger().entries().filter(|entry| all || !entry.is_over());
        let mut plans: Vec<PlanStatus> = entries.map(|entry| plan_status(node, entry)).collect();
        // The next one first: what is under way, then by when it is expected, then by number.
        plans.sort_by_key(|plan| (rank(&plan.phase), plan.eta_ms.unwrap_or(u64::MAX), plan.plan.id));
        self.handle.metrics.plans(&plans, self.clock.now());
        plans
    }
}

fn rank(phase: &PlanPhase) -> u8 {
    match phase {
        PlanPhase::NeedsOperator { .. } | PlanPhase::Backward { .. } => 0,
        PlanPhase::Forward { step, .. } if !step.is_preparation() => 0,
        PlanPhase::Ended { .. } => 2,
        _ => 1,
    }
}

fn plan_status(node: &Node, entry: &Entry) -> PlanStatus {
    let wall = |moment: Moment| moment.wall_ms;
    PlanStatus {
        // What holds, and not what was wished for.
        plan: Plan { on_failure: entry.policy(), ..entry.plan.clone() },
        also: entry.named.keys().filter(|origin| **origin != entry.plan.origin).cloned().collect(),
        phase: phase_of(entry),
        steps: entry.steps.clone(),
        eta_ms: if entry.is_over() { None } else { node.eta_ms(entry) },
        gap_ms: entry.facts.gap_ms,
        behind: node.waits_behind(entry),
        superseded: entry.facts.superseded,
        added_ms: wall(entry.added),
        ended_ms: entry.ended.map(wall),
    }
}

fn phase_of(entry: &Entry) -> PlanPhase {
    let because = || entry.because.clone();
    let reason = || because().unwrap_or_else(|| Problem::permanent("OV-UPG-099", "go on"));
    match &entry.phase {
        Phase::Forward { attempt: 0, step, .. } if step.is_preparation() => PlanPhase::Queued,
        Phase::Forward { step, attempt, problem } => {
            PlanPhase::Forward { step: *step, attempt: (*attempt).max(1), problem: problem.clone() }
        }
        Phase::Prepared | Phase::Armed => PlanPhase::Armed,
        Phase::Finished => PlanPhase::Forward { step: ov_types::Step::Commit, attempt: 1, problem: None },
        Phase::Backward { step, attempt, .. } => {
            PlanPhase::Backward { step: *step, attempt: (*attempt).max(1), because: reason() }
        }
        Phase::Undone { toward } => PlanPhase::Ended { outcome: *toward, because: because() },
        Phase::NeedsOperator { .. } => PlanPhase::NeedsOperator { because: reason() },
        // A plan that a person took back did not fail.
        Phase::Ended { outcome: Outcome::Withdrawn } => PlanPhase::Ended { outcome: Outcome::Withdrawn, because: None },
        Phase::Ended { outcome } => PlanPhase::Ended { outcome: *outcome, because: because() },
    }
}

fn problem_of(phase: &PlanPhase) -> Option<Problem> {
    match phase {
        PlanPhase::Forward { problem, .. } => problem.clone(),
        PlanPhase::Backward { because, .. } | PlanPhase::NeedsOperator { because } => Some(because.clone()),
        _ => None,
    }
}

fn problem_of_unit(unit: &UnitStatus) -> Option<Problem> {
    let reason = unit.parked.as_ref()?;
    let name = &unit.name;
    let look = match reason {
        // The reason is already all there is to say.
        ParkReason::Unsafe { .. } => String::new(),
        _ => format!("`omnivisor logs {name}` may tell why; "),
    };
    let problem = Problem::permanent("OV-UNIT-001", format!("keep unit {name} up"))
        .cause(format!("it {reason}"))
        .state(format!("unit {name} is down and not launched again"))
        .hint(format!("{look}once that is mended, `omnivisor unit start {name}`"));
    Some(problem)
}
