//! How far a fetch is, told often enough for people and seldom enough for logs.

use std::collections::VecDeque;

use ov_sys::Clock;
use ov_types::Moment;

/// The shortest time between two reports.
const EVERY_MS: u64 = 250;
/// The rate is that of this long.
const WINDOW_MS: u64 = 5_000;

/// What a fetch is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Bytes are on their way here.
    Downloading,
    /// Bytes are unpacked into the release.
    Unpacking,
}

/// How far a fetch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, if known.
    pub total: Option<u64>,
    /// Bytes in a second, lately.
    pub rate: u64,
}

/// Who hears of progress, and when they last did.
pub(super) struct Reporter<'a> {
    tell: &'a mut dyn FnMut(Progress),
    clock: &'a dyn Clock,
    /// What was told within the window, the oldest first.
    told: VecDeque<(Moment, u64)>,
}

impl<'a> Reporter<'a> {
    pub(super) fn new(tell: &'a mut dyn FnMut(Progress), clock: &'a dyn Clock) -> Self {
        Self { tell, clock, told: VecDeque::new() }
    }

    /// A part begins, or begins again, with `done` bytes that cost no time.
    pub(super) fn begin(&mut self, phase: Phase, done: u64, total: Option<u64>) {
        self.told.clear();
        self.told.push_back((self.clock.now(), done));
        (self.tell)(Progress { phase, done, total, rate: 0 });
    }

    pub(super) fn at(&mut self, phase: Phase, done: u64, total: Option<u64>) {
        let now = self.clock.now();
        let is_due = self.told.back().is_none_or(|(told, _)| now.since_ms(*told) >= EVERY_MS);
        if is_due || Some(done) == total {
            let rate = self.rate(now, done);
            (self.tell)(Progress { phase, done, total, rate });
        }
    }

    fn rate(&mut self, now: Moment, done: u64) -> u64 {
        self.told.push_back((now, done));
        while self.told.len() > 2 && self.told.front().is_some_and(|(oldest, _)| now.since_ms(*oldest) > WINDOW_MS) {
            self.told.pop_front();
        }
        let (since, before) = self.told.front().copied().unwrap_or((now, done));
        done.saturating_sub(before).saturating_mul(1_000) / now.since_ms(since).max(1)
    }
}

#[cfg(test)]
mod tests {
    use ov_sys::SimClock;

    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_seconds_and_the_end_is_always_told() {
        let clock = SimClock::new(Moment::default());
        let mut told = Vec::new();
        let mut tell = |progress: Progress| told.push(progress);
        let mut reporter = Reporter::new(&mut tell, &clock);
        reporter.begin(Phase::Downloading, 500, Some(100_000));
        for step in 1..=200 {
            clock.advance(100);
            // The second half is ten times slower.
            let done = if step <= 100 { 500 + step * 900 } else { 90_500 + (step - 100) * 90 };
            reporter.at(Phase::Downloading, done, Some(100_000));
        }
        reporter.at(Phase::Downloading, 100_000, Some(100_000));
        assert_eq!(told.first().map(|first| (first.done, first.rate)), Some((500, 0)));
        assert_eq!(told.last().map(|last| last.done), Some(100_000));
        assert!(told.len() < 90, "{} reports", told.len());
        let rates: Vec<u64> = told.iter().map(|progress| progress.rate).collect();
        assert_eq!((rates[20], rates[rates.len() - 2]), (9_000, 900), "{rates:?}");
    }
}
