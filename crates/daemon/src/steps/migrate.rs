//! Migrate: the hook that prepares the data for the new release has run.
//!
//! What a hook did to the data is taken back by the undo of the switch, which restores the snapshot.

use ov_engine::StepCall;
use ov_types::Problem;
use ov_types::record::StepFacts;

use super::{Work, Workshop};

const PURPOSE: super::hook::Purpose =
    super::hook::Purpose { folder: "migrate", summary: "run the hook that prepares the data" };

pub(super) struct Migrate;

impl Work for Migrate {
    fn probe(&self, shop: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(shop.shape.migrate.is_none().then(StepFacts::default))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let Some(hook) = &shop.shape.migrate else { return Ok(StepFacts::default()) };
        if super::command::is_known_to_be_missing(shop, call, hook) {
            return Ok(StepFacts::noted(format!("{}, as it said before", super::hook::NO_SUCH_COMMAND)));
        }
        super::hook::carry_out(shop, call, hook, PURPOSE)
    }

    fn verify(&self, _: &Workshop, _: &StepCall) -> Result<(), Problem> {
        Ok(())
    }

    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if shop.shape.migrate.is_some() {
            super::hook::end_earlier_try(shop, call, PURPOSE)?;
        }
        Ok(StepFacts::default())
    }
}
