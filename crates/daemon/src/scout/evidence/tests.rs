//! Files that people may write too, in homes as they are found.

use std::fs;

use ov_chains::plans::PlanNames;
use ov_chains::shape::{HeightFiles, Scout};
use ov_engine::Input;
use ov_sys::RealDisk;
use ov_types::{FailurePolicy, Origin};

use super::*;
use crate::scout::{Named, ask};

struct Home {
    folder: tempfile::TempDir,
    shape: NodeShape,
}

const TEXT: &str = r#"{"name":"V2","height":100}"#;

impl Home {
    fn new(writers: PlanWriters) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = b"[unit.main]\nprogram = \"current/bin/node\"\n";
        let mut shape =
            ov_chains::read(&ov_sys::RealDisk, text, folder.path(), &folder.path().join("omnivisor.toml")).unwrap();
        shape.applied_copy = Some("plan.json".to_owned());
        let rules =
            PlanRules { names: PlanNames::Escaped { lowered: true }, writers, skipped: vec![700], every_ms: None };
        let path = folder.path().join("data/plan.json");
        shape.scouts = vec![Scout::PlanFile { path, on_failure: FailurePolicy::Hold, rules }];
        for inside in ["data/blocks", "releases/v1", "releases/v2"] {
            fs::create_dir_all(folder.path().join(inside)).unwrap();
        }
        Self { folder, shape }
    }

    fn write(&self, inside: &str, text: &str, age: u64) {
        let path = self.folder.path().join(inside);
        fs::write(&path, text).unwrap();
        let at = SystemTime::now() - Duration::from_secs(age);
        fs::File::options().append(true).open(&path).unwrap().set_modified(at).unwrap();
    }

    /// What is told to the engine about the one plan, in a word.
    fn sees(&self, known: &Known) -> &'static str {
        match ask(&RealDisk, &self.shape, known).inputs.as_slice() {
            [Input::PlanSeen(wish)] => match wish.trigger {
                Trigger::Halt { .. } => "halted",
                _ => "waits",
            },
            [Input::PlanGone(_)] => "gone",
            [] => "nothing",
            other => panic!("{other:?}"),
        }
    }
}

/// Data that a real node left: all blocks up to 5 were carried out; `halted` has stored the sixth besides.
fn with_data(mut home: Home, name: &str) -> Home {
    let databases = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../chains/tests/heights").join(name);
    let consensus_log = databases.join("cs.wal/wal");
    home.shape.height_at_rest = Some(HeightFiles { databases, consensus_log });
    home
}

fn plan_at(height: u64) -> String {
    TEXT.replace("100", &height.to_string())
}

impl Home {
    /// How many plans of the file are said to be over.
    fn sees_gone(&self, known: &Known) -> usize {
        let gone = |input: &&Input| matches!(input, Input::PlanGone(Origin::File { .. }));
        ask(&RealDisk, &self.shape, known).inputs.iter().filter(gone).count()
    }
}

fn known(main: MainSeen, height: Option<u64>, remembered: Option<u64>) -> Known {
    let current = Some(ReleaseName::new("v1").unwrap());
    let (height, remembered) = (height.map(Height), remembered.map(Height));
    Known { current, height, remembered, main, ..Known::default() }
}

fn ended(failed: bool, ago_s: i64) -> MainSeen {
    MainSeen::EndedItself { at_ms: wall_ms(SystemTime::now()) - ago_s * 1_000, failed }
}

#[test]
fn a_plan_written_ahead_waits_while_main_runs_and_is_due_at_its_height() {
    let home = Home::new(PlanWriters::NodeOrPeople);
    home.write("data/plan.json", TEXT, 0);
    for (height, settled, expected) in [
        (None, false, "waits"),
        (Some(50), true, "waits"),
        (Some(98), true, "waits"),
        (Some(99), false, "waits"),
        (Some(99), true, "halted"),
        (Some(100), false, "halted"),
    ] {
        let known = Known { is_settled: settled, ..known(MainSeen::Runs, height, None) };
        assert_eq!(home.sees(&known), expected, "{height:?} {settled}");
    }
}

#[test]
fn what_was_written_just_before_main_ended_by_itself_is_the_nodes() {
    let home = Home::new(PlanWriters::NodeOrPeople);
    home.write("data/plan.json", TEXT, 3_600);
    // A plan of long ago, and a crash below its height, and one where nobody knows.
    assert_eq!(home.sees(&known(ended(true, 0), Some(50), None)), "waits");
    assert_eq!(home.sees(&known(ended(true, 0), None, Some(50))), "waits");
    assert_eq!(home.sees(&known(ended(true, 0), None, Some(99))), "halted");
    assert_eq!(home.sees(&known(ended(true, 0), None, None)), "halted");
    assert_eq!(home.sees(&known(ended(false, 0), None, None)), "waits");
    // A height that was asked for a moment ago, or that is remembered from months ago, is no witness against the file.
    home.write("data/plan.json", TEXT, 2);
    for failed in [true, false] {
        assert_eq!(home.sees(&known(ended(failed, 0), Some(50), Some(7))), "halted");
    }
    assert_eq!(home.sees(&known(ended(true, -3_600), Some(50), None)), "waits");
    assert_eq!(home.sees(&known(MainSeen::Stopped, Some(50), None)), "waits");
}

#[test]
fn a_home_that_was_handed_over_stands_where_its_node_halted_unless_its_data_went_on() {
    let home = Home::new(PlanWriters::NodeOrPeople);
    home.write("data/plan.json", TEXT, 3_600);
    home.write("data/blocks/1", "x", 3_590);
    assert_eq!(home.sees(&known(MainSeen::NotYet, None, None)), "halted");
    assert_eq!(home.sees(&known(MainSeen::NotYet, None, Some(50))), "waits");
    home.write("data/blocks/2", "x", 60);
    assert_eq!(home.sees(&known(MainSeen::NotYet, None, None)), "waits", "its node went on for an hour");
    assert_eq!(home.sees(&known(MainSeen::NotYet, None, Some(99))), "halted");
}

#[test]
fn what_is_over_or_not_wanted_is_taken_back_and_said() {
    let home = Home::new(PlanWriters::NodeOrPeople);
    home.write("data/plan.json", TEXT, 0);
    let applied = Known { current: Some(ReleaseName::new("v2").unwrap()), ..known(MainSeen::Runs, Some(100), None) };
    assert_eq!(home.sees(&applied), "gone");
    assert!(ask(&RealDisk, &home.shape, &applied).remarks.is_empty());
    home.write("releases/v1/plan.json", r#"{"name":"v1","height":500}"#, 0);
    let overtaken = known(MainSeen::NotYet, None, None);
    assert_eq!(home.sees(&overtaken), "gone");
    assert_eq!(ask(&RealDisk, &home.shape, &overtaken).remarks.len(), 1);
    home.write("data/plan.json", r#"{"name":"v2","height":700}"#, 0);
    let skipped = known(MainSeen::NotYet, Some(699), None);
    assert_eq!(home.sees(&skipped), "gone");
    assert!(ask(&RealDisk, &home.shape, &skipped).remarks.values().any(|remark| remark.contains("skip")));
}

#[test]
fn a_list_of_people_waits_for_each_height_and_forgets_what_they_took_out() {
    let home = Home::new(PlanWriters::People);
    home.write("data/plan.json", r#"[{"name":"v2","height":100},{"name":"V3","height":200}]"#, 0);
    let mut known = known(ended(true, 0), Some(150), None);
    let looked = ask(&RealDisk, &home.shape, &known);
    let triggers: Vec<Trigger> = looked
        .inputs
        .iter()
        .map(|input| match input {
            Input::PlanSeen(wish) => wish.trigger,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(triggers, [100, 200].map(|height| Trigger::Height { height: Height(height) }));
    known.named = looked
        .inputs
        .into_iter()
        .filter_map(|input| match input {
            Input::PlanSeen(wish) => {
                Some(Named { origin: wish.origin, release: wish.release, height: wish.trigger.height() })
            }
            _ => None,
        })
        .collect();
    home.write("data/plan.json", r#"[{"name":"V3","height":200}]"#, 0);
    let looked = ask(&RealDisk, &home.shape, &known);
    assert!(
        matches!(&looked.inputs[..], [Input::PlanSeen(_), Input::PlanGone(gone)] if *gone == known.named[0].origin)
    );
    fs::remove_file(home.folder.path().join("data/plan.json")).unwrap();
    let gone: Vec<Origin> = ask(&RealDisk, &home.shape, &known)
        .inputs
        .into_iter()
        .filter_map(|input| match input {
            Input::PlanGone(origin) => Some(origin),
            _ => None,
        })
        .collect();
    assert!(known.named.iter().all(|named| gone.contains(&named.origin)));
}

#[test]
fn files_that_are_no_plans_are_remarked_upon_and_change_nothing() {
    let home = Home::new(PlanWriters::NodeOrPeople);
    for text in [
        "",
        "{",
        "[]",
        r#"{"name":"genesis","height":1}"#,
        r#"{"name":"..","height":1}"#,
        r#"{"name":"v2","height":-1}"#,
    ] {
        home.write("data/plan.json", text, 0);
        let known = known(MainSeen::NotYet, None, None);
        assert_eq!(home.sees(&known), "nothing", "{text:?}");
        assert_eq!(ask(&RealDisk, &home.shape, &known).remarks.len(), 1, "{text:?}");
    }
}

/// What is told to the engine about each plan of a list, and how often people are told something.
fn turns(home: &Home, height: Option<u64>) -> (Vec<String>, usize) {
    let looked = ask(&RealDisk, &home.shape, &known(MainSeen::Runs, height, Some(999)));
    let word = |input: &Input| match input {
        Input::PlanSeen(wish) => format!("{} {}", wish.release, wish.trigger),
        Input::PlanGone(Origin::File { path }) => format!("{} gone", path.rsplit('#').next().unwrap_or_default()),
        other => panic!("{other:?}"),
    };
    (looked.inputs.iter().map(word).collect(), looked.remarks.len())
}

#[test]
fn past_and_bad_entries_of_a_list_hold_up_nobody() {
    let home = Home::new(PlanWriters::People);
    let entry = |name: &str, height: i64| format!(r#"{{"name":{name:?},"height":{height}}}"#);
    let entries = [entry("V2", 100), entry("genesis", 150), entry("v3", 200), entry("v4", 0), entry("v5", 300)];
    home.write("data/plan.json", &format!("[{},7]", entries.join(",")), 0);
    for (height, expected, told) in [
        // What is only remembered may be the height of data that is no longer there.
        (None, ["v2 at height 100", "v3 at height 200", "v5 at height 300"], 3),
        (Some(50), ["v2 at height 100", "v3 at height 200", "v5 at height 300"], 3),
        (Some(150), ["v2 at height 100", "v3 at height 200", "v5 at height 300"], 3),
        (Some(200), ["v2 gone", "v3 at height 200", "v5 at height 300"], 4),
        (Some(900), ["v2 gone", "v3 gone", "v5 at height 300"], 5),
    ] {
        assert_eq!(turns(&home, height), (expected.map(str::to_owned).to_vec(), told), "at {height:?}");
    }
}

#[test]
fn the_data_of_a_dead_node_decides_whatever_else_is_known() {
    for name in ["halted", "log-only"] {
        let home = with_data(Home::new(PlanWriters::NodeOrPeople), name);
        // Neither what was asked or remembered counts, nor that main ended just after the file was written.
        for (seen, remembered) in [(None, None), (Some(2), Some(3)), (Some(900), Some(900))] {
            for main in [MainSeen::NotYet, ended(true, 0), ended(false, 0), MainSeen::Stopped] {
                for (height, expected) in [(5, "halted"), (6, "halted"), (7, "waits"), (100, "waits")] {
                    home.write("data/plan.json", &plan_at(height), 1);
                    let known = known(main, seen, remembered);
                    assert_eq!(home.sees(&known), expected, "{name} {height} {known:?}");
                    assert_eq!(ask(&RealDisk, &home.shape, &known).at_rest.map(|at| at.at_least), Some(Height(5)));
                }
            }
        }
        home.write("data/plan.json", &plan_at(5), 1);
        let runs = known(MainSeen::Runs, Some(2), None);
        assert_eq!((home.sees(&runs), ask(&RealDisk, &home.shape, &runs).at_rest), ("waits", None));
    }
}

#[test]
fn a_bound_is_a_witness_among_others() {
    let home = with_data(Home::new(PlanWriters::NodeOrPeople), "consensus");
    for (height, main, remembered, expected) in [
        (12, MainSeen::Stopped, None, "halted"),
        (13, MainSeen::Stopped, None, "waits"),
        (13, MainSeen::Stopped, Some(12), "halted"),
        // The node may have gone on without a word in that log.
        (100, ended(true, 0), None, "halted"),
    ] {
        home.write("data/plan.json", &plan_at(height), 1);
        assert_eq!(home.sees(&known(main, None, remembered)), expected, "{height} {main:?} {remembered:?}");
    }
}

#[test]
fn what_people_scheduled_is_due_before_the_launch_that_would_pass_it() {
    let home = with_data(Home::new(PlanWriters::People), "halted");
    let list = |heights: &[u64]| {
        let entry = |(index, height): (usize, &u64)| format!(r#"{{"name":"v{}","height":{height}}}"#, index + 2);
        let entries: Vec<String> = heights.iter().enumerate().map(entry).collect();
        home.write("data/plan.json", &format!("[{}]", entries.join(",")), 0);
        let looked = ask(&RealDisk, &home.shape, &known(MainSeen::NotYet, None, None));
        let seen = |input: &Input| match input {
            Input::PlanSeen(wish) => Some(wish.trigger),
            _ => None,
        };
        looked.inputs.iter().filter_map(seen).collect::<Vec<Trigger>>()
    };
    let (halt, height) = (|at| Trigger::Halt { height: Height(at) }, |at| Trigger::Height { height: Height(at) });
    // Where the node may halt by itself, its own file has to come first.
    assert_eq!(list(&[6, 7]), [height(6), height(7)]);
    assert_eq!(list(&[5]), [halt(5)]);
    assert_eq!(list(&[3, 5, 6]), [halt(5), height(6)], "the first is a step that the data has taken already");
}

/// What is asked for because of the data: a release, or that nothing is.
fn fits(home: &Home, known: &Known) -> Vec<String> {
    let of_data = |input: &Input| match input {
        Input::PlanSeen(wish) if matches!(wish.origin, Origin::Data { .. }) => {
            Some(format!("{} {} {:?}", wish.release, wish.trigger, wish.info))
        }
        Input::PlanGone(Origin::Data { .. }) => Some("nothing".to_owned()),
        _ => None,
    };
    ask(&RealDisk, &home.shape, known).inputs.iter().filter_map(of_data).collect()
}

#[test]
fn another_release_is_asked_for_where_the_data_needs_it() {
    let mut home = with_data(Home::new(PlanWriters::NodeOrPeople), "halted");
    let first = ReleaseName::new("v1").unwrap();
    home.shape.layout.first = Some(first);
    home.write("releases/v2/plan.json", r#"{"name":"v2","height":3,"info":"{}"}"#, 0);
    let fresh = known(MainSeen::NotYet, None, None);
    assert_eq!(fits(&home, &fresh), [r#"v2 when the node halts at height 6 Some("{}")"#]);
    let told: Vec<String> = ask(&RealDisk, &home.shape, &fresh).remarks.into_values().collect();
    assert!(matches!(&told[..], [told] if told.contains("needs release v2")), "{told:?}");
    // An upgrade says by itself what is launched, and a node that runs is not asked.
    assert_eq!(fits(&home, &Known { is_upgrading: true, ..fresh.clone() }), [""; 0]);
    assert_eq!(fits(&home, &known(MainSeen::Runs, None, None)), [""; 0]);
    // A plan of before the upgrade that lies behind is over; one that the data waits for goes before everything.
    home.write("data/plan.json", &plan_at(2).replace("V2", "v0"), 0);
    assert_eq!((home.sees_gone(&fresh), fits(&home, &fresh).len()), (1, 1));
    home.write("data/plan.json", &plan_at(6).replace("V2", "v3"), 0);
    assert_eq!((home.sees_gone(&fresh), fits(&home, &fresh)), (0, Vec::new()));
    // What was asked for before is taken back then, and where the current release fits.
    let origin = Origin::Data { path: home.shape.layout.data.display().to_string() };
    let named = vec![Named { origin, release: ReleaseName::new("v2").unwrap(), height: Some(Height(6)) }];
    assert_eq!(fits(&home, &Known { named: named.clone(), ..fresh.clone() }), ["nothing"]);
    let applied = Known { current: Some(ReleaseName::new("v2").unwrap()), ..fresh };
    home.write("data/plan.json", "", 0);
    assert_eq!(fits(&home, &applied), [""; 0]);
    assert_eq!(fits(&home, &Known { named, ..applied.clone() }), ["nothing"]);
    // The data is older than what was here, and of all releases the height is known.
    home.write("releases/v2/plan.json", r#"{"name":"v2","height":30}"#, 0);
    let older = Known { remembered: Some(Height(40)), ..applied.clone() };
    assert_eq!(fits(&home, &older), ["v1 when the node halts at height 6 None"]);
    assert_eq!(fits(&home, &applied), [""; 0]);
    fs::create_dir(home.folder.path().join("releases/v4")).unwrap();
    assert_eq!(fits(&home, &older), [""; 0]);
    // What is written down for later is not needed now.
    home.write("data/plan.json", &plan_at(90).replace("V2", "v4"), 0);
    assert_eq!(fits(&home, &older), ["v1 when the node halts at height 6 None"]);
}
