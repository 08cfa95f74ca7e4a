//! Keep: the data directory is snapshotted, between the old process's end and the switch.

use ov_chains::NodeShape;
use ov_engine::StepCall;
use ov_types::record::StepFacts;
use ov_types::{EventKind, Height, Problem, SnapshotId, Trigger};
use ov_vault::{About, DataRules, Globs, Method, Snapshot, TakeRequest, VaultError};

use super::{Work, Workshop, state_at};

pub(super) struct Keep;

impl Work for Keep {
    fn probe(&self, shop: &Workshop, call: &StepCall) -> Result<Option<StepFacts>, Problem> {
        let id = snapshot_id(call)?;
        let there = is_there(shop, &id).map_err(|error| problem(call, &error))?;
        Ok(there.then(|| StepFacts { snapshot: Some(id), ..StepFacts::noted("was taken before") }))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let id = snapshot_id(call)?;
        if nothing_to_keep(shop, call)? {
            return Ok(StepFacts::noted("there is no data yet"));
        }
        let reason = format!("before upgrade {} to {}", call.plan.id, call.plan.release);
        let about = About {
            release: call.facts.previous.clone(),
            height: height_of(call),
            data_format: call.facts.format.clone(),
            reason,
        };
        let taken = take(shop, id.clone(), about).map_err(|problem| problem.state(state_at(call)))?;
        Ok(StepFacts { snapshot: Some(id), ..StepFacts::noted(describe(&taken)) })
    }

    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
        let id = snapshot_id(call)?;
        if is_there(shop, &id).map_err(|error| problem(call, &error))? || nothing_to_keep(shop, call)? {
            return Ok(());
        }
        Err(problem(call, &VaultError::Missing(id)))
    }

    /// The snapshot stays: it is what an operator will want when an upgrade went wrong. Retention removes it later.
    fn undo(&self, _: &Workshop, _: &StepCall) -> Result<StepFacts, Problem> {
        Ok(StepFacts::default())
    }
}

/// A node that never ran has no data directory, and loses nothing.
fn nothing_to_keep(shop: &Workshop, call: &StepCall) -> Result<bool, Problem> {
    let facts = shop.disk.facts(&shop.shape.layout.data);
    let there = facts.map_err(|error| {
        Problem::transient("OV-SNP-001", "look at the data directory").because(&error).state(state_at(call))
    })?;
    Ok(there.is_none())
}

/// One name per upgrade, so that a second try finds what the first one took.
fn snapshot_id(call: &StepCall) -> Result<SnapshotId, Problem> {
    let name = format!("upgrade-{}-{}", call.plan.id, call.plan.release);
    let name: String = name.chars().take(100).collect();
    SnapshotId::new(name).map_err(|error| Problem::permanent("OV-UPG-021", "name the snapshot").because(&error))
}

fn is_there(shop: &Workshop, id: &SnapshotId) -> Result<bool, VaultError> {
    Ok(ov_vault::already_taken(&*shop.disk, &shop.shape.layout.snapshots, id)?.is_some())
}

/// Takes a snapshot of the data directory. The node is down.
pub(crate) fn take(shop: &Workshop, id: SnapshotId, about: About) -> Result<Snapshot, Problem> {
    let layout = &shop.shape.layout;
    let rules = data_rules(&shop.shape)?;
    let summary = "snapshot the data directory";
    let now_ms = shop.clock.now().wall_ms;
    let outside = shop.shape.keep.outside.as_ref().map(|(folder, name)| {
        let day = ov_vault::day_of(now_ms)
            .ok_or_else(|| Problem::permanent("OV-SNP-003", summary).cause("the clock is out of range"))?;
        ov_vault::free_place(&*shop.disk, folder, &format!("{name}-{day}")).map_err(|error| of_vault(summary, &error))
    });
    let outside = outside.transpose()?;
    let request = TakeRequest {
        data: &layout.data,
        snapshots: &layout.snapshots,
        id,
        outside: outside.as_deref(),
        rules: &rules,
        method: Method::of(shop.shape.keep.method).unwrap_or_default(),
        about,
        now_ms,
    };
    let of = format!("snapshot {}", request.id);
    ov_vault::take(&*shop.disk, &request, &mut copying(shop, of)).map_err(|error| of_vault(summary, &error))
}

/// Tells how far copies are, often enough for people.
pub(crate) fn copying(shop: &Workshop, of: String) -> impl FnMut(ov_vault::Progress) {
    const EVERY_MS: u64 = 250;
    let (began, mut told_ms) = (shop.clock.now(), 0);
    move |progress: ov_vault::Progress| {
        let passed_ms = shop.clock.now().since_ms(began);
        let ov_vault::Progress { done, total } = progress;
        if passed_ms >= told_ms + EVERY_MS {
            told_ms = passed_ms;
            let rate = done.saturating_mul(1_000) / passed_ms;
            let (of, total) = (of.clone(), Some(total));
            shop.supply.tell.tell(EventKind::Progress { work: ov_types::Work::Copy, of, done, total, rate });
        }
    }
}

/// The height that the data is of: where the old release was last seen, or where it halted since.
fn height_of(call: &StepCall) -> Option<Height> {
    match call.plan.trigger {
        Trigger::Halt { height } => call.facts.height.max(Some(height)),
        trigger => call.facts.height.or(trigger.height()),
    }
}

/// What a snapshot came to, in words.
pub(crate) fn describe(taken: &Snapshot) -> String {
    let [reflinked, linked, copied] = taken.files;
    let size = ov_types::ByteSize(taken.summary.size).rounded();
    format!("snapshot {} of {size}: {reflinked} files reflinked, {linked} linked, {copied} copied", taken.summary.id)
}

/// What the chain says about the files in its data directory.
pub(crate) fn data_rules(shape: &NodeShape) -> Result<DataRules, Problem> {
    let data = &shape.layout.data;
    let sign_state = shape.signer.as_ref().and_then(|signer| signer.sign_state.as_ref());
    Ok(DataRules {
        write_once: globs(&shape.keep.write_once)?,
        host_only: globs(&exclude_patterns(shape))?,
        sign_state: sign_state.and_then(|path| path.strip_prefix(data).ok()).map(std::path::Path::to_path_buf),
    })
}

/// What stays out of snapshots: what the configuration says, and the validator's key wherever it lies.
fn exclude_patterns(shape: &NodeShape) -> Vec<String> {
    let mut patterns = shape.keep.exclude.clone();
    let key = shape.signer.as_ref().and_then(|signer| signer.key.as_ref());
    if let Some(inside) = key.and_then(|key| key.strip_prefix(&shape.layout.data).ok()) {
        patterns.push(inside.to_string_lossy().into_owned());
    }
    patterns
}

/// A pattern that is none would leave a key in a snapshot, or share a file that changes.
fn globs(patterns: &[String]) -> Result<Globs, Problem> {
    Globs::new(patterns).map_err(|error| {
        Problem::permanent("OV-SNP-006", "understand the patterns under [upgrade.keep]")
            .because(&error)
            .hint("correct `write-once` and `exclude` in omnivisor.toml")
    })
}

/// A vault error as an operator sees it.
pub(crate) fn of_vault(summary: &str, error: &VaultError) -> Problem {
    let hint = match error {
        VaultError::Room { .. } => {
            "make room, or choose a place on the same file system for snapshots; `omnivisor snapshot list` tells what is kept"
        }
        VaultError::SignState(_) => "find out what this key has signed before anything else is done with it",
        VaultError::Damaged { .. } | VaultError::Missing(_) => "use another snapshot",
        _ => "check the disk: free space, permissions, kernel log",
    };
    let problem = match error {
        VaultError::Disk { .. } | VaultError::Room { .. } => Problem::transient("OV-SNP-001", summary),
        _ => Problem::permanent("OV-SNP-002", summary),
    };
    problem.because(error).hint(hint)
}

fn problem(call: &StepCall, error: &VaultError) -> Problem {
    of_vault("snapshot the data directory", error).state(state_at(call))
}
