//! Time, asked for through a trait so that tests and the simulator own it.
//!
//! Nothing outside this crate and the shim reads a clock. Nothing here waits.

use std::sync::{Arc, Mutex, PoisonError};

use ov_types::Moment;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// A source of moments.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Reads both clocks.
    fn now(&self) -> Moment;
}

/// The kernel's clocks. The monotonic one also counts while the machine sleeps.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealClock;

impl Clock for RealClock {
    fn now(&self) -> Moment {
        let monotonic_ms = milliseconds(clock_gettime(ClockId::Boottime));
        let wall_ms = milliseconds(clock_gettime(ClockId::Realtime));
        Moment { monotonic_ms: u64::try_from(monotonic_ms).unwrap_or_default(), wall_ms }
    }
}

fn milliseconds(reading: Timespec) -> i64 {
    reading.tv_sec.saturating_mul(1000).saturating_add(reading.tv_nsec / 1_000_000)
}

/// A clock that stands until it is moved. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct SimClock {
    now: Arc<Mutex<Moment>>,
}

impl SimClock {
    /// A clock that stands at `start`.
    pub fn new(start: Moment) -> Self {
        Self { now: Arc::new(Mutex::new(start)) }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, by_ms: u64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.monotonic_ms = now.monotonic_ms.saturating_add(by_ms);
        now.wall_ms = now.wall_ms.saturating_add_unsigned(by_ms);
    }

    /// Sets the wall clock forward or back, as a person or a time server does; no time passes.
    pub fn step_wall(&self, by_ms: i64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.wall_ms = now.wall_ms.saturating_add(by_ms);
    }

    /// Boots the machine anew: the monotonic clock starts at zero, the wall clock goes on.
    pub fn reboot(&self) {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).monotonic_ms = 0;
    }
}

impl Clock for SimClock {
    fn now(&self) -> Moment {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_clock_never_goes_back() {
        let (first, second) = (RealClock.now(), RealClock.now());
        assert!(second.monotonic_ms >= first.monotonic_ms);
        assert!(first.monotonic_ms > 0);
        assert!(first.wall_ms > 1_600_000_000_000, "the wall clock of this machine is before 2020");
    }

    #[test]
    fn a_wall_step_moves_no_monotonic_time() {
        let clock = SimClock::new(Moment { monotonic_ms: 10, wall_ms: 1_000 });
        let other = clock.clone();
        clock.advance(5);
        clock.step_wall(-500);
        assert_eq!(other.now(), Moment { monotonic_ms: 15, wall_ms: 505 });
        clock.reboot();
        assert_eq!(other.now(), Moment { monotonic_ms: 0, wall_ms: 505 });
    }
}
