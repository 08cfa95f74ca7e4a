//! The examples of `docs/configuration.md` are right, mean what they say, and show what a short file leaves to us.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that cannot go on fails its test")]

use std::path::{Path, PathBuf};

use ov_chains::plans::PlanRules;
use ov_chains::shape::{Comparison, FetchShape, Health, HeightProbe, LogShape, NodeShape, Output, Probe, Scout, Stdin};
use ov_chains::{Secret, init_template};
use ov_release::fetch::Catalog;
use ov_types::{
    BackOff, CrashLoop, FailurePolicy, GroupName, KeepMethod, ReleaseName, RestartPolicy, StartAfter, StartWhen,
    UnitName, WhenLooping, WhenUnhealthy,
};

fn node(text: &str) -> NodeShape {
    let read = ov_chains::read(
        &ov_sys::RealDisk,
        text.as_bytes(),
        Path::new("/home/node"),
        Path::new("/home/node/omnivisor.toml"),
    );
    read.unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn example(name: &str) -> NodeShape {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples").join(name);
    node(&std::fs::read_to_string(path).unwrap())
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).unwrap()
}

#[test]
fn three_lines_are_enough_for_a_unit() {
    let node = example("minimal.toml");
    assert_eq!((node.name.as_str(), node.chain.as_str()), ("node", "generic"));
    let main = &node.units[&unit("main")];
    assert_eq!(main.launch.program.to_string(), "/home/node/current/bin/mynode");
    let args: Vec<String> = main.launch.args.iter().map(ToString::to_string).collect();
    assert_eq!(args, ["start", "--home", "/home/node"]);
    assert_eq!(main.launch.cwd.as_literal(), Some("/home/node"));
    assert!(main.launch.inherit_env && main.launch.stdin == Stdin::Null && !main.launch.notify);
    let log = LogShape {
        path: "/home/node/.omnivisor/logs/main.log".into(),
        max_bytes: 64 << 20,
        keep: 10,
        rotate_every_seconds: 0,
        compress: true,
    };
    assert_eq!(main.launch.output, Output::Pump(log));
    assert_eq!(node.layout.log(&unit("main")), PathBuf::from("/home/node/.omnivisor/logs/main.log"));
    assert!(main.readiness.is_none() && main.health.is_none() && main.suspend_file.is_none());
}

#[test]
fn three_lines_are_enough_for_rules() {
    let node = example("minimal.toml");
    let rules = &node.engine.units[&unit("main")];
    assert_eq!(rules.restart, RestartPolicy::Always);
    assert_eq!((rules.stop.signal, rules.stop.grace_ms), (15, 90_000));
    let back_off = rules.back_off;
    assert_eq!((back_off.first_ms, back_off.max_ms), (1_000, 60_000));
    assert_eq!((back_off.jitter_percent, back_off.reset_after_ms), (20, Some(60_000)));
    assert_eq!((rules.crash_loop.count, rules.crash_loop.within_ms), (5, Some(120_000)));
    assert_eq!(rules.crash_loop.then, WhenLooping::Retry { every_ms: 300_000 });
    assert!(!rules.has_readiness && rules.ready_within_ms.is_none() && rules.after.is_empty());
    assert_eq!((node.on_failure, node.keep.method), (FailurePolicy::Rollback, KeepMethod::Auto));
    assert!(node.engine.stall.is_none() && !node.engine.has_scouts);
    assert!(node.engine.upgrade.keep && !node.engine.upgrade.migrate);
    assert_eq!((node.snapshots.keep_last, node.releases_keep_last), (2, 5));
    assert_eq!(node.prove.soak_ms, 60_000);
}

#[test]
fn a_validator_is_parked_and_its_plan_file_holds() {
    let node = example("validator.toml");
    let main = &node.units[&unit("main")];
    let rules = &node.engine.units[&unit("main")];
    assert_eq!(rules.crash_loop.then, WhenLooping::Park);
    assert_eq!(rules.forbidden_exits, [2]);
    assert_eq!(main.launch.env_files, [PathBuf::from("/home/node/node.env")]);
    let limits: Vec<_> = main.launch.limits.iter().map(|limit| (limit.resource.as_str(), limit.soft)).collect();
    assert_eq!(limits, [("nofile", Some(65536))]);
    let Probe::Http { status, pointer, expect, .. } = &main.readiness.as_ref().unwrap().probe else {
        panic!("{main:?}")
    };
    assert_eq!((status.as_slice(), pointer.as_deref()), (&[200..=299][..], Some("/result/sync_info/catching_up")));
    assert_eq!(*expect, Some(Comparison::Is(false.into())));
    let signer = node.signer.unwrap();
    assert_eq!(signer.key.as_deref(), Some(Path::new("/home/node/config/priv_validator_key.json")));
    let path = PathBuf::from("/home/node/data/upgrade-info.json");
    assert_eq!(node.scouts, [Scout::PlanFile { path, on_failure: FailurePolicy::Hold, rules: PlanRules::default() }]);
    assert!(matches!(node.probes.height[..], [HeightProbe::Http { .. }]));
    let version = node.probes.version.unwrap();
    assert_eq!(version.program.fill_path(Path::new("/r/v2")), Path::new("/r/v2/bin/mynode"));
    let migrate = node.migrate.unwrap();
    assert_eq!(migrate.program.fill_path(Path::new("/r/v2")), Path::new("/r/v2/bin/mynode"));
    assert_eq!(node.engine.stall.map(|stall| (stall.within_ms, stall.restart)), Some((180_000, false)));
    assert_eq!(node.webhooks[0].url, Secret::File("/home/node/secrets/webhook-url".into()));
    assert_eq!(node.webhooks[0].name, "webhook 1");
    assert_eq!(node.metrics_listen, Some("127.0.0.1:9300".parse().unwrap()));
}

#[test]
fn a_node_of_the_cosmos_sdk_needs_its_program_and_may_have_more() {
    let node = example("cosmos.toml");
    let main = &node.units[&unit("main")];
    assert!(main.launch.program.names_release() && node.applied_copy.is_some());
    let args: Vec<String> = main.launch.args.iter().map(ToString::to_string).collect();
    assert_eq!(args, ["start", "--minimum-gas-prices", "0.01stake", "--home", "/home/node"]);
    assert_eq!(node.engine.units[&unit("main")].stop.grace_ms, 180_000);
    assert_eq!((node.units.len(), node.scouts.len(), node.webhooks.len()), (2, 3, 1));
}

#[test]
fn helpers_wait_for_each_other() {
    let node = example("helpers.toml");
    let after = |name: &str| node.engine.units[&unit(name)].after.clone();
    let ready = |name: &str, bound| StartAfter { unit: unit(name), when: StartWhen::Ready, bound, down_first: true };
    assert_eq!(after("main"), [ready("database", false)]);
    assert_eq!(after("indexer"), [ready("main", true)]);
    assert_eq!(node.engine.units[&unit("database")].stop.signal, 2);
    assert_eq!(node.units[&unit("database")].launch.output, Output::Inherit);
    let health = node.units[&unit("main")].health.clone();
    assert!(matches!(health, Some(Health { probe: Probe::Tcp { .. }, failures: 3, .. })));
    let Output::Pump(log) = &node.units[&unit("indexer")].launch.output else { panic!("no log") };
    assert_eq!((log.path.as_path(), log.rotate_every_seconds), (Path::new("/home/node/logs/indexer.log"), 86_400));
    assert!(node.units[&unit("main")].launch.program.names_release());
}

#[test]
fn a_node_and_what_it_feeds_live_and_die_together() {
    let node = example("together.toml");
    for name in ["main", "indexer"] {
        let rules = &node.engine.units[&unit(name)];
        assert_eq!(rules.together.as_ref().map(GroupName::as_str), Some("node"));
        let back_off = BackOff { at_once: 0, first_ms: 5_000, max_ms: 5_000, jitter_percent: 0, reset_after_ms: None };
        assert_eq!(rules.back_off, back_off);
        assert_eq!(rules.crash_loop, CrashLoop { count: 4, within_ms: None, then: WhenLooping::End });
    }
    let health = node.units[&unit("main")].health.clone().unwrap();
    assert_eq!((health.failures, health.failures_of_relaunch), (43_200, 10));
    assert_eq!(node.engine.units[&unit("main")].when_unhealthy, WhenUnhealthy::End);
    assert_eq!(node.engine.units[&unit("indexer")].stop.grace_ms, 120_000);
    assert_eq!(node.engine.upgrade.stop_delay_ms, 30_000);
}

#[test]
fn a_unit_that_speaks_for_itself_is_given_a_socket() {
    for (section, given) in [("ready = { notify = true }", true), ("health = { notify = true }", true), ("", false)] {
        let node = node(&format!("[unit.main]\nprogram = \"x\"\n{section}\n"));
        assert_eq!(node.units[&unit("main")].launch.notify, given, "{section}");
    }
}

#[test]
fn a_first_file_can_be_loaded_from_a_home() {
    let home = tempfile::tempdir().unwrap();
    let init = ov_chains::Init { program: "current/bin/x".to_owned(), ..ov_chains::Init::default() };
    std::fs::write(home.path().join("omnivisor.toml"), init_template(&init)).unwrap();
    let node = ov_chains::load(&ov_sys::RealDisk, home.path(), None).unwrap();
    assert_eq!(node.layout.config, Some(home.path().join("omnivisor.toml")));
    assert_eq!(node.layout.data, home.path().join("data"));
}

#[test]
fn what_is_believed_and_accepted_when_something_is_fetched() {
    const MAIN: &str = "[unit.main]\nprogram = \"x\"\n";
    assert_eq!(node(MAIN).fetch, FetchShape::default(), "what stands in the schema is what is done");
    let fetch = node(&format!(
        "{MAIN}[fetch]\nby-plan = true\nmust-have-checksum = true\nsigners = \
         [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\nmirrors = [\"https://m.example/\"]\ndownload-max = \
         \"1GiB\"\nunpacked-max = \"2GiB\"\ntimeout = \"1h\"\nstall = \"5s\"\ntries = 2\n"
    ))
    .fetch;
    assert!(fetch.by_plan && fetch.policy.must_have_checksum && fetch.policy.signers.len() == 1);
    assert_eq!(fetch.mirrors, ["https://m.example/"]);
    assert_eq!((fetch.limits.download_bytes_max, fetch.limits.unpacked_bytes_max), (1 << 30, 2 << 30));
    assert_eq!((fetch.patience.tries, fetch.patience.total.ms(), fetch.silence.stall.ms()), (2, 3_600_000, 5_000));
}

#[test]
fn where_releases_are_found_by_their_names() {
    const MAIN: &str = "[unit.main]\nprogram = \"x\"\n[fetch.github]\nowner = \"me\"\nrepository = \"node\"\n";
    let catalog = |keys: &str| node(&format!("{MAIN}{keys}")).fetch.catalog.unwrap();
    let found = catalog("asset = \"node-{os}-{arch}-{version}\"\n");
    let Catalog::GitHub(github) = &found.place;
    let release = ReleaseName::new("v2").unwrap();
    let platform = ov_release::fetch::own_platform().replace('/', "-");
    assert_eq!((github.api.as_str(), github.owner.as_str()), ("https://api.github.com", "me"));
    assert_eq!((github.tag.of(&release), github.asset.of(&release)), ("v2".to_owned(), format!("node-{platform}-2")));
    assert_eq!((found.token, found.inside), (Some(Secret::Variable("GITHUB_TOKEN".to_owned())), None));
    let found = catalog(
        "asset = \"node.zip\"\ntag = \"node/{release}\"\nprogram = \"node/bin/x\"\ntoken-file = \"token\"\napi = \
         \"https://git.example/api/v3\"\n",
    );
    let Catalog::GitHub(github) = &found.place;
    assert_eq!((github.tag.of(&release).as_str(), github.api.as_str()), ("node/v2", "https://git.example/api/v3"));
    assert_eq!(
        (found.token, found.inside),
        (Some(Secret::File("/home/node/token".into())), Some("node/bin/x".to_owned()))
    );
}
