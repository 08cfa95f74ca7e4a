//! Commit: what is not needed any more is tidied away: snapshots and releases beyond what is to be kept.

use ov_engine::StepCall;
use ov_types::record::StepFacts;
use ov_types::{Problem, counted};

use super::keep::of_vault;
use super::{Work, Workshop, state_at};

pub(super) struct Commit;

impl Work for Commit {
    fn probe(&self, _: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(None)
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let snapshots = prune_snapshots(shop, call).map_err(|problem| problem.state(state_at(call)))?;
        let mut protected = shop.standing.needed();
        protected.insert(call.plan.release.clone());
        protected.extend(call.facts.previous.clone());
        let keep_last = shop.shape.releases_keep_last as usize;
        let releases = ov_release::prune(&*shop.disk, &shop.layout(), keep_last, &protected)
            .map_err(|error| super::stage::of_release("remove old releases", &error).state(state_at(call)))?;
        let data = discard_kept_data(shop).map_err(|problem| problem.state(state_at(call)))?;
        let removed = [(snapshots, "old snapshot"), (releases.len(), "old release"), (data, "old data folder")];
        let removed = removed.into_iter().filter(|(number, _)| *number > 0);
        let removed: Vec<String> = removed.map(|(number, noun)| counted(number, noun)).collect();
        if removed.is_empty() {
            return Ok(StepFacts::default());
        }
        Ok(StepFacts::noted(format!("removed {}", removed.join(", "))))
    }

    fn verify(&self, _: &Workshop, _: &StepCall) -> Result<(), Problem> {
        Ok(())
    }

    fn undo(&self, _: &Workshop, _: &StepCall) -> Result<StepFacts, Problem> {
        Ok(StepFacts::default())
    }
}

/// What earlier restores kept was kept to be looked at; once a release is proven on the data of now, that is over.
fn discard_kept_data(shop: &Workshop) -> Result<usize, Problem> {
    let data = &shop.shape.layout.data;
    let failed = |error: &ov_vault::VaultError| of_vault("remove data that a restore kept", error);
    let kept = ov_vault::kept_data(&*shop.disk, data).map_err(|error| failed(&error))?;
    for each in &kept {
        ov_vault::discard_old(&*shop.disk, data, each).map_err(|error| failed(&error))?;
    }
    Ok(kept.len())
}

fn prune_snapshots(shop: &Workshop, call: &StepCall) -> Result<usize, Problem> {
    let layout = &shop.shape.layout;
    let wanted = shop.shape.snapshots;
    let retention = ov_vault::Retention {
        keep_last: wanted.keep_last as usize,
        keep_for_ms: wanted.keep_for_ms,
        bytes_max: wanted.max_bytes,
    };
    let protected = shop.kept.iter().cloned().chain(call.facts.snapshot.clone()).collect();
    let now_ms = shop.clock.now().wall_ms;
    ov_vault::prune(&*shop.disk, &layout.snapshots, retention, &protected, now_ms)
        .map(|removed| removed.len())
        .map_err(|error| of_vault("remove old snapshots", &error))
}
