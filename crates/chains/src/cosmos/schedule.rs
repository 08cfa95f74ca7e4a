//! What the plans that people scheduled ahead mean, each at its turn.
//!
//! Unlike in the original, an entry whose height is past never holds up the others, and neither does one that cannot be
//! used: [`schedule`] gives every entry its turn, whatever the others are.

use ov_types::{Height, ReleaseName};

use super::names::{Recase, release_of};
use super::plan::{PlanInfo, Queue};
use super::verdict::{Author, Current, Evidence, Main, Meaning, Stale, meaning};

/// One scheduled plan and its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled<'a> {
    /// The plan.
    pub plan: &'a PlanInfo,
    /// What is to be done about it.
    pub turn: Turn,
}

/// What is to be done about a scheduled plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It waits for its height, or is due since the node is there.
    Waits(ReleaseName, Height),
    /// It was carried out.
    Applied,
    /// It is over, and why.
    Over(&'static str),
    /// The operator's arguments say to skip its height.
    Skipped,
    /// It cannot be carried out, and why.
    Unusable(String),
}

/// The turn of every plan, by rising height. Of those whose height is past only the last still counts: its release is
/// the one that fits the data.
pub fn schedule<'a>(
    queue: &'a Queue,
    recase: Recase,
    current: Option<&Current>,
    known: Option<Height>,
    skipped: &[u64],
) -> Vec<Scheduled<'a>> {
    let mut turns: Vec<Scheduled<'a>> = queue
        .plans()
        .iter()
        .map(|plan| Scheduled { plan, turn: turn(plan, recase, current, known, skipped) })
        .collect();
    let is_past = |turn: &Turn| matches!(turn, Turn::Waits(_, height) if known >= Some(*height));
    let last = turns.iter().rposition(|scheduled| is_past(&scheduled.turn)).unwrap_or(0);
    for scheduled in turns.iter_mut().take(last).filter(|scheduled| is_past(&scheduled.turn)) {
        scheduled.turn = Turn::Over("the node is beyond the height of a later one as well");
    }
    turns
}

fn turn(plan: &PlanInfo, recase: Recase, current: Option<&Current>, known: Option<Height>, skipped: &[u64]) -> Turn {
    let release = match release_of(&plan.name, recase) {
        Ok(release) => release,
        Err(error) => return Turn::Unusable(error.to_string()),
    };
    let height = Height(u64::try_from(plan.height).unwrap_or_default());
    // How main is tells nothing about a plan that only its height makes due.
    let evidence =
        Evidence { release: &release, height, author: Author::Person, current, known, main: Main::Down, skipped };
    match meaning(&evidence) {
        Meaning::Applied => Turn::Applied,
        Meaning::Stale(stale @ (Stale::Overtaken | Stale::PassedByHand)) => Turn::Over(stale.why()),
        Meaning::Skipped => Turn::Skipped,
        Meaning::Waits | Meaning::Halted => Turn::Waits(release, height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn queue(plans: &[(&str, i64)]) -> Queue {
        let mut queue = Queue::default();
        for (name, height) in plans {
            queue.put(PlanInfo::new(*name, *height), Recase::Lower);
        }
        queue
    }

    fn current(release: &str, applied: Option<u64>) -> Current {
        let is_first = release == "genesis";
        let release = ReleaseName::new(release).unwrap();
        Current { release, applied: applied.map(Height), is_first, is_newer_than_plan: false }
    }

    /// Each turn as a word.
    fn turns(plans: &[(&str, i64)], current: &Current, known: Option<u64>, skipped: &[u64]) -> Vec<String> {
        let queue = queue(plans);
        let word = |scheduled: Scheduled<'_>| match scheduled.turn {
            Turn::Waits(release, height) => format!("{release}@{height}"),
            Turn::Applied => "applied".to_owned(),
            Turn::Over(_) => "over".to_owned(),
            Turn::Skipped => "skipped".to_owned(),
            Turn::Unusable(_) => "unusable".to_owned(),
        };
        schedule(&queue, Recase::Lower, Some(current), known.map(Height), skipped).into_iter().map(word).collect()
    }

    #[test]
    fn past_and_bad_entries_hold_up_nobody() {
        let all = [("v2", 100), ("genesis", 150), ("v3", 200), ("V4", 300)];
        for (current, known, skipped, expected) in [
            (current("genesis", None), None, &[][..], ["v2@100", "unusable", "v3@200", "v4@300"]),
            (current("genesis", None), Some(50), &[], ["v2@100", "unusable", "v3@200", "v4@300"]),
            (current("genesis", None), Some(120), &[], ["v2@100", "unusable", "v3@200", "v4@300"]),
            (current("genesis", None), Some(250), &[], ["over", "unusable", "v3@200", "v4@300"]),
            (current("genesis", None), Some(999), &[], ["over", "unusable", "over", "v4@300"]),
            (current("v2", Some(100)), Some(250), &[], ["applied", "unusable", "v3@200", "v4@300"]),
            (current("v3", Some(200)), Some(250), &[], ["over", "unusable", "applied", "v4@300"]),
            (current("v2", Some(100)), Some(250), &[200], ["applied", "unusable", "skipped", "v4@300"]),
        ] {
            assert_eq!(turns(&all, &current, known, skipped), expected, "{current:?} at {known:?}");
        }
    }

    proptest! {
        #[test]
        fn of_all_that_are_past_at_most_one_is_due(
            plans in proptest::collection::vec(("[a-f]", 1_i64..20), 0..8), known in 0_u64..25,
        ) {
            let plans: Vec<(&str, i64)> = plans.iter().map(|(name, height)| (name.as_str(), *height)).collect();
            let queue = queue(&plans);
            let turns = schedule(&queue, Recase::Lower, None, Some(Height(known)), &[]);
            prop_assert_eq!(turns.len(), queue.plans().len());
            let past = |plan: &PlanInfo| u64::try_from(plan.height).unwrap() <= known;
            let waiting = |scheduled: &&Scheduled<'_>| matches!(scheduled.turn, Turn::Waits(..));
            let due: Vec<_> = turns.iter().filter(waiting).filter(|scheduled| past(scheduled.plan)).collect();
            let greatest = queue.plans().iter().filter(|plan| past(plan)).map(|plan| plan.height).max();
            prop_assert_eq!(due.len(), usize::from(greatest.is_some()));
            prop_assert_eq!(due.first().map(|scheduled| scheduled.plan.height), greatest);
            let ahead = turns.iter().filter(|scheduled| !past(scheduled.plan));
            prop_assert!(ahead.clone().all(|scheduled| matches!(scheduled.turn, Turn::Waits(..))));
        }
    }
}
