//! What services say, and what follows from it.

use ov_chains::HeightAtRest;
use ov_chains::plans::PlanWriters;
use ov_chains::shape::JsonRpcCall;
use ov_engine::Wish;
use ov_sys::RealDisk;
use ov_types::ReleaseName;
use proptest::prelude::*;

use super::*;

const NAMES: PlanNames = PlanNames::Escaped { lowered: true };

fn rules() -> PlanRules {
    PlanRules { names: NAMES, writers: PlanWriters::Node, skipped: vec![700], every_ms: None }
}

fn plan(name: &str, height: u64) -> Candidate {
    Candidate { release: NAMES.release(name).unwrap(), height: Height(height), info: None }
}

fn origin(name: &str) -> Origin {
    Origin::Service { address: "a:1".to_owned(), name: name.to_owned() }
}

fn named(name: &str, height: u64) -> Named {
    Named { origin: origin(name), release: ReleaseName::new(name).unwrap(), height: Some(Height(height)) }
}

/// What is told to the engine, in words, and whether people are told something.
fn hear(plan: Result<Option<Candidate>, String>, at: Option<u64>, known: &Known) -> (Vec<String>, bool) {
    heard_of(&Answered { plan: plan.into(), of: Of::Chain(at.map(Height)) }, known)
}

fn heard_of(answered: &Answered, known: &Known) -> (Vec<String>, bool) {
    let folder = tempfile::tempdir().unwrap();
    let text = b"[unit.main]\nprogram = \"current/bin/node\"\n";
    let shape = ov_chains::read(&RealDisk, text, folder.path(), &folder.path().join("omnivisor.toml")).unwrap();
    let heard = understand(&RealDisk, &shape, ("a:1", FailurePolicy::Hold, &rules()), answered, known);
    let word = |input: &Input| match input {
        Input::PlanSeen(Wish { release, trigger: Trigger::Halt { height }, .. }) => {
            format!("{release} halted at {height}")
        }
        Input::PlanSeen(wish) => format!("{} {}", wish.release, wish.trigger),
        Input::PlanGone(Origin::Service { name, .. }) => format!("{name} gone"),
        other => panic!("{other:?}"),
    };
    (heard.inputs.iter().map(word).collect(), heard.remark.is_some())
}

fn runs(height: Option<u64>, named: Vec<Named>) -> Known {
    let current = Some(ReleaseName::new("v1").unwrap());
    Known { current, height: height.map(Height), main: MainSeen::Runs, named, ..Known::default() }
}

#[test]
fn a_plan_is_told_and_what_it_replaces_is_gone_first() {
    let (seen, nothing) = (vec!["v2 when the node halts at height 100".to_owned()], Vec::<String>::new());
    for height in [None, Some(5), Some(99), Some(100)] {
        assert_eq!(
            hear(Ok(Some(plan("V2", 100))), Some(5), &runs(height, vec![])),
            (seen.clone(), false),
            "{height:?}"
        );
    }
    assert_eq!(hear(Ok(Some(plan("v2", 100))), Some(5), &runs(None, vec![named("v2", 90)])), (seen.clone(), false));
    let both = vec!["v3 gone".to_owned(), seen[0].clone()];
    assert_eq!(hear(Ok(Some(plan("v2", 100))), Some(5), &runs(None, vec![named("v3", 50)])), (both, false));
    // Another service's plan is none of this one's business.
    let other =
        Named { origin: Origin::Service { address: "b:1".to_owned(), name: "v3".to_owned() }, ..named("v3", 50) };
    assert_eq!(hear(Ok(None), Some(5), &runs(None, vec![other])), (nothing, false));
}

#[test]
fn a_plan_is_withdrawn_only_by_who_could_still_know_of_it() {
    for (at, own, is_gone) in [
        (Some(99), None, true),
        (Some(100), None, false),
        (Some(500), Some(50), false),
        (Some(500), Some(100), false),
        (None, Some(99), true),
        (None, Some(100), false),
        (None, None, false),
        // The node went on beyond it, so that it does not halt there any more.
        (Some(500), Some(101), true),
    ] {
        let expected = if is_gone { vec!["v2 gone".to_owned()] } else { vec![] };
        assert_eq!(hear(Ok(None), at, &runs(own, vec![named("v2", 100)])), (expected, false), "{at:?} {own:?}");
    }
    // What was last seen of a node that does not run says nothing of now.
    let stopped = Known { main: MainSeen::Stopped, ..runs(Some(500), vec![named("v2", 100)]) };
    assert_eq!(hear(Ok(None), None, &stopped).0, Vec::<String>::new());
    let done = Known { current: Some(ReleaseName::new("V2").unwrap()), ..stopped };
    assert_eq!(hear(Ok(None), Some(500), &done).0, ["v2 gone"]);
}

#[test]
fn a_node_that_speaks_of_itself_tells_that_it_halted_and_what_it_does_not_know_is_not_planned() {
    let of = |plan: Told, halted: bool, named: Vec<Named>| {
        heard_of(&Answered { plan, of: Of::Node { halted } }, &runs(None, named))
    };
    let (ahead, halts, gone) = ("v2 when the node halts at height 100", "v2 halted at 100", "v2 gone");
    let told = |height| Told::Plan(plan("v2", height));
    let v2 = || vec![named("v2", 100)];
    for (plan, halted, known, expected, is_remarked) in [
        (told(100), false, vec![], vec![ahead], false),
        (told(100), true, vec![], vec![halts], false),
        (told(100), true, v2(), vec![halts], false),
        (told(100), true, vec![named("v3", 90)], vec!["v3 gone", halts], false),
        // Height 700 is skipped, but the node halted all the same.
        (told(700), false, vec![], vec![gone], true),
        (told(700), true, vec![], vec!["v2 halted at 700"], false),
        (Told::None, false, v2(), vec![gone], false),
        // Just started, it knows nothing yet.
        (Told::Nothing, false, v2(), vec![], false),
        (Told::Nothing, true, v2(), vec![halts], false),
        (Told::None, true, v2(), vec![halts], false),
        (Told::Nothing, true, vec![], vec![], true),
        (Told::Plan(plan("v1", 100)), true, vec![], vec!["v1 gone"], true),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(of(plan.clone(), halted, known), (expected, is_remarked), "{plan:?} {halted}");
    }
}

#[test]
fn a_node_that_ended_behind_the_height_of_its_own_plan_has_halted_for_it() {
    let call = JsonRpcCall { socket: "a:1".into(), path: "/rpc".to_owned(), method: "a.B".to_owned() };
    let question = PlanQuestion::JsonRpc {
        call,
        plan: "/plan".to_owned(),
        parts: parts(["/name", "/height", "/info"]),
        halted: "/halted".to_owned(),
    };
    let scout = Scout::Asked {
        question,
        every_ms: 1,
        planned_every_ms: 1,
        timeout_ms: 1,
        on_failure: FailurePolicy::Hold,
        rules: rules(),
    };
    let at_rest = |height: u64| Some(HeightAtRest { at_least: Height(height), at_most: None });
    let ended = MainSeen::EndedItself { at_ms: 0, failed: true };
    for (main, seen, rest, has_halted) in [
        (MainSeen::Runs, Some(100), None, false),
        (ended, Some(99), None, false),
        (ended, Some(100), None, true),
        (ended, None, None, false),
        (MainSeen::NotYet, None, at_rest(100), true),
        (MainSeen::Stopped, None, at_rest(101), true),
        // The data says more than what was seen.
        (MainSeen::NotYet, Some(101), at_rest(99), false),
    ] {
        let known = Known { main, at_rest: rest, ..runs(seen, vec![named("v3", 200), named("v2", 100)]) };
        let heard = halted_before_it_said_so(&scout, &known);
        let is_it = |input: &Input| {
            matches!(input, Input::PlanSeen(Wish { trigger: Trigger::Halt { height: Height(100) }, .. }))
        };
        assert_eq!(heard.as_ref().is_some_and(is_it), has_halted, "{main:?} {seen:?} {rest:?}");
        assert_eq!(heard.is_some(), has_halted);
    }
}

#[test]
fn an_answer_by_json_rpc_is_read_at_its_places() {
    let parts = parts(["/Tag", "/Height", "/Info"]);
    let read = |text: &str| {
        read_result(&serde_json::from_str(text).unwrap(), ("/Accepted", &parts, "/Ready"), PlanNames::AsTheyAre)
    };
    let node = |plan, halted| Ok(Answered { plan, of: Of::Node { halted } });
    let v2 = Told::Plan(plan("v2", 90));
    assert_eq!(read(r#"{"Accepted":{"Tag":"v2","Height":90},"Ready":true}"#), node(v2.clone(), true));
    assert_eq!(read(r#"{"accepted":{"tag":"v2","height":90},"ready":false}"#), node(v2, false));
    assert_eq!(read(r#"{"Accepted":null,"Ready":false}"#), node(Told::Nothing, false));
    assert_eq!(read(r#"{"Accepted":{"Tag":"","Height":0},"Ready":false}"#), node(Told::None, false));
    assert!(matches!(
        read(r#"{"Accepted":{"Tag":"../v2","Height":90},"Ready":true}"#),
        Ok(Answered { plan: Told::Unusable(_), .. })
    ));
    for nonsense in ["{}", "[]", r#"{"Accepted":null,"Ready":"yes"}"#] {
        assert!(read(nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn what_is_not_wanted_or_over_is_no_plan_and_what_is_none_changes_nothing() {
    assert_eq!(hear(Ok(Some(plan("v2", 700))), None, &runs(None, vec![])), (vec!["v2 gone".to_owned()], true));
    assert_eq!(hear(Ok(Some(plan("v1", 100))), None, &runs(None, vec![])), (vec!["v1 gone".to_owned()], false));
    let armed = runs(Some(5), vec![named("v2", 100)]);
    assert_eq!(hear(Err("it is odd".to_owned()), Some(5), &armed), (vec![], true));
}

fn parts<const N: usize>(places: [&str; N]) -> PlanParts<String> {
    PlanParts { name: places[0].to_owned(), height: places[1].to_owned(), info: places[2].to_owned() }
}

#[test]
fn json_is_read_at_its_places() {
    let parts = parts(["/name", "/height", "/info"]);
    let read = |text: &str| read_json(text.as_bytes(), "/plan", &parts, NAMES);
    assert_eq!(read(r#"{"plan":null}"#), Ok(Ok(None)));
    let found = read(r#"{"plan":{"name":"V2","time":"x","height":"90","info":"i","upgraded_client_state":null}}"#);
    assert_eq!(found, Ok(Ok(Some(Candidate { info: Some("i".to_owned()), ..plan("v2", 90) }))));
    for unusable in [
        r#"{"plan":{}}"#,
        r#"{"plan":7}"#,
        r#"{"plan":{"name":"..","height":1}}"#,
        r#"{"plan":{"name":"v2","height":"-1"}}"#,
    ] {
        assert!(matches!(read(unusable), Ok(Err(_))), "{unusable}");
    }
    for nonsense in ["", "{", "{}", "[]", "<html>", r#"{"code":12,"message":"no"}"#] {
        assert!(read(nonsense).is_err(), "{nonsense}");
    }
}

#[test]
fn messages_are_read_at_their_numbers() {
    let parts = PlanParts { name: vec![1], height: vec![3], info: vec![4] };
    let read = |bytes: &[u8]| read_message(bytes, &[1], &parts, NAMES);
    assert_eq!(read(b""), Ok(Ok(None)));
    assert_eq!(read(b"\x0a\x07\x0a\x02V2\x18\xac\x02"), Ok(Ok(Some(plan("v2", 300)))));
    for unusable in [&b"\x0a\x00"[..], b"\x0a\x04\x0a\x02V2", b"\x0a\x02\x18\x05", b"\x0a\x06\x0a\x02..\x18\x05"] {
        assert!(matches!(read(unusable), Ok(Err(_))), "{unusable:?}");
    }
    // A height below zero is a very large one on the wire.
    let negative = b"\x0a\x0f\x0a\x02V2\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert!(matches!(read(negative), Ok(Err(_))), "{:?}", read(negative));
    for nonsense in [&b"\x08\x01"[..], b"\x0a\x05", b"<html>", b"\x0a\x01\xff"] {
        assert!(read(nonsense).is_err(), "{nonsense:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_reading_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = read_json(&bytes, "/plan", &parts(["/name", "/height", "/info"]), NAMES);
        let places = PlanParts { name: vec![1], height: vec![3], info: vec![4, 1] };
        let _ = read_message(&bytes, &[1], &places, NAMES);
    }
}
