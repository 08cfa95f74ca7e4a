//! Which release fits the data of a node that does not run: data that was synced by its state, or restored from a
//! snapshot, may belong before or behind upgrades that this home knows.
//!
//! [`fit`] is one total function from the evidence to an answer. A release that cannot carry out the next block must not
//! be launched where a better one is known; but an answer that is only likely is none, since whoever runs the node may
//! know more. So another release is named only if its height says so, and nothing speaks for the current one. Right before
//! the block of an upgrade both are right: the old one halts there, and leaves the file from which the new one learns what to
//! make of the data.

use ov_types::{Height, ReleaseName};

use super::at_rest::HeightAtRest;

/// A release of this home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownRelease {
    /// Its name.
    pub release: ReleaseName,
    /// The first height that needs it: 0 for the first release, and for others the height of the upgrade that led to
    /// it. `None` where nothing tells, as for a release that was put into place for an upgrade to come.
    pub from: Option<Height>,
}

/// All that is known when the node is about to be launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitEvidence<'a> {
    /// What `current` names.
    pub current: &'a ReleaseName,
    /// The releases of this home, whether their programs are there or not.
    pub releases: &'a [KnownRelease],
    /// How high the data is.
    pub data: HeightAtRest,
    /// The height that the node was last seen at here. It did run there.
    pub seen: Option<Height>,
    /// The height below which this node's data was not before, seen or signed.
    pub remembered: Option<Height>,
}

/// Which release fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit<'a> {
    /// The current one, as far as is known.
    Current,
    /// Perhaps another one; but that is not clear enough to act on.
    Unclear(Doubt),
    /// This one, and not the current one.
    Other {
        /// Which.
        release: &'a ReleaseName,
        /// From which height on.
        from: Height,
    },
}

/// What speaks against going to the release that the heights would name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Nobody knows from which height on the current release is right.
    Unnumbered,
    /// Several releases are right from one height on.
    Several,
    /// The node was seen beyond that height, so that the current release may well be able to.
    WasThere,
    /// Nothing shows that the data is older than what was here before.
    NotOlder,
    /// Of another release nobody knows the height, so that it may be the one.
    AnyOther,
}

impl Doubt {
    /// For people, to follow "it is launched as `current` says: ".
    pub fn why(self) -> &'static str {
        match self {
            Doubt::Unnumbered => "from which height on that release is right is not known",
            Doubt::Several => "several releases belong to one height",
            Doubt::WasThere => "the node has been beyond that height with it",
            Doubt::NotOlder => "nothing tells that the data is older than what was here before",
            Doubt::AnyOther => "the height of another release is not known, and it may be the one",
        }
    }
}

/// The releases that carried out a block.
fn right_for(releases: &[KnownRelease], Height(block): Height) -> Vec<(&ReleaseName, Height)> {
    let begun = |known: &KnownRelease| known.from.filter(|from| from.0 <= block);
    let last = releases.iter().filter_map(begun).max();
    let right = releases.iter().filter(|known| last.is_some() && known.from == last);
    right.filter_map(|known| Some((&known.release, known.from?))).collect()
}

/// Which release fits.
pub fn fit<'a>(evidence: &FitEvidence<'a>) -> Fit<'a> {
    let HeightAtRest { at_least, at_most } = evidence.data;
    let next = |Height(height): Height| Height(height.saturating_add(1));
    let right = right_for(evidence.releases, at_least);
    let later =
        [Some(at_least), at_most].into_iter().flatten().flat_map(|done| right_for(evidence.releases, next(done)));
    if right.iter().copied().chain(later).any(|(release, _)| release == evidence.current) {
        return Fit::Current;
    }
    let current = evidence.releases.iter().find(|known| known.release == *evidence.current);
    let Some(current_from) = current.and_then(|known| known.from) else { return Fit::Unclear(Doubt::Unnumbered) };
    let (release, from) = match right.as_slice() {
        [(release, from)] => (*release, *from),
        [] => return Fit::Unclear(Doubt::AnyOther),
        _ => return Fit::Unclear(Doubt::Several),
    };
    let doubt = if from > current_from {
        evidence.seen.is_some_and(|seen| seen >= from).then_some(Doubt::WasThere)
    } else {
        // Going back takes more: an old release on newer data is what breaks nodes.
        let is_older = at_most.zip(evidence.remembered).is_some_and(|(data, before)| data < before);
        let is_open = evidence.releases.iter().any(|known| known.from.is_none());
        if is_older { is_open.then_some(Doubt::AnyOther) } else { Some(Doubt::NotOlder) }
    };
    doubt.map_or(Fit::Other { release, from }, Fit::Unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ReleaseName {
        ReleaseName::new(text).unwrap()
    }

    fn known(release: &str, from: impl Into<Option<u64>>) -> KnownRelease {
        KnownRelease { release: name(release), from: from.into().map(Height) }
    }

    fn at(at_least: u64, at_most: impl Into<Option<u64>>) -> HeightAtRest {
        HeightAtRest { at_least: Height(at_least), at_most: at_most.into().map(Height) }
    }

    /// The first release, one from 100 on, one from 200 on; and perhaps others.
    fn home(more: &[KnownRelease]) -> Vec<KnownRelease> {
        [&[known("genesis", 0), known("v2", 100), known("v3", 200)], more].concat()
    }

    fn answer(
        releases: &[KnownRelease],
        current: &str,
        data: HeightAtRest,
        seen: Option<u64>,
        remembered: Option<u64>,
    ) -> String {
        let (current, seen, remembered) = (name(current), seen.map(Height), remembered.map(Height));
        let evidence = FitEvidence { current: &current, releases, data, seen, remembered };
        match fit(&evidence) {
            Fit::Other { release, from } => format!("{release} from {from}"),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn data_beyond_upgrades_needs_the_last_of_them() {
        for (current, data, expected) in [
            ("genesis", at(450, 450), "v3 from 200"),
            ("genesis", at(450, None), "v3 from 200"),
            ("v2", at(450, 450), "v3 from 200"),
            ("genesis", at(200, 200), "v3 from 200"),
            ("genesis", at(198, 198), "v2 from 100"),
            // The old one halts for the next block, and the new one may be there already.
            ("genesis", at(199, 199), "v2 from 100"),
            ("v2", at(199, 199), "Current"),
            ("v3", at(199, 199), "Current"),
            ("v2", at(199, 200), "Current"),
            ("v3", at(199, 200), "Current"),
            // The block before the upgrade may have to be carried out once more.
            ("v2", at(198, 199), "Current"),
            ("v3", at(198, 199), "Current"),
            ("genesis", at(198, 199), "v2 from 100"),
            ("v3", at(450, 450), "Current"),
            ("genesis", at(98, 98), "Current"),
            ("genesis", at(99, 100), "Current"),
        ] {
            assert_eq!(answer(&home(&[]), current, data, None, None), expected, "{current} {data:?}");
        }
    }

    #[test]
    fn older_data_goes_back_where_something_tells_that_it_is_older() {
        for (current, data, remembered, expected) in [
            ("v3", at(150, 150), Some(300), "v2 from 100"),
            ("v3", at(50, 50), Some(300), "genesis from 0"),
            ("v3", at(150, 150), Some(151), "v2 from 100"),
            ("v3", at(150, 150), Some(150), "Unclear(NotOlder)"),
            ("v3", at(150, 150), None, "Unclear(NotOlder)"),
            ("v3", at(150, None), Some(300), "Unclear(NotOlder)"),
            // A release that was put there ahead may be the one for 150 as well.
            ("v2", at(50, 51), Some(300), "genesis from 0"),
        ] {
            assert_eq!(answer(&home(&[]), current, data, remembered, remembered), expected, "{current} {data:?}");
        }
        let open = home(&[known("v4", None)]);
        assert_eq!(answer(&open, "v3", at(150, 150), Some(300), Some(300)), "Unclear(AnyOther)");
        assert_eq!(answer(&open, "genesis", at(450, 450), None, None), "v3 from 200", "it may be for later");
    }

    #[test]
    fn what_speaks_for_the_current_release_leaves_it_there() {
        let all = home(&[known("by-hand", None)]);
        assert_eq!(answer(&all, "by-hand", at(450, 450), None, None), "Unclear(Unnumbered)");
        assert_eq!(answer(&all, "nowhere", at(450, 450), None, None), "Unclear(Unnumbered)");
        // It went back from v2 and was seen beyond its height since.
        let patched = [known("genesis", 0), known("v2", 100)];
        assert_eq!(answer(&patched, "genesis", at(150, 150), Some(140), Some(140)), "Unclear(WasThere)");
        assert_eq!(answer(&patched, "genesis", at(150, 150), Some(99), Some(99)), "v2 from 100");
        // What was signed elsewhere tells nothing of what ran here.
        assert_eq!(answer(&patched, "genesis", at(150, 150), None, Some(140)), "v2 from 100");
        let two = home(&[known("v2-typo", 100)]);
        assert_eq!(answer(&two, "genesis", at(150, 150), None, None), "Unclear(Several)");
        assert_eq!(answer(&two, "v2-typo", at(150, 150), None, None), "Current");
        assert_eq!(answer(&[known("v2", 100)], "v2", at(50, 50), Some(300), Some(300)), "Unclear(AnyOther)");
    }

    /// Every combination of evidence.
    fn every(mut look: impl FnMut(&FitEvidence<'_>, Fit<'_>)) {
        let heights = [0, 98, 99, 100, 150, 199, 200, 450, u64::MAX];
        let homes = [home(&[]), home(&[known("v4", None)]), home(&[known("other", 100)]), vec![known("v2", 100)]];
        for releases in &homes {
            for current in ["genesis", "v2", "v3", "v4", "other"].map(name) {
                for at_least in heights {
                    for at_most in [None, Some(at_least), Some(at_least.saturating_add(1))] {
                        for seen in std::iter::once(None).chain(heights.map(Some)) {
                            for remembered in [seen, Some(u64::MAX)] {
                                let (data, seen) = (at(at_least, at_most), seen.map(Height));
                                let remembered = remembered.map(Height);
                                let evidence = FitEvidence { current: &current, releases, data, seen, remembered };
                                look(&evidence, fit(&evidence));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The height from which on a release is right.
    fn from(evidence: &FitEvidence<'_>, release: &ReleaseName) -> Option<Height> {
        evidence.releases.iter().find(|known| known.release == *release)?.from
    }

    #[test]
    fn another_release_is_named_only_where_the_current_one_cannot_be_right() {
        let mut seen = std::collections::BTreeSet::new();
        every(|evidence, answer| {
            seen.insert(match answer {
                Fit::Other { .. } => "Other".to_owned(),
                other => format!("{other:?}"),
            });
            let Fit::Other { release, from: right } = answer else { return };
            let HeightAtRest { at_least: Height(least), at_most } = evidence.data;
            let current = from(evidence, evidence.current).expect("a height that is known");
            assert!(release != evidence.current && from(evidence, release) == Some(right) && right <= Height(least));
            // No other release began between the one that is named and the last block.
            let between = |known: &&KnownRelease| known.from > Some(right) && known.from <= Some(Height(least));
            assert_eq!(evidence.releases.iter().find(between), None, "{evidence:?}");
            if right > current {
                assert!(evidence.seen < Some(right), "{evidence:?}");
            } else {
                let last = Height(at_most.expect("a bound").0.saturating_add(1));
                assert!(last < current && evidence.remembered > at_most, "{evidence:?}");
                assert!(evidence.releases.iter().all(|known| known.from.is_some()), "{evidence:?}");
            }
        });
        let doubts = [Doubt::Unnumbered, Doubt::Several, Doubt::WasThere, Doubt::NotOlder, Doubt::AnyOther];
        let expected = doubts.map(|doubt| format!("{:?}", Fit::Unclear(doubt)));
        let expected = expected.into_iter().chain(["Current".to_owned(), "Other".to_owned()]).collect();
        assert_eq!(seen, expected, "some answer was never given");
    }

    #[test]
    fn a_release_that_is_wrong_for_sure_is_not_taken_for_right() {
        every(|evidence, answer| {
            let current = from(evidence, evidence.current);
            let later = |known: &KnownRelease| known.from > current && known.from <= Some(evidence.data.at_least);
            let is_passed = current.is_some() && evidence.releases.iter().any(later);
            let is_ahead = evidence.data.at_most.is_some_and(|most| current > Some(Height(most.0.saturating_add(1))));
            if is_passed || is_ahead {
                assert_ne!(answer, Fit::Current, "{evidence:?}");
            }
        });
    }
}
