//! What can be learned of a node without a daemon: for commands of a person whose daemon is down.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ov_chains::{ConfigError, NodeShape};
use ov_engine::Ledger;
use ov_journal::{JournalError, Parsed};
use ov_sys::{Disk, RealClock, RealDisk};
use ov_types::api::{DoctorReport, HistoryEntry};
use ov_types::{PlanId, Record, ReleaseName};
use ov_vault::SignState;

use crate::doctor::Depth;
use crate::steps::Workshop;

/// What the journal in a node's state directory says. Safe beside a daemon that writes it.
pub fn history(shape: &NodeShape, plan: Option<PlanId>, since: Option<u64>) -> Result<Vec<HistoryEntry>, JournalError> {
    history_in(&RealDisk, &shape.layout.journal(), plan, since)
}

pub(crate) fn history_in(
    disk: &dyn Disk,
    directory: &Path,
    plan: Option<PlanId>,
    since: Option<u64>,
) -> Result<Vec<HistoryEntry>, JournalError> {
    let mut found = Vec::new();
    for entry in ov_journal::history::<Record>(disk, directory)? {
        let entry = entry?;
        let (sequence, restated) = (entry.sequence.0, entry.restated);
        let Parsed::Known(record) = entry.record else { continue };
        let wanted = plan.is_none_or(|plan| record.plan() == Some(plan)) && since.is_none_or(|since| sequence > since);
        if wanted && !restated {
            found.push(HistoryEntry { sequence, record });
        }
    }
    Ok(found)
}

/// The doctor's report on a node whose daemon is down.
pub fn doctor(home: &Path, config: Option<&Path>, release: Option<&ReleaseName>) -> Result<DoctorReport, ConfigError> {
    let shape = ov_chains::load(&RealDisk, home, config)?;
    let records: Vec<Record> =
        history(&shape, None, None).unwrap_or_default().into_iter().map(|entry| entry.record).collect();
    let ledger = Ledger::fold(&records).unwrap_or_default();
    let shop = Workshop {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        shape: Arc::new(shape),
        needed: Vec::new(),
        kept: BTreeSet::new(),
        recorded_sign_state: ledger.sign_state().map(|(height, round, step)| SignState { height, round, step }),
        height: ledger.last_end().and_then(|end| end.height),
        plans: crate::steps::waiting_plans(&ledger),
        own: vec![std::process::id()],
        abandoned: Arc::new(AtomicBool::new(false)),
    };
    let plan = shop.plans.iter().find(|plan| release.is_none_or(|release| *release == plan.release));
    let findings = shop.examine(plan, release, Depth::Full);
    Ok(DoctorReport { worst: ov_types::worst(&findings), findings })
}

/// Stages a release for a node that has no daemon yet, and makes it the current one if none is.
pub fn first_release(
    home: &Path,
    config: Option<&Path>,
    name: &ReleaseName,
    source: &Path,
) -> Result<(), ov_types::Problem> {
    let shape = ov_chains::load(&RealDisk, home, config).map_err(|error| error.problem())?;
    let shop = Workshop {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        shape: Arc::new(shape),
        needed: Vec::new(),
        kept: BTreeSet::new(),
        recorded_sign_state: None,
        height: None,
        plans: Vec::new(),
        own: Vec::new(),
        abandoned: Arc::new(AtomicBool::new(false)),
    };
    crate::steps::stage(&shop, name.clone(), source, None, None)?;
    let summary = format!("make {name} the current release");
    let layout = shop.layout();
    let current = ov_release::current(&*shop.disk, &layout);
    match current.map_err(|error| crate::steps::of_release(&summary, &error))? {
        ov_release::CurrentRelease::Missing => ov_release::switch(&*shop.disk, &layout, name)
            .map(drop)
            .map_err(|error| crate::steps::of_release(&summary, &error)),
        _ => Ok(()),
    }
}
