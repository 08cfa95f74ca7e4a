//! Recheck: the quick part of the examination once more, at the trigger, while the old release still runs; and what
//! an undo will need is noted before anything changes.

use ov_engine::StepCall;
use ov_release::CurrentRelease;
use ov_types::Problem;
use ov_types::record::StepFacts;

use super::keep::of_vault;
use super::{Work, Workshop, state_at};
use crate::doctor::Depth;

pub(super) struct Recheck;

impl Work for Recheck {
    fn probe(&self, _: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(None)
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if call.facts.holds_units == Some(true) {
            // The node is down, and what it took the place of may have been in the middle of a restore.
            ov_vault::repair(&*shop.disk, &shop.shape.layout.data)
                .map_err(|error| of_vault("finish a restore that was begun", &error).state(state_at(call)))?;
        }
        let checked = super::examine::judge(shop, call, Depth::Quick, "OV-UPG-016")?;
        let summary = format!("note which release runs before {}", call.plan.release);
        let current = ov_release::current(&*shop.disk, &shop.layout())
            .map_err(|error| super::stage::of_release(&summary, &error).state(state_at(call)))?;
        let previous = match current {
            CurrentRelease::Release(name) => Some(name),
            CurrentRelease::Missing => None,
            other => {
                return Err(Problem::permanent("OV-UPG-017", summary)
                    .cause(format!("`current` is no link to a release: {other:?}"))
                    .state(state_at(call))
                    .hint("make `current` a link to one of the releases, then `omnivisor upgrade retry`"));
            }
        };
        let format = shop.format_marker().map_err(|problem| problem.state(state_at(call)))?;
        Ok(StepFacts { previous, height: shop.height, format, ..checked })
    }

    fn verify(&self, _: &Workshop, _: &StepCall) -> Result<(), Problem> {
        Ok(())
    }

    fn undo(&self, _: &Workshop, _: &StepCall) -> Result<StepFacts, Problem> {
        Ok(StepFacts::default())
    }
}
