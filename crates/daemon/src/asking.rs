//! Programs of releases that are started to say something, before they are anybody's node: in an empty home of their own,
//! which is gone afterwards, and with a bound on their time.
//!
//! Owns the folders that serve as homes; one program at a time in each.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ov_chains::NodeShape;
use ov_chains::shape::LaunchShape;
use ov_sys::process::{Output, Program, run};
use ov_sys::{Disk, durable};

/// How long a program may take to say something.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// A folder in which programs are asked, one after the other.
#[derive(Debug)]
pub(crate) struct Room {
    folder: &'static str,
    alone: Mutex<()>,
}

/// Where the doctor asks for versions.
pub(crate) static DOCTORS: Room = Room { folder: ".omnivisor-doctor-home", alone: Mutex::new(()) };
/// Where programs are asked for their commands.
pub(crate) static COMMANDS: Room = Room { folder: ".omnivisor-commands-home", alone: Mutex::new(()) };

/// What is asked of whom.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    /// The directory of the release.
    pub(crate) release: &'a Path,
    /// Its program.
    pub(crate) program: &'a Path,
    /// How that is launched when it is not only asked.
    pub(crate) launch: &'a LaunchShape,
    /// Variables that tell it where its home is.
    pub(crate) variables: &'a [String],
    /// The words.
    pub(crate) arguments: &'a [String],
}

/// Whether a unit runs as somebody else: then its program is not started by us.
pub(crate) fn is_of_another_user(launch: &LaunchShape) -> bool {
    launch.user.is_some() || launch.group.is_some()
}

impl Room {
    /// Has a program say something.
    pub(crate) fn ask(&self, disk: &dyn Disk, shape: &NodeShape, question: &Question<'_>) -> io::Result<Output> {
        let Question { release, program, launch, variables, arguments } = question;
        let _alone = self.alone.lock().unwrap_or_else(PoisonError::into_inner);
        let home = shape.layout.home.join(self.folder);
        durable::remove_tree(disk, &home)?;
        disk.make_directory(&home, 0o700)?;
        let own = launch.environment(disk, release, std::iter::empty()).unwrap_or_default();
        let homes = variables.iter().map(|name| (name.into(), home.clone().into()));
        let output = run(&Program {
            environment: own.into_iter().map(|(name, value)| (name.into(), value.into())).chain(homes).collect(),
            directory: Some(home.clone()),
            timeout: ANSWER_TIMEOUT,
            ..Program::new(program).arguments(arguments.iter().cloned())
        });
        let removed = durable::remove_tree(disk, &home);
        output.and_then(|output| removed.map(|()| output))
    }
}
