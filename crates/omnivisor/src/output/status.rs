//! The node as text: `status`, `plan list`, and one line for a plain `watch`.

use std::fmt::Write as _;

use ov_types::api::{PlanStatus, Status, UnitStatus};
use ov_types::{FailurePolicy, Problem, Trigger};

use super::style::unit_tone;
use super::table::{Cell, Table};
use super::{Clock, Look, Tone, hanging, one_line, plan_phase, reasons, span};

/// `omnivisor status`.
pub(crate) fn status(status: &Status, look: &Look) -> String {
    let mut text = header(status, look);
    text.push('\n');
    text.push_str(&units(&status.units, look));
    if !status.plans.is_empty() {
        text.push('\n');
        text.push_str(&plan_list(&status.plans, look));
    }
    for problem in &status.problems {
        text.push('\n');
        text.push_str(&self::problem(problem, look));
    }
    text
}

fn header(status: &Status, look: &Look) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let value = hanging(&one_line(&value), 9, 9, look);
        let _ = writeln!(text, "{} {value}", look.style.paint(Tone::Faint, format!("{name:<8}")));
    };
    line("node", format!("{} ({}) in {}", status.node, status.chain, status.home));
    let daemon = &status.daemon;
    let since = look.clock.both(daemon.since_ms);
    let stopping = if daemon.stopping { "; it is stopping" } else { "" };
    line("daemon", format!("{}, process {}, took over {since}{stopping}", daemon.version, daemon.pid));
    line("release", status.release.as_ref().map_or_else(|| "none is current".to_owned(), ToString::to_string));
    line("height", height(status));
    text
}

/// The height, how old it is, and how fast it moves.
pub(crate) fn height(status: &Status) -> String {
    let Some(height) = status.height else { return "not known".to_owned() };
    let mut text = height.to_string();
    if let Some(age) = status.height_age_ms {
        let _ = write!(text, ", moved {} ago", span(age));
    }
    if let Some(rate) = status.blocks_per_hour {
        let _ = write!(text, ", {rate} blocks/h");
    }
    text
}

fn units(units: &[UnitStatus], look: &Look) -> String {
    let mut table = Table::new(["UNIT", "STATE", "PROCESS", "FOR", "LAUNCHES", "HEALTH", "LAST EXIT", "NOTE"]);
    for unit in units {
        let health = match unit.healthy {
            Some(true) => Cell::new(Tone::Good, "good"),
            Some(false) => Cell::new(Tone::Bad, "bad"),
            None => "".into(),
        };
        table.row([
            Cell::new(Tone::Strong, unit.name.as_str()),
            Cell::new(unit_tone(unit.state), unit.state.to_string()),
            unit.pid.map(|pid| pid.to_string()).unwrap_or_default().into(),
            uptime(unit, &look.clock).into(),
            unit.launches.to_string().into(),
            health,
            unit.last_exit.map(|exit| exit.to_string()).unwrap_or_default().into(),
            unit_note(unit).into(),
        ]);
    }
    table.render(look)
}

/// How long the present process has been running.
pub(crate) fn uptime(unit: &UnitStatus, clock: &Clock) -> String {
    let since = unit.since_ms.filter(|_| unit.pid.is_some());
    since.map(|since| span(clock.now_ms.saturating_sub(since).max(0).unsigned_abs())).unwrap_or_default()
}

/// What else there is to say about a unit, most important first.
pub(crate) fn unit_note(unit: &UnitStatus) -> String {
    let mut notes = Vec::new();
    if let Some(reason) = &unit.parked {
        notes.push(reason.to_string());
    } else if let Some(cause) = &unit.not_started {
        notes.push(format!("could not be launched: {cause}"));
    }
    if let Some(wait) = unit.launch_in_ms {
        notes.push(format!("launched again in {}", span(wait)));
    }
    if let Some(condition) = &unit.waiting_for {
        notes.push(format!("waits for {condition}"));
    }
    if unit.suspended {
        notes.push("launches are held".to_owned());
    }
    if !unit.wanted {
        notes.push("kept down".to_owned());
    }
    if let Some(says) = &unit.says {
        notes.push(format!("says: {says}"));
    }
    notes.join("; ")
}

/// `omnivisor plan list`.
pub(crate) fn plan_list(plans: &[PlanStatus], look: &Look) -> String {
    let mut table = Table::new(["PLAN", "RELEASE", "WHEN", "EXPECTED", "ON FAILURE", "FROM", "PHASE"]);
    for status in plans {
        let (tone, phase) = plan_phase(status, &look.clock);
        let plan = &status.plan;
        table.row([
            Cell::new(Tone::Strong, plan.id.to_string()),
            Cell::new(Tone::Strong, plan.release.as_str()),
            trigger(&plan.trigger, &look.clock).into(),
            expected(status, &look.clock).into(),
            policy(plan.on_failure).into(),
            plan.origin.to_string().into(),
            Cell::new(tone, phase),
        ]);
    }
    table.render(look)
}

/// When a plan is due.
pub(crate) fn trigger(trigger: &Trigger, clock: &Clock) -> String {
    match trigger {
        Trigger::Now => "at once".to_owned(),
        Trigger::Time { wall_ms } => clock.absolute(*wall_ms),
        Trigger::Height { height } => format!("height {height}"),
        Trigger::Halt { height } | Trigger::AwaitHalt { height } => format!("halt at {height}"),
    }
}

/// When a plan is expected to start, if it has not and that can be told.
pub(crate) fn expected(status: &PlanStatus, clock: &Clock) -> String {
    let eta = status.eta_ms.filter(|eta| *eta > 0 && status.ended_ms.is_none());
    eta.map(|eta| clock.both(clock.now_ms.saturating_add_unsigned(eta))).unwrap_or_default()
}

fn policy(policy: FailurePolicy) -> &'static str {
    match policy {
        FailurePolicy::Rollback => "rollback",
        FailurePolicy::Hold => "hold",
    }
}

fn problem(problem: &Problem, look: &Look) -> String {
    let headline = hanging(&one_line(&format!("failed to {} [{}]", problem.summary, problem.code)), 9, 11, look);
    format!("{} {headline}\n{}", look.style.paint(Tone::Bad, "problem:"), reasons(problem, look))
}

/// Everything that matters in one line.
pub(crate) fn summary_line(status: &Status, clock: &Clock) -> String {
    let mut text = format!("{} at {}", status.node, status.release.as_ref().map_or("no release", |name| name.as_str()));
    if let Some(height) = status.height {
        let _ = write!(text, ", height {height}");
    }
    for unit in &status.units {
        let _ = write!(text, ", {} {}", unit.name, unit.state);
    }
    if let Some(next) = status.plans.first() {
        let (_, phase) = plan_phase(next, clock);
        let _ = write!(text, ", next {} at {}: {phase}", next.plan.release, trigger(&next.plan.trigger, clock));
    }
    if !status.problems.is_empty() {
        let _ = write!(text, ", problems: {}", status.problems.len());
    }
    one_line(&text)
}
