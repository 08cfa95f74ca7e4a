//! How fast the chain moves, as far as this node saw.

use std::collections::VecDeque;

use ov_types::Height;

/// Samples no closer together than this; with the bound on their number they cover about an hour.
const SAMPLE_EVERY_MS: u64 = 15_000;
const SAMPLES_MAX: usize = 240;
/// What fewer blocks tell of the next hours is a guess.
const STEADY_BLOCKS: u64 = 10;
/// Who has made no block for as long as so many take, stands still; within these bounds.
const STANDING_BLOCKS: u64 = 20;
const STANDING_MS_MIN: u64 = 1_000;
const STANDING_MS_MAX: u64 = 60_000;

/// Heights seen, with their times.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    samples: VecDeque<(u64, Height)>,
    last: Option<(u64, Height)>,
}

impl Pace {
    /// Notes a height seen at a monotonic time. A node that restarts from an older height starts afresh.
    pub fn note(&mut self, now_ms: u64, height: Height) {
        if self.last.is_some_and(|(_, last)| height < last) {
            self.samples.clear();
        }
        self.last = Some((now_ms, height));
        let due = self.samples.back().is_none_or(|(at, _)| now_ms.saturating_sub(*at) >= SAMPLE_EVERY_MS);
        if due {
            self.samples.push_back((now_ms, height));
            if self.samples.len() > SAMPLES_MAX {
                self.samples.pop_front();
            }
        }
    }

    /// Time and blocks between the oldest and the newest sample.
    fn measured(&self) -> Option<(u64, u64)> {
        let (first_at, first) = self.samples.front()?;
        let (last_at, last) = self.last?;
        let (span, blocks) = (last_at.checked_sub(*first_at)?, last.0.checked_sub(first.0)?);
        (span > 0 && blocks > 0).then_some((span, blocks))
    }

    /// Blocks per hour.
    pub fn blocks_per_hour(&self) -> Option<u64> {
        self.measured().map(|(span, blocks)| blocks.saturating_mul(3_600_000) / span)
    }

    /// Whether enough was seen for an estimate that people are called by.
    pub fn is_steady(&self) -> bool {
        self.measured().is_some_and(|(_, blocks)| blocks >= STEADY_BLOCKS)
    }

    /// After so many milliseconds without a block the node stands still.
    pub fn standing_ms(&self) -> u64 {
        let block_ms = self.measured().map_or(STANDING_MS_MAX, |(span, blocks)| span / blocks);
        block_ms.saturating_mul(STANDING_BLOCKS).clamp(STANDING_MS_MIN, STANDING_MS_MAX)
    }

    /// Milliseconds from the last height seen until `target`, if the chain goes on as it did.
    pub fn eta_ms(&self, now_ms: u64, target: Height) -> Option<u64> {
        let (span, blocks) = self.measured()?;
        let (last_at, last) = self.last?;
        let remaining = target.0.saturating_sub(last.0);
        let from_last = u128::from(remaining) * u128::from(span) / u128::from(blocks);
        let elapsed = u128::from(now_ms.saturating_sub(last_at));
        u64::try_from(from_last.saturating_sub(elapsed)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eta_follows_the_measured_pace() {
        let mut pace = Pace::default();
        assert_eq!(pace.eta_ms(0, Height(10)), None);
        for block in 0..=100u64 {
            pace.note(block * 6_000, Height(1_000 + block));
        }
        assert_eq!(pace.blocks_per_hour(), Some(600));
        assert_eq!(pace.eta_ms(600_000, Height(1_110)), Some(60_000));
        assert_eq!(pace.eta_ms(630_000, Height(1_110)), Some(30_000));
        assert_eq!(pace.eta_ms(600_000, Height(5)), Some(0));
    }

    #[test]
    fn a_node_that_goes_back_is_measured_afresh() {
        let mut pace = Pace::default();
        pace.note(0, Height(1_000));
        pace.note(60_000, Height(1_010));
        pace.note(61_000, Height(900));
        assert_eq!(pace.blocks_per_hour(), None);
        pace.note(91_000, Height(905));
        assert_eq!(pace.blocks_per_hour(), Some(600));
    }
}
