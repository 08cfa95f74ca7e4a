//! How often something is tried, and how long is waited in between.

use ov_sys::{Clock, Random};
use ov_types::{Moment, Span};

/// How long and how often a download is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries in a row that bring nothing.
    pub tries: u32,
    /// All of one download.
    pub total: Span,
    /// The pause before the second try; it doubles from try to try, and chance takes away up to half of it.
    pub pause: Span,
    /// The longest pause, also where a server asks for a longer one.
    pub pause_max: Span,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries: 8,
            total: Span::from_seconds(6 * 3600),
            pause: Span::from_ms(500),
            pause_max: Span::from_seconds(30),
        }
    }
}

/// The tries of one download.
#[derive(Debug)]
pub(super) struct Tries {
    patience: Patience,
    began: Moment,
    failures: u32,
}

impl Tries {
    pub(super) fn new(patience: Patience, clock: &dyn Clock) -> Self {
        Self { patience, began: clock.now(), failures: 0 }
    }

    /// Whether it has taken longer than it may.
    pub(super) fn is_late(&self, clock: &dyn Clock) -> bool {
        clock.now().since_ms(self.began) > self.patience.total.ms()
    }

    /// How long to wait before the next try; `None` if there is none. `wanted` is what the server asked for.
    pub(super) fn next_pause_ms(
        &mut self,
        has_progressed: bool,
        wanted: Option<Span>,
        clock: &dyn Clock,
        random: &mut Random,
    ) -> Option<u64> {
        self.failures = if has_progressed { 1 } else { self.failures + 1 };
        if self.failures >= self.patience.tries {
            return None;
        }
        let pause_max_ms = self.patience.pause_max.ms();
        let doubled_ms = self.patience.pause.ms().saturating_mul(1 << (self.failures - 1).min(20)).min(pause_max_ms);
        let jittered_ms = doubled_ms - random.below(doubled_ms / 2 + 1);
        let pause_ms = wanted.map_or(jittered_ms, |wanted| wanted.ms().min(pause_max_ms).max(jittered_ms));
        let passed_ms = clock.now().since_ms(self.began);
        (passed_ms.saturating_add(pause_ms) <= self.patience.total.ms()).then_some(pause_ms)
    }
}

#[cfg(test)]
mod tests {
    use ov_sys::SimClock;

    use super::*;

    fn pauses(tries: &mut Tries, clock: &SimClock, wanted: Option<Span>) -> Vec<u64> {
        let mut random = Random::new(7);
        std::iter::from_fn(|| tries.next_pause_ms(false, wanted, clock, &mut random)).collect()
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_end() {
        let clock = SimClock::new(Moment::default());
        let patience = Patience { pause_max: Span::from_seconds(4), ..Patience::default() };
        let found = pauses(&mut Tries::new(patience, &clock), &clock, None);
        assert_eq!(found.len(), 7);
        for (pause, most) in found.iter().zip([500, 1_000, 2_000, 4_000, 4_000, 4_000, 4_000]) {
            assert!((most / 2..=most).contains(pause), "{found:?}");
        }
        let asked = pauses(&mut Tries::new(patience, &clock), &clock, Some(Span::from_seconds(3_600)));
        assert!(asked.iter().all(|pause| *pause == 4_000), "{asked:?}");
    }

    #[test]
    fn progress_brings_new_tries_and_the_whole_time_ends_them() {
        let clock = SimClock::new(Moment::default());
        let patience = Patience { tries: 2, total: Span::from_seconds(10), ..Patience::default() };
        let mut tries = Tries::new(patience, &clock);
        let mut random = Random::new(1);
        for _ in 0..19 {
            assert!(tries.next_pause_ms(true, None, &clock, &mut random).is_some());
            clock.advance(500);
        }
        assert!(!tries.is_late(&clock));
        clock.advance(501);
        assert!(tries.is_late(&clock));
        assert_eq!(tries.next_pause_ms(true, None, &clock, &mut random), None);
    }
}
