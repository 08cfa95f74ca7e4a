//! Main and its partner, which live and die together: what must hold of the two, whatever happens to one.

use ov_types::UnitName;

use crate::units::Process;
use crate::{Lawful, Violation, World};

/// How long it may take until a unit that must go down is told so, while a daemon looks after it.
const TOLD_WITHIN_MS: u64 = 500;

/// Whether main of the world of a seed has a partner.
pub(crate) fn has_partner(seed: u64) -> bool {
    !seed.is_multiple_of(2)
}

#[expect(clippy::expect_used, reason = "a word is a name")]
pub(crate) fn partner() -> UnitName {
    UnitName::new("partner").expect("a name")
}

/// One of the two went down by itself, and the other has to follow.
#[derive(Debug, Clone)]
pub(crate) struct Fall {
    /// The other one.
    unit: UnitName,
    pid: u32,
    /// Until when it must be gone.
    until_ms: u64,
    /// A daemon looked after it at the last look.
    is_watched: bool,
}

impl World {
    /// The other one of the two, if this is one.
    pub(crate) fn other_of(&self, unit: &UnitName) -> Option<UnitName> {
        let pair = [UnitName::main(), partner()];
        let are_both = pair.iter().all(|unit| self.home.shape.units.contains_key(unit)) && pair.contains(unit);
        pair.into_iter().find(|other| other != unit).filter(|_| are_both)
    }

    /// How long the other one may go on from now on.
    fn follows_by_ms(&self, other: &UnitName) -> u64 {
        let grace_ms = self.home.shape.engine.units.get(other).map_or(0, |rules| rules.stop.grace_ms);
        self.true_ms + TOLD_WITHIN_MS + grace_ms
    }

    /// A unit goes down, and nobody told it to.
    pub(crate) fn note_fall(&mut self, unit: &UnitName) {
        let Some(other) = self.other_of(unit) else { return };
        let until_ms = self.follows_by_ms(&other);
        let process = self.units.of(&other).process.as_ref();
        let follows = process.filter(|process| !process.ending).map(|process| process.pid);
        if let Some(pid) = follows {
            self.tally.count("pair.fell");
            self.fall = Some(Fall { unit: other, pid, until_ms, is_watched: self.daemon.is_some() });
        }
    }

    /// The other one does not go on for longer than its stop may take.
    pub(crate) fn check_fall(&mut self) -> Lawful {
        let Some(fall) = self.fall.clone() else { return Ok(()) };
        if self.units.of(&fall.unit).process.as_ref().is_none_or(|process| process.pid != fall.pid) {
            self.tally.count("pair.followed");
            self.fall = None;
        } else if self.daemon.is_none() || !fall.is_watched {
            // While nobody looks after it, nobody stops it; the next daemon has all the time that this one had.
            let until_ms = self.follows_by_ms(&fall.unit);
            self.fall = Some(Fall { until_ms, is_watched: self.daemon.is_some(), ..fall });
        } else if self.true_ms > fall.until_ms {
            return Err(Violation::new(format!("{} goes on although its partner fell", fall.unit)));
        }
        Ok(())
    }

    /// Nobody is launched while the other one goes down, or before that was noticed.
    pub(crate) fn check_launch_of_pair(&mut self, unit: &UnitName) -> Lawful {
        let Some(other) = self.other_of(unit) else { return Ok(()) };
        self.check_fall()?;
        let here = self.units.of(&other);
        let goes_down = here.process.as_ref().is_some_and(|process: &Process| process.ending);
        let is_left = here.process.is_none() && here.leftover;
        let is_lost = here.is_occupied() && !here.shim;
        if goes_down || is_left || is_lost {
            return Err(Violation::new(format!("{unit} is launched while {other} goes down")));
        }
        if self.fall.as_ref().is_some_and(|fall| fall.unit == other) {
            return Err(Violation::new(format!("{unit} is launched again beside {other}, which did not follow it")));
        }
        self.tally.count("pair.launched");
        Ok(())
    }
}
