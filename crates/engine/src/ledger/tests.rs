//! The transition table of an upgrade, held against every phase and every record.

use super::*;
use ov_types::{Lasting, Origin, ReleaseName, Trigger};

const PLAN: PlanId = PlanId(1);
const HEIR: PlanId = PlanId(2);
const OUTCOMES: [Outcome; 4] = [Outcome::Committed, Outcome::RolledBack, Outcome::Withdrawn, Outcome::Superseded];
const POLICIES: [FailurePolicy; 2] = [FailurePolicy::Rollback, FailurePolicy::Hold];

fn problem() -> Problem {
    Problem { lasting: Lasting::Permanent, ..Problem::transient("OV-TEST-001", "do it") }
}

fn entry(id: PlanId, on_failure: FailurePolicy, phase: Phase) -> Entry {
    let plan = Plan {
        id,
        release: ReleaseName::new(format!("v{id}")).unwrap(),
        trigger: Trigger::Now,
        on_failure,
        origin: Origin::Person,
        source: None,
        info: None,
        sha256: None,
        keep: true,
        supersedes: None,
    };
    let (facts, added) = (StepFacts::default(), Moment::default());
    let because = matches!(phase, Phase::NeedsOperator { .. }).then(problem);
    let named = BTreeMap::from([(plan.origin.clone(), plan.trigger)]);
    let triggered = Some(added).filter(|_| waits_for_stop(&phase));
    let steps = Step::ALL.to_vec();
    Entry { plan, named, near_ms: None, steps, phase, facts, because, added, triggered, ended: None }
}

fn every_phase() -> Vec<Phase> {
    let mut all = vec![Phase::Prepared, Phase::Armed, Phase::Finished];
    for step in Step::ALL {
        for attempt in [0, 1, 3] {
            for problem in [None, Some(problem()).filter(|_| attempt > 0)] {
                all.push(Phase::Forward { step, attempt, problem });
            }
            for toward in [Outcome::RolledBack, Outcome::Withdrawn] {
                all.push(Phase::Backward { step, attempt, toward });
            }
        }
    }
    all.extend([Outcome::RolledBack, Outcome::Withdrawn].map(|toward| Phase::Undone { toward }));
    let waiting: Vec<Phase> = all.iter().map(|then| Phase::NeedsOperator { then: Box::new(then.clone()) }).collect();
    all.extend(waiting);
    all.extend(OUTCOMES.map(|outcome| Phase::Ended { outcome }));
    all
}

/// Whether a person's plan may take the place of an upgrade, said in another way than the code does.
fn is_stuck(policy: FailurePolicy, phase: &Phase) -> bool {
    let last_with_a_way_back = if policy == FailurePolicy::Hold { Step::Migrate } else { Step::Prove };
    match phase {
        Phase::Forward { step, problem, .. } => problem.is_some() && *step > last_with_a_way_back,
        Phase::NeedsOperator { then } => match &**then {
            Phase::Forward { step, .. } | Phase::Backward { step, .. } => *step > Step::Examine,
            then => *then == Phase::Finished,
        },
        _ => false,
    }
}

fn ledger_with(entries: impl IntoIterator<Item = Entry>) -> Ledger {
    let entries: BTreeMap<PlanId, Entry> = entries.into_iter().map(|entry| (entry.plan.id, entry)).collect();
    Ledger { entries, plans_counted: 9, ..Ledger::default() }
}

#[test]
fn an_end_is_legal_where_the_table_says() {
    let at = Moment::default();
    for policy in POLICIES {
        for phase in every_phase() {
            for outcome in OUTCOMES {
                let legal = match (outcome, &phase) {
                    (Outcome::Committed, Phase::Finished) => true,
                    (Outcome::Superseded, phase) => is_stuck(policy, phase),
                    (outcome, Phase::Undone { toward }) => outcome == *toward,
                    _ => false,
                };
                let mut ledger = ledger_with([entry(PLAN, policy, phase.clone())]);
                let before = ledger.clone();
                let applied = ledger.apply(&Record::Ended { at, plan: PLAN, outcome, by: None });
                assert_eq!(applied.is_ok(), legal, "{outcome:?} after {phase:?} under {policy:?}");
                if legal {
                    assert_eq!(ledger.entry(PLAN).unwrap().phase, Phase::Ended { outcome });
                } else {
                    assert_eq!(ledger, before, "an illegal record changed something");
                }
            }
        }
    }
}

#[test]
fn only_an_armed_plan_takes_the_place_of_another_and_goes_on_holding_what_that_held() {
    let at = Moment::default();
    for policy in POLICIES {
        for stuck in every_phase().into_iter().filter(|phase| is_stuck(policy, phase)) {
            for heir in every_phase() {
                let mut ledger = ledger_with([entry(PLAN, policy, stuck.clone()), entry(HEIR, policy, heir.clone())]);
                let (before, held) = (ledger.clone(), ledger.entry(PLAN).unwrap().holds_units());
                let record = Record::Ended { at, plan: PLAN, outcome: Outcome::Superseded, by: Some(HEIR) };
                let applied = ledger.apply(&record);
                assert_eq!(applied.is_ok(), heir == Phase::Armed, "{heir:?} in the place of {stuck:?}");
                if applied.is_err() {
                    assert_eq!(ledger, before);
                    continue;
                }
                let [old, new] = [PLAN, HEIR].map(|id| ledger.entry(id).unwrap().clone());
                assert_eq!(old.phase, Phase::Ended { outcome: Outcome::Superseded });
                assert_eq!((new.facts.superseded, new.holds_units()), (Some(PLAN), held), "{stuck:?}");
                assert_eq!((new.policy(), new.is_in_window()), (FailurePolicy::Hold, true));
                let folded = Ledger::fold(&ledger.restate()).expect("a restated ledger is legal");
                assert_eq!(folded.entries, ledger.entries, "{stuck:?}");
            }
        }
    }
    let oneself = Record::Ended { at, plan: PLAN, outcome: Outcome::Superseded, by: Some(PLAN) };
    let stuck = Phase::NeedsOperator { then: Box::new(Phase::Finished) };
    assert!(ledger_with([entry(PLAN, FailurePolicy::Hold, stuck)]).apply(&oneself).is_err());
}

#[test]
fn what_took_the_place_of_another_never_turns_round() {
    let at = Moment::default();
    for policy in POLICIES {
        for phase in every_phase() {
            for toward in OUTCOMES {
                let mut heir = entry(PLAN, policy, phase.clone());
                heir.facts.superseded = Some(PlanId(7));
                let begun = match &phase {
                    Phase::Forward { step, attempt, .. } => {
                        *step > Step::Recheck || (*step == Step::Recheck && *attempt > 0)
                    }
                    _ => false,
                };
                let record = Record::TurnedBack { at, plan: PLAN, toward, because: problem() };
                let applied = ledger_with([heir]).apply(&record);
                assert!(applied.is_err() || !(begun || phase == Phase::Armed), "{phase:?} toward {toward:?}");
                let illegal = matches!(toward, Outcome::Committed | Outcome::Superseded);
                assert!(applied.is_err() || !illegal, "{phase:?} toward {toward:?}");
            }
        }
    }
}
