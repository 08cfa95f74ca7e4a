//! Stage: the release is in its folder, complete.

use std::path::Path;

use ov_engine::StepCall;
use ov_release::{Digest, ReleaseError, Source, StageRequest, State};
use ov_sys::disk::Kind;
use ov_types::record::{Outcome, StepFacts};
use ov_types::{Lasting, Problem};

use super::{Work, Workshop, state_at};

pub(super) struct Stage;

impl Work for Stage {
    fn probe(&self, shop: &Workshop, call: &StepCall) -> Result<Option<StepFacts>, Problem> {
        let state = ov_release::state(&*shop.disk, &shop.layout(), &call.plan.release);
        let complete = matches!(state.map_err(|error| problem(call, &error))?, State::Complete(_));
        // With a source given, staging itself finds out whether what is there is the same.
        Ok((call.plan.source.is_none() && complete).then(StepFacts::default))
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        let release = &call.plan.release;
        let Some(source) = &call.plan.source else {
            return shop.standing.alone_with_releases(|| adopt(shop, call));
        };
        let origin = origin_of(call, source);
        let staged = stage(shop, release.clone(), Path::new(source), call.plan.sha256.as_deref(), Some(origin.clone()))
            .map_err(|problem| problem.state(state_at(call)))?;
        let here = staged.provenance.source == origin;
        let note = if here { format!("staged from {source}") } else { "was staged already".to_owned() };
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

/// What the provenance of a release says when this plan staged it.
fn origin_of(call: &StepCall, source: &str) -> String {
    format!("{source} for plan {}", call.plan.id)
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
    let missing = || {
        Problem::transient("OV-UPG-011", format!("stage release {release}"))
            .cause(format!("there is nothing at {}", shop.release_directory(release).display()))
            .state(state_at(call))
            .hint(format!("stage it: `omnivisor upgrade prepare {release} --from <file or directory>`"))
    };
    // What was staged once and differs now is not what was examined then; only a person may call that good. They do
    // where they put it there themselves, and put another one there since.
    let state = ov_release::state(&*shop.disk, &shop.layout(), release).map_err(|error| problem(call, &error))?;
    let is_damaged = matches!(state, State::Damaged(_));
    if is_damaged && !is_theirs(shop, release).map_err(|error| problem(call, &error))? {
        return Stage.verify(shop, call).map(|()| StepFacts::default());
    }
    let Some(program) = shop.program_in_release() else { return Err(missing()) };
    match ov_release::adopt(&*shop.disk, &shop.layout(), release, &program, shop.clock.now().wall_ms) {
        Ok(_) if is_damaged => {
            tracing::warn!("release {release} was replaced by hand since it was prepared; it is taken as it is now");
            Ok(StepFacts::noted("taken once more: it was replaced by hand"))
        }
        Ok(_) => Ok(StepFacts::noted("taken from where it was put by hand")),
        Err(ReleaseError::Incomplete { .. }) => Err(missing()),
        Err(error) => Err(problem(call, &error)),
    }
}

fn is_theirs(shop: &Workshop, release: &ov_types::ReleaseName) -> Result<bool, ReleaseError> {
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

/// Stages a release from a file or directory.
pub(crate) fn stage(
    shop: &Workshop,
    name: ov_types::ReleaseName,
    source: &Path,
    sha256: Option<&str>,
    origin: Option<String>,
) -> Result<ov_release::Staged, Problem> {
    let summary = format!("stage release {name}");
    let sha256 = sha256.map(str::parse::<Digest>).transpose().map_err(|error| {
        Problem::permanent("OV-UPG-012", &summary).because(&error).hint("give the SHA-256 as 64 hexadecimal digits")
    })?;
    let from = shop.shape.layout.home.join(source);
    let facts = shop.disk.facts(&from).map_err(|error| Problem::transient("OV-UPG-013", &summary).because(&error))?;
    let source = match facts.map(|facts| facts.kind) {
        Some(Kind::Directory) => Source::Directory(from),
        Some(Kind::File | Kind::Link) => Source::File(from),
        Some(Kind::Other) | None => {
            return Err(Problem::transient("OV-UPG-013", &summary)
                .cause(format!("there is no file or directory {}", from.display()))
                .hint("give the path of the program, or of a directory that holds it"));
        }
    };
    let now_ms = shop.clock.now().wall_ms;
    let request = StageRequest { name, source, program: shop.program_in_release(), sha256, origin, now_ms };
    let staged = shop.standing.alone_with_releases(|| ov_release::stage(&*shop.disk, &shop.layout(), &request));
    staged.map_err(|error| of_release(&summary, &error))
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
