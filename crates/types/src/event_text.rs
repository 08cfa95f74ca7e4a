//! Events as sentences: one wording for the terminal, the log and notifications.

use std::fmt::{Formatter, Result};

use crate::record::Outcome;
use crate::{ByteSize, Direction, EventKind, Span, Work, counted};

/// Writes one event as one line without a line end.
pub(crate) fn write(kind: &EventKind, f: &mut Formatter<'_>) -> Result {
    match kind {
        EventKind::DaemonStarted { .. }
        | EventKind::DaemonStopping { .. }
        | EventKind::ConfigurationReloaded { .. }
        | EventKind::ConfigurationRefused { .. }
        | EventKind::EventsMissed { .. }
        | EventKind::Unknown => write_daemon(kind, f),
        EventKind::NodeStuck { .. }
        | EventKind::NodeMoving { .. }
        | EventKind::MachineConfirmed
        | EventKind::DataWorkDone { .. }
        | EventKind::FetchStarted { .. }
        | EventKind::FetchDone { .. }
        | EventKind::Progress { .. } => write_node(kind, f),
        EventKind::PlanAdded { .. }
        | EventKind::PlanMoved { .. }
        | EventKind::PlanBlocked { .. }
        | EventKind::StepStarted { .. }
        | EventKind::StepDone { .. }
        | EventKind::StepFailed { .. }
        | EventKind::UpgradeArmed { .. }
        | EventKind::UpgradeNear { .. }
        | EventKind::UpgradeStarted { .. }
        | EventKind::UpgradeHeld { .. }
        | EventKind::UpgradeTurnedBack { .. }
        | EventKind::UpgradeNeedsOperator { .. }
        | EventKind::UpgradeEnded { .. } => write_upgrade(kind, f),
        _ => write_unit(kind, f),
    }
}

fn write_daemon(kind: &EventKind, f: &mut Formatter<'_>) -> Result {
    match kind {
        EventKind::DaemonStarted { version, adopted } if adopted.is_empty() => {
            write!(f, "omnivisor {version} takes over the node")
        }
        EventKind::DaemonStarted { version, adopted } => {
            let names: Vec<&str> = adopted.iter().map(crate::UnitName::as_str).collect();
            write!(f, "omnivisor {version} takes over the node; found running and left alone: {}", names.join(", "))
        }
        EventKind::DaemonStopping { units_stay: true } => f.write_str("the daemon ends; the units go on running"),
        EventKind::DaemonStopping { units_stay: false } => f.write_str("the daemon stops, and the units with it"),
        EventKind::ConfigurationReloaded { now, next_start } => {
            write!(f, "configuration read again")?;
            if !now.is_empty() {
                write!(f, "; in force now: {}", now.join(", "))?;
            }
            if !next_start.is_empty() {
                write!(f, "; from the next start on: {}", next_start.join(", "))?;
            }
            Ok(())
        }
        EventKind::ConfigurationRefused { problem } => {
            write!(f, "the earlier configuration stays in force: failed to {problem}")
        }
        EventKind::EventsMissed { oldest } => write!(f, "events before number {oldest} are no longer kept"),
        _ => f.write_str("something happened that this version does not know"),
    }
}

fn write_node(kind: &EventKind, f: &mut Formatter<'_>) -> Result {
    match kind {
        EventKind::NodeStuck { height, for_ms, restarting } => {
            f.write_str("the height ")?;
            match height {
                Some(height) => write!(f, "stands at {height}")?,
                None => f.write_str("cannot be learned")?,
            }
            write!(f, " for {}", Span::from_ms(*for_ms).rounded())?;
            f.write_str(if *restarting { "; main is launched again" } else { "" })
        }
        EventKind::MachineConfirmed => {
            f.write_str("a person confirmed that no other machine signs with the node's key")
        }
        EventKind::DataWorkDone { message } => f.write_str(message),
        EventKind::NodeMoving { height } => write!(f, "the height moves again, at {height}"),
        EventKind::Progress { work, of, done, total, rate } => write_progress(*work, of, *done, *total, *rate, f),
        EventKind::FetchStarted { release, address } => write!(f, "release {release} is being fetched from {address}"),
        EventKind::FetchDone { release, address, bytes, checksum, signer } => {
            write!(f, "release {release} was fetched from {address}: {}", ByteSize(*bytes).rounded())?;
            match checksum {
                Some(checksum) => write!(f, ", {checksum}")?,
                None => f.write_str(", and no checksum said what it should be")?,
            }
            signer.as_ref().map_or(Ok(()), |signer| write!(f, ", signed by {signer}"))
        }
        _ => Ok(()),
    }
}

fn write_progress(work: Work, of: &str, done: u64, total: Option<u64>, rate: u64, f: &mut Formatter<'_>) -> Result {
    let word = match work {
        Work::Download => "downloaded",
        Work::Unpack => "unpacked",
        Work::Copy => "copied",
        Work::Unknown => "done",
    };
    write!(f, "{of}: {}", ByteSize(done).rounded())?;
    if let Some(total) = total {
        let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
        write!(f, " of {} {word}, {percent} %", ByteSize(total).rounded())?;
    } else {
        write!(f, " {word}")?;
    }
    if rate == 0 {
        return Ok(());
    }
    write!(f, ", {} a second", ByteSize(rate).rounded())?;
    let left_ms = total.map(|total| total.saturating_sub(done).saturating_mul(1_000) / rate);
    left_ms.map_or(Ok(()), |left| write!(f, ", {} left", Span::from_ms(left).rounded()))
}

fn write_unit(kind: &EventKind, f: &mut Formatter<'_>) -> Result {
    match kind {
        EventKind::UnitStarted { unit, run, pid } => write!(f, "unit {unit} runs as process {pid} (launch {run})"),
        EventKind::UnitNotStarted { unit, message } => write!(f, "unit {unit} could not be launched: {message}"),
        EventKind::UnitReady { unit } => write!(f, "unit {unit} is ready"),
        EventKind::UnitHealth { unit, healthy, message } => {
            write!(f, "unit {unit} is {}: {message}", if *healthy { "healthy again" } else { "not healthy" })
        }
        EventKind::UnitStopping { unit } => write!(f, "unit {unit} is told to stop"),
        EventKind::UnitExited { unit, status, expected } => {
            let told = if *expected { ", as told" } else { "" };
            match status {
                Some(status) => write!(f, "unit {unit} ended with {status}{told}"),
                None => write!(f, "unit {unit} ended, and nobody saw how{told}"),
            }
        }
        EventKind::UnitGraceRaised { unit, took_ms, grace_ms } => {
            let (took, grace) = (Span::from_ms(*took_ms).rounded(), Span::from_ms(*grace_ms).rounded());
            write!(f, "unit {unit} took {took} to stop; it is given {grace} from now on")
        }
        EventKind::UnitBackingOff { unit, wait_ms, failures } => {
            let (wait, failures) = (Span::from_ms(*wait_ms).rounded(), counted(*failures, "failure"));
            write!(f, "unit {unit} is launched again in {wait} ({failures} in a row)")
        }
        EventKind::UnitLooping { unit, reason, wait_ms } => {
            write!(f, "unit {unit} {reason}; tried again in {}", Span::from_ms(*wait_ms).rounded())
        }
        EventKind::UnitParked { unit, reason } => {
            write!(f, "unit {unit} is parked: it {reason}; `omnivisor unit start {unit}` releases it")
        }
        EventKind::NodeGivenUp { unit, reason } => {
            write!(f, "unit {unit} {reason}; the daemon ends, and every unit with it")
        }
        EventKind::UnitSuspended { unit, suspended: true } => write!(f, "launches of unit {unit} are held"),
        EventKind::UnitSuspended { unit, suspended: false } => write!(f, "launches of unit {unit} are let go"),
        EventKind::OutputLost { unit, bytes: 0, reason } => write!(f, "unit {unit}'s output cannot be kept: {reason}"),
        EventKind::OutputLost { unit, bytes, reason } => {
            write!(f, "{bytes} bytes of unit {unit}'s output could not be kept: {reason}")
        }
        _ => Ok(()),
    }
}

fn write_upgrade(kind: &EventKind, f: &mut Formatter<'_>) -> Result {
    match kind {
        EventKind::PlanAdded { plan } => {
            write!(f, "plan {}: go to {} {} (learned from {})", plan.id, plan.release, plan.trigger, plan.origin)
        }
        EventKind::PlanMoved { plan } => write!(f, "plan {} to {} now starts {}", plan.id, plan.release, plan.trigger),
        EventKind::PlanBlocked { plan, problem } => write!(f, "plan {plan} waits: it failed to {problem}"),
        EventKind::StepStarted { plan, step, direction, attempt } => {
            let verb = if *direction == Direction::Forward { "begins" } else { "is being undone" };
            write!(f, "upgrade {plan}: {step} {verb}")?;
            if *attempt > 1 { write!(f, " (attempt {attempt})") } else { Ok(()) }
        }
        EventKind::StepDone { plan, step, direction, facts } => {
            write!(f, "upgrade {plan}: {step} {}", if *direction == Direction::Forward { "done" } else { "undone" })?;
            facts.note.as_ref().map_or(Ok(()), |note| write!(f, ": {note}"))
        }
        EventKind::StepFailed { plan, step, problem, retry_in_ms, .. } => {
            write!(f, "upgrade {plan}: {step}: failed to {problem}")?;
            retry_in_ms.map_or(Ok(()), |wait| write!(f, "; tried again in {}", Span::from_ms(wait).rounded()))
        }
        EventKind::UpgradeArmed { plan, eta_ms } => {
            write!(f, "upgrade {} to {} is armed: it starts {}", plan.id, plan.release, plan.trigger)?;
            let eta = eta_ms.filter(|eta| *eta >= 1_000);
            eta.map_or(Ok(()), |eta| write!(f, ", in about {}", Span::from_ms(eta).rounded()))
        }
        EventKind::UpgradeNear { plan, eta_ms, armed } => {
            let (id, release, trigger) = (plan.id, &plan.release, plan.trigger);
            let eta = Span::from_ms(*eta_ms).rounded();
            write!(f, "upgrade {id} to {release} is near: it starts {trigger}, in about {eta}")?;
            if *armed { Ok(()) } else { f.write_str("; it is not prepared yet") }
        }
        EventKind::UpgradeStarted { plan, release, height, superseded } => {
            write!(f, "upgrade {plan} to {release} starts")?;
            height.map_or(Ok(()), |height| write!(f, " at height {height}"))?;
            let Some(superseded) = superseded else { return Ok(()) };
            write!(f, " in the place of upgrade {superseded}; there is no proven release to go back to")
        }
        EventKind::UpgradeHeld { plan, step, problem } => {
            write!(f, "upgrade {plan} is held at {step} and tried again: failed to {problem}")?;
            if problem.hint.is_empty() { Ok(()) } else { write!(f, "; {}", problem.hint) }
        }
        EventKind::UpgradeTurnedBack { plan, problem } => write!(f, "upgrade {plan} turns back: failed to {problem}"),
        EventKind::UpgradeNeedsOperator { plan, problem } => {
            write!(f, "upgrade {plan} needs an operator: failed to {problem}")?;
            if problem.hint.is_empty() { Ok(()) } else { write!(f, "; {}", problem.hint) }
        }
        EventKind::UpgradeEnded { plan, release, outcome, gap_ms } => match outcome {
            Outcome::Committed => {
                write!(f, "upgrade {plan} to {release} is committed")?;
                gap_ms.map_or(Ok(()), |gap| write!(f, "; no process ran for {gap} ms"))
            }
            Outcome::RolledBack => write!(f, "upgrade {plan} to {release} is rolled back"),
            Outcome::Withdrawn => write!(f, "plan {plan} to {release} is withdrawn; nothing was changed"),
            Outcome::Superseded => write!(f, "upgrade {plan} to {release} is over unproven: another takes its place"),
        },
        _ => Ok(()),
    }
}
