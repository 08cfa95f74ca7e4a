//! The step matrix: each step failed, killed and cut off at each of its operations of the disk, repeated, undone, undone
//! twice, and undone without having been done. Whatever happened, a forward run ends where an undisturbed one does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ov_daemon::fetch::Supply;
use ov_daemon::steps::{Standing, Workshop, carry_out};
use ov_engine::StepCall;
use ov_release::fetch::Cancel;
use ov_release::{CurrentRelease, State};
use ov_sim::{Home, Nature};
use ov_sys::disk::{Disk, Kind};
use ov_sys::sim_disk::Fault;
use ov_sys::{Random, SimClock, durable};
use ov_types::record::{Outcome, StepFacts};
use ov_types::{Direction, FailurePolicy, Moment, Origin, Plan, PlanId, Problem, ReleaseName, Step, Trigger};
use ov_vault::SignState;

const STEPS: [Step; 7] =
    [Step::Stage, Step::Examine, Step::Recheck, Step::Keep, Step::Switch, Step::Migrate, Step::Commit];
/// What the validator has signed.
const SIGNED: &[u8] = b"{\"height\":\"7\",\"round\":0,\"step\":3}";

fn plan(home: &Home) -> Plan {
    Plan {
        id: PlanId(1),
        release: ReleaseName::new("v2").unwrap(),
        trigger: Trigger::Now,
        on_failure: FailurePolicy::Rollback,
        origin: Origin::Person,
        source: Some(home.source(2).display().to_string()),
        info: None,
        sha256: None,
        keep: true,
        supersedes: None,
    }
}

/// A node at height 7 that ran v1.
fn home(seed: u64) -> Home {
    let clock = SimClock::new(Moment { monotonic_ms: 50_000, wall_ms: 1_700_000_000_000 });
    let mut home = Home::new(&mut Random::new(seed), clock.clone(), false).unwrap();
    home.natures[2] = Nature::Raising;
    let plant = |name: &str, bytes: &[u8]| home.disk.plant(&home.data(name), bytes, 0o600).unwrap();
    plant("sign_state.json", SIGNED);
    plant("format", b"1");
    plant("1.sst", b"blocks");
    plant("height", b"7");
    home.disk.plant(&home.source(2), &home.program(2).bytes(), 0o755).ok();
    ov_daemon::tidy_up::tidy_up(&home.disk, &clock, &home.shape).unwrap();
    home.confirm_machine();
    home
}

fn on(home: &Home, disk: ov_sys::SimDisk) -> Home {
    Home { disk, ..home.clone() }
}

fn run(home: &Home, step: Step, direction: Direction, facts: &StepFacts) -> Result<StepFacts, Problem> {
    let plan = plan(home);
    let shop = Workshop {
        disk: Arc::new(home.disk.clone()),
        clock: Arc::new(home.clock.clone()),
        shape: Arc::clone(&home.shape),
        source: Arc::clone(&home.shape) as _,
        standing: Standing::default(),
        kept: std::collections::BTreeSet::new(),
        halt_at: None,
        recorded_sign_state: Some(SignState { height: 7, round: 0, step: 3 }),
        stop_ms_max: 0,
        height: None,
        plans: vec![plan.clone()],
        supply: Supply::of(&home.shape.fetch),
        abandoned: Cancel::default(),
    };
    let toward = match direction {
        Direction::Forward => None,
        Direction::Backward if step.is_preparation() => Some(Outcome::Withdrawn),
        Direction::Backward => Some(Outcome::RolledBack),
    };
    carry_out(&shop, &StepCall { plan, step, direction, attempt: 1, facts: facts.clone(), toward })
}

/// What earlier steps left for this one: on the disk, and in the journal.
fn prepared(start: &Home, until: Step) -> (Home, StepFacts) {
    let home = on(start, start.disk.fork());
    let mut facts = StepFacts::default();
    for step in STEPS.into_iter().filter(|step| *step < until) {
        let found = run(&home, step, Direction::Forward, &facts).unwrap();
        facts.previous = found.previous.or(facts.previous);
        facts.staged_here = found.staged_here.or(facts.staged_here);
        facts.snapshot = found.snapshot.or(facts.snapshot);
        facts.format = found.format.or(facts.format);
    }
    (home, facts)
}

/// Everything a program would see, but what lies under names that start with a dot.
fn tree(home: &Home) -> BTreeMap<PathBuf, Vec<u8>> {
    let disk = home.aside().disk;
    let mut seen = BTreeMap::new();
    let mut folders = vec![PathBuf::from("/home/node")];
    while let Some(folder) = folders.pop() {
        for name in disk.list(&folder).unwrap() {
            let path = folder.join(&name);
            let facts = disk.facts(&path).unwrap().unwrap();
            // The snapshot's manifest tells times and inodes.
            if name.to_string_lossy().starts_with('.') || path.ends_with("manifest.json") {
                continue;
            }
            match facts.kind {
                Kind::Directory => {
                    seen.insert(path.clone(), Vec::new());
                    folders.push(path);
                }
                Kind::Link => drop(
                    seen.insert(path.clone(), disk.read_link(&path).unwrap().into_os_string().into_encoded_bytes()),
                ),
                _ => drop(seen.insert(path.clone(), disk.read(&path, 1 << 20).unwrap())),
            }
        }
    }
    seen
}

/// What holds whatever happened in the middle of whatever step.
#[track_caller]
fn check(home: &Home, what: &str) {
    let aside = home.aside();
    let CurrentRelease::Release(name) = aside.current().unwrap() else {
        panic!("{what}: `current` is {:?}", aside.current());
    };
    assert!(matches!(aside.state(&name).unwrap(), State::Complete(_)), "{what}: {name} is not complete");
    if aside.disk.facts(&aside.shape.layout.data).unwrap().is_some() {
        let signed = aside.sign_state().unwrap().state();
        assert!(signed.is_some_and(|signed| signed.height >= 7), "{what}: {signed:?} is lower than what was signed");
    }
}

const FAULTS: [(&str, Fault); 4] = [
    ("no space", Fault::NoSpace),
    ("an I/O error", Fault::InputOutput),
    ("a kill", Fault::Kill),
    ("a power cut", Fault::PowerCut),
];

/// The doctor reads much and changes nothing but one tiny clone: there, every so many operations are enough.
fn stride(step: Step) -> usize {
    if matches!(step, Step::Examine | Step::Recheck) { 13 } else { 1 }
}

/// Lets `act` meet every fault at every operation, brings the machine back as a restart would, and hands it on.
fn disturbed_everywhere(
    start: &Home,
    step: Step,
    act: impl Fn(&Home) -> Result<StepFacts, Problem>,
    then: impl Fn(&Home, &str),
) {
    let whole = on(start, start.disk.fork());
    act(&whole).unwrap();
    let (first, last) = (start.disk.operations() + 1, whole.disk.operations());
    for operation in (first..=last).step_by(stride(step)) {
        for (name, fault) in FAULTS {
            let home = on(start, start.disk.fork());
            home.disk.fail_at(operation, fault);
            let _ = act(&home);
            let what = format!("{name} at operation {operation} of {first}..={last}");
            match fault {
                Fault::Kill => home.disk.kill(),
                Fault::PowerCut => home.disk.crash(operation * 31),
                // A directory that cannot be synced makes the file system read-only: the machine is booted.
                _ if home.disk.room(Path::new("/")).unwrap().read_only => home.disk.crash(operation),
                _ => {}
            }
            check(&home, &what);
            if matches!(fault, Fault::Kill | Fault::PowerCut) {
                ov_daemon::tidy_up::tidy_up(&home.disk, &home.clock, &home.shape).unwrap();
            }
            then(&home, &what);
        }
    }
}

/// The data as the new release would leave it, where the step comes after the snapshot.
fn raise(home: &Home) {
    durable::replace(&home.disk, &home.data("format"), b"2", 0o600).unwrap();
    durable::replace(&home.disk, &home.data("height"), b"9", 0o600).unwrap();
}

fn each_step(test: impl Fn(&Home, Step, &StepFacts)) {
    let start = home(1);
    for step in STEPS {
        let (home, facts) = prepared(&start, step);
        test(&home, step, &facts);
    }
}

#[test]
fn a_step_that_met_anything_anywhere_is_done_by_repeating_it() {
    each_step(|home, step, facts| {
        let whole = on(home, home.disk.fork());
        run(&whole, step, Direction::Forward, facts).unwrap();
        let wanted = tree(&whole);
        let act = |home: &Home| run(home, step, Direction::Forward, facts);
        disturbed_everywhere(home, step, act, |home, what| {
            act(home).unwrap_or_else(|problem| panic!("{step} after {what}: {problem}"));
            assert_eq!(tree(home), wanted, "{step} after {what}");
            act(home).unwrap_or_else(|problem| panic!("{step} again after {what}: {problem}"));
            assert_eq!(tree(home), wanted, "{step} twice after {what}");
            check(home, what);
        });
    });
}

#[test]
fn a_step_that_met_anything_anywhere_can_be_undone_and_done_again() {
    each_step(|home, step, facts| {
        let whole = on(home, home.disk.fork());
        run(&whole, step, Direction::Forward, facts).unwrap();
        let (before, wanted) = (tree(home), tree(&whole));
        let act = |home: &Home| run(home, step, Direction::Forward, facts);
        let undo = |home: &Home| run(home, step, Direction::Backward, facts);
        disturbed_everywhere(home, step, act, |home, what| {
            for time in ["once", "twice"] {
                undo(home).unwrap_or_else(|problem| panic!("undo {step} {time} after {what}: {problem}"));
                if leaves_nothing(step) {
                    assert_eq!(tree(home), before, "undo {step} {time} after {what}");
                }
                check(home, what);
            }
            act(home).unwrap_or_else(|problem| panic!("{step} after its undo after {what}: {problem}"));
            assert_eq!(tree(home), wanted, "{step} after its undo after {what}");
        });
    });
}

/// Snapshots stay for an operator, and what was tidied away is gone.
fn leaves_nothing(step: Step) -> bool {
    !matches!(step, Step::Keep | Step::Commit)
}

#[test]
fn a_step_that_was_never_done_can_be_undone() {
    each_step(|home, step, facts| {
        let before = tree(home);
        run(home, step, Direction::Backward, facts).unwrap();
        assert_eq!(tree(home), before, "undo {step}");
        check(home, "an undo");
    });
}

#[test]
fn an_undo_that_met_anything_anywhere_is_done_by_repeating_it() {
    each_step(|home, step, facts| {
        let forward = run(home, step, Direction::Forward, facts).unwrap();
        let facts = StepFacts { staged_here: forward.staged_here, ..facts.clone() };
        if step > Step::Keep {
            raise(home);
        }
        let undo = |home: &Home| run(home, step, Direction::Backward, &facts);
        let whole = on(home, home.disk.fork());
        undo(&whole).unwrap();
        let wanted = tree(&whole);
        if step == Step::Switch {
            assert_eq!(whole.disk.read(&whole.data("format"), 10).unwrap(), b"1", "the data was not put back");
        }
        disturbed_everywhere(home, step, undo, |home, what| {
            for time in ["once", "twice"] {
                undo(home).unwrap_or_else(|problem| panic!("undo {step} {time} after {what}: {problem}"));
                assert_eq!(tree(home), wanted, "undo {step} {time} after {what}");
            }
            check(home, what);
        });
    });
}
