//! A home in Cosmovisor's layout as a node to look after.
//!
//! The only place where settings become rules. Looks at the disk for what the node's own configuration says, changes
//! nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

use ov_release::fetch::Policy;
use ov_sys::Disk;
use ov_types::{
    BackOff, CrashLoop, EngineSettings, FailurePolicy, KeepMethod, Lifetime, ReleaseName, StallPolicy, StopRule,
    UnitName, UnitRules, UpgradeRules, WhenLooping, WhenUnhealthy,
};

use super::arguments::skip_heights;
use super::check::followed;
use super::current::APPLIED_FILE;
use super::extras::Extras;
use super::halt::{can_be_told, halts};
use super::names::GENESIS;
use super::node_config::{NodeConfig, NodeLaunch, node_config, signer_port};
use super::read::Environment;
use super::services::{height_question, own_grpc, plan_question, services};
use super::settings::Settings;
use crate::added::AddedArguments;
use crate::plans::{PlanNames, PlanRules, PlanWriters};
use crate::reload::Written;
use crate::shape::{
    FetchShape, HeightFiles, HeightProbe, HomeLayout, Hook, HookArg, HookCodes, KeepShape, LaunchShape, NodeProbes,
    NodeShape, Output, ProveShape, ReleaseCheck, RemoteSignerShape, Retention, Scout, SignerShape, Stdin, UnitShape,
    VersionSaid,
};
use crate::template::Template;
use crate::words::{GRACE_MS_MAX, NEAR_MS};

/// How long a node may take to end unless its operator says otherwise, or it turns out to need longer for its database.
const GRACE_MS_DEFAULT: u64 = 30_000;
/// How long a hook may take: some rewrite the data.
const HOOK_MS_MAX: u64 = 6 * 3_600_000;
/// How long the node may take to tell its plan.
const PLAN_ANSWER_MS_MAX: u64 = 10_000;
const NODE_CONFIG_BYTES_MAX: u64 = 1 << 20;
const SIGTERM: i32 = 15;
/// Where a key's public half is in its file.
pub(super) const KEY_IDENTITY: &str = "/pub_key/value";

/// The node of these settings, launched with these arguments in this environment.
pub fn shape(
    disk: &dyn Disk,
    settings: &Settings,
    extras: &Extras,
    arguments: &[String],
    environment: Environment<'_>,
) -> NodeShape {
    let node = NodeLaunch { program: &settings.name, arguments, environment };
    // A relative path begins where the node does.
    let node_home = node.home().map_or_else(|| PathBuf::from(&settings.home), |home| settings.root().join(home));
    let config = node_config_of(disk, &node_home, node);
    let height = heights(&config, own_grpc_of(disk, &node_home, node));
    let main = UnitName::main();
    let exact = exact_halt(disk, &node_home, node);
    let unit = UnitShape {
        launch: LaunchShape { added: exact.clone().unwrap_or_default(), ..launch(settings, arguments) },
        readiness: None,
        health: None,
        suspend_file: None,
        only_when: None,
        // What it writes is not ours to read.
        danger_marks: Vec::new(),
    };
    let home = Path::new(&settings.home);
    let signer = signer(&node_home, &config);
    let signs = signer.as_ref().is_none_or(|signer| has_key(disk, signer));
    NodeShape {
        name: home.file_name().map_or_else(|| settings.name.clone(), |name| name.to_string_lossy().into_owned()),
        chain: "cosmos".to_owned(),
        layout: layout(settings),
        units: BTreeMap::from([(main.clone(), unit)]),
        engine: EngineSettings {
            halts_when_told: exact.is_some(),
            ..engine(settings, extras, main, !height.is_empty(), signs)
        },
        probes: NodeProbes { height, height_every_ms: 1_000, version: None, timeout_ms: 5_000 },
        height_at_rest: Some(height_files(&node_home, &config)),
        scouts: scouts(disk, settings, extras, (&node_home, node)),
        applied_copy: Some(APPLIED_FILE.to_owned()),
        on_failure: FailurePolicy::Hold,
        keep: keep(settings),
        before_switch: custom_script(settings),
        migrate: Some(pre_upgrade(settings, &node_home)),
        release_check: Some(release_check(&settings.name, &config)),
        prove: ProveShape { soak_ms: 5_000, within_ms: 120_000 },
        signer,
        remote_signer: remote_signer(&node_home, &config),
        webhooks: Vec::new(),
        metrics_listen: None,
        fetch: fetch(settings),
        // They lie among the original's, which nobody but people removes.
        snapshots: Retention { keep_last: u32::MAX, keep_for_ms: None, max_bytes: None },
        releases_keep_last: u32::MAX,
        written: Written::default(),
    }
}

/// The files that tell the height of the data.
pub(crate) fn height_files(node_home: &Path, config: &NodeConfig) -> HeightFiles {
    HeightFiles { databases: node_home.join(&config.databases), consensus_log: node_home.join(&config.consensus_log) }
}

/// What tells the node, at a launch, to make no block that is the next release's; `None` where it cannot be told.
pub(super) fn exact_halt(disk: &dyn Disk, node_home: &Path, node: NodeLaunch<'_>) -> Option<Vec<AddedArguments>> {
    let config = config_text(disk, node_home);
    let told = can_be_told(node, &config, &app_config(disk, node_home));
    told.then(|| halts(node.program, &node_home.to_string_lossy()))
}

/// What the node itself is configured by.
pub(crate) fn node_config_of(disk: &dyn Disk, node_home: &Path, node: NodeLaunch<'_>) -> NodeConfig {
    node_config(&config_text(disk, node_home), node)
}

fn config_text(disk: &dyn Disk, node_home: &Path) -> String {
    let bytes = disk.read(&node_home.join("config/config.toml"), NODE_CONFIG_BYTES_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Whether the node has the key that it would sign with itself.
pub(super) fn has_key(disk: &dyn Disk, signer: &SignerShape) -> bool {
    signer.key.as_ref().is_some_and(|key| followed(disk, key).is_ok_and(|found| found.is_some()))
}

fn layout(settings: &Settings) -> HomeLayout {
    let layout = HomeLayout::of_home(Path::new(&settings.home));
    // A name that is one: it is written here.
    let genesis = ReleaseName::new(GENESIS).ok();
    HomeLayout {
        config: None,
        releases: settings.upgrades(),
        placed: genesis.clone().map(|genesis| (genesis, settings.genesis())).into_iter().collect(),
        first: genesis,
        current: settings.current(),
        data: settings.data(),
        snapshots: layout.state.join("snapshots"),
        ..layout
    }
}

/// The operator's own script, which gets the plan's name as it was written.
fn custom_script(settings: &Settings) -> Option<Hook> {
    let name = Some(settings.custom_pre_upgrade.as_str()).filter(|name| !name.is_empty())?;
    Some(Hook {
        program: Template::literal(settings.root().join(name).to_string_lossy()),
        args: vec![HookArg::PlanName, HookArg::PlanHeight],
        timeout_ms: HOOK_MS_MAX,
        make_executable: true,
        codes: HookCodes::default(),
        question: None,
    })
}

/// The new program's own command, if it has one, on the home that the node has.
fn pre_upgrade(settings: &Settings, node_home: &Path) -> Hook {
    let words = ["pre-upgrade".to_owned(), "--home".to_owned(), node_home.to_string_lossy().into_owned()];
    let retries = u32::try_from(settings.pre_upgrade_retries).unwrap_or(0);
    Hook {
        program: Template::in_release(&format!("bin/{}", settings.name)),
        args: words.map(|word| HookArg::Text(Template::literal(word))).into(),
        timeout_ms: HOOK_MS_MAX,
        make_executable: false,
        codes: pre_upgrade_codes(retries),
        question: Some(pre_upgrade_question()),
    }
}

/// The programs of the family look for the command first: one that has it shows its help, and does nothing.
pub(super) fn pre_upgrade_question() -> Vec<String> {
    ["pre-upgrade", "--help"].map(str::to_owned).into()
}

/// What the exit codes of the new program's own command mean.
pub(super) fn pre_upgrade_codes(retries: u32) -> HookCodes {
    HookCodes { no_such_command: Some((1, "unknown command".to_owned())), abort: Some(30), again: Some((31, retries)) }
}

/// The file of the halting node, which people also write ahead of time; the list of what people scheduled; and the node
/// itself, which knows of a plan as soon as that is decided on.
fn scouts(
    disk: &dyn Disk,
    settings: &Settings,
    extras: &Extras,
    (node_home, node): (&Path, NodeLaunch<'_>),
) -> Vec<Scout> {
    let skipped = || skip_heights(node.arguments);
    let rules = |writers, every_ms| plan_rules(!settings.disable_recase, writers, skipped(), every_ms);
    let file = |path, writers| {
        let rules = rules(writers, Some(settings.poll_interval.ms()));
        Scout::PlanFile { path, on_failure: FailurePolicy::Hold, rules }
    };
    let asking = (settings.grpc_address.as_str(), extras.ask_every.ms());
    let rules = (rules(PlanWriters::Node, None), FailurePolicy::Hold);
    let asked = asked(disk, node_home, node, asking, rules);
    let files =
        [file(settings.plan_file(), PlanWriters::NodeOrPeople), file(settings.schedule_file(), PlanWriters::People)];
    files.into_iter().chain(asked).collect()
}

/// The node itself, where it answers; asked so often.
pub(super) fn asked(
    disk: &dyn Disk,
    node_home: &Path,
    node: NodeLaunch<'_>,
    (told, every_ms): (&str, u64),
    (rules, on_failure): (PlanRules, FailurePolicy),
) -> Option<Scout> {
    let question = plan_question(&services(&app_config(disk, node_home), node, told))?;
    let timeout_ms = PLAN_ANSWER_MS_MAX;
    Some(Scout::Asked { question, every_ms, planned_every_ms: every_ms, timeout_ms, on_failure, rules })
}

/// Where the node itself answers gRPC, if it says so.
pub(super) fn own_grpc_of(disk: &dyn Disk, node_home: &Path, node: NodeLaunch<'_>) -> Option<String> {
    own_grpc(&app_config(disk, node_home), node)
}

fn app_config(disk: &dyn Disk, node_home: &Path) -> String {
    let bytes = disk.read(&node_home.join("config/app.toml"), NODE_CONFIG_BYTES_MAX).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// How the family's plans are to be understood.
pub(super) fn plan_rules(lowered: bool, writers: PlanWriters, skipped: Vec<u64>, every_ms: Option<u64>) -> PlanRules {
    PlanRules { names: PlanNames::Escaped { lowered }, writers, skipped, every_ms }
}

/// Whether plans are followed to where their releases are, and what is believed then. The address of the release needs a
/// checksum as well as that of a text which leads to it.
fn fetch(settings: &Settings) -> FetchShape {
    let policy = Policy { must_have_checksum: settings.must_have_checksum, ..Policy::default() };
    FetchShape { by_plan: settings.allow_download, policy, ..FetchShape::default() }
}

fn launch(settings: &Settings, arguments: &[String]) -> LaunchShape {
    LaunchShape {
        program: Template::in_release(&format!("bin/{}", settings.name)),
        args: arguments.iter().map(Template::literal).collect(),
        added: Vec::new(),
        env: Vec::new(),
        env_files: Vec::new(),
        inherit_env: true,
        cwd: Template::literal(settings.root().to_string_lossy()),
        user: None,
        group: None,
        umask: None,
        limits: Vec::new(),
        stdin: Stdin::Inherit,
        output: Output::Inherit,
        nice: None,
        oom_score_adjust: None,
        notify: false,
    }
}

fn engine(settings: &Settings, extras: &Extras, main: UnitName, is_asked: bool, signs: bool) -> EngineSettings {
    let stop = match settings.shutdown_grace.ms() {
        0 => StopRule { signal: SIGTERM, grace_ms: GRACE_MS_DEFAULT, grace_ms_max: GRACE_MS_MAX },
        given_ms => StopRule::fixed(SIGTERM, given_ms),
    };
    let rules = UnitRules {
        restart: extras.restart,
        forbidden_exits: Vec::new(),
        back_off: BackOff {
            at_once: 1,
            first_ms: 1_000,
            max_ms: 60_000,
            jitter_percent: 20,
            reset_after_ms: Some(60_000),
        },
        // A validator that dies again and again may be doing harm.
        crash_loop: CrashLoop { count: if signs { 3 } else { 5 }, within_ms: Some(120_000), then: WhenLooping::Park },
        after: Vec::new(),
        together: None,
        stop,
        has_readiness: false,
        ready_within_ms: None,
        when_unhealthy: WhenUnhealthy::Tell,
    };
    EngineSettings {
        units: BTreeMap::from([(main, rules)]),
        upgrade: UpgradeRules {
            keep: !settings.skip_backup,
            migrate: true,
            relaunch: settings.restart_after_upgrade,
            stop_delay_ms: 0,
            stop_within_ms: stop.grace_ms.saturating_add(60_000),
            rest_ms: settings.restart_delay.ms(),
            start_within_ms: 600_000,
            prove_exits_max: 2,
            retry_first_ms: 2_000,
            retry_max_ms: 15_000,
        },
        stall: is_asked.then_some(StallPolicy { within_ms: 300_000, restart: false }),
        has_scouts: true,
        near_ms: NEAR_MS.into(),
        halts_when_told: false,
        lifetime: Lifetime::Main,
        seed: seed(&settings.home),
    }
}

/// How the node is asked for its height: at its own addresses and nobody else's, which would be other nodes' heights.
pub(crate) fn heights(config: &NodeConfig, own_grpc: Option<String>) -> Vec<HeightProbe> {
    let pointer = "/result/sync_info/latest_block_height".to_owned();
    let rpc = config.rpc.as_ref().map(|rpc| HeightProbe::Http { url: format!("http://{rpc}/status"), pointer });
    rpc.into_iter().chain(own_grpc.map(height_question)).collect()
}

fn keep(settings: &Settings) -> KeepShape {
    KeepShape {
        method: if settings.skip_backup { KeepMethod::Off } else { KeepMethod::Auto },
        // Tables of LevelDB, and of RocksDB and Pebble.
        write_once: vec!["*.ldb".to_owned(), "*.sst".to_owned()],
        // Who holds the database open is a matter of the moment.
        exclude: vec!["LOCK".to_owned()],
        outside: Some((PathBuf::from(&settings.backup_dir), "data-backup".to_owned())),
        format_file: None,
    }
}

/// Every program of the family tells its version, and makes a home on the way where there is none.
pub(super) fn release_check(program: &str, config: &NodeConfig) -> ReleaseCheck {
    let own_home = NodeLaunch { program, arguments: &[], environment: &|_| None }.variable_of("home");
    ReleaseCheck {
        args: ["version", "--long"].map(str::to_owned).into(),
        version: VersionSaid::Line("version:".to_owned()),
        is_name: false,
        units: vec![UnitName::main()],
        home_variables: vec!["HOME".to_owned(), own_home],
        names_plans: true,
        peers: config.references.iter().map(|address| format!("{address}/abci_info")).collect(),
        peer_version: "/result/response/version".to_owned(),
    }
}

/// The key and what it has signed. Every node of the family has one; where it is missing, or not used, others judge.
fn own_signer(node_home: &Path, config: &NodeConfig) -> SignerShape {
    SignerShape {
        key: Some(node_home.join(&config.key)),
        identity: Some(KEY_IDENTITY.to_owned()),
        sign_state: Some(node_home.join(&config.sign_state)),
        silent_blocks: Some(config.silent_blocks),
        is_declared: false,
    }
}

/// The node's own key, unless somebody else signs for it.
pub(crate) fn signer(node_home: &Path, config: &NodeConfig) -> Option<SignerShape> {
    config.remote_signer.is_none().then(|| own_signer(node_home, config))
}

/// Who signs for the node, if it is not the node itself.
pub(crate) fn remote_signer(node_home: &Path, config: &NodeConfig) -> Option<RemoteSignerShape> {
    let address = config.remote_signer.clone()?;
    Some(RemoteSignerShape { listens: signer_port(&address), address, left: own_signer(node_home, config) })
}

/// A number that differs from node to node, also where many hosts have the same home.
pub(crate) fn seed(home: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (ov_sys::host::host_facts().host_name, home).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;
    use ov_types::RestartPolicy;

    fn settings(home: &Path) -> Settings {
        let home = home.to_str().unwrap().to_owned();
        Settings { backup_dir: home.clone(), home, name: "simd".to_owned(), ..Settings::default() }
    }

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn the_layout_is_the_originals_and_our_state_lies_apart() {
        let settings = settings(Path::new("/home/node"));
        let node = shape(&RealDisk, &settings, &Extras::default(), &words("start --x {home}"), &|_| None);
        assert_eq!(node.layout.state, Path::new("/home/node/.omnivisor"));
        assert_eq!(node.layout.current, Path::new("/home/node/cosmovisor/current"));
        assert_eq!(node.layout.releases, Path::new("/home/node/cosmovisor/upgrades"));
        let genesis = ReleaseName::new("genesis").unwrap();
        assert_eq!(node.layout.placed[&genesis], Path::new("/home/node/cosmovisor/genesis"));
        let main = &node.units[&UnitName::main()].launch;
        let release = Path::new("/home/node/cosmovisor/upgrades/v2");
        assert_eq!(main.program.fill_path(release), release.join("bin/simd"));
        assert_eq!(main.args.iter().map(|arg| arg.fill(release)).collect::<Vec<_>>(), ["start", "--x", "{home}"]);
        assert_eq!(main.cwd.as_literal(), Some("/home/node/cosmovisor"));
        assert_eq!((main.stdin, &main.output), (Stdin::Inherit, &Output::Inherit));
        assert_eq!(node.chain, "cosmos");
        let files: Vec<&Path> = node.scouts.iter().filter_map(Scout::path).collect();
        assert_eq!(files, [settings.plan_file(), settings.schedule_file()]);
    }

    #[test]
    fn the_rules_are_those_of_the_settings() {
        let mut settings = settings(Path::new("/home/node"));
        let rules = |settings: &Settings, extras: &Extras| {
            let node = shape(&RealDisk, settings, extras, &words("start"), &|_| None);
            let main = node.engine.units[&UnitName::main()].clone();
            (main.restart, main.stop, node.keep.method, node.engine.upgrade.keep)
        };
        let stop = StopRule { signal: 15, grace_ms: 30_000, grace_ms_max: 600_000 };
        let by_default = rules(&settings, &Extras::default());
        assert_eq!(by_default, (RestartPolicy::Never, stop, KeepMethod::Auto, true));
        settings.shutdown_grace = "2m".parse().unwrap();
        settings.skip_backup = true;
        let extras = Extras { restart: RestartPolicy::OnFailure, ..Extras::default() };
        let stop = StopRule::fixed(15, 120_000);
        assert_eq!(rules(&settings, &extras), (RestartPolicy::OnFailure, stop, KeepMethod::Off, false));
    }

    #[test]
    fn the_node_itself_tells_where_it_answers_and_who_signs() {
        let home = tempfile::tempdir().unwrap();
        let settings = settings(home.path());
        let look = |line: &str| shape(&RealDisk, &settings, &Extras::default(), &words(line), &|_| None);
        let asked = |node: &NodeShape| match node.probes.height.first() {
            Some(HeightProbe::Http { url, .. }) => Some(url.clone()),
            _ => None,
        };
        let new = look("start");
        assert_eq!(asked(&new).as_deref(), Some("http://127.0.0.1:26657/status"));
        let config = home.path().join("config");
        std::fs::create_dir(&config).unwrap();
        std::fs::write(config.join("config.toml"), "[rpc]\nladdr = \"tcp://127.0.0.1:7\"").unwrap();
        std::fs::write(config.join("priv_validator_key.json"), "{}").unwrap();
        let node = look("start");
        assert_eq!(asked(&node).as_deref(), Some("http://127.0.0.1:7/status"));
        let failures = |node: &NodeShape| node.engine.units[&UnitName::main()].crash_loop.count;
        assert_eq!((failures(&node), failures(&new)), (3, 5), "a validator is left alone sooner");
        let signer = SignerShape {
            key: Some(config.join("priv_validator_key.json")),
            identity: Some("/pub_key/value".to_owned()),
            sign_state: Some(home.path().join("data/priv_validator_state.json")),
            silent_blocks: Some(0),
            is_declared: false,
        };
        assert_eq!(node.signer, Some(signer.clone()));
        assert_eq!(new.signer, Some(signer), "that the key is missing is for others to judge");
        let key_of = |node: NodeShape| node.signer.unwrap().key.unwrap();
        assert_eq!(key_of(look("start --home /elsewhere")), Path::new("/elsewhere/config/priv_validator_key.json"));
        // The node starts in our own folder of the home.
        let beside = key_of(look("start --home .."));
        assert_eq!(beside, settings.root().join("../config/priv_validator_key.json"));
        let silent = look("start --rpc.laddr unix:///x");
        assert_eq!((asked(&silent), silent.engine.stall), (None, None));

        std::fs::write(config.join("config.toml"), "priv_validator_laddr = \"tcp://0.0.0.0:1\"").unwrap();
        let remote = look("start");
        assert_eq!(remote.signer, None);
        let remote = remote.remote_signer.unwrap();
        assert_eq!(remote.listens, Some("0.0.0.0:1".parse().unwrap()));
        assert_eq!(remote.left.key, Some(config.join("priv_validator_key.json")));
    }
}
