//! A home in Visor's layout as a node to look after: the core, and perhaps the data node that it feeds.
//!
//! The only place where settings become rules. Looks at the disk for what the core's consensus is configured by, changes
//! nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ov_release::fetch::{Catalog, GitHub, Naming};
use ov_sys::Disk;
use ov_types::{
    BackOff, CrashLoop, EngineSettings, FailurePolicy, GroupName, KeepMethod, Lifetime, ReleaseName, RestartPolicy,
    StartAfter, StartWhen, StopRule, UnitName, UnitRules, UpgradeRules, WhenLooping, WhenUnhealthy,
};
use serde_json::json;

use super::history::history_height;
use super::load::{Home, run_config};
use super::run_config::{Launch, RUN_CONFIG_FILE, RunConfig};
use super::settings::Settings;
use crate::added::{Added, AddedArguments, When};
use crate::cosmos::{self, NodeConfig, NodeLaunch, flag_value};
use crate::plans::{PlanNames, PlanRules, PlanWriters};
use crate::reload::Written;
use crate::secret::Secret;
use crate::shape::{
    Addition, AdditionText, CatalogShape, Expect, FetchShape, Health, JsonRpcCall, KeepShape, LaunchShape, NodeProbes,
    NodeShape, Output, PlanParts, PlanQuestion, Probe, ProveShape, Readiness, ReleaseCheck, Retention, Scout, Stdin,
    UnitShape, VersionProbe, VersionSaid,
};
use crate::template::Template;
use crate::words::NEAR_MS;

/// The name of the data node's unit.
const DATA_NODE: &str = "data-node";
/// How often a core is asked, as by the original.
const POLL_MS: u64 = 2_000;
/// How often once an upgrade is planned: from its height on the core only waits for whoever launches the next one.
const PLANNED_POLL_MS: u64 = 200;
/// How long it may take to answer.
const ANSWER_MS_MAX: u64 = 5_000;
/// A program tells its version with these.
const VERSION_ARGS: [&str; 3] = ["version", "--output", "json"];
/// The core is to begin with its state of a height.
const PIN: &str = "--snapshot.load-from-block-height";
/// As whom releases are asked for, if it is set.
const GITHUB_TOKEN: &str = "GITHUB_TOKEN";
const SIGTERM: i32 = 15;
/// Where the consensus engine has its home, of newer and of older versions, below that of its user.
const CONSENSUS_HOMES: [&str; 2] = [".cometbft", ".tendermint"];

impl Home {
    /// The home as if another release of it were the one that runs.
    pub fn with_release(&self, disk: &dyn Disk, release: &ReleaseName) -> Result<Self, String> {
        let (run_config, _) = run_config(disk, &self.layout.releases().directory(release))?;
        let standing = super::home::Standing::Release(release.clone());
        Ok(Self { standing, run_config, ..self.clone() })
    }
}

/// The node of this home. Its processes start where the daemon did, and paths that are not absolute begin there.
pub fn shape(disk: &dyn Disk, home: &Home, cwd: &Path) -> NodeShape {
    let Home { settings, run_config, .. } = home;
    let consensus = Consensus::of(disk, home, cwd);
    let mut layout = home.layout.clone();
    if let Some(consensus) = &consensus {
        layout.data = consensus.home.join("data");
    }
    let rpc = call(run_config, cwd);
    NodeShape {
        name: settings.home.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        chain: run_config.flavour.name.to_owned(),
        layout,
        units: units(settings, run_config, &rpc, cwd),
        engine: engine(settings, run_config),
        probes: NodeProbes {
            height: consensus.as_ref().map(|it| cosmos::heights(&it.config, None)).unwrap_or_default(),
            height_every_ms: 1_000,
            version: Some(version_probe(&run_config.core)),
            timeout_ms: ANSWER_MS_MAX,
        },
        height_at_rest: consensus.as_ref().map(|it| cosmos::height_files(&it.home, &it.config)),
        scouts: vec![scout(run_config, rpc)],
        applied_copy: None,
        on_failure: FailurePolicy::Hold,
        keep: KeepShape {
            method: KeepMethod::Off,
            write_once: Vec::new(),
            exclude: Vec::new(),
            outside: None,
            format_file: None,
        },
        before_switch: None,
        migrate: None,
        release_check: Some(release_check(run_config)),
        prove: ProveShape { soak_ms: 2 * POLL_MS, within_ms: first_answer_ms(settings) },
        signer: consensus.as_ref().and_then(|it| cosmos::signer(&it.home, &it.config)),
        remote_signer: consensus.as_ref().and_then(|it| cosmos::remote_signer(&it.home, &it.config)),
        webhooks: Vec::new(),
        metrics_listen: None,
        fetch: fetch(home),
        // They lie among what people put into the home.
        snapshots: Retention { keep_last: u32::MAX, keep_for_ms: None, max_bytes: None },
        releases_keep_last: u32::MAX,
        written: written(settings, run_config),
    }
}

/// Everything that a reload may find changed, by its key.
fn written(settings: &Settings, run_config: &RunConfig) -> Written {
    let launch = |launch: &Launch| json!({"program": launch.path, "args": launch.args()});
    let units = [("main", Some(&run_config.core)), (DATA_NODE, run_config.data_node.as_ref())];
    let units = units.into_iter().filter_map(|(name, unit)| Some((name.to_owned(), launch(unit?))));
    let auto_install = &settings.auto_install;
    Written::of(&json!({
        "unit": units.collect::<serde_json::Map<_, _>>(),
        "rpc": {"socketPath": run_config.rpc.socket, "httpPath": run_config.rpc.http_path},
        "maxNumberOfFirstConnectionRetries": settings.first_connection_retries,
        "maxNumberOfRestartConnectionRetries": settings.restart_connection_retries,
        "maxNumberOfRestarts": settings.restarts,
        "restartsDelaySeconds": settings.restart_delay_seconds,
        "stopDelaySeconds": settings.stop_delay_seconds,
        "stopSignalTimeoutSeconds": settings.stop_timeout_seconds,
        "upgradeFolders": settings.upgrade_folders,
        "autoInstall": {
            "enabled": auto_install.enabled,
            "repositoryOwner": auto_install.owner,
            "repository": auto_install.repository,
            "asset": {"name": auto_install.asset, "binaryName": auto_install.program},
        },
    }))
}

/// The consensus engine within the core, which has a home of its own.
struct Consensus {
    home: PathBuf,
    config: NodeConfig,
}

impl Consensus {
    /// Where the core is told that it is, or where it has its place when nothing is said.
    fn of(disk: &dyn Disk, home: &Home, cwd: &Path) -> Option<Self> {
        let run_config = &home.run_config;
        let told = flag_value(run_config.core.args(), "--tendermint-home").map(|told| cwd.join(told));
        let home = told.or_else(|| Self::default_home(disk, home.user_home.as_deref()?))?;
        // The core has no flags for what stands in that file, and no variables.
        let launch = NodeLaunch { program: run_config.flavour.name, arguments: &[], environment: &|_| None };
        let config = cosmos::node_config_of(disk, &home, launch);
        Some(Self { home, config })
    }

    /// It depends on the engine's version, which nothing else tells: where there are both places, neither is meant.
    fn default_home(disk: &dyn Disk, user_home: &Path) -> Option<PathBuf> {
        let places = CONSENSUS_HOMES.map(|name| user_home.join(name));
        let is_there =
            |place: &PathBuf| cosmos::followed(disk, &place.join("config/config.toml")).is_ok_and(|it| it.is_some());
        let mut there = places.into_iter().filter(is_there);
        there.next().filter(|_| there.next().is_none())
    }
}

/// The question whether an upgrade is planned, and whether the core has halted for it.
fn call(run_config: &RunConfig, cwd: &Path) -> JsonRpcCall {
    let path = &run_config.rpc.http_path;
    JsonRpcCall {
        socket: cwd.join(&run_config.rpc.socket),
        path: if path.starts_with('/') { path.clone() } else { format!("/{path}") },
        method: "protocolupgrade.UpgradeStatus".to_owned(),
    }
}

fn scout(run_config: &RunConfig, call: JsonRpcCall) -> Scout {
    let parts = PlanParts {
        name: format!("/{}", run_config.flavour.tag_field),
        height: "/UpgradeBlockHeight".to_owned(),
        info: String::new(),
    };
    let (plan, halted) = ("/AcceptedReleaseInfo".to_owned(), "/ReadyToUpgrade".to_owned());
    Scout::Asked {
        question: PlanQuestion::JsonRpc { call, plan, parts, halted },
        every_ms: POLL_MS,
        planned_every_ms: PLANNED_POLL_MS,
        timeout_ms: ANSWER_MS_MAX,
        on_failure: FailurePolicy::Hold,
        rules: PlanRules {
            names: PlanNames::AsTheyAre,
            writers: PlanWriters::Node,
            skipped: Vec::new(),
            every_ms: None,
        },
    }
}

fn units(settings: &Settings, run_config: &RunConfig, rpc: &JsonRpcCall, cwd: &Path) -> BTreeMap<UnitName, UnitShape> {
    let probe = Probe::JsonRpc(rpc.clone());
    let health = Health {
        probe: probe.clone(),
        every_ms: POLL_MS,
        timeout_ms: ANSWER_MS_MAX,
        failures: polls_max(settings.first_connection_retries),
        failures_of_relaunch: polls_max(settings.restart_connection_retries),
    };
    let readiness = Readiness { probe, every_ms: POLL_MS, timeout_ms: ANSWER_MS_MAX };
    let mut core = UnitShape { readiness: Some(readiness), health: Some(health), ..unit(&run_config.core, cwd) };
    core.launch.added = pins(run_config);
    let data_node = data_node(run_config).map(|(name, launch)| (name, unit(launch, cwd)));
    std::iter::once((UnitName::main(), core)).chain(data_node).collect()
}

/// The state that the core is to begin with: behind an upgrade the one that the old core left for it, until the new one
/// has answered; and after a failure one that the data node knows already, which the core must not run ahead of.
fn pins(run_config: &RunConfig) -> Vec<AddedArguments> {
    let pin = |when, height| AddedArguments {
        when,
        unless_given: PIN.to_owned(),
        versions: None,
        arguments: vec![Added::Text(PIN.to_owned()), height],
    };
    let history = run_config.data_node.as_ref().map(|data_node| history_height(&run_config.core, data_node));
    let of_history = history.map(|height| pin(When::AfterFailure, Added::Answer(height)));
    std::iter::once(pin(When::AfterUpgrade, Added::Height)).chain(of_history).collect()
}

fn data_node(run_config: &RunConfig) -> Option<(UnitName, &Launch)> {
    // A name that is one: it is written here.
    Some((UnitName::new(DATA_NODE).ok()?, run_config.data_node.as_ref()?))
}

fn unit(launch: &Launch, cwd: &Path) -> UnitShape {
    UnitShape {
        launch: LaunchShape {
            program: launch.program(),
            args: launch.args().iter().map(Template::literal).collect(),
            added: Vec::new(),
            env: Vec::new(),
            env_files: Vec::new(),
            inherit_env: true,
            cwd: Template::literal(cwd.to_string_lossy()),
            user: None,
            group: None,
            umask: None,
            limits: Vec::new(),
            stdin: Stdin::Null,
            output: Output::Inherit,
            nice: None,
            oom_score_adjust: None,
            notify: false,
        },
        readiness: None,
        health: None,
        suspend_file: None,
        only_when: None,
        // What it writes is not ours to read.
        danger_marks: Vec::new(),
    }
}

/// Where a release is found that nobody put into place, and what it gets besides: how it is launched.
fn fetch(home: &Home) -> FetchShape {
    let install = &home.settings.auto_install;
    if !install.enabled || install.asset.is_empty() {
        return FetchShape::default();
    }
    let place = Catalog::GitHub(GitHub {
        api: home.github_api.clone(),
        owner: install.owner.clone(),
        repository: install.repository.clone(),
        tag: Naming::release(),
        asset: Naming::literal(&install.asset),
    });
    let token = Some(Secret::Variable(GITHUB_TOKEN.to_owned()));
    let catalog = CatalogShape { place, token, inside: None, program: Some(install.program().to_owned()) };
    let text = home.run_config.of_fetched("", install.program()).to_text();
    // The tag stands between the first two quotation marks.
    let (before, behind) = text.split_at(text.find('"').map_or(0, |at| at + 1));
    let parts =
        [AdditionText::Text(before.to_owned()), AdditionText::ReleaseName, AdditionText::Text(behind.to_owned())];
    let addition = Addition { path: RUN_CONFIG_FILE.to_owned(), text: parts.into(), mode: 0o600 };
    FetchShape { catalog: Some(catalog), additions: vec![addition], ..FetchShape::default() }
}

fn version_probe(core: &Launch) -> VersionProbe {
    VersionProbe {
        program: core.program(),
        args: VERSION_ARGS.map(Template::literal).into(),
        pointer: Some("/version".to_owned()),
        expect: Expect::ReleaseName,
    }
}

fn release_check(run_config: &RunConfig) -> ReleaseCheck {
    ReleaseCheck {
        args: VERSION_ARGS.map(str::to_owned).into(),
        version: VersionSaid::Json("/version".to_owned()),
        is_name: true,
        units: std::iter::once(UnitName::main()).chain(data_node(run_config).map(|(name, _)| name)).collect(),
        home_variables: vec!["HOME".to_owned()],
        names_plans: false,
        peers: Vec::new(),
        peer_version: String::new(),
    }
}

/// So many polls that fail in a row are one too many.
fn polls_max(retries: u64) -> u32 {
    u32::try_from(retries.saturating_add(1)).unwrap_or(u32::MAX)
}

/// How long a core may be silent that was never reached: it waits for its data node before it answers anybody.
fn first_answer_ms(settings: &Settings) -> u64 {
    settings.first_connection_retries.saturating_add(1).saturating_mul(POLL_MS)
}

fn engine(settings: &Settings, run_config: &RunConfig) -> EngineSettings {
    let grace_ms = settings.stop_timeout_seconds.saturating_mul(1_000);
    let delay_ms = settings.restart_delay_seconds.saturating_mul(1_000);
    let restarts = u32::try_from(settings.restarts).unwrap_or(u32::MAX);
    let main = UnitName::main();
    let rules = |is_core: bool, after: Vec<StartAfter>| UnitRules {
        restart: RestartPolicy::Always,
        forbidden_exits: Vec::new(),
        back_off: BackOff { at_once: 0, first_ms: delay_ms, max_ms: delay_ms, jitter_percent: 0, reset_after_ms: None },
        crash_loop: CrashLoop { count: restarts.saturating_add(1), within_ms: None, then: WhenLooping::End },
        after,
        together: GroupName::new("node").ok(),
        stop: StopRule::fixed(SIGTERM, grace_ms),
        has_readiness: is_core,
        ready_within_ms: None,
        when_unhealthy: if is_core { WhenUnhealthy::End } else { WhenUnhealthy::Tell },
    };
    let core = (main.clone(), rules(true, Vec::new()));
    // The core asks the data node's history before its launch; both are told to end at once.
    let after = vec![StartAfter { unit: main, when: StartWhen::Up, bound: false, down_first: false }];
    let data_node = data_node(run_config).map(|(name, _)| (name, rules(false, after)));
    EngineSettings {
        units: std::iter::once(core).chain(data_node).collect(),
        upgrade: UpgradeRules {
            keep: false,
            migrate: false,
            relaunch: true,
            stop_delay_ms: settings.stop_delay_seconds.saturating_mul(1_000),
            stop_within_ms: grace_ms.saturating_add(60_000),
            rest_ms: 0,
            start_within_ms: first_answer_ms(settings),
            prove_exits_max: restarts,
            retry_first_ms: 2_000,
            retry_max_ms: 15_000,
        },
        stall: None,
        has_scouts: true,
        near_ms: NEAR_MS.into(),
        halts_when_told: false,
        lifetime: Lifetime::Standing,
        seed: cosmos::seed(&settings.home.to_string_lossy()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::added::{Printed, added};
    use crate::shape::HomeLayout;
    use crate::vega::load::GITHUB_API;
    use crate::vega::{Standing, load};
    use ov_sys::RealDisk;
    use ov_types::{AfterUpgrade, Height, Occasion};

    const CORE: &str = "name = \"genesis\"\n[vega.binary]\npath = \"vega\"\nargs = [\"start\", \"--tendermint-home\", \"tm\"]\n\
                        [vega.rpc]\nsocketPath = \"vega.sock\"\nhttpPath = \"rpc\"\n";
    const DATA: &str = "[data_node.binary]\npath = \"/bin/vega\"\nargs = [\"datanode\", \"start\", \"--home=/d\"]\n";

    /// The node of a home with this in its first release.
    fn node(run_config: &str) -> (tempfile::TempDir, NodeShape) {
        let top = tempfile::tempdir().unwrap();
        let home = top.path().join("home");
        for release in ["genesis", "v2"] {
            std::fs::create_dir_all(home.join(release)).unwrap();
            let text = run_config.replace("\"vega\"", &format!("\"{release}-core\""));
            std::fs::write(home.join(release).join("run-config.toml"), text).unwrap();
        }
        std::fs::write(home.join("config.toml"), "stopSignalTimeoutSeconds = 7\n").unwrap();
        let shape = shape(&RealDisk, &load(&RealDisk, &home, &|_| None).unwrap(), top.path());
        (top, shape)
    }

    #[test]
    fn releases_lie_in_the_home_and_each_says_what_it_launches() {
        let (top, shape) = node(&format!("{CORE}{DATA}"));
        let home = top.path().join("home");
        let HomeLayout { releases, current, config, launch_file, state, data, .. } = &shape.layout;
        assert_eq!((releases, current), (&home, &home.join("current")));
        assert_eq!(
            (config.as_ref(), launch_file.as_deref()),
            (Some(&home.join("config.toml")), Some("run-config.toml"))
        );
        assert_eq!((state, data), (&home.join(".omnivisor"), &top.path().join("tm/data")));
        let main = &shape.units[&UnitName::main()].launch;
        assert_eq!(main.program.fill(Path::new("/r")), "/r/genesis-core");
        assert_eq!((main.stdin, &main.output, main.inherit_env), (Stdin::Null, &Output::Inherit, true));
        assert_eq!(main.cwd.as_literal(), top.path().to_str());
        let data_node = &shape.units[&UnitName::new(DATA_NODE).unwrap()].launch;
        assert_eq!(data_node.program.fill(Path::new("/r")), "/bin/vega");
        assert_eq!(shape.engine.units[&UnitName::main()].stop.grace_ms, 7_000);
        assert_eq!(shape.engine.units.len(), shape.units.len());
        let health = shape.units[&UnitName::main()].health.as_ref().unwrap();
        assert_eq!((health.failures, health.failures_of_relaunch), (175_001, 11));
        let rules = shape.engine.units.values().map(|rules| (rules.crash_loop.count, rules.back_off.first_ms));
        assert_eq!(rules.collect::<Vec<_>>(), [(4, 5_000), (4, 5_000)]);
        let signer = shape.signer.unwrap();
        assert_eq!(signer.key, Some(top.path().join("tm/config/priv_validator_key.json")));
        assert!(!signer.is_declared);

        let read = load(&RealDisk, &home, &|_| None).unwrap();
        assert!(matches!(read.standing, Standing::Fresh(_)));
        let next = read.with_release(&RealDisk, &ReleaseName::new("v2").unwrap()).unwrap();
        let next = super::shape(&RealDisk, &next, top.path());
        assert_eq!(next.units[&UnitName::main()].launch.program.fill(Path::new("/r")), "/r/v2-core");
        assert!(read.with_release(&RealDisk, &ReleaseName::new("v3").unwrap()).is_err());
    }

    #[test]
    fn each_member_is_asked_for_its_own_tag() {
        for flavour in &crate::vega::FLAVOURS {
            let (top, shape) = node(&CORE.replace("[vega", &format!("[{}", flavour.name)));
            assert_eq!((shape.chain.as_str(), shape.units.len()), (flavour.name, 1));
            let [Scout::Asked { question: PlanQuestion::JsonRpc { call, parts, .. }, .. }] = &shape.scouts[..] else {
                panic!("{:?}", shape.scouts)
            };
            assert_eq!((call.socket.as_path(), call.path.as_str()), (top.path().join("vega.sock").as_path(), "/rpc"));
            assert_eq!(parts.name, format!("/{}", flavour.tag_field));
        }
    }

    #[test]
    fn a_release_that_is_fetched_is_launched_as_the_one_before() {
        let (top, alone) = node(CORE);
        assert_eq!((alone.fetch.catalog, alone.fetch.additions), (None, Vec::new()));
        let home = top.path().join("home");
        let text = "[autoInstall]\nrepositoryOwner = \"me\"\n[autoInstall.asset]\nname = \"{x}.zip\"\nbinaryName = \"bin/core\"\n";
        std::fs::write(home.join("config.toml"), text).unwrap();
        let api = |name: &str| (name == GITHUB_API).then(|| "http://127.0.0.1:1".to_owned());
        let read = load(&RealDisk, &home, &api).unwrap();
        let shape = shape(&RealDisk, &read, top.path());
        let catalog = shape.fetch.catalog.unwrap();
        let Catalog::GitHub(github) = catalog.place;
        let release = ReleaseName::new("v0.75.0").unwrap();
        let found = (github.api.as_str(), github.owner.as_str(), github.repository.as_str());
        assert_eq!(found, ("http://127.0.0.1:1", "me", "vega"));
        assert_eq!((github.tag.of(&release), github.asset.of(&release)), ("v0.75.0".to_owned(), "{x}.zip".to_owned()));
        assert_eq!(catalog.program.as_deref(), Some("bin/core"));
        let [addition] = &shape.fetch.additions[..] else { panic!("{:?}", shape.fetch.additions) };
        let filled = addition.fill(&release, Path::new("/r"));
        let expected = read.run_config.of_fetched("v0.75.0", "bin/core").to_text();
        assert_eq!((filled.path.as_str(), String::from_utf8(filled.contents).unwrap()), ("run-config.toml", expected));
    }

    /// What is added to the arguments of main.
    fn pinned(shape: &NodeShape, occasion: Occasion) -> String {
        let launch = &shape.units[&UnitName::main()].launch;
        let mut ask = |question: &crate::added::Question| {
            let words: Vec<String> = question.args.iter().map(|arg| arg.fill(Path::new("/r"))).collect();
            let out = match question.program.fill(Path::new("/r")).as_str() {
                "/bin/vega" => "{\"LatestSegment\":{\"from_height\":1,\"to_height\":77}}",
                "/r/genesis-core" if words == ["tools", "snapshot", "--output", "json"] => {
                    "{\"snapshots\":[{\"height\":80},{\"height\":70},{\"height\":60}]}"
                }
                other => panic!("{other} {words:?}"),
            };
            Ok(Printed { success: true, out: out.to_owned(), err: String::new() })
        };
        added(&launch.added, &occasion, &[], &mut ask).unwrap().join(" ")
    }

    #[test]
    fn the_core_begins_where_the_old_one_left_off_and_never_ahead_of_its_data_node() {
        let upgraded =
            Occasion { after_upgrade: Some(AfterUpgrade { height: Some(Height(90)) }), ..Occasion::default() };
        let failed = Occasion { after_failure: true, ..Occasion::default() };
        let both = Occasion { after_failure: true, ..upgraded };
        let (alone, with_data) = (node(CORE).1, node(&format!("{CORE}{DATA}")).1);
        for (shape, occasion, expected) in [
            (&alone, Occasion::default(), ""),
            (&alone, upgraded, "90"),
            (&alone, both, "90"),
            (&alone, failed, ""),
            (&with_data, Occasion::default(), ""),
            (&with_data, upgraded, "90"),
            (&with_data, both, "90"),
            // The data node has block 77, and the core a snapshot of block 70.
            (&with_data, failed, "70"),
        ] {
            let expected = if expected.is_empty() { String::new() } else { format!("{PIN} {expected}") };
            assert_eq!(pinned(shape, occasion), expected, "{occasion:?}");
        }
    }

    #[test]
    fn the_engines_own_place_is_looked_into_where_no_other_is_named_and_it_is_certain() {
        let user = tempfile::tempdir().unwrap();
        let (top, _) = node(&CORE.replace(", \"--tendermint-home\", \"tm\"", ""));
        let environment = |name: &str| (name == "HOME").then(|| user.path().to_str().unwrap().to_owned());
        let look = || {
            let home = load(&RealDisk, &top.path().join("home"), &environment).unwrap();
            shape(&RealDisk, &home, top.path()).layout.data
        };
        let make = |name: &str| {
            std::fs::create_dir_all(user.path().join(name).join("config")).unwrap();
            std::fs::write(user.path().join(name).join("config/config.toml"), "").unwrap();
        };
        let nowhere = look();
        make(".tendermint");
        assert_eq!(look(), user.path().join(".tendermint/data"));
        make(".cometbft");
        assert_eq!(look(), nowhere, "which one is meant is not known");
    }
}
