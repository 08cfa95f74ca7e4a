//! Stage: the release is in its folder, complete.

use std::path::{Path, PathBuf};

use ov_engine::StepCall;
use ov_release::{Digest, ReleaseError, Source, StageRequest, Staged, State};
use ov_sys::disk::Kind;
use ov_sys::durable;
use ov_types::record::{Outcome, StepFacts};
use ov_types::{Lasting, PlanId, Problem, ReleaseName};

use super::{Work, Workshop, state_at};
use crate::fetch::{Wanted, Whence, address_of, fetch, find, is_address, source_in, tell_set_aside};

/// The code of a release that is not there.
const MISSING: &str = "OV-UPG-011";

pub(super) struct Stage;

impl Work for Stage {
    fn probe(&self, shop: &Workshop, call: &StepCall) -> Result<Option<StepFacts>, Problem> {
        let state = ov_release::state(&*shop.disk, &shop.layout(), &call.plan.release);
        let complete = matches!(state.map_err(|error| problem(call, &error))?, State::Complete(_));
        // With a source given, staging itself finds out whether what is there is the same.
        Ok((call.plan.source.is_none() && complete).then(StepFacts::default))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let plan = &call.plan;
        let staged = match &plan.source {
            Some(source) => stage(shop, &plan.release, Some(source), plan.sha256.as_deref(), Some(plan.id)),
            None => match shop.standing.alone_with_releases(|| adopt(shop, call)) {
                Err(missing) if missing.code == MISSING => follow(shop, call, missing),
                adopted => return adopted,
            },
        };
        let staged = staged.map_err(|problem| Problem { state: state_at(call), ..problem })?;
        let here = is_of(plan.id, &staged.provenance.source);
        let note = match (&staged.provenance.fetched, &plan.source) {
            _ if !here => "was staged already".to_owned(),
            (Some(fetched), _) => format!("fetched from {}", fetched.address),
            (None, Some(source)) => format!("staged from {source}"),
            (None, None) => format!("staged from {}", staged.provenance.source),
        };
        Ok(StepFacts { staged_here: here.then_some(true), ..StepFacts::noted(note) })
    }

    fn verify(&self, shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
        let state = ov_release::verify(&*shop.disk, &shop.layout(), &call.plan.release);
        match state.map_err(|error| problem(call, &error))? {
            State::Complete(_) => Ok(()),
            other => Err(Problem::permanent("OV-UPG-010", format!("stage release {}", call.plan.release))
                .cause(format!("reading it back: it is {}", other.describe()))
                .state(state_at(call))
                .hint("stage it again from a good copy")),
        }
    }

    fn undo(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let is_needed = shop.standing.needed().contains(&call.plan.release);
        if call.toward == Some(Outcome::Withdrawn) && !is_needed {
            forget_fetch(shop, call)?;
        }
        // What people staged stays theirs; a release that failed its proof stays to be looked at.
        shop.standing.alone_with_releases(|| {
            let is_needed = shop.standing.needed().contains(&call.plan.release);
            if call.toward != Some(Outcome::Withdrawn) || is_needed || !is_ours(shop, call)? {
                return Ok(StepFacts::default());
            }
            match ov_release::withdraw(&*shop.disk, &shop.layout(), &call.plan.release) {
                Ok(true) => Ok(StepFacts::noted("the staged release was removed")),
                // It is the current one after all: then it was not only ours.
                Ok(false) | Err(ReleaseError::Current { .. }) => Ok(StepFacts::default()),
                Err(error) => Err(problem(call, &error)),
            }
        })
    }
}

/// What the provenance of a release says when a plan staged it.
fn origin_of(plan: PlanId, source: &str) -> String {
    format!("{source} for plan {plan}")
}

fn is_of(plan: PlanId, source: &str) -> bool {
    source.strip_suffix(&origin_of(plan, "")).is_some()
}

/// Removes what a fetch brought so far. Whoever fetches the same release for themselves goes on.
fn forget_fetch(shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
    let release = &call.plan.release;
    let Some(_alone) = shop.standing.alone_with_release(release) else { return Ok(()) };
    ov_release::fetch::discard(&*shop.disk, &shop.layout(), release).map_err(|error| problem(call, &error))
}

/// Nothing is in place, and nobody said where to stage it from: the plan itself may say where it is.
fn follow(shop: &Workshop, call: &StepCall, missing: Problem) -> Result<Staged, Problem> {
    let release = &call.plan.release;
    let info = shop.info_as_written(release).or_else(|| call.plan.info.clone());
    let info = info.filter(|info| !info.trim().is_empty());
    let followed = info.as_ref().filter(|_| shop.shape.fetch.by_plan);
    if let (None, Some(_)) = (followed, &shop.shape.fetch.catalog) {
        return by_name(shop, release, call.plan.sha256.as_deref(), Some(call.plan.id));
    }
    match info {
        Some(_) if !shop.shape.fetch.by_plan => {
            Err(missing.cause("the plan says where it is, and fetching by plan is off"))
        }
        Some(info) => {
            let address = address_of(release, &source_in(shop, release, &info)?)?;
            let sha256 = digest_of(release, call.plan.sha256.as_deref())?;
            let origin = Some(origin_of(call.plan.id, &address.to_string()));
            fetch(shop, Wanted { name: release, from: Whence::Address(address), sha256, origin })
        }
        None if shop.shape.fetch.by_plan => {
            Err(missing.cause("the plan does not say where it is: plan info must not be blank"))
        }
        None => Err(missing),
    }
}

/// Looks for a release by its name, and fetches it from there.
fn by_name(shop: &Workshop, name: &ReleaseName, sha256: Option<&str>, plan: Option<PlanId>) -> Result<Staged, Problem> {
    let sha256 = digest_of(name, sha256)?;
    let Some(found) = find(shop, name)? else {
        return Err(Problem::permanent("OV-UPG-013", format!("stage release {name}"))
            .cause("nobody says where it is, and there is no place to look for it by its name")
            .hint("say it with `--from`, or configure `fetch.github`"));
    };
    let origin = plan.map_or_else(|| found.origin.clone(), |plan| origin_of(plan, &found.origin));
    fetch(shop, Wanted { name, from: Whence::Catalog(Box::new(found)), sha256, origin: Some(origin) })
}

/// Whether a plan staged the release, this one or one whose place it took: whoever is withdrawn last removes it. The
/// journal may not know: a try that died, or was given up, after its last rename is recognised by what it wrote down.
fn is_ours(shop: &Workshop, call: &StepCall) -> Result<bool, Problem> {
    let state = ov_release::settle(&*shop.disk, &shop.layout(), &call.plan.release);
    let state = state.map_err(|error| problem(call, &error))?;
    let by_a_plan = |source: &str| source.rsplit_once(" for plan ").is_some_and(|(_, id)| id.parse::<u64>().is_ok());
    let written = state.complete().is_some_and(|provenance| by_a_plan(&provenance.source));
    Ok(written || call.facts.staged_here == Some(true))
}

/// Without a source, a folder that somebody put into its place by hand becomes a release.
fn adopt(shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
    let release = &call.plan.release;
    let folder = shop.release_directory(release);
    let missing = || {
        let cause = lacking_launch_file(shop, &folder).map_or_else(
            || format!("there is nothing at {}", folder.display()),
            |file| format!("there is no {}, so that the folder there is no release", file.display()),
        );
        Problem::transient(MISSING, format!("stage release {release}"))
            .cause(cause)
            .state(state_at(call))
            .hint(format!("stage it: `omnivisor upgrade prepare {release} --from <file, directory or address>`"))
    };
    // What was staged once and differs now is not what was examined then; only a person may call that good. They do
    // where they put it there themselves, and put another one there since.
    let state = ov_release::state(&*shop.disk, &shop.layout(), release).map_err(|error| problem(call, &error))?;
    let is_damaged = matches!(state, State::Damaged(_));
    if is_damaged && !is_theirs(shop, release).map_err(|error| problem(call, &error))? {
        return Stage.verify(shop, call).map(|()| StepFacts::default());
    }
    if lacking_launch_file(shop, &folder).is_some() {
        return Err(missing());
    }
    let program = match ov_release::state(&*shop.disk, &shop.layout(), release) {
        Ok(State::Missing) => return Err(missing()),
        _ => shop.as_of(release).map_err(|problem| Problem { state: state_at(call), ..problem })?.program_in_release(),
    };
    if program.is_none() && shop.shape.layout.launch_file.is_none() {
        return Err(missing());
    }
    match ov_release::adopt(&*shop.disk, &shop.layout(), release, program.as_deref(), shop.clock.now().wall_ms) {
        Ok(_) if is_damaged => {
            tracing::warn!("release {release} was replaced by hand since it was prepared; it is taken as it is now");
            Ok(StepFacts::noted("taken once more: it was replaced by hand"))
        }
        Ok(_) => Ok(StepFacts::noted("taken from where it was put by hand")),
        Err(ReleaseError::Incomplete { .. }) => Err(missing()),
        Err(error) => Err(problem(call, &error)),
    }
}

/// The file that says how a release is launched, if a folder is there without it, and it must have one.
fn lacking_launch_file(shop: &Workshop, folder: &Path) -> Option<PathBuf> {
    let file = folder.join(shop.shape.layout.launch_file.as_ref()?);
    let is_there = |path| durable::exists(&*shop.disk, path).unwrap_or(true);
    (is_there(folder) && !is_there(&file)).then_some(file)
}

fn is_theirs(shop: &Workshop, release: &ReleaseName) -> Result<bool, ReleaseError> {
    ov_release::was_adopted(&*shop.disk, &shop.layout(), release)
}

/// Takes a release on once more that was put into its place by hand and replaced there since it was prepared.
pub(super) fn take_again(shop: &Workshop, call: &StepCall) -> Result<(), Problem> {
    let release = &call.plan.release;
    let found = ov_release::state(&*shop.disk, &shop.layout(), release).map_err(|error| problem(call, &error))?;
    if !matches!(found, State::Damaged(_)) || !is_theirs(shop, release).map_err(|error| problem(call, &error))? {
        return Ok(());
    }
    adopt(shop, call).map(drop)
}

/// Stages a release from a file, a directory or an address, or from where it is found by its name.
pub(crate) fn stage(
    shop: &Workshop,
    name: &ReleaseName,
    source: Option<&str>,
    sha256: Option<&str>,
    plan: Option<PlanId>,
) -> Result<Staged, Problem> {
    let Some(source) = source else { return by_name(shop, name, sha256, plan) };
    let summary = format!("stage release {name}");
    let sha256 = digest_of(name, sha256)?;
    if is_address(source) {
        let address = address_of(name, source)?;
        let origin = plan.map(|plan| origin_of(plan, &address.to_string()));
        return fetch(shop, Wanted { name, from: Whence::Address(address), sha256, origin });
    }
    let from = shop.shape.layout.home.join(source);
    let facts = shop.disk.facts(&from).map_err(|error| Problem::transient("OV-UPG-013", &summary).because(&error))?;
    let kind = facts.map(|facts| facts.kind);
    let origin = plan.map(|plan| origin_of(plan, source));
    let source = match kind {
        Some(Kind::Directory) => Source::Directory(from),
        Some(Kind::File | Kind::Link) => Source::File(from),
        Some(Kind::Other) | None => {
            return Err(Problem::transient("OV-UPG-013", &summary)
                .cause(format!("there is no file or directory {}", from.display()))
                .hint("give the path of the program, or of a directory that holds it"));
        }
    };
    let request = StageRequest {
        name: name.clone(),
        source,
        program: shop.program_in_release(),
        sha256,
        origin,
        additions: shop.additions(name),
        now_ms: shop.clock.now().wall_ms,
    };
    let staged = shop.standing.alone_with_releases(|| ov_release::stage(&*shop.disk, &shop.layout(), &request));
    staged.inspect(tell_set_aside).map_err(|error| of_release(&summary, &error))
}

fn digest_of(name: &ReleaseName, sha256: Option<&str>) -> Result<Option<Digest>, Problem> {
    sha256.map(str::parse::<Digest>).transpose().map_err(|error| {
        let problem = Problem::permanent("OV-UPG-012", format!("stage release {name}"));
        problem.because(&error).hint("give the SHA-256 as 64 hexadecimal digits")
    })
}

fn problem(call: &StepCall, error: &ReleaseError) -> Problem {
    of_release(&format!("stage release {}", call.plan.release), error).state(state_at(call))
}

/// A release error as an operator sees it.
pub(crate) fn of_release(summary: &str, error: &ReleaseError) -> Problem {
    let hint = match error {
        ReleaseError::Disk { .. } => "check the disk: free space, permissions, kernel log",
        ReleaseError::Room { .. } => {
            "make room: `omnivisor release list` and `omnivisor snapshot list` tell what is kept"
        }
        ReleaseError::Digest { .. } => "get the program again from a source you trust, or correct the digest",
        ReleaseError::Occupied { .. } => "give the new contents another name, or remove the old release first",
        ReleaseError::NotALink { .. } | ReleaseError::Foreign { .. } => "move it away by hand after a look at it",
        ReleaseError::Current { .. } => "switch to another release first",
        ReleaseError::Unfit { .. } | ReleaseError::Incomplete { .. } => "stage it again from a good copy",
        ReleaseError::Provenance { .. } | ReleaseError::ReadBack { .. } => "look at the file named; stage it again",
    };
    let lasting = match error {
        ReleaseError::Disk { .. } | ReleaseError::Room { .. } | ReleaseError::ReadBack { .. } => Lasting::Transient,
        _ => Lasting::Permanent,
    };
    Problem { lasting, ..Problem::transient("OV-UPG-014", summary) }.because(error).hint(hint)
}
