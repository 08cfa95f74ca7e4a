//! What is read as a sign state, and every case of the rules that compare two.

use proptest::prelude::*;

use super::*;

fn at(height: u64, round: u64, step: u64) -> SignState {
    SignState { height, round, step }
}

fn on_disk(state: SignState) -> OnDisk {
    OnDisk::State(state, format!("{state:?}").into_bytes())
}

fn garbage() -> OnDisk {
    OnDisk::Unreadable("garbage".to_owned())
}

#[test]
fn reads_what_comet_writes_and_what_others_write() {
    let comet = br#"{"height":"123","round":0,"step":3,"signature":"c2ln","signbytes":"00FF"}"#;
    assert_eq!(parse(comet).unwrap(), at(123, 0, 3));
    assert_eq!(parse(br#"{"height":5,"round":"1","step":2,"new":{}}"#).unwrap(), at(5, 1, 2));
    assert_eq!(parse(br#"{"height":"0","round":0,"step":0}"#).unwrap(), at(0, 0, 0));
}

#[test]
fn refuses_what_is_not_certain() {
    let with_height = |height: &str| format!("{{\"height\":{height},\"round\":0,\"step\":0}}");
    assert!(parse(with_height("1").as_bytes()).is_ok());
    let heights = ["\"\"", "-1", "1.5", "\"1", "null", "[1]", "18446744073709551616"].map(with_height);
    let others = ["", "{}", "null", "{\"height\":1}", "{\"height\":1,\"round\":0}"].map(str::to_owned);
    for text in heights.into_iter().chain(others) {
        assert!(parse(text.as_bytes()).is_err(), "{text:?}");
    }
}

#[test]
fn the_order_is_height_then_round_then_step() {
    let rising = [at(0, 0, 0), at(1, 0, 1), at(1, 0, 3), at(1, 1, 0), at(2, 0, 0)];
    assert!(rising.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_start_is_allowed_only_when_nothing_is_in_doubt() {
    use SignStateProblem as P;
    let (low, high) = (at(5, 0, 3), at(6, 0, 1));
    let cases = [
        // recorded, on disk, key present, verdict
        (None, OnDisk::Missing, false, Ok(())),
        (None, OnDisk::Missing, true, Err(P::Missing)),
        (None, on_disk(low), true, Ok(())),
        (None, on_disk(low), false, Err(P::KeyMissing)),
        (None, garbage(), true, Err(P::Unreadable("garbage".to_owned()))),
        (None, garbage(), false, Err(P::Unreadable("garbage".to_owned()))),
        (Some(low), OnDisk::Missing, false, Err(P::KeyMissing)),
        (Some(low), OnDisk::Missing, true, Err(P::Missing)),
        (Some(low), on_disk(low), true, Ok(())),
        (Some(low), on_disk(high), true, Ok(())),
        (Some(high), on_disk(low), true, Err(P::Lower { found: low, recorded: high })),
        (Some(high), on_disk(low), false, Err(P::KeyMissing)),
    ];
    for (recorded, found, key_present, verdict) in cases {
        assert_eq!(check_monotone(recorded, &found, key_present), verdict, "{recorded:?} {found:?} {key_present}");
    }
}

#[test]
fn a_replacement_ends_with_the_higher_state_or_not_at_all() {
    use SignStateProblem as P;
    let (low, high) = (at(5, 0, 3), at(6, 0, 1));
    let unreadable = || Err(P::Unreadable("garbage".to_owned()));
    let cases = [
        // recorded, live, stored, result
        (None, on_disk(high), on_disk(low), Ok(Some(high))),
        (None, on_disk(low), on_disk(high), Ok(Some(high))),
        (None, OnDisk::Missing, on_disk(low), Ok(Some(low))),
        (None, on_disk(low), OnDisk::Missing, Ok(Some(low))),
        (None, OnDisk::Missing, OnDisk::Missing, Ok(None)),
        (None, on_disk(low), garbage(), Ok(Some(low))),
        (None, garbage(), on_disk(high), unreadable()),
        (None, garbage(), OnDisk::Missing, unreadable()),
        (None, OnDisk::Missing, garbage(), unreadable()),
        (Some(high), OnDisk::Missing, on_disk(low), Err(P::Lower { found: low, recorded: high })),
        (Some(high), on_disk(low), on_disk(low), Err(P::Lower { found: low, recorded: high })),
        (Some(high), OnDisk::Missing, OnDisk::Missing, Err(P::Missing)),
        (Some(low), OnDisk::Missing, on_disk(high), Ok(Some(high))),
    ];
    for (recorded, live, stored, expected) in cases {
        let result = after_replacement(recorded, live.clone(), stored.clone());
        assert_eq!(result.map(|result| result.state()), expected, "{recorded:?} {live:?} {stored:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn the_result_is_never_below_any_known_state(
        recorded in proptest::option::of(0..4u64),
        live in proptest::option::of(0..4u64),
        stored in proptest::option::of(0..4u64),
    ) {
        let found = |height: Option<u64>| height.map_or(OnDisk::Missing, |height| on_disk(at(height, 0, 0)));
        let recorded = recorded.map(|height| at(height, 0, 0));
        if let Ok(result) = after_replacement(recorded, found(live), found(stored)) {
            let known = [recorded, found(live).state(), found(stored).state()];
            prop_assert!(known.iter().all(|known| *known <= result.state()));
        }
    }
}
