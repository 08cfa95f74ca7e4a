//! The release that a home begins with, where nobody names it: the one of a map of all releases that makes the next block.

use std::path::{Path, PathBuf};

use ov_chains::NodeShape;
use ov_chains::plans::PlanWriters;
use ov_chains::version_map::{Version, VersionMap};
use ov_sys::{Disk as _, RealDisk};
use ov_types::{ExitCode, Height, Problem, ReleaseName};

use crate::failure::Failure;

const MAP_BYTES_MAX: u64 = 1 << 20;

/// The release to begin with, and what it is staged from.
pub(super) fn first(
    shape: NodeShape,
    named: Option<&ReleaseName>,
    from: Option<&Path>,
) -> Result<Option<(ReleaseName, PathBuf)>, Failure> {
    let map = shape.plan_files().find(|(_, rules)| matches!(rules.writers, PlanWriters::Registry { .. }));
    let Some((path, rules)) = map else {
        return Ok(named.cloned().zip(from.map(Path::to_owned)));
    };
    let bytes = RealDisk.read(path, MAP_BYTES_MAX).map_err(|error| Failure::file("read", path, &error))?;
    let map = VersionMap::parse(&bytes, path, rules.names);
    let map = map.map_err(|error| problem(&format!("the map {} cannot be used: {error}", path.display())))?;
    let version = choose(&map, &shape, named)?;
    let release = version.release.clone();
    if let Some(from) = from {
        return Ok(Some((release, from.to_owned())));
    }
    let Some(info) = version.info.clone() else {
        return Err(problem(&format!("the map does not say where {release} is")));
    };
    let source = crate::daemon::source_by_plan(shape, &release, &info)?;
    Ok(Some((release, PathBuf::from(source))))
}

fn choose<'m>(map: &'m VersionMap, shape: &NodeShape, named: Option<&ReleaseName>) -> Result<&'m Version, Failure> {
    if let Some(named) = named {
        let found = map.versions().iter().find(|version| version.release == *named);
        return found.ok_or_else(|| problem(&format!("{named} is not in the map")));
    }
    let lies_at = shape.height_at_rest.as_ref().map(|files| ov_chains::height_at_rest(&RealDisk, files));
    let lies_at = lies_at.transpose().map_err(|error| problem(&format!("the data cannot be read: {error}")))?.flatten();
    let Some(at_rest) = lies_at else {
        return map.versions().first().ok_or_else(|| problem("there is nothing in the map"));
    };
    let Some(Height(height)) = at_rest.certain() else {
        return Err(problem(&format!("the data tells no more than that its height is at least {}", at_rest.at_least)));
    };
    let next = Height(height.saturating_add(1));
    map.maker_of(next).ok_or_else(|| problem(&format!("the data is at height {height}, and the map begins later")))
}

fn problem(why: &str) -> Failure {
    let problem = Problem::permanent("OV-CLI-017", "choose the release to begin with").cause(why);
    let problem = problem.state("no release was staged").hint("name it with --release, and its program with --from");
    Failure::new(ExitCode::Refused, problem)
}
