//! What becomes of each line found on the disk: one table, and nothing decided elsewhere. Pure.
//!
//! The reasoning behind the rows: a segment's opening append (header and restated records) appears by a
//! rename, hence whole. Every other append is written at the end, and the next one begins only after it
//! was synced. So a crash can spoil the last append alone, and an append that stands behind a spoiled line
//! proves that the line was acknowledged once, and that something else than a crash spoilt it.

use crate::error::Damage;

/// How a line looks by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// It has no end; also what is missing of an append that was begun.
    Unfinished,
    /// It is not what was once written: wrong form, or wrong checksum.
    Garbled,
    /// It is intact, but has another number or part than the one that must come here.
    OutOfOrder,
    /// It is intact and the one that must come here.
    InOrder,
}

/// What is known about a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// How it looks.
    pub shape: Shape,
    /// Whether it belongs to the segment's first append.
    pub opening: bool,
    /// Whether no later segment exists.
    pub newest: bool,
    /// Whether an intact line that begins an append stands somewhere behind it. Nobody looks for one behind a
    /// line in order.
    pub followed: bool,
}

/// What to do with a line and those behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Take it and go on.
    Accept,
    /// The append it belongs to never returned: drop it and end here.
    CutTail,
    /// Take nothing, change nothing, explain.
    Refuse(Damage),
    /// Cannot be found at all.
    Impossible,
}

/// A row of the table; `None` stands for either.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    shape: Shape,
    opening: Option<bool>,
    newest: Option<bool>,
    followed: Option<bool>,
    /// What is decided.
    pub verdict: Verdict,
}

impl Case {
    const fn new(
        name: &'static str,
        shape: Shape,
        [opening, newest, followed]: [Option<bool>; 3],
        verdict: Verdict,
    ) -> Self {
        Self { name, shape, opening, newest, followed, verdict }
    }

    fn matches(&self, found: Found) -> bool {
        let either = |expected: Option<bool>, found: bool| expected.is_none_or(|expected| expected == found);
        self.shape == found.shape
            && either(self.opening, found.opening)
            && either(self.newest, found.newest)
            && either(self.followed, found.followed)
    }
}

const YES: Option<bool> = Some(true);
const NO: Option<bool> = Some(false);
const ANY: Option<bool> = None;

/// The recovery table. Every [`Found`] matches exactly one row.
pub const CASES: [Case; 10] = [
    //        name                       shape                opening newest followed
    Case::new("in order", Shape::InOrder, [ANY, ANY, ANY], Verdict::Accept),
    Case::new("lines missing", Shape::OutOfOrder, [ANY, ANY, ANY], Verdict::Refuse(Damage::Gap)),
    Case::new("nothing follows the end", Shape::Unfinished, [ANY, ANY, YES], Verdict::Impossible),
    Case::new("opening cut short", Shape::Unfinished, [YES, ANY, NO], Verdict::Refuse(Damage::Opening)),
    Case::new("opening garbled", Shape::Garbled, [YES, ANY, ANY], Verdict::Refuse(Damage::Opening)),
    Case::new("append interrupted", Shape::Unfinished, [NO, YES, NO], Verdict::CutTail),
    Case::new("append torn", Shape::Garbled, [NO, YES, NO], Verdict::CutTail),
    Case::new("middle garbled", Shape::Garbled, [NO, YES, YES], Verdict::Refuse(Damage::Middle)),
    Case::new("older cut short", Shape::Unfinished, [NO, NO, NO], Verdict::Refuse(Damage::Older)),
    Case::new("older garbled", Shape::Garbled, [NO, NO, ANY], Verdict::Refuse(Damage::Older)),
];

/// Looks a line up.
pub fn decide(found: Found) -> Verdict {
    CASES.iter().find(|case| case.matches(found)).map_or(Verdict::Impossible, |case| case.verdict)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Found> {
        let mut all = Vec::new();
        for shape in [Shape::Unfinished, Shape::Garbled, Shape::OutOfOrder, Shape::InOrder] {
            for bits in 0..8 {
                let bit = |at: u32| bits & (1 << at) != 0;
                all.push(Found { shape, opening: bit(0), newest: bit(1), followed: bit(2) });
            }
        }
        all
    }

    #[test]
    fn every_finding_has_exactly_one_row_and_every_row_a_finding() {
        let mut used = [0; CASES.len()];
        for found in all() {
            let rows: Vec<_> = (0..CASES.len()).filter(|&row| CASES[row].matches(found)).collect();
            assert_eq!(rows.len(), 1, "{found:?} has the rows {rows:?}");
            used[rows[0]] += 1;
        }
        assert!(used.iter().all(|&count| count > 0), "{used:?}");
    }

    #[test]
    fn only_what_a_crash_explains_is_cut() {
        for found in all() {
            match decide(found) {
                Verdict::Accept => assert_eq!(found.shape, Shape::InOrder),
                Verdict::CutTail => assert!(found.newest && !found.opening && !found.followed, "{found:?}"),
                Verdict::Refuse(_) => assert_ne!(found.shape, Shape::InOrder),
                Verdict::Impossible => assert!(found.shape == Shape::Unfinished && found.followed),
            }
        }
    }
}
