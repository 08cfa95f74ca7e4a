//! Switch: `current` names the new release, by one rename. Its undo first makes the data fit for the old release.

use ov_chains::plans::{PlanRules, PlanWriters, applied_height};
use ov_engine::StepCall;
use ov_release::CurrentRelease;
use ov_types::record::StepFacts;
use ov_types::{Origin, Problem, Trigger};
use ov_vault::{DataRules, RestoreRequest, VaultError};

use super::keep::{copying, data_rules, of_vault};
use super::{Work, Workshop, state_at};

const BEFORE: super::hook::Purpose =
    super::hook::Purpose { folder: "before-switch", summary: "run the hook before the switch" };

pub(super) struct Switch;

impl Work for Switch {
    /// Never taken for done: switching to where one is only syncs, which a try that died may have missed.
    fn probe(&self, _: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(None)
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if let Some(hook) = &shop.shape.before_switch {
            super::hook::carry_out(shop, call, hook, BEFORE)?;
        }
        leave_copy(shop, call)?;
        leave_plan(shop, call)?;
        let summary = format!("switch to {}", call.plan.release);
        ov_release::switch(&*shop.disk, &shop.layout(), &call.plan.release)
            .map_err(|error| super::stage::of_release(&summary, &error).state(state_at(call)))?;
        Ok(StepFacts::default())
    }

    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
        let summary = format!("switch to {}", call.plan.release);
        let current = ov_release::current(&*shop.disk, &shop.layout())
            .map_err(|error| super::stage::of_release(&summary, &error).state(state_at(call)))?;
        if current == CurrentRelease::Release(call.plan.release.clone()) {
            return Ok(());
        }
        Err(Problem::transient("OV-UPG-022", summary)
            .cause(format!("reading it back: `current` is {current:?}"))
            .state(state_at(call))
            .hint("look at the link `current` and at who else writes it"))
    }

    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        if shop.shape.before_switch.is_some() {
            super::hook::end_earlier_try(shop, call, BEFORE)?;
        }
        let restored = make_data_fit(shop, call)?;
        let Some(previous) = &call.facts.previous else {
            return Ok(StepFacts::noted("no release ran before, so `current` stays as it is"));
        };
        let summary = format!("switch back to {previous}");
        ov_release::switch(&*shop.disk, &shop.layout(), previous)
            .map_err(|error| super::stage::of_release(&summary, &error).state(state_at(call)))?;
        Ok(restored)
    }
}

/// Leaves the copy of the plan with its release, where the family has that. Before the link moves: what `current` names
/// was always told what it is.
fn leave_copy(shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
    let (Some(name), Some(height)) = (&shop.shape.applied_copy, call.plan.trigger.height()) else { return Ok(()) };
    if matches!(call.plan.origin, Origin::Data { .. }) {
        // The plan that led to this release is an older one, and its copy tells so.
        return Ok(());
    }
    let path = shop.release_directory(&call.plan.release).join(name);
    let Some((file, rules)) = shop.shape.plan_files().next() else { return Ok(()) };
    let written = shop.disk.read(file, crate::scout::PLAN_BYTES_MAX).ok();
    let copy = rules.names.applied_copy(&call.plan.release, height, written.as_deref());
    ov_sys::durable::replace(&*shop.disk, &path, &copy, 0o644).map_err(|error| {
        Problem::transient("OV-UPG-027", "leave a copy of the plan with its release")
            .because(&error)
            .state(state_at(call))
            .hint(format!("make {} writable for this user", path.display()))
    })
}

/// Leaves the plan where the new release reads it, as the node would have written it: for one that was told to halt before
/// it could. It goes with the data if the upgrade turns round.
fn leave_plan(shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
    let Trigger::Height { height } = call.plan.trigger else { return Ok(()) };
    let is_nodes = |rules: &PlanRules| matches!(rules.writers, PlanWriters::Node | PlanWriters::NodeOrPeople);
    let mut files = shop.shape.plan_files().filter(|_| shop.shape.engine.halts_when_told);
    let Some((path, rules)) = files.find(|(_, rules)| is_nodes(rules)) else { return Ok(()) };
    let seen = call.facts.height;
    // One that went beyond the height has not halted there, told or not.
    let was_told = shop.halt_at == Some(height);
    let was_kept_from_it = if was_told { seen <= Some(height) } else { seen.is_some() && seen < Some(height) };
    let written = shop.disk.read(path, crate::scout::PLAN_BYTES_MAX).ok();
    if !was_kept_from_it || written.and_then(|written| applied_height(&written)) == Some(height) {
        return Ok(());
    }
    let plan = rules.names.plan_of(&call.plan.release, height, call.plan.info.as_deref());
    ov_sys::durable::replace(&*shop.disk, path, &plan, 0o644).map_err(|error| {
        Problem::transient("OV-UPG-028", "leave the plan where the new release reads it")
            .because(&error)
            .state(state_at(call))
            .hint(format!("make {} writable for this user", path.display()))
    })
}

/// Whether the new release changed the format of the data, so that the old one must not see it.
fn data_was_raised(shop: &Workshop, call: &StepCall) -> Result<bool, Problem> {
    if shop.shape.keep.format_file.is_some() {
        return Ok(shop.format_marker()? != call.facts.format);
    }
    // Nothing tells the format: a hook that prepared the data for the new release counts as a change of it.
    Ok(shop.shape.migrate.is_some() || shop.shape.before_switch.is_some())
}

/// Whether a new release that never came to make a block has written to the data: it may have died while it raised
/// the format, before it said so. There are no blocks that going back could lose.
fn data_was_left_half_way(shop: &Workshop, call: &StepCall, rules: &DataRules) -> Result<bool, VaultError> {
    let layout = &shop.shape.layout;
    let makes_blocks = shop.height.zip(call.facts.height).is_some_and(|(now, before)| now > before);
    match &call.facts.snapshot {
        Some(id) if !makes_blocks => {
            ov_vault::is_as_taken(&*shop.disk, &layout.snapshots, id, &layout.data, rules).map(|same| !same)
        }
        _ => Ok(false),
    }
}

/// Puts the snapshot back if the data was raised, or may be on its way there. The sign state only goes up.
fn make_data_fit(shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
    let summary = "give the old release its data back";
    let fail = |error: &ov_vault::VaultError| of_vault(summary, error).state(state_at(call));
    let layout = &shop.shape.layout;
    let rules = data_rules(&shop.shape).map_err(|problem| problem.state(state_at(call)))?;
    if let Some(id) = &call.facts.snapshot
        && let Some(done) =
            ov_vault::already_restored(&*shop.disk, &layout.data, id, &rules).map_err(|error| fail(&error))?
    {
        let kept = done.kept.map(|path| path.display().to_string()).unwrap_or_default();
        return Ok(StepFacts::noted(format!("snapshot {id} was restored; the new release's data is kept at {kept}")));
    }
    if !data_was_raised(shop, call)? && !data_was_left_half_way(shop, call, &rules).map_err(|error| fail(&error))? {
        return Ok(StepFacts::default());
    }
    let Some(id) = call.facts.snapshot.clone() else {
        return Err(Problem::permanent("OV-UPG-023", summary)
            .cause("the new release changed the data's format, and no snapshot was taken before")
            .state("the node is stopped; the data is as the new release left it")
            .hint("put data back that the old release can read, with `omnivisor snapshot restore`, then have the upgrade tried again"));
    };
    let recorded = shop.recorded_sign_state;
    let request = RestoreRequest {
        snapshots: &layout.snapshots,
        id: id.clone(),
        data: &layout.data,
        rules: &rules,
        recorded,
        is_foreign: false,
    };
    let restored = ov_vault::restore(&*shop.disk, &request, &mut copying(shop, format!("snapshot {id}")))
        .map_err(|error| fail(&error))?;
    let kept = restored.kept.map(|path| path.display().to_string()).unwrap_or_default();
    Ok(StepFacts::noted(format!("snapshot {id} was restored; the new release's data is kept at {kept}")))
}
