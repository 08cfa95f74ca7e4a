//! Other work on the machine disturbs what is measured: it is waited for, and told.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Result;

const LOOK: Duration = Duration::from_millis(400);
const QUIET_ENOUGH: f64 = 0.10;

/// How hard to try.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub(super) attempts: u32,
    pub(super) wait: Duration,
}

/// Something measured, and the share of the processors that others used just before or after.
#[derive(Debug, Clone)]
pub(super) struct Quiet<T> {
    pub(super) value: T,
    pub(super) others: f64,
}

/// Measures in quiet moments, and returns the attempt that was disturbed least.
pub(super) fn measure<T>(patience: Patience, mut attempt: impl FnMut() -> Result<T>) -> Result<Quiet<T>> {
    let mut best: Option<Quiet<T>> = None;
    for _ in 0..patience.attempts.max(1) {
        let before = wait_for_quiet(patience.wait);
        let value = attempt()?;
        let others = before.max(busy_share());
        if best.as_ref().is_none_or(|best| others < best.others) {
            best = Some(Quiet { value, others });
        }
        if others <= 2.0 * QUIET_ENOUGH {
            break;
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("measure even once"))
}

fn wait_for_quiet(wait: Duration) -> f64 {
    let deadline = Instant::now() + wait;
    loop {
        let share = busy_share();
        if share <= QUIET_ENOUGH || Instant::now() >= deadline {
            return share;
        }
    }
}

/// The share of all processors that is busy, over a short look.
fn busy_share() -> f64 {
    let (busy_before, all_before) = ticks();
    std::thread::sleep(LOOK);
    let (busy, all) = ticks();
    let part = |ticks: u64| f64::from(u32::try_from(ticks).unwrap_or(u32::MAX));
    part(busy.saturating_sub(busy_before)) / part(all.saturating_sub(all_before)).max(1.0)
}

fn ticks() -> (u64, u64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let all = fields.iter().sum();
    // The fourth is idle time; waiting for a disk counts as busy, because it disturbs as well.
    (fields.iter().enumerate().filter(|(place, _)| *place != 3).map(|(_, ticks)| ticks).sum(), all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_disturbed_attempt_is_bounded_in_number() {
        let mut attempts = 0;
        let patience = Patience { attempts: 2, wait: Duration::ZERO };
        let measured = measure(patience, || {
            attempts += 1;
            Ok(attempts)
        });
        let measured = measured.unwrap();
        assert!((1..=2).contains(&attempts) && measured.value <= attempts);
        assert!((0.0..=1.0).contains(&measured.others));
    }
}
