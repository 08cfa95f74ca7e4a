//! What can be learned of a node without a daemon: for commands of a person whose daemon is down.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ov_chains::plans::PlanNames;
use ov_chains::shape::{HomeLayout, PlanQuestion};
use ov_chains::{ConfigError, NodeShape};
use ov_engine::Ledger;
use ov_journal::{JournalError, Parsed};
use ov_release::Staged;
use ov_release::fetch::Cancel;
use ov_sys::{Disk, RealClock, RealDisk};
use ov_types::api::{DoctorReport, HistoryEntry, NewRelease};
use ov_types::{Event, ExitCode, PlanId, Problem, Record, ReleaseName, UnitName};
use ov_vault::SignState;

use crate::doctor::Depth;
use crate::fetch::{Supply, Tell};
use crate::run::take_home;
use crate::scout::Candidate;
use crate::scout::service::Told;
use crate::source::ShapeSource;
use crate::steps::{Standing, Workshop};
use crate::{event_log, units};

/// What the journal of a node says. Safe beside a daemon that writes it, and of use without a configuration.
pub fn history(home: &Path, plan: Option<PlanId>, since: Option<u64>) -> Result<Vec<HistoryEntry>, JournalError> {
    history_in(&RealDisk, &HomeLayout::of_home(home).journal(), plan, since)
}

/// The events after this number, as far as they are kept.
pub fn events(home: &Path, since: u64) -> io::Result<Vec<Event>> {
    let mut events = event_log::kept(&RealDisk, &HomeLayout::of_home(home).events())?;
    events.retain(|event| event.index > since);
    Ok(events.into())
}

/// The units of which something runs, each with its process where that is known.
pub fn running(home: &Path) -> io::Result<Vec<(UnitName, Option<u32>)>> {
    let layout = HomeLayout::of_home(home);
    let names = match RealDisk.list(&layout.units()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        names => names?,
    };
    let running = |name: OsString| {
        let unit = UnitName::new(name.into_string().ok()?).ok()?;
        let run = units::living_run(&layout.unit(&unit))?;
        let process = run.pid.zip(run.start_ticks);
        let process = process.filter(|(pid, started)| ov_sys::host::is_alive(*pid, *started).unwrap_or(true));
        Some((unit, process.map(|(pid, _)| pid)))
    };
    let mut found: Vec<_> = names.into_iter().filter_map(running).collect();
    found.sort_by_key(|(unit, _)| (!unit.is_main(), unit.clone()));
    Ok(found)
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
    Ok(report(shape.clone(), Arc::new(shape), release))
}

/// The same for a node that somebody else describes.
pub fn examine(source: Arc<dyn ShapeSource>, release: Option<&ReleaseName>) -> Result<DoctorReport, Problem> {
    Ok(report(source.shape(&RealDisk, release)?, source, release))
}

fn report(shape: NodeShape, source: Arc<dyn ShapeSource>, release: Option<&ReleaseName>) -> DoctorReport {
    let records: Vec<Record> =
        history(&shape.layout.home, None, None).unwrap_or_default().into_iter().map(|entry| entry.record).collect();
    let ledger = Ledger::fold(&records).unwrap_or_default();
    let shop = Workshop {
        recorded_sign_state: ledger.sign_state().map(|(height, round, step)| SignState { height, round, step }),
        stop_ms_max: crate::steps::stop_ms_max(&ledger, &shape),
        height: ledger.last_end().and_then(|end| end.height),
        plans: crate::steps::waiting_plans(&ledger),
        source,
        ..workshop(shape, Tell::default())
    };
    let plan = shop.plans.iter().find(|plan| release.is_none_or(|release| *release == plan.release));
    let findings = shop.examine(plan, release, Depth::Full);
    DoctorReport { worst: ov_types::worst(&findings), findings }
}

/// The workshop of a node of which nothing is known but its shape.
fn workshop(shape: NodeShape, tell: Tell) -> Workshop {
    let supply = Supply { tell, ..Supply::of(&shape.fetch) };
    let shape = Arc::new(shape);
    Workshop {
        disk: Arc::new(RealDisk),
        clock: Arc::new(RealClock),
        shape: Arc::clone(&shape),
        source: shape,
        standing: Standing::default(),
        kept: BTreeSet::new(),
        recorded_sign_state: None,
        stop_ms_max: 0,
        halt_at: None,
        height: None,
        plans: Vec::new(),
        supply,
        abandoned: Cancel::default(),
    }
}

/// Stages a release for a node whose daemon is down, from a path or an address, and tells how it goes. No daemon can
/// begin meanwhile; one that runs has to be asked instead.
pub fn stage_release(shape: NodeShape, wanted: &NewRelease, tell: Tell) -> Result<Staged, (Problem, ExitCode)> {
    let _lock = take_home(&RealDisk, &shape)?;
    let shop = workshop(shape, tell);
    let NewRelease { name, source, sha256 } = wanted;
    let staged = crate::steps::stage(&shop, name, source.as_deref(), sha256.as_deref(), None);
    staged.map_err(|problem| (problem.state("the node was not touched"), ExitCode::Failed))
}

/// What the text in a plan says of where its release for this machine is, as a source that it can be staged from. The
/// text may be the address of another one, which is fetched.
pub fn source_by_plan(shape: NodeShape, release: &ReleaseName, info: &str) -> Result<String, Problem> {
    crate::fetch::source_in(&workshop(shape, Tell::default()), release, info)
}

/// Asks a service which plan it knows of; an error says why it gave no answer that can be used.
pub fn ask_plan(question: &PlanQuestion, names: PlanNames, within: Duration) -> Result<Option<Candidate>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("nobody can be asked: {error}"))?;
    match runtime.block_on(crate::scout::service::ask(question, names, within))?.plan {
        Told::Plan(plan) => Ok(Some(plan)),
        Told::None | Told::Nothing => Ok(None),
        Told::Unusable(why) => Err(why),
    }
}

/// Stages a release for a node that has no daemon yet, and makes it the current one if none is.
pub fn first_release(home: &Path, config: Option<&Path>, name: &ReleaseName, source: &Path) -> Result<(), Problem> {
    let shape = ov_chains::load(&RealDisk, home, config).map_err(|error| error.problem())?;
    let shop = workshop(shape, Tell::default());
    crate::steps::stage(&shop, name, Some(&source.to_string_lossy()), None, None)?;
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
