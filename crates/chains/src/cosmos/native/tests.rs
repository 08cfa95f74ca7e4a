//! A few lines make a node that is looked after as by the drop-in; and whatever the file says, holds.

use std::fs;
use std::path::{Path, PathBuf};

use ov_sys::RealDisk;
use ov_types::{FailurePolicy, KeepMethod, RestartPolicy, UnitName, WhenLooping};

use super::*;
use crate::cosmos::{Extras, Settings};
use crate::generic::read;
use crate::plans::PlanNames;
use crate::shape::{Output, Probe};

const SHORT: &str = "chain = \"cosmos\"\n[cosmos]\nprogram = \"simd\"\n";

/// A home that a node of the family has been configured in.
fn home(laddr: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("config")).unwrap();
    fs::write(home.path().join("config/config.toml"), format!("[rpc]\nladdr = \"{laddr}\"\n")).unwrap();
    home
}

fn node(home: &Path, text: &str) -> NodeShape {
    let read = read(&RealDisk, text.as_bytes(), home, &home.join("omnivisor.toml"));
    read.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn said(text: &str) -> Vec<String> {
    let problems = read(&RealDisk, text.as_bytes(), Path::new("/n"), Path::new("/n/omnivisor.toml")).unwrap_err();
    problems.iter().map(|problem| format!("{}: {problem}", problem.line)).collect()
}

fn arguments_of(node: &NodeShape) -> Vec<String> {
    node.units[&UnitName::main()].launch.args.iter().map(ToString::to_string).collect()
}

#[test]
fn three_lines_make_the_node_that_the_drop_in_looks_after() {
    let home = home("tcp://0.0.0.0:7001");
    let home = home.path();
    fs::write(home.join("config/priv_validator_key.json"), "{}").unwrap();
    let node = node(home, SHORT);
    let text = home.to_str().unwrap().to_owned();
    let settings =
        Settings { backup_dir: text.clone(), home: text.clone(), name: "simd".to_owned(), ..Settings::default() };
    let grpc_address = "localhost:9090".to_owned();
    let settings = Settings { poll_interval: "300ms".parse().unwrap(), grpc_address, ..settings };
    let arguments = ["start".to_owned(), "--home".to_owned(), text];
    let other = crate::cosmos::shape(&RealDisk, &settings, &Extras::default(), &arguments, &|_| None);
    assert_eq!(arguments_of(&node), arguments);
    let layout = |node: &NodeShape| {
        let layout = node.layout.clone();
        (layout.state, layout.releases, layout.placed, layout.current, layout.data)
    };
    assert_eq!(layout(&node), layout(&other));
    assert_eq!(node.scouts, other.scouts);
    assert_eq!(node.height_at_rest, other.height_at_rest);
    assert_eq!((&node.migrate, &node.applied_copy), (&other.migrate, &other.applied_copy));
    assert_eq!((&node.signer, &node.probes.height), (&other.signer, &other.probes.height));
    assert!(node.signer.is_some() && node.probes.height.len() == 1);
    let keep = |node: &NodeShape| (node.keep.method, node.keep.write_once.clone(), node.keep.exclude.clone());
    assert_eq!(keep(&node), keep(&other));
    let main = UnitName::main();
    assert_eq!(node.units[&main].launch.program, other.units[&main].launch.program);
    assert_eq!(node.chain, other.chain);
}

#[test]
fn what_a_node_gets_beyond_the_drop_in() {
    let home = home("tcp://127.0.0.1:7001");
    let node = node(home.path(), SHORT);
    let main = &node.units[&UnitName::main()];
    let rules = &node.engine.units[&UnitName::main()];
    assert_eq!((rules.restart, node.on_failure), (RestartPolicy::OnFailure, FailurePolicy::Hold));
    assert!(matches!(main.launch.output, Output::Pump(_)));
    let asked = |probe: &Probe| if let Probe::Http { url, .. } = probe { url.clone() } else { String::new() };
    assert_eq!(asked(&main.readiness.as_ref().unwrap().probe), "http://127.0.0.1:7001/status");
    assert_eq!(asked(&main.health.as_ref().unwrap().probe), "http://127.0.0.1:7001/health");
    assert!(matches!(rules.crash_loop.then, WhenLooping::Retry { .. }), "it has no key");
    assert_eq!((node.keep.method, node.keep.outside), (KeepMethod::Auto, None));
    assert!(node.probes.version.is_none(), "an upgrade's name need not be a version");
}

#[test]
fn a_node_that_answers_nobody_is_not_asked() {
    let home = home("");
    let node = node(home.path(), SHORT);
    let main = &node.units[&UnitName::main()];
    assert!(main.readiness.is_none() && main.health.is_none() && node.probes.height.is_empty());
}

#[test]
fn whatever_the_file_says_holds() {
    let home = home("tcp://127.0.0.1:7001");
    let text = "chain = \"cosmos\"\n[cosmos]\nprogram = \"simd\"\nargs = [\"start\", \"--rpc.laddr\", \"tcp://:7002\", \
                \"--unsafe-skip-upgrades\", \"9\"]\nlower-names = false\npre-upgrade-retries = 4\ngrpc-address = \"https://grpc.example:443\"\nask-every = \"2s\"\n[paths]\nsnapshots = \
                \"/elsewhere\"\n[unit.main]\nrestart = \"always\"\n[unit.main.ready]\nprocess = true\n[upgrade]\n\
                on-failure = \"rollback\"\n[upgrade.migrate]\ntimeout = \"1m\"\n[scout.schedule]\npath = \
                \"plans.json\"\n[scout.plan-file]\non-failure = \"rollback\"\n[unit.price-feed]\nprogram = \"feed\"\n";
    let node = node(home.path(), text);
    let main = &node.units[&UnitName::main()];
    let Some(Probe::Http { url, .. }) = main.health.as_ref().map(|health| &health.probe) else { panic!("{main:?}") };
    assert_eq!(url, "http://127.0.0.1:7002/health", "the arguments win over the node's own file");
    assert_eq!(main.readiness.as_ref().map(|ready| &ready.probe), Some(&Probe::Process), "a question is whole");
    assert_eq!(node.engine.units[&UnitName::main()].restart, RestartPolicy::Always);
    assert!(node.units.contains_key(&UnitName::new("price-feed").unwrap()));
    let migrate = node.migrate.unwrap();
    assert_eq!((migrate.timeout_ms, migrate.codes.again), (60_000, Some((31, 4))));
    assert_eq!(migrate.question.as_deref(), Some(&["pre-upgrade".to_owned(), "--help".to_owned()][..]));
    assert_eq!(migrate.program.fill(Path::new("/r")), "/r/bin/simd");
    let [plan_file, schedule, asked] = node.scouts.as_slice() else { panic!("{:?}", node.scouts) };
    let Scout::PlanFile { path, on_failure, rules } = plan_file else { panic!("{plan_file:?}") };
    assert_eq!((path, *on_failure), (&home.path().join("data/upgrade-info.json"), FailurePolicy::Rollback));
    assert_eq!((rules.names, rules.skipped.as_slice()), (PlanNames::Escaped { lowered: false }, &[9][..]));
    let Scout::PlanFile { path, on_failure, .. } = schedule else { panic!("{schedule:?}") };
    assert_eq!((path, *on_failure), (&home.path().join("plans.json"), FailurePolicy::Rollback));
    let Scout::Asked { question, every_ms, on_failure, rules, .. } = asked else { panic!("{asked:?}") };
    assert_eq!((question.shown().as_str(), *every_ms), ("https://grpc.example:443", 2_000));
    assert_eq!((*on_failure, rules.skipped.as_slice()), (FailurePolicy::Rollback, &[9][..]));
    assert_eq!(node.layout.snapshots, Path::new("/elsewhere"));
}

#[test]
fn arguments_and_a_hook_of_the_files_own_are_taken_as_they_are() {
    let other = home("tcp://127.0.0.1:7003");
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "{SHORT}[unit.main]\nargs = [\"run\", \"--home={}\"]\n[upgrade.migrate]\nprogram = \"bin/raise\"\n\
         [upgrade.before-switch]\nprogram = \"hooks/before\"\n",
        other.path().display()
    );
    let node = node(home.path(), &text);
    assert_eq!(arguments_of(&node)[0], "run");
    assert_eq!(node.layout.data, other.path().join("data"), "the node's home is the one that it is told");
    assert_eq!(node.scouts[0].path(), Some(&*other.path().join("data/upgrade-info.json")));
    assert_eq!(node.layout.releases, home.path().join("cosmovisor/upgrades"));
    let migrate = node.migrate.unwrap();
    assert_eq!((migrate.codes, migrate.question), (crate::shape::HookCodes::default(), None));
    let before = node.before_switch.unwrap();
    assert_eq!(before.program.fill_path(Path::new("")), home.path().join("hooks/before"));
    assert_eq!((before.args.len(), before.timeout_ms), (2, 3_600_000));
}

#[test]
fn mistakes_are_told_with_what_is_right() {
    let missing =
        "it is missing: the name of the node's program in the folder `bin` of each release, such as `\"simd\"`";
    assert_eq!(said("chain = \"cosmos\"\n"), [format!("1: cosmos.program: {missing}")]);
    assert_eq!(said("chain = \"cosmos\"\n[cosmos]\nargs = []\n"), [format!("2: cosmos.program: {missing}")]);
    assert_eq!(
        said("chain = \"cosmos\"\n[cosmos]\nprogram = \"bin/simd\"\n"),
        ["3: cosmos.program: `bin/simd` is not the name of a file in the folder `bin` of each release"]
    );
    assert_eq!(
        said("chain = \"cosmos\"\n[cosmos]\nprogramm = \"simd\"\n"),
        ["3: cosmos.programm: unknown key; did you mean `program`?"]
    );
    assert_eq!(said("[cosmos]\nprogram = \"x\"\n"), ["1: cosmos: this means nothing without `chain = \"cosmos\"`"]);
    assert_eq!(
        said("chain = \"cosmoz\"\n[unit.main]\nprogram = \"x\"\n"),
        ["1: chain: `cosmoz` is not known; did you mean `cosmos`? Known are `generic`, `cosmos`"]
    );
    assert_eq!(
        said(&format!("{SHORT}[unit.main]\nprogram = \"{{relase}}/bin/simd\"\n")),
        ["5: unit.main.program: unknown placeholder `{relase}` at character 1; here `{home}`, `{data}`, `{unit}`, \
          `{release}` can be used"]
    );
}

#[test]
fn everything_that_holds_by_default_could_stand_in_the_file() {
    let marks = [
        ("<program>", "simd"),
        ("<node-home>", "{home}"),
        ("<rpc>", "127.0.0.1:1"),
        ("<key>", "key.json"),
        ("<sign-state>", "state.json"),
        ("<args>", "start"),
    ];
    let text = marks.iter().fold(DEFAULTS.to_owned(), |text, (mark, value)| {
        assert!(text.contains(mark), "{mark} is nowhere");
        text.replace(mark, value)
    });
    let node = node(Path::new("/n"), &text);
    assert_eq!(node.layout.data, PathBuf::from("/n/data"));
    assert_eq!(node.scouts.len(), 2);
}

#[test]
fn saving_a_family_default_changes_nothing() {
    let home = home("tcp://127.0.0.1:7001");
    let written = format!("{SHORT}[upgrade]\non-failure = \"hold\"\n[unit.main]\nrestart = \"on-failure\"\n");
    let changes = crate::diff(&node(home.path(), SHORT), &node(home.path(), &written));
    assert!(changes.is_empty(), "{changes:?}");
}
