//! How far an upgrade is, and what its journal says, as text.

use std::cmp::Ordering;

use ov_types::api::{HistoryEntry, PlanPhase, PlanStatus};
use ov_types::record::Outcome;
use ov_types::{Direction, Record, Step};

use super::table::{Cell, Table};
use super::{Clock, Look, Tone, span};

/// How far a plan is, in a few words.
pub(crate) fn plan_phase(status: &PlanStatus, clock: &Clock) -> (Tone, String) {
    let again = |attempt: u32| if attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
    match &status.phase {
        PlanPhase::Queued => (Tone::Plain, format!("queued{}", behind(status))),
        PlanPhase::Armed => (Tone::Good, format!("armed{}", behind(status))),
        PlanPhase::Forward { step, attempt, problem } => {
            let failed = problem.as_ref().map(|problem| format!(", failed to {problem}")).unwrap_or_default();
            let tone = if failed.is_empty() { Tone::Notice } else { Tone::Bad };
            (tone, format!("{step}{}{failed}", again(*attempt)))
        }
        PlanPhase::Backward { step, attempt, because } => {
            (Tone::Bad, format!("undoing {step}{}, because it failed to {because}", again(*attempt)))
        }
        PlanPhase::NeedsOperator { because } => (Tone::Bad, format!("needs an operator: failed to {because}")),
        PlanPhase::Ended { outcome, because } => {
            let when = status.ended_ms.map(|at| format!(" {}", clock.relative(at))).unwrap_or_default();
            // Measured on the way forward: of one that turned back it says too little.
            let gap = status.gap_ms.filter(|_| *outcome == Outcome::Committed);
            let gap = gap.map(|gap| format!(", no process for {}", span(gap))).unwrap_or_default();
            let why = because.as_ref().map(|problem| format!(", failed to {problem}")).unwrap_or_default();
            (outcome_tone(*outcome), format!("{}{when}{gap}{why}", outcome_word(*outcome)))
        }
        PlanPhase::Unknown => (Tone::Faint, "in a phase that a newer version wrote".to_owned()),
    }
}

/// What it waits for besides its trigger.
fn behind(status: &PlanStatus) -> String {
    status.behind.map_or_else(String::new, |before| format!(", behind upgrade {before}"))
}

/// How an upgrade ended, as a word.
fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Committed => "committed",
        Outcome::RolledBack => "rolled back",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Superseded => "superseded",
    }
}

fn outcome_tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Committed => Tone::Good,
        Outcome::RolledBack | Outcome::Superseded => Tone::Bad,
        Outcome::Withdrawn => Tone::Faint,
    }
}

/// The steps of a plan, each with how it stands.
pub(crate) fn step_ribbon(status: &PlanStatus) -> Vec<(Step, Tone)> {
    let each = |tone: &dyn Fn(Step) -> Tone| status.steps.iter().map(|step| (*step, tone(*step))).collect();
    let at = |present: Step, tone: Tone| {
        each(&|step| match step.cmp(&present) {
            Ordering::Less => Tone::Good,
            Ordering::Equal => tone,
            Ordering::Greater => Tone::Faint,
        })
    };
    match &status.phase {
        PlanPhase::Armed => at(Step::Recheck, Tone::Faint),
        PlanPhase::Forward { step, problem: None, .. } => at(*step, Tone::Notice),
        PlanPhase::Forward { step, .. } | PlanPhase::Backward { step, .. } => at(*step, Tone::Bad),
        PlanPhase::NeedsOperator { .. } => each(&|_| Tone::Bad),
        PlanPhase::Ended { outcome: Outcome::Committed, .. } => each(&|_| Tone::Good),
        PlanPhase::Queued | PlanPhase::Ended { .. } | PlanPhase::Unknown => each(&|_| Tone::Faint),
    }
}

/// `omnivisor upgrade history`.
pub(crate) fn history(entries: &[HistoryEntry], look: &Look) -> String {
    let mut table = Table::new(["NUMBER", "TIME", "PLAN", "WHAT"]);
    for entry in entries {
        let (tone, what) = sentence(&entry.record, &look.clock);
        table.row([
            Cell::new(Tone::Faint, entry.sequence.to_string()),
            look.clock.absolute(entry.record.at().wall_ms).into(),
            entry.record.plan().map(|plan| plan.to_string()).unwrap_or_default().into(),
            Cell::new(tone, what),
        ]);
    }
    table.render(look)
}

/// What a record says. Both halves name every kind of record, so that none is forgotten.
fn sentence(record: &Record, clock: &Clock) -> (Tone, String) {
    let said = node_sentence(record).or_else(|| upgrade_sentence(record, clock));
    said.unwrap_or((Tone::Faint, String::new()))
}

fn node_sentence(record: &Record) -> Option<(Tone, String)> {
    Some(match record {
        Record::DaemonStarted { version, .. } => (Tone::Faint, format!("omnivisor {version} took over the node")),
        Record::UnitWanted { unit, up, .. } => {
            (Tone::Plain, format!("unit {unit} is to be {}", if *up { "up" } else { "down" }))
        }
        Record::UnitSuspended { unit, suspended, .. } => {
            (Tone::Plain, format!("launches of unit {unit} are {}", if *suspended { "held" } else { "let go" }))
        }
        Record::UnitParked { unit, reason, .. } => (Tone::Bad, format!("unit {unit} is parked: it {reason}")),
        Record::UnitFailed { unit, in_a_row: 0, .. } => {
            (Tone::Plain, format!("the failures of unit {unit} are forgotten"))
        }
        Record::UnitFailed { unit, run, in_a_row, .. } => {
            (Tone::Plain, format!("unit {unit} ended by itself, {in_a_row} in a row (launch {run})"))
        }
        Record::StopTook { unit, took_ms, .. } => {
            (Tone::Plain, format!("unit {unit} took {} to stop, longer than ever", span(*took_ms)))
        }
        Record::UnitReleased { unit, .. } => (Tone::Plain, format!("unit {unit} is released")),
        Record::SignStateSeen { height, round, step, .. } => {
            (Tone::Faint, format!("last signed: height {height}, round {round}, step {step}"))
        }
        Record::MainEnded { status, height, .. } => {
            let how = status.map_or_else(|| "unseen".to_owned(), |status| format!("with {status}"));
            let height = height.map(|height| format!(" at height {height}")).unwrap_or_default();
            (Tone::Plain, format!("main ended {how}{height}"))
        }
        Record::HeightSeen { height, .. } => (Tone::Faint, format!("the node is at height {height}")),
        Record::LaunchNoted { after_upgrade, halt_at, .. } => {
            let halt = halt_at.map(|height| format!("main was told to halt at height {height}"));
            let told = after_upgrade.is_none().then(|| "the release that is current has answered".to_owned());
            let waits = || "the release that is current has not answered yet".to_owned();
            (Tone::Faint, halt.or(told).unwrap_or_else(waits))
        }
        Record::PlanAdded { .. }
        | Record::PlanNamed { .. }
        | Record::NearTold { .. }
        | Record::StepStarted { .. }
        | Record::StepDone { .. }
        | Record::StepFailed { .. }
        | Record::Armed { .. }
        | Record::Triggered { .. }
        | Record::TurnedBack { .. }
        | Record::NeedsOperator { .. }
        | Record::Resumed { .. }
        | Record::Ended { .. } => return None,
    })
}

fn upgrade_sentence(record: &Record, clock: &Clock) -> Option<(Tone, String)> {
    Some(match record {
        Record::PlanAdded { plan, .. } => {
            let when = super::status::trigger(&plan.trigger, clock);
            (Tone::Strong, format!("plan to go to {}, {when}, learned from {}", plan.release, plan.origin))
        }
        Record::PlanNamed { origin, trigger: Some(trigger), .. } => {
            let when = super::status::trigger(trigger, clock);
            (Tone::Plain, format!("it is named by {origin} as well, {when}"))
        }
        Record::PlanNamed { origin, trigger: None, .. } => (Tone::Plain, format!("{origin} does not name it any more")),
        Record::NearTold { within_ms, .. } => (Tone::Plain, format!("it is nearer than {}", span(*within_ms))),
        Record::StepStarted { step, direction, attempt, .. } => {
            let verb = if *direction == Direction::Forward { "begins" } else { "is being undone" };
            let again = if *attempt > 1 { format!(" (attempt {attempt})") } else { String::new() };
            (Tone::Plain, format!("{step} {verb}{again}"))
        }
        Record::StepDone { step, direction, facts, .. } => {
            let verb = if *direction == Direction::Forward { "done" } else { "undone" };
            let note = facts.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
            let gap = facts.gap_ms.map(|gap| format!(", no process for {}", span(gap))).unwrap_or_default();
            (Tone::Good, format!("{step} {verb}{note}{gap}"))
        }
        Record::StepFailed { step, problem, .. } => (Tone::Bad, format!("{step}: failed to {problem}")),
        Record::Armed { .. } => (Tone::Strong, "armed".to_owned()),
        Record::Triggered { height, .. } => {
            (Tone::Strong, format!("triggered{}", height.map(|h| format!(" at height {h}")).unwrap_or_default()))
        }
        Record::TurnedBack { because, toward, .. } => {
            (Tone::Bad, format!("turns back, to be {}: failed to {because}", outcome_word(*toward)))
        }
        Record::NeedsOperator { because, .. } => (Tone::Bad, format!("needs an operator: failed to {because}")),
        Record::Resumed { .. } => (Tone::Strong, "a person lets it go on".to_owned()),
        Record::Ended { outcome, by: Some(by), .. } => {
            (outcome_tone(*outcome), format!("{} by plan {by}", outcome_word(*outcome)))
        }
        Record::Ended { outcome, by: None, .. } => (outcome_tone(*outcome), outcome_word(*outcome).to_owned()),
        Record::DaemonStarted { .. }
        | Record::UnitWanted { .. }
        | Record::UnitSuspended { .. }
        | Record::UnitParked { .. }
        | Record::UnitReleased { .. }
        | Record::UnitFailed { .. }
        | Record::StopTook { .. }
        | Record::LaunchNoted { .. }
        | Record::SignStateSeen { .. }
        | Record::HeightSeen { .. }
        | Record::MainEnded { .. } => return None,
    })
}
