//! What a unit said before it ended by itself: some words mean that it must not be launched again without a person.

use std::path::Path;

use ov_chains::shape::Output;
use ov_engine::{Found, Input, UnitReport};
use ov_types::{Problem, RunId, UnitName};

use super::Keeper;
use crate::core::CoreError;
use crate::probe::LogMark;
use crate::units::told;

impl Keeper {
    /// The log of a unit, if any line in it matters: one that tells that it is ready, or one that means danger.
    pub(super) fn telling_log(&self, unit: &UnitName) -> Option<&Path> {
        let shape = self.shape.units.get(unit)?;
        let wants =
            shape.readiness.as_ref().is_some_and(|ready| ready.probe.reads_log()) || !shape.danger_marks.is_empty();
        match &shape.launch.output {
            Output::Pump(log) if wants => Some(&log.path),
            _ => None,
        }
    }

    /// Tells the engine of the danger before it learns how the unit ended: what follows is decided by both.
    pub(super) fn hear_last_words(&mut self, unit: &UnitName, run: RunId) -> Result<(), CoreError> {
        let Some(mark) = self.danger_in(unit, run) else { return Ok(()) };
        let problem = Problem::permanent("OV-SGN-010", format!("trust that unit {unit} may go on"))
            .cause(format!("it said `{mark}` before it ended"))
            .state("it was not launched again, since it might sign twice");
        let hint = format!(
            "find out who else signs with its key, and whether anything was signed twice; then `omnivisor unit start {unit}`"
        );
        self.take(Input::Unit(unit.clone(), UnitReport::Danger { run, message: told(&problem.hint(hint)) }))
    }

    /// The same for a unit that ended while no daemon ran.
    pub(super) fn hear_last_words_of_found(&mut self, unit: &UnitName, found: &Found) -> Result<(), CoreError> {
        match found {
            Found::Ended { run, .. } | Found::Ending { run, .. } => self.hear_last_words(unit, *run),
            _ => Ok(()),
        }
    }

    fn danger_in(&self, unit: &UnitName, run: RunId) -> Option<String> {
        let marks = &self.shape.units.get(unit)?.danger_marks;
        if marks.is_empty() {
            return None;
        }
        let directory = self.shape.layout.unit(unit);
        let mark = LogMark::kept(&*self.disk, &directory, self.telling_log(unit)?, run)?;
        match mark.last_words(&*self.disk, marks) {
            Ok(found) => found.map(str::to_owned),
            Err(error) => {
                tracing::warn!("what unit {unit} said before it ended cannot be read: {error}");
                None
            }
        }
    }
}
