//! Where a daemon learns what its node is: from a file, or from whoever made a shape by other means. Asked when the
//! daemon begins and at every reload; whatever else such a source reads, it answers with a whole shape or says why not.

use std::fmt::Debug;
use std::path::PathBuf;

use ov_chains::NodeShape;
use ov_sys::Disk;
use ov_types::{EventKind, Problem, ReleaseName};

/// Whoever starts a daemon: says what the node is, and hears what happens to it.
pub trait ShapeSource: Debug + Send + Sync {
    /// The node as it is described now, or what is wrong with the description. Where a release says how it is launched,
    /// it is the node as it will be once this one is current, and without one, as it is.
    fn shape(&self, disk: &dyn Disk, release: Option<&ReleaseName>) -> Result<NodeShape, Problem>;

    /// Hears what happens, besides the event log. Must not wait.
    fn hear(&self, _kind: &EventKind) {}
}

/// The configuration of a home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationFile {
    /// The node's home.
    pub home: PathBuf,
    /// The file, if it is not at the usual place.
    pub file: Option<PathBuf>,
}

impl ShapeSource for ConfigurationFile {
    fn shape(&self, disk: &dyn Disk, _: Option<&ReleaseName>) -> Result<NodeShape, Problem> {
        ov_chains::load(disk, &self.home, self.file.as_deref()).map_err(|error| error.problem())
    }
}

/// A node whose shape is settled: for work on it without a daemon.
impl ShapeSource for NodeShape {
    fn shape(&self, _: &dyn Disk, _: Option<&ReleaseName>) -> Result<NodeShape, Problem> {
        Ok(self.clone())
    }
}
