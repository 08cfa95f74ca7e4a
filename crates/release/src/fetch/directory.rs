//! A release from a directory of this machine: copied, by the rules for archives with more than one file.

use std::path::{Path, PathBuf};

use ov_sys::disk::Kind as FileKind;

use super::address::Address;
use super::archive::Shape;
use super::error::FetchError;
use super::layout_rules::{Candidate, Wanted, place};
use super::release::Fetch;
use crate::stage::{self, Source, StageRequest, Staged};
use crate::tree::{self, Planned, PlannedKind};

impl Fetch<'_, '_> {
    /// The directory of this machine that an address names, if it does.
    pub(super) fn local_directory(&self, address: &Address) -> Result<Option<PathBuf>, FetchError> {
        let Some(path) = address.local_path() else { return Ok(None) };
        let facts = tree::facts_followed(self.line.disk, path)?;
        let is_directory = facts.is_some_and(|facts| facts.kind == FileKind::Directory);
        Ok(if is_directory { Some(tree::resolve(self.line.disk, path)?) } else { None })
    }

    /// A directory of this machine is copied, by the rules for archives with more than one file.
    pub(super) fn stage_directory(&self, address: &Address, directory: &Path) -> Result<Staged, FetchError> {
        let (disk, request) = (self.line.disk, self.request);
        let is_checked = address.checksum().is_some() || request.checksum.is_some();
        if is_checked || !request.policy.signers.is_empty() {
            return Err(FetchError::Directory(address.to_string()));
        }
        let mut planned = tree::walk(disk, directory)?;
        let shapes: Vec<Shape> = planned.iter().map(shape_of).collect();
        let candidates: Vec<_> =
            planned.iter().zip(&shapes).map(|(plan, shape)| Candidate { path: &plan.path, shape }).collect();
        let wanted = Wanted { program: &request.program, inside: request.inside.as_deref() };
        let placement = place(&candidates, false, None, wanted, &address.to_string())?;
        for (plan, path) in planned.iter_mut().zip(placement.paths) {
            plan.path = path.unwrap_or_default();
        }
        add_directories(&mut planned, &request.program);
        stage::make_program_executable(&mut planned, &placement.program, directory)?;
        let staging = StageRequest {
            name: request.name.clone(),
            source: Source::Directory(directory.to_owned()),
            program: Some(request.program.clone()),
            sha256: request.sha256,
            origin: request.origin.clone().or_else(|| Some(address.to_string())),
            additions: request.additions.clone(),
            now_ms: self.line.clock.now().wall_ms,
        };
        Ok(stage::stage_planned(disk, self.layout, &staging, request.program.clone(), planned)?)
    }
}

fn shape_of(plan: &Planned) -> Shape {
    match &plan.what {
        PlannedKind::File { .. } | PlannedKind::Text { .. } => Shape::File,
        PlannedKind::Directory { .. } => Shape::Directory,
        PlannedKind::Link { to } => Shape::Link { to: to.clone() },
    }
}

/// Directories above the program that nothing in the plan makes.
fn add_directories(planned: &mut Vec<Planned>, program: &str) {
    for above in Path::new(program).ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
        let path = above.to_string_lossy().into_owned();
        if planned.iter().all(|plan| plan.path != path) {
            planned.push(Planned { path, from: PathBuf::new(), what: PlannedKind::Directory { mode: 0o755 } });
        }
    }
    planned.sort_by(|a, b| a.path.cmp(&b.path));
}
