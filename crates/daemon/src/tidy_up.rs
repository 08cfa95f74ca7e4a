//! What an earlier daemon was in the middle of is finished or undone, before anything is started.
//!
//! Touches files only, all of it again and again without harm; what the journal says is not its business.

use ov_chains::NodeShape;
use ov_chains::shape::Output;
use ov_sys::{Clock, Disk, durable};
use ov_types::Problem;

use crate::steps::{of_release, of_vault, program_in_release, release_layout};
use crate::units::sweep_cgroups;

/// Brings the files of a node into an order that a daemon can begin with.
pub fn tidy_up(disk: &dyn Disk, clock: &dyn Clock, shape: &NodeShape) -> Result<(), Problem> {
    let layout = &shape.layout;
    ov_vault::repair(disk, &layout.data).map_err(|error| of_vault("finish a restore that was interrupted", &error))?;
    ov_vault::sweep(disk, &layout.snapshots)
        .map_err(|error| of_vault("remove what an interrupted snapshot left", &error))?;
    let releases = release_layout(shape);
    ov_release::sweep(disk, &releases).map_err(|error| of_release("remove what interrupted staging left", &error))?;
    adopt_current(disk, clock, shape, &releases);
    sweep_cgroups(disk, &layout.state.join("units"));
    for unit in shape.units.values() {
        if let Output::Pump(log) = &unit.launch.output
            && let Some(folder) = log.path.parent()
        {
            durable::make_directories(disk, folder, 0o750).map_err(|error| {
                Problem::transient("OV-RUN-003", format!("make the folder for logs {}", folder.display()))
                    .because(&error)
                    .hint("check that the home exists, is writable for this user, and that its disk has room")
            })?;
        }
    }
    Ok(())
}

/// A first release that was put into its place by hand becomes a release like any other, so that an upgrade can go
/// back to it. Where that cannot be, the doctor says so before the next upgrade.
fn adopt_current(disk: &dyn Disk, clock: &dyn Clock, shape: &NodeShape, releases: &ov_release::Layout) {
    let adopted = || -> Option<Result<ov_release::Staged, ov_release::ReleaseError>> {
        let name = ov_release::current(disk, releases).ok()?.release()?;
        let unknown = matches!(ov_release::state(disk, releases, &name), Ok(ov_release::State::Unknown));
        let program = program_in_release(shape);
        let is_release = unknown && (program.is_some() || releases.launch_file.is_some());
        is_release.then(|| ov_release::adopt(disk, releases, &name, program.as_deref(), clock.now().wall_ms))
    };
    match adopted() {
        Some(Ok(staged)) => tracing::info!("release {} was put there by hand; it is taken on", staged.provenance.name),
        Some(Err(error)) => {
            tracing::warn!("the current release cannot be taken on: {}", of_release("take it on", &error));
        }
        None => {}
    }
}
