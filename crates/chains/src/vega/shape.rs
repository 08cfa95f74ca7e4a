//! A home in Visor's layout as a node to look after: the core, and perhaps the data node that it feeds.
//!
//! The only place where settings become rules. Looks at the disk for what the core's consensus is configured by, changes
//! nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ov_sys::Disk;
use ov_types::{
    BackOff, CrashLoop, EngineSettings, FailurePolicy, GroupName, KeepMethod, Lifetime, ReleaseName, RestartPolicy,
    StartAfter, StartWhen, StopRule, UnitName, UnitRules, UpgradeRules, WhenLooping, WhenUnhealthy,
};

use super::load::{Home, run_config};
use super::run_config::{Launch, RunConfig};
use super::settings::Settings;
use crate::cosmos::{self, NodeConfig, NodeLaunch, flag_value};
use crate::plans::{PlanNames, PlanRules, PlanWriters};
use crate::reload::Written;
use crate::shape::{
    Expect, FetchShape, JsonRpcCall, KeepShape, LaunchShape, NodeProbes, NodeShape, Output, PlanParts, PlanQuestion,
    Probe, ProveShape, Readiness, ReleaseCheck, Retention, Scout, Stdin, UnitShape, VersionProbe, VersionSaid,
};
use crate::template::Template;
use crate::words::NEAR_MS;

/// The name of the data node's unit.
const DATA_NODE: &str = "data-node";
/// How often a core is asked, as by the original.
const POLL_MS: u64 = 2_000;
/// How long it may take to answer.
const ANSWER_MS_MAX: u64 = 5_000;
/// A program tells its version with these.
const VERSION_ARGS: [&str; 3] = ["version", "--output", "json"];
const SIGTERM: i32 = 15;

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
    let consensus = Consensus::of(disk, run_config, cwd);
    let mut layout = home.layout.clone();
    if let Some(consensus) = &consensus {
        layout.data = consensus.home.join("data");
    }
    let rpc = call(run_config, cwd);
    NodeShape {
        name: settings.home.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        chain: run_config.flavour.name.to_owned(),
        layout,
        units: units(run_config, &rpc, cwd),
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
        fetch: FetchShape::default(),
        // They lie among what people put into the home.
        snapshots: Retention { keep_last: u32::MAX, keep_for_ms: None, max_bytes: None },
        releases_keep_last: u32::MAX,
        written: Written::default(),
    }
}

/// The consensus engine within the core, which has a home of its own.
struct Consensus {
    home: PathBuf,
    config: NodeConfig,
}

impl Consensus {
    /// Where the core is told that it is. Its default is not known.
    fn of(disk: &dyn Disk, run_config: &RunConfig, cwd: &Path) -> Option<Self> {
        let arguments = run_config.core.args();
        let home = cwd.join(flag_value(arguments, "--tendermint-home")?);
        // The core has no flags for what stands in that file, and no variables.
        let launch = NodeLaunch { program: run_config.flavour.name, arguments: &[], environment: &|_| None };
        let config = cosmos::node_config_of(disk, &home, launch);
        Some(Self { home, config })
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
        planned_every_ms: POLL_MS,
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

fn units(run_config: &RunConfig, rpc: &JsonRpcCall, cwd: &Path) -> BTreeMap<UnitName, UnitShape> {
    let readiness = Readiness { probe: Probe::JsonRpc(rpc.clone()), every_ms: POLL_MS, timeout_ms: ANSWER_MS_MAX };
    let core = UnitShape { readiness: Some(readiness), ..unit(&run_config.core, cwd) };
    let data_node = data_node(run_config).map(|(name, launch)| (name, unit(launch, cwd)));
    std::iter::once((UnitName::main(), core)).chain(data_node).collect()
}

fn data_node(run_config: &RunConfig) -> Option<(UnitName, &Launch)> {
    // A name that is one: it is written here.
    Some((UnitName::new(DATA_NODE).ok()?, run_config.data_node.as_ref()?))
}

fn unit(launch: &Launch, cwd: &Path) -> UnitShape {
    UnitShape {
        launch: LaunchShape {
            program: program(launch),
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

fn program(launch: &Launch) -> Template {
    let path = launch.path.as_str();
    if Path::new(path).is_absolute() { Template::literal(path) } else { Template::in_release(path) }
}

fn version_probe(core: &Launch) -> VersionProbe {
    VersionProbe {
        program: program(core),
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

/// How long a core may be silent that was never reached: it waits for its data node before it answers anybody.
fn first_answer_ms(settings: &Settings) -> u64 {
    settings.first_connection_retries.saturating_add(1).saturating_mul(POLL_MS)
}

fn engine(settings: &Settings, run_config: &RunConfig) -> EngineSettings {
    let grace_ms = settings.stop_timeout_seconds.saturating_mul(1_000);
    let delay_ms = settings.restart_delay_seconds.saturating_mul(1_000);
    let restarts = u32::try_from(settings.restarts).unwrap_or(u32::MAX);
    let main = UnitName::main();
    let rules = |has_readiness: bool, after: Vec<StartAfter>| UnitRules {
        restart: RestartPolicy::Always,
        forbidden_exits: Vec::new(),
        back_off: BackOff { at_once: 0, first_ms: delay_ms, max_ms: delay_ms, jitter_percent: 0, reset_after_ms: None },
        crash_loop: CrashLoop { count: restarts.saturating_add(1), within_ms: None, then: WhenLooping::End },
        after,
        together: GroupName::new("node").ok(),
        stop: StopRule::fixed(SIGTERM, grace_ms),
        has_readiness,
        ready_within_ms: None,
        when_unhealthy: WhenUnhealthy::Tell,
    };
    let core = (main.clone(), rules(true, Vec::new()));
    let after = vec![StartAfter { unit: main, when: StartWhen::Up, bound: false }];
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
        lifetime: Lifetime::Main,
        seed: cosmos::seed(&settings.home.to_string_lossy()),
    }
}
