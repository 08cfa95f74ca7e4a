//! The matrix itself: each scenario with each point that it comes by; in pairs and everywhere on demand.

use std::collections::BTreeSet;

use super::case::{Case, run_all};
use super::scenario::{BAD, BY_HAND, FETCHED, FULL_JOURNAL, GOOD, WITHDRAWN};
use super::scenario::{SCENARIOS, Scenario};

/// The deaths that the suite has a scenario survive.
fn deaths_of(scenario: &Scenario) -> Vec<String> {
    let deaths =
        scenario.points.iter().flat_map(|(point, visits)| visits.iter().map(move |visit| format!("{point}#{visit}")));
    deaths.collect()
}

fn survives(scenario: &'static Scenario) {
    let cases: Vec<Case> =
        deaths_of(scenario).into_iter().map(|death| Case { scenario, deaths: vec![death] }).collect();
    let died = run_all(&cases);
    let alive: Vec<String> =
        cases.iter().zip(died).filter(|(_, died)| *died == 0).map(|(case, _)| case.to_string()).collect();
    assert!(alive.is_empty(), "nothing died in these cases: {alive:?}");
}

#[test]
fn a_good_upgrade_survives_every_death() {
    survives(&GOOD);
}

#[test]
fn a_rollback_survives_every_death() {
    survives(&BAD);
}

#[test]
fn a_withdrawal_survives_every_death() {
    survives(&WITHDRAWN);
}

#[test]
fn a_release_that_is_fetched_survives_every_death() {
    survives(&FETCHED);
}

#[test]
fn a_snapshot_and_a_restore_by_hand_survive_every_death() {
    survives(&BY_HAND);
}

#[test]
fn a_rotation_of_the_journal_survives_every_death() {
    survives(&FULL_JOURNAL);
}

#[test]
fn every_point_is_reached_by_a_scenario() {
    let known: BTreeSet<String> = ov_daemon::crash_points().into_iter().collect();
    let reached: BTreeSet<String> = SCENARIOS
        .iter()
        .flat_map(|scenario| scenario.points.iter())
        .filter(|(_, visits)| !visits.is_empty())
        .map(|(point, _)| (*point).to_owned())
        .collect();
    assert_eq!(known, reached);
}

/// What `cargo xtask crash` runs. It is told by the environment: `CRASH_CASE` is one case to replay; otherwise every
/// point is met at its first `CRASH_VISITS` visits, in all scenarios or in `CRASH_SCENARIO`, or, with `CRASH_PAIRS`,
/// that many pairs of deaths are drawn from all that there are.
#[test]
#[ignore = "takes long: `cargo xtask crash`"]
fn on_demand() {
    let told = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let number = |name: &str| told(name).map(|text| text.parse::<usize>().expect("a number"));
    if let Some(case) = told("CRASH_CASE") {
        let (name, deaths) = case.split_once(':').expect("a case is <scenario>:<point>[,<point>]");
        let scenario = SCENARIOS.into_iter().find(|scenario| scenario.name == name).expect("a scenario");
        let case = Case { scenario, deaths: deaths.split(',').map(str::to_owned).collect() };
        println!("{case}: {} deaths", case.run());
        return;
    }
    let chosen = SCENARIOS.into_iter().filter(|each| told("CRASH_SCENARIO").is_none_or(|name| name == each.name));
    let cases: Vec<Case> = match number("CRASH_PAIRS") {
        Some(count) => chosen.flat_map(|scenario| pairs(scenario, count.div_ceil(SCENARIOS.len()))).collect(),
        None => chosen.flat_map(|scenario| singles(scenario, number("CRASH_VISITS").unwrap_or(3))).collect(),
    };
    let died: usize = run_all(&cases).into_iter().sum();
    println!("{} cases, {died} deaths", cases.len());
}

/// Every point at its first visits, whether the scenario comes by or not.
fn singles(scenario: &'static Scenario, visits: usize) -> Vec<Case> {
    let points = ov_daemon::crash_points().into_iter();
    let deaths = points.flat_map(|point| (1..=visits).map(move |visit| format!("{point}#{visit}")));
    deaths.map(|death| Case { scenario, deaths: vec![death] }).collect()
}

/// Pairs of the deaths that the suite knows, spread evenly: the second one falls into the recovery from the first.
fn pairs(scenario: &'static Scenario, count: usize) -> Vec<Case> {
    let known = deaths_of(scenario);
    let all: Vec<(&String, &String)> =
        known.iter().flat_map(|one| known.iter().map(move |other| (one, other))).collect();
    let count = count.clamp(1, all.len());
    let chosen = (0..count).map(|number| all[number * all.len() / count]);
    chosen.map(|(one, other)| Case { scenario, deaths: vec![one.clone(), other.clone()] }).collect()
}
