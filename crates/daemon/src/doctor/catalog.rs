//! Where releases are looked for by their names: whether it answers, as long as there is something to look for.

use ov_release::fetch::{Cancel, Patience, World};
use ov_sys::Random;

use super::{DoctorInput, Verdict, failed};
use crate::fetch::of_catalog;

const FIX: &str = "see that it can be reached from here, that `fetch.github` names it, and that the token is right";

pub(super) fn reached(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(catalog) = &input.shape.fetch.catalog else { return Vec::new() };
    let place = catalog.place.place();
    if let Some(plan) = input.plan
        && let Ok(ov_release::State::Complete(_)) = ov_release::state(input.disk, &input.layout, &plan.release)
    {
        return vec![Verdict::good(place, format!("release {} is here: nothing has to be looked for", plan.release))];
    }
    let credentials = match of_catalog(input.disk, &input.supply.credentials, catalog) {
        Ok(credentials) => credentials,
        Err(error) => return vec![Verdict::warning(place, failed(&error), FIX)],
    };
    let (cancel, mut unheard) = (Cancel::default(), |_| {});
    let world = World {
        disk: input.disk,
        clock: input.clock,
        transport: &*input.supply.transport,
        credentials: &credentials,
        cancel: &cancel,
        random: Random::new(input.shape.engine.seed),
        progress: &mut unheard,
    };
    vec![match catalog.place.greet(world, Patience { tries: 1, ..input.shape.fetch.patience }) {
        Ok(said) => Verdict::good(place, said),
        Err(error) => Verdict::warning(place, failed(&error), FIX),
    }]
}
