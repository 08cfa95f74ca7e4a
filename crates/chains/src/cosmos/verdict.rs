//! What a plan file means whose author is not known: the node writes it at its halt, and people write the same file days
//! ahead.
//!
//! [`meaning`] is one total function from the evidence to a meaning. It must never miss an upgrade that is due and never
//! find one due too early; where that cannot be told it waits, and is asked again at each new height and at main's end.

use ov_types::{Height, ReleaseName};

use super::names::same;

/// Who wrote a plan down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// The node, or a person: the same file is used by both.
    Unknown,
    /// A person, who schedules ahead.
    Person,
}

/// How main is, as far as it tells something about a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Main {
    /// Its process runs.
    Runs,
    /// It ended by itself with a failure since the plan was written; or it did not run when the home was first
    /// looked at.
    Halted,
    /// It is down for another reason: it was told to, or it ended well.
    Down,
}

/// A release that an upgrade left current, and its height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// What `current` names.
    pub release: ReleaseName,
    /// The height of the plan of which a copy lies in its folder, if there is one.
    pub applied: Option<Height>,
    /// Whether it is the first release, which no upgrade leads to.
    pub is_first: bool,
    /// Whether `current` was made to name it after the plan file was last written.
    pub is_newer_than_plan: bool,
}

/// All that is known when a plan is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence<'a> {
    /// The release that the plan leads to.
    pub release: &'a ReleaseName,
    /// The first height that needs it.
    pub height: Height,
    /// Who wrote it.
    pub author: Author,
    /// What `current` names, if that is known.
    pub current: Option<&'a Current>,
    /// The last height that the node was known to have, whether it is asked, remembered or read from its files.
    pub known: Option<Height>,
    /// Whether that is the height of the data as it lies there, of a node that does not run: all blocks up to it were
    /// carried out, and the next launch begins behind it.
    pub is_at_rest: bool,
    /// How main is.
    pub main: Main,
    /// Heights at which the operator wants no upgrade.
    pub skipped: &'a [u64],
}

/// What a plan means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// It was carried out: its release is current.
    Applied,
    /// It is about something that is over.
    Stale(Stale),
    /// The operator does not want it.
    Skipped,
    /// It is due at its height.
    Waits,
    /// The node halted for it, or its data is where it cannot go on without: it is due now.
    Halted,
}

/// Why a plan is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stale {
    /// The release that runs was planned for a greater height.
    Overtaken,
    /// Somebody made another release current by hand after the plan was written, and the node went on beyond its height.
    PassedByHand,
}

impl Stale {
    /// For people, to follow "the plan is not carried out: ".
    pub fn why(self) -> &'static str {
        match self {
            Stale::Overtaken => "the release that runs belongs to a greater height",
            Stale::PassedByHand => "another release was made current by hand since, and the node is beyond its height",
        }
    }
}

/// What a plan means.
pub fn meaning(evidence: &Evidence<'_>) -> Meaning {
    let Height(height) = evidence.height;
    if let Some(current) = evidence.current {
        if same(&current.release, evidence.release) {
            return Meaning::Applied;
        }
        if current.applied.is_some_and(|applied| applied > evidence.height) {
            return Meaning::Stale(Stale::Overtaken);
        }
        let by_hand = current.applied.is_none() && !current.is_first && current.is_newer_than_plan;
        if by_hand && evidence.known.is_some_and(|Height(known)| known > height.saturating_add(1)) {
            return Meaning::Stale(Stale::PassedByHand);
        }
    }
    if evidence.skipped.contains(&height) {
        return Meaning::Skipped;
    }
    let is_reached = match (evidence.known, evidence.main) {
        (Some(Height(known)), _) => known.saturating_add(1) >= height,
        (None, Main::Halted) => true,
        (None, Main::Runs | Main::Down) => false,
    };
    // Data at rest that holds the block goes on with the new release, whoever wrote the plan. Before that block a person's
    // plan waits: if the node halts for it, only its own file tells the new release what to make of the data.
    let lies_beyond = evidence.is_at_rest && evidence.known >= Some(evidence.height);
    let is_due = evidence.author == Author::Unknown || lies_beyond;
    if is_reached && is_due { Meaning::Halted } else { Meaning::Waits }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEIGHT: u64 = 100;
    const AUTHORS: [Author; 2] = [Author::Unknown, Author::Person];
    const MAINS: [Main; 3] = [Main::Runs, Main::Halted, Main::Down];
    const KNOWN: [Option<u64>; 8] = [None, Some(0), Some(1), Some(98), Some(99), Some(100), Some(101), Some(102)];
    const APPLIED: [Option<u64>; 4] = [None, Some(99), Some(100), Some(101)];

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    fn currents() -> Vec<Option<Current>> {
        let mut all = vec![None];
        for release in ["genesis", "v1", "v2", "V2"] {
            for applied in APPLIED {
                for is_newer_than_plan in [false, true] {
                    all.push(Some(Current {
                        release: name(release),
                        applied: applied.map(Height),
                        is_first: release == "genesis",
                        is_newer_than_plan,
                    }));
                }
            }
        }
        all
    }

    /// Every combination of evidence, with what it means.
    fn every(mut look: impl FnMut(&Evidence<'_>, Meaning)) {
        let release = name("v2");
        for current in currents() {
            for author in AUTHORS {
                for known in KNOWN {
                    for main in MAINS {
                        for skipped in [&[][..], &[99], &[100]] {
                            for is_at_rest in [false, true] {
                                let evidence = Evidence {
                                    release: &release,
                                    height: Height(HEIGHT),
                                    author,
                                    current: current.as_ref(),
                                    known: known.map(Height),
                                    is_at_rest,
                                    main,
                                    skipped,
                                };
                                look(&evidence, meaning(&evidence));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The rules once more, each said by itself, so that the order of the branches is not taken on trust.
    fn rules(evidence: &Evidence<'_>) -> Vec<Meaning> {
        let current = evidence.current;
        let is_applied = current.is_some_and(|current| current.release.as_str().eq_ignore_ascii_case("v2"));
        let is_overtaken = current.is_some_and(|current| current.applied > Some(Height(HEIGHT)));
        let is_passed = current.is_some_and(|it| !it.is_first && it.applied.is_none() && it.is_newer_than_plan)
            && evidence.known > Some(Height(HEIGHT + 1));
        let is_over = is_applied || is_overtaken || is_passed;
        let is_skipped = evidence.skipped.contains(&HEIGHT);
        let lies_beyond = evidence.is_at_rest && evidence.known >= Some(Height(HEIGHT));
        let waits_for_its_height = evidence.author == Author::Person && !lies_beyond;
        let is_reached = evidence.known >= Some(Height(HEIGHT - 1));
        let is_halted = evidence.known.is_none() && evidence.main == Main::Halted;
        let open = !is_over && !is_skipped;
        let table = [
            (is_applied, Meaning::Applied),
            (is_overtaken && !is_applied, Meaning::Stale(Stale::Overtaken)),
            (is_passed && !is_applied && !is_overtaken, Meaning::Stale(Stale::PassedByHand)),
            (is_skipped && !is_over, Meaning::Skipped),
            (open && !waits_for_its_height && (is_reached || is_halted), Meaning::Halted),
            (open && (waits_for_its_height || !(is_reached || is_halted)), Meaning::Waits),
        ];
        table.into_iter().filter(|(holds, _)| *holds).map(|(_, meaning)| meaning).collect()
    }

    #[test]
    fn every_evidence_has_exactly_one_meaning() {
        let mut seen = Vec::new();
        every(|evidence, meaning| {
            assert_eq!(rules(evidence), [meaning], "{evidence:?}");
            if !seen.contains(&meaning) {
                seen.push(meaning);
            }
        });
        assert_eq!(seen.len(), 6, "some meaning was never reached: {seen:?}");
    }

    #[test]
    fn nothing_is_due_early() {
        every(|evidence, meaning| {
            if meaning == Meaning::Halted {
                let is_below = evidence.known.is_some_and(|known| known < Height(HEIGHT - 1));
                assert!(!is_below, "due below its height: {evidence:?}");
                let is_seen = evidence.known.is_some() || evidence.main == Main::Halted;
                assert!(is_seen, "due while nothing tells so: {evidence:?}");
                let is_certain = evidence.is_at_rest && evidence.known >= Some(Height(HEIGHT));
                assert!(evidence.author == Author::Unknown || is_certain, "due before its height: {evidence:?}");
            }
        });
    }

    #[test]
    fn nothing_that_is_due_is_missed() {
        every(|evidence, meaning| {
            let is_old = evidence.current.is_some_and(|it| it.release != name("genesis"));
            let is_wanted = !evidence.skipped.contains(&HEIGHT) && !is_old;
            let has_halted = evidence.known.is_none() && evidence.main == Main::Halted;
            let is_there = evidence.known >= Some(Height(HEIGHT - 1));
            let is_overtaken = evidence.current.is_some_and(|it| it.applied > Some(Height(HEIGHT)));
            if is_wanted && !is_overtaken {
                let is_kept = matches!(meaning, Meaning::Halted | Meaning::Waits);
                assert!(is_kept, "forgotten: {evidence:?}");
                let is_due = evidence.author == Author::Unknown && (has_halted || is_there);
                if is_due || (evidence.is_at_rest && evidence.known >= Some(Height(HEIGHT))) {
                    assert_eq!(meaning, Meaning::Halted, "missed: {evidence:?}");
                }
            }
        });
    }

    #[test]
    fn a_corrected_plan_of_the_same_height_is_carried_out() {
        let current = Current {
            release: name("v2-typo"),
            applied: Some(Height(HEIGHT)),
            is_first: false,
            is_newer_than_plan: false,
        };
        let release = name("v2");
        let evidence = Evidence {
            release: &release,
            height: Height(HEIGHT),
            author: Author::Unknown,
            current: Some(&current),
            known: Some(Height(HEIGHT)),
            is_at_rest: false,
            main: Main::Halted,
            skipped: &[],
        };
        assert_eq!(meaning(&evidence), Meaning::Halted);
    }

    #[test]
    fn the_greatest_heights_do_not_overflow() {
        let release = name("v2");
        let evidence = Evidence {
            release: &release,
            height: Height(u64::MAX),
            author: Author::Unknown,
            current: None,
            known: Some(Height(u64::MAX)),
            is_at_rest: false,
            main: Main::Runs,
            skipped: &[],
        };
        assert_eq!(meaning(&evidence), Meaning::Halted);
        assert_eq!(meaning(&Evidence { height: Height(0), known: Some(Height(0)), ..evidence }), Meaning::Halted);
    }
}
