//! Migrate: the hook that prepares the data for the new release has run.
//!
//! What a hook did to the data is taken back by the undo of the switch, which restores the snapshot.

use ov_engine::StepCall;
use ov_types::Problem;
use ov_types::record::StepFacts;

use super::{Work, Workshop, state_at};
use crate::units::what_is_signed;

const PURPOSE: super::hook::Purpose =
    super::hook::Purpose { folder: "migrate", summary: "run the hook that prepares the data" };

pub(super) struct Migrate;

impl Work for Migrate {
    fn probe(&self, shop: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(shop.shape.migrate.is_none().then(StepFacts::default))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let Some(hook) = &shop.shape.migrate else { return Ok(StepFacts::default()) };
        super::hook::carry_out(shop, call, hook, PURPOSE)
    }

    /// What a validator has signed is not the hook's to forget, nor is its key.
    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
        if shop.shape.migrate.is_none() {
            return Ok(());
        }
        let kept = what_is_signed(&*shop.disk, &shop.shape, shop.recorded_sign_state);
        kept.map(drop).map_err(|problem| {
            Problem::permanent("OV-UPG-026", "have the hook leave what the validator has signed")
                .cause(format!("after the hook it failed to {problem}"))
                .state(state_at(call))
                .hint("take out of the hook whatever resets the sign state or the key; both are in the data as it was kept")
        })
    }

    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if shop.shape.migrate.is_some() {
            super::hook::end_earlier_try(shop, call, PURPOSE)?;
        }
        Ok(StepFacts::default())
    }
}
