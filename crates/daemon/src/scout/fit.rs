//! Whether the current release fits the data of a node that is about to be launched; gathered here, judged by
//! [`ov_chains::plans`].
//!
//! Data that was synced by its state or restored may lie beyond upgrades that this home knows, or before them. The way to
//! the release that fits is an upgrade like every other, which this finds as a plan: nothing is launched before it is
//! carried out, and where its release is missing it is held, with what to do.

use ov_chains::plans::{self, Doubt, Fit, FitEvidence, KnownRelease};
use ov_chains::version_map::Version;
use ov_chains::{HeightAtRest, NodeShape};
use ov_engine::{Input, Wish};
use ov_sys::Disk;
use ov_sys::disk::Kind;
use ov_types::{FailurePolicy, Height, Origin, ReleaseName, Trigger};

use super::{Known, Looked, PLAN_BYTES_MAX};

/// More names than that are not looked at.
const NAMES_MAX: usize = 10_000;

/// The releases of a home, with the heights that the copies of applied plans tell; and those of a map of all releases.
pub(super) fn releases(disk: &dyn Disk, shape: &NodeShape) -> Vec<KnownRelease> {
    if shape.applied_copy.is_none() {
        return Vec::new();
    }
    let folder = &shape.layout.releases;
    // Beside the folders lie files that tell what is in them.
    let is_folder = |name: &ReleaseName| {
        let facts = disk.facts(&folder.join(name)).ok().flatten();
        facts.is_some_and(|facts| matches!(facts.kind, Kind::Directory | Kind::Link))
    };
    let names = disk.list(folder).unwrap_or_default().into_iter().take(NAMES_MAX);
    let names = names.filter_map(|name| ReleaseName::new(name.to_str()?).ok()).filter(is_folder);
    let others = names.filter(|release| !shape.layout.is_first(release)).map(|release| {
        let from = copy(disk, shape, &release).and_then(|copy| plans::applied_height(&copy));
        KnownRelease { release, from }
    });
    let first = shape.layout.first.iter();
    let first = first.map(|release| KnownRelease { release: release.clone(), from: Some(Height(0)) });
    let mut releases: Vec<KnownRelease> = first.chain(others).collect();
    for Version { release, first, .. } in super::mapped(disk, shape) {
        match releases.iter_mut().find(|known| known.release == release) {
            Some(known) => known.from = known.from.or(Some(first)),
            None => releases.push(KnownRelease { release, from: Some(first) }),
        }
    }
    releases
}

/// What tells where a release is: the copy of its plan, or a map.
fn info(disk: &dyn Disk, shape: &NodeShape, release: &ReleaseName) -> Option<String> {
    let copied = copy(disk, shape, release).and_then(|copy| plans::applied_info(&copy));
    let mapped = || super::mapped(disk, shape).into_iter().find(|version| version.release == *release)?.info;
    copied.or_else(mapped)
}

/// The copy of the plan that led to a release.
fn copy(disk: &dyn Disk, shape: &NodeShape, release: &ReleaseName) -> Option<Vec<u8>> {
    let directory = crate::steps::release_layout(shape).directory(release);
    disk.read(&directory.join(shape.applied_copy.as_ref()?), PLAN_BYTES_MAX).ok()
}

/// The height of the last upgrade that lies behind the data.
pub(super) fn last_behind(releases: &[KnownRelease], data: Option<HeightAtRest>) -> Option<Height> {
    let done = data.map(|data| data.at_least);
    releases.iter().filter_map(|known| known.from).filter(|from| Some(*from) <= done).max()
}

/// Looks whether another release fits the data; `looked`: what the scouts saw, who know best what the data waits for.
pub(super) fn look(
    disk: &dyn Disk,
    shape: &NodeShape,
    known: &Known,
    mut releases: Vec<KnownRelease>,
    looked: &mut Looked,
) {
    let (Some(data), Some(current), false) = (known.at_rest, &known.current, known.is_upgrading) else { return };
    let origin = Origin::Data { path: shape.layout.data.display().to_string() };
    let plans = looked.inputs.iter().filter_map(|input| match input {
        Input::PlanSeen(wish) => Some((wish.release.clone(), wish.trigger)),
        _ => None,
    });
    let plans: Vec<(ReleaseName, Trigger)> = plans.collect();
    let is_asked_for = known.named.iter().any(|named| named.origin == origin);
    let gone = is_asked_for.then(|| Input::PlanGone(origin.clone()));
    if plans.iter().any(|(_, trigger)| matches!(trigger, Trigger::Halt { .. })) {
        looked.inputs.extend(gone);
        return;
    }
    // What waits for its height is not needed before.
    for (release, trigger) in plans {
        let unnumbered = |known: &&mut KnownRelease| known.release == release && known.from.is_none();
        if let Some(known) = releases.iter_mut().find(unnumbered) {
            known.from = trigger.height();
        }
    }
    let evidence = FitEvidence { current, releases: &releases, data, seen: known.noted, remembered: known.remembered };
    let height = data.at_least;
    match plans::fit(&evidence) {
        Fit::Current => looked.inputs.extend(gone),
        Fit::Unclear(doubt @ (Doubt::NotOlder | Doubt::AnyOther | Doubt::Several)) => {
            let told = format!(
                "the data is at height {height}, where another release than {current} may be needed: {}; it is launched \
                 as `current` says",
                doubt.why()
            );
            looked.remarks.insert(origin.to_string(), told);
        }
        Fit::Unclear(Doubt::Unnumbered | Doubt::WasThere) => {}
        Fit::Other { release, from } => {
            let told = format!(
                "the data is at height {height} and needs release {release}, which is right from height {from} on, but \
                 `current` names {current}: it goes to {release} before anything is launched"
            );
            looked.remarks.insert(origin.to_string(), told);
            looked.inputs.push(Input::PlanSeen(Wish {
                release: release.clone(),
                trigger: Trigger::Halt { height: Height(height.0.saturating_add(1)) },
                on_failure: FailurePolicy::Hold,
                origin,
                source: None,
                info: info(disk, shape, release),
                sha256: None,
                keep: true,
                replaces: None,
            }));
        }
    }
}
