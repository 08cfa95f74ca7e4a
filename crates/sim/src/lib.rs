//! Whole lives of a node, each one determined by a seed: the real core, engine, journal, steps, doctor, releases and
//! snapshots, on a disk and a clock that are simulated, above processes that are only told of.
//!
//! A [`World`] is disturbed at random (people, crashes, power cuts, full and failing disks, clocks that jump) and held
//! to the laws of [`law`] after everything that happens. Then the disturbances end, and it has to come to rest in a
//! state that can be explained. Nothing here waits, and nothing depends on the machine it runs on.

mod calm;
mod daemon;
mod hands;
mod home;
pub mod law;
mod orders;
mod pair;
mod process;
mod program;
mod schedule;
mod tally;
mod trouble;
mod units;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use home::Home;
pub use program::{Nature, Program};
pub use tally::Tally;
pub use world::World;

/// A law that does not hold in some world.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Violation {
    /// What was seen.
    pub what: String,
}

impl Violation {
    /// A law that does not hold.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into() }
    }
}

/// What follows from an event in a lawful world.
pub type Lawful<T = ()> = Result<T, Violation>;

/// A seed whose world breaks a law.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}: {what}\n{trace}\nreplay it: cargo xtask sim --seed {seed}")]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The law.
    pub what: String,
    /// The last things that happened.
    pub trace: String,
}

/// Lives the life of a seed to its end, and counts what happened in it.
pub fn run_seed(seed: u64) -> Result<Tally, Failure> {
    let failure = |what: String, world: Option<&World>| Failure {
        seed,
        what,
        trace: world.map(World::trace).unwrap_or_default(),
    };
    let mut world = World::new(seed).map_err(|violation| failure(violation.what, None))?;
    match catch_unwind(AssertUnwindSafe(|| world.live())) {
        Ok(Ok(())) => Ok(world.into_tally()),
        Ok(Err(violation)) => Err(failure(violation.what, Some(&world))),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Err(failure(format!("a panic: {}", text.unwrap_or_default()), Some(&world)))
        }
    }
}
