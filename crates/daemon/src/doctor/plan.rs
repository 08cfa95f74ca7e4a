//! The plan: can it be carried out, and does it say what was meant.

use ov_release::{list, state};
use ov_types::{Origin, Plan, Trigger};

use super::{Depth, DoctorInput, Verdict, failed};

fn subject(plan: &Plan) -> String {
    format!("plan {}", plan.id)
}

/// Complete by names, sizes and permissions; the bytes are read once, by the full examination.
pub(super) fn release(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(plan) = input.plan else { return Vec::new() };
    let name = &plan.release;
    vec![match state(input.disk, &input.layout, name) {
        Err(error) => Verdict::unknown(subject(plan), failed(&error)),
        Ok(found @ ov_release::State::Complete(_)) if input.current().as_ref() == Some(name) => {
            let message = format!("release {name} is {} and runs already", found.describe());
            // At the trigger the switch may be done already, by a daemon that died after it.
            if input.depth == Depth::Quick {
                Verdict::good(subject(plan), message)
            } else {
                Verdict::warning(subject(plan), message, "cancel the plan if it was carried out by hand")
            }
        }
        Ok(ov_release::State::Complete(_)) => Verdict::good(subject(plan), format!("release {name} is complete")),
        Ok(found) => {
            let message = format!("release {name} is {}", found.describe());
            Verdict::error(
                subject(plan),
                message,
                format!("stage it: `omnivisor upgrade prepare {name} --from <file or folder>`"),
            )
        }
    }]
}

pub(super) fn name(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(plan) = input.plan else { return Vec::new() };
    let folded = plan.release.as_str().to_lowercase();
    let twin = list(input.disk, &input.layout).unwrap_or_default().into_iter().map(|listed| listed.name);
    let twin = twin.into_iter().find(|other| *other != plan.release && other.as_str().to_lowercase() == folded);
    vec![match twin {
        Some(twin) => {
            let message = format!("release {} differs from {twin} in upper and lower case only", plan.release);
            Verdict::warning(subject(plan), message, "make sure that the right one is named")
        }
        None => Verdict::good(subject(plan), "no release has a name that could be mistaken for its"),
    }]
}

pub(super) fn trigger(input: &DoctorInput<'_>) -> Vec<Verdict> {
    const FIX: &str = "cancel the plan if this is not meant";
    let Some(plan) = input.plan else { return Vec::new() };
    vec![match (plan.trigger, input.height) {
        (Trigger::Height { height }, Some(now)) if now >= height => {
            let message =
                format!("height {height} is passed already (the node is at {now}): it is carried out at once");
            Verdict::warning(subject(plan), message, FIX)
        }
        (Trigger::Height { height }, Some(now)) => {
            Verdict::good(subject(plan), format!("{} blocks to go", height.0.saturating_sub(now.0)))
        }
        // Whatever the height is, the node says when.
        (Trigger::AwaitHalt { height }, Some(now)) if now > height => {
            let message = format!("the node is at {now}, beyond {height}, where it was to halt: it is not carried out");
            Verdict::warning(subject(plan), message, FIX)
        }
        // One from a file is looked at again when main ends: it may have halted for it.
        (Trigger::Height { .. }, None) if input.shape.probes.height.is_empty() && plan.origin == Origin::Person => {
            let message = "it waits for a height, and nothing tells how high the node is";
            Verdict::error(subject(plan), message, "configure `probe.height`, or plan for a time")
        }
        (Trigger::Height { .. }, None) => Verdict::unknown(subject(plan), "the node's height was not learned yet"),
        (Trigger::Time { wall_ms }, _) if wall_ms <= input.clock.now().wall_ms => {
            Verdict::warning(subject(plan), "its time is past: it is carried out at once", FIX)
        }
        (trigger, _) => Verdict::good(subject(plan), format!("due at {trigger}")),
    }]
}

pub(super) fn conflict(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(plan) = input.plan else { return Vec::new() };
    let others = input.plans.iter().filter(|other| other.id != plan.id);
    let mut verdicts: Vec<Verdict> = others.filter_map(|other| conflict_with(plan, other)).collect();
    if verdicts.is_empty() {
        verdicts.push(Verdict::good(subject(plan), "no other plan stands against it"));
    }
    verdicts
}

fn conflict_with(plan: &Plan, other: &Plan) -> Option<Verdict> {
    let same_moment = plan.trigger == other.trigger
        || plan.trigger.height().is_some_and(|height| other.trigger.height() == Some(height));
    if same_moment && plan.release != other.release {
        let message = format!("plan {} goes to {} at the same moment", other.id, other.release);
        if matches!(plan.trigger, Trigger::Halt { .. }) {
            // The node has halted for this one: there is nothing left to choose.
            return Some(Verdict::warning(subject(plan), message, format!("cancel plan {}", other.id)));
        }
        return Some(Verdict::error(subject(plan), message, "cancel one of the two"));
    }
    if same_moment || plan.release == other.release {
        let message = format!("plan {} goes to the same release, at {}", other.id, other.trigger);
        return Some(Verdict::warning(subject(plan), message, "cancel one of the two"));
    }
    None
}
