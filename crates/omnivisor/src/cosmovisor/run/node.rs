//! The node, looked after by the same daemon as every other: here is only who starts it, and how it ends.

use std::sync::Arc;

use ov_chains::{NodeShape, cosmos};
use ov_daemon::{Ended, RunOptions, ShapeSource};
use ov_sys::Disk;
use ov_types::{EventKind, Problem, ReleaseName};

use super::super::scene;
use super::{Errand, voice};
use crate::drop_in::{Complaint, environment, replace, speak, told};

/// Who starts the daemon: the settings of the environment, and the arguments of the command line.
#[derive(Debug)]
struct DropIn {
    config: Option<std::path::PathBuf>,
    arguments: Vec<String>,
    voice: voice::Voice,
}

impl ShapeSource for DropIn {
    fn shape(&self, disk: &dyn Disk, _: Option<&ReleaseName>) -> Result<NodeShape, Problem> {
        let (settings, extras) = cosmos::load(disk, self.config.as_deref(), &environment).map_err(|wrong| {
            let problem = Problem::permanent("OV-CSM-001", "read the settings of the drop-in");
            wrong.problems.iter().fold(problem, |problem, wrong| problem.cause(wrong.clone()))
        })?;
        Ok(cosmos::shape(disk, &settings, &extras, &self.arguments, &environment))
    }

    fn hear(&self, kind: &EventKind) {
        self.voice.hear(kind);
    }
}

pub(super) fn run(errand: &Errand) -> Result<(), Complaint> {
    let log = errand.log();
    let warnings = log.clone();
    speak(move |text| warnings.warn(text));
    let layout = scene::layout(&errand.settings);
    let voice = voice::Voice::new(log, errand.settings.clone(), layout, errand.arguments.clone());
    let source = DropIn { config: errand.config.clone(), arguments: errand.arguments.clone(), voice };
    let options = RunOptions { source: Arc::new(source), program: crate::daemon::own_program() };
    match ov_daemon::run(&options) {
        Ended::Well => Ok(()),
        Ended::MainEnded(status) => errand.end(status),
        Ended::GivenUp { unit, reason } => Err(Complaint::new(format!("unit {unit} {reason}"))),
        Ended::Badly(problem, _) => Err(Complaint::new(told(&problem))),
        Ended::Replaced(program) => Err(replace(&program, "cosmovisor", &["cosmovisor"])),
    }
}
