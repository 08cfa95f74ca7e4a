//! A command of the program that is not the node: at our terminal, without a lock, until it ends.

use std::path::Path;

use ov_sys::attached::Attached;
use ov_sys::process::Ending;
use ov_types::ExitStatus;

use super::{Errand, voice};
use crate::drop_in::Complaint;
use crate::signals;

pub(super) fn run(errand: &Errand, program: &Path) -> Result<(), Complaint> {
    let settings = &errand.settings;
    voice::running_app(&errand.log(), program, &errand.arguments);
    let failed = |error: &std::io::Error| Complaint::new(format!("fork/exec {}: {error}", program.display()));
    let attached = Attached::start(program, &program.to_string_lossy(), &errand.arguments, &settings.root());
    let attached = attached.map_err(|error| failed(&error))?;
    let forward = attached.forwarder().map_err(|error| failed(&error))?;
    signals::pass_on(forward).map_err(|error| failed(&error))?;
    let status = match attached.wait().map_err(|error| failed(&error))? {
        Ending::Exited(code) => Some(ExitStatus::Code(code)),
        Ending::Signaled(signal) => Some(ExitStatus::Signal(signal)),
        Ending::TimedOut => None,
    };
    errand.end(status)
}
