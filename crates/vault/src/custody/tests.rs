//! Every way in which a machine can be another one, or its clocks go on otherwise than they did.

use proptest::prelude::*;

use super::*;

const HOUR_MS: i64 = 3_600_000;

fn machine(machine: &str, board: &str, boot: &str) -> Machine {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Machine { machine: some(machine), board: some(board), boot: some(boot) }
}

fn at(monotonic_ms: i64, wall_ms: i64) -> Moment {
    Moment { monotonic_ms: u64::try_from(monotonic_ms).unwrap(), wall_ms }
}

#[test]
fn a_key_is_used_on_where_nothing_is_in_doubt() {
    use CustodyProblem as P;
    let set_back = |by_ms| Err(P::SetBack { by_ms, before_ms: 0 });
    let cases = [
        // machine before, machine now, hours lived and told since, verdict
        (("a", "b", "1"), ("a", "b", "1"), (1, 1), Ok(())),
        (("a", "b", "1"), ("a", "b", "2"), (-9, 1), Ok(())),
        (("a", "b", "1"), ("a", "b", "2"), (5, 1), Ok(())),
        (("a", "", "1"), ("a", "b", "2"), (1, 1), Ok(())),
        (("a", "b", "1"), ("a", "", "2"), (1, 1), Ok(())),
        (("", "", "1"), ("", "", "2"), (1, 1), Ok(())),
        (("a", "b", ""), ("a", "b", ""), (-9, 1), Ok(())),
        (("a", "b", "1"), ("c", "b", "1"), (1, 1), Err(P::Machine)),
        (("a", "b", "1"), ("", "b", "1"), (1, 1), Err(P::Machine)),
        (("", "b", "1"), ("a", "b", "1"), (1, 1), Err(P::Machine)),
        (("a", "b", "1"), ("a", "d", "2"), (1, 1), Err(P::Machine)),
        (("a", "b", "1"), ("a", "b", "1"), (1, 3), Err(P::SetForward { by_ms: 7_200_000 })),
        (("a", "b", "1"), ("a", "b", "1"), (1, -1), set_back(7_200_000)),
        (("a", "b", "1"), ("a", "b", "2"), (1, -1), set_back(3_600_000)),
        (("a", "b", "1"), ("a", "b", "1"), (-1, 1), Err(P::Younger)),
    ];
    for (before, here, (lived, told), verdict) in cases {
        let of = |(a, b, c)| machine(a, b, c);
        let custody = Custody::of(&of(before), at(10 * HOUR_MS, 0));
        let now = at((10 + lived) * HOUR_MS, told * HOUR_MS);
        assert_eq!(custody.check(&of(here), now), verdict, "{before:?} {here:?} {lived} {told}");
    }
}

#[test]
fn whoever_signs_elsewhere_may_still_do() {
    let here = machine("a", "b", "1");
    let custody = Custody::of_somebody_elsewhere(&here, at(0, 0));
    assert_eq!(custody.check(&here, at(0, 0)), Err(CustodyProblem::Elsewhere));
}

#[test]
fn clocks_that_are_kept_in_time_are_no_doubt() {
    let here = machine("a", "b", "1");
    let custody = Custody::of(&here, at(0, 0));
    for (wall_ms, good) in [(29_000, true), (31_000, false), (-29_000, true), (-31_000, false)] {
        assert_eq!(custody.check(&here, at(HOUR_MS, HOUR_MS + wall_ms)).is_ok(), good, "{wall_ms}");
    }
}

#[test]
fn a_note_that_was_made_a_moment_later_is_no_doubt() {
    let here = machine("a", "b", "1");
    let custody = Custody::of(&here, at(HOUR_MS, HOUR_MS));
    assert_eq!(custody.check(&here, at(HOUR_MS - 5_000, HOUR_MS - 5_000)), Ok(()));
    assert_eq!(custody.check(&here, at(HOUR_MS - 40_000, HOUR_MS - 40_000)), Err(CustodyProblem::Younger));
}

#[test]
fn what_is_written_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("custody.json");
    assert_eq!(read(&ov_sys::RealDisk, &path).unwrap(), None);
    let custody = Custody::of(&Machine::this(), at(5, 7));
    write(&ov_sys::RealDisk, &path, &custody).unwrap();
    assert_eq!(read(&ov_sys::RealDisk, &path).unwrap(), Some(custody));
    let text = std::fs::read_to_string(&path).unwrap();
    for id in [ov_sys::host::machine_id(), ov_sys::host::boot_id().ok()].into_iter().flatten() {
        assert!(!text.contains(&id), "what only this machine should know is in {text}");
    }
}

/// The files of earlier versions are read for ever.
#[test]
fn the_first_format_is_read_and_another_is_refused() {
    let written = include_bytes!("../../tests/fixtures/1.0.custody.json");
    let custody = parse(written).unwrap();
    assert_eq!((custody.machine, custody.at), (machine("aa", "", "cc"), at(17, 1_795_176_000_000)));
    assert!(parse(br#"{"format":{"major":1,"minor":9},"monotonic_ms":1,"wall_ms":2,"more":3}"#).is_ok());
    for other in [&br#"{"format":{"major":2,"minor":0},"monotonic_ms":1,"wall_ms":2}"#[..], b"{}", b"", b"[]"] {
        assert!(parse(other).is_err(), "{}", String::from_utf8_lossy(other));
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn no_time_makes_it_panic(mono: [u64; 2], wall: [i64; 2], same: bool) {
        let custody = Custody::of(&machine("a", "", "1"), Moment { monotonic_ms: mono[0], wall_ms: wall[0] });
        let here = machine("a", "", if same { "1" } else { "2" });
        let _ = custody.check(&here, Moment { monotonic_ms: mono[1], wall_ms: wall[1] }).map_err(|e| e.to_string());
    }
}
