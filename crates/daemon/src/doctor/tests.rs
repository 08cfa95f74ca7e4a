//! The doctor before a real home, whole at first and then broken in one way after the other.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ov_chains::plans::{PlanNames, PlanRules};
use ov_chains::shape::{CatalogShape, ReleaseCheck, RemoteSignerShape, Scout, SignerShape, VersionSaid};
use ov_release::fetch::{Catalog, GitHub, Naming};
use ov_sys::{RealDisk, SimClock};
use ov_testkit::GitHubServer;
use ov_types::{Moment, Origin, PlanId, Trigger};

use super::*;
use crate::source::ConfigurationFile;

mod machine;

const CONFIGURATION: &str = r#"
[unit.main]
program = "current/bin/node"
env-file = ["node.env"]

[unit.main.ready]
tcp = "127.0.0.1:PORT"

[validator]
key = "config/key.json"
sign-state = "data/sign_state.json"

[probe.height]
file = "data/height"

[upgrade.keep]
format-file = "FORMAT"

[[webhook]]
url-file = "secrets/url"
"#;

fn release(name: &str) -> ReleaseName {
    ReleaseName::new(name).unwrap()
}

struct Home {
    folder: tempfile::TempDir,
    shape: NodeShape,
    supply: Supply,
    plan: Plan,
    plans: Vec<Plan>,
    height: Option<Height>,
    recorded: Option<SignState>,
    own: Vec<u32>,
    /// Holds the probed port.
    listener: TcpListener,
    /// Where a signer elsewhere is awaited, and both ends of its connection.
    door: TcpListener,
    signer: Option<[TcpStream; 2]>,
}

impl Home {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let write = |name: &str, mode: u32, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        write("omnivisor.toml", 0o644, &CONFIGURATION.replace("PORT", &port.to_string()));
        write("node.env", 0o600, "NETWORK=test\n");
        write("secrets/url", 0o600, "https://hooks.example/x\n");
        write("secrets/token", 0o600, "hunter2\n");
        write("config/key.json", 0o600, "{}");
        write("data/sign_state.json", 0o600, r#"{"height":"7","round":0,"step":3}"#);
        write("data/FORMAT", 0o644, "1\n");
        write("data/db/LOCK", 0o644, "");
        let layout = Layout::of_home(folder.path());
        for name in ["v1", "v2"] {
            write(&format!("releases/{name}/bin/node"), 0o755, "#!/bin/sh\necho version: v2.0.1 >&2\n");
            ov_release::adopt(&RealDisk, &layout, &release(name), Some("bin/node"), 0).unwrap();
        }
        ov_release::switch(&RealDisk, &layout, &release("v1")).unwrap();
        let mut shape = ov_chains::load(&RealDisk, folder.path(), None).unwrap();
        // A family would say these.
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let signer = TcpStream::connect(door.local_addr().unwrap()).unwrap();
        let signer = Some([signer, door.accept().unwrap().0]);
        let own = shape.signer.as_mut().unwrap();
        own.silent_blocks = Some(0);
        let left = SignerShape {
            key: Some(folder.path().join("config/left.json")),
            sign_state: Some(folder.path().join("data/left_state.json")),
            ..own.clone()
        };
        shape.release_check = Some(ReleaseCheck {
            args: vec!["version".to_owned()],
            version: VersionSaid::Line("version:".to_owned()),
            is_name: false,
            units: vec![UnitName::main()],
            home_variables: vec!["HOME".to_owned()],
            names_plans: true,
            peers: vec![peer("v2.0.1")],
            peer_version: "/result/response/version".to_owned(),
        });
        let listens = Some(door.local_addr().unwrap());
        shape.remote_signer = Some(RemoteSignerShape { address: "tcp://signer".to_owned(), listens, left });
        let plan = Plan {
            id: PlanId(3),
            release: release("v2"),
            trigger: Trigger::Height { height: Height(100) },
            on_failure: FailurePolicy::Rollback,
            origin: Origin::Person,
            source: None,
            info: None,
            sha256: None,
            keep: true,
            supersedes: None,
        };
        let (height, own) = (Some(Height(7)), vec![std::process::id()]);
        let plans = vec![plan.clone()];
        let supply = Supply::of(&shape.fetch);
        let mut home = Self { folder, shape, supply, plans, plan, height, recorded: None, own, listener, door, signer };
        planned_as(&mut home, "v2");
        catalog_at(&mut home, "http://127.0.0.1:1");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn examine(&self, depth: Depth) -> Vec<Finding> {
        self.with_input(depth, examine)
    }

    fn with_input<T>(&self, depth: Depth, look: impl Fn(&DoctorInput<'_>) -> T) -> T {
        look(&DoctorInput {
            disk: &RealDisk,
            shape: &self.shape,
            source: &ConfigurationFile { home: self.folder.path().to_owned(), file: None },
            layout: Layout::of_home(self.folder.path()),
            depth,
            clock: &SimClock::new(Moment { monotonic_ms: 0, wall_ms: 1_000 }),
            plan: Some(&self.plan),
            release: None,
            plans: &self.plans,
            height: self.height,
            recorded_sign_state: self.recorded,
            stop_ms_max: 0,
            supply: &self.supply,
            own: &self.own,
        })
    }

    /// The worst that is found under this name.
    fn worst(&self, id: &str) -> Severity {
        let found: Vec<_> = self.examine(Depth::Full).into_iter().filter(|finding| finding.id == id).collect();
        assert!(!found.is_empty(), "{id} was not looked at");
        for finding in &found {
            let bad = finding.severity >= Severity::Warning;
            assert!(!finding.subject.is_empty() && !finding.message.is_empty(), "{finding:?}");
            assert_eq!(bad, !finding.fix.is_empty(), "whoever complains says what to do: {finding:?}");
        }
        ov_types::worst(&found)
    }
}

#[test]
fn a_home_in_order_is_found_in_order() {
    let home = Home::new();
    // What this machine is like is not the home's fault.
    let about_home = |finding: &&Finding| !finding.id.starts_with("host.") && !finding.id.starts_with("disk.");
    let findings = home.examine(Depth::Full);
    let bad: Vec<_> = findings.iter().filter(about_home).filter(|f| f.severity != Severity::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let seen: BTreeSet<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
    for id in CHECKS.iter().map(|check| check.id) {
        // These speak under systemd, and this one of units with a user of their own.
        let may_be_silent = id.starts_with("host.service-") || ["host.linger", "config.users"].contains(&id);
        assert!(may_be_silent || seen.contains(id), "{id} says nothing");
    }
}

/// Breaks something.
type Break = fn(&mut Home);

fn remove(home: &Home, name: &str) {
    let path = home.path(name);
    if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
}

fn mode(home: &Home, name: &str, mode: u32) {
    fs::set_permissions(home.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

fn program(home: &Home, text: &str) {
    fs::write(home.path("releases/v2/bin/node"), text).unwrap();
}

/// A family whose releases are called as their programs call themselves, and what this one says.
fn names_itself(home: &mut Home, says: &str) {
    let check = home.shape.release_check.as_mut().unwrap();
    (check.version, check.is_name) = (VersionSaid::Json("/version".to_owned()), true);
    program(home, &format!("#!/bin/sh\necho '{says}'\n"));
}

/// Another node of the network, which says once or more often that it runs this; its address.
fn peer(version: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = format!(r#"{{"result":{{"response":{{"version":"{version}"}}}}}}"#);
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    format!("http://{address}/abci_info")
}

static GITHUB: LazyLock<GitHubServer> = LazyLock::new(GitHubServer::default);

/// Releases are found by their names there.
fn catalog_at(home: &mut Home, api: &str) {
    let place = Catalog::GitHub(GitHub {
        api: api.to_owned(),
        owner: "owner".to_owned(),
        repository: "node".to_owned(),
        tag: Naming::release(),
        asset: Naming::literal("node"),
    });
    let token = Some(ov_chains::Secret::File(home.path("secrets/token")));
    home.shape.fetch.catalog = Some(CatalogShape { place, token, inside: None, program: None });
}

fn peers(home: &mut Home, peers: Vec<String>) {
    home.shape.release_check.as_mut().unwrap().peers = peers;
}

/// The node planned its upgrade, under this name.
fn planned_as(home: &mut Home, name: &str) {
    let path = home.path("plan.json");
    fs::write(&path, format!(r#"{{"name":"{name}","height":100}}"#)).unwrap();
    home.plan.origin = Origin::File { path: path.display().to_string() };
    let rules = PlanRules { names: PlanNames::Escaped { lowered: true }, ..PlanRules::default() };
    home.shape.scouts = vec![Scout::PlanFile { path, on_failure: FailurePolicy::Hold, rules }];
}

fn other_plan(home: &mut Home, name: &str) {
    home.plans.push(Plan { id: PlanId(4), release: release(name), ..home.plan.clone() });
}

/// The node has halted for this one: what else is planned for that height holds nothing up.
fn halted_beside_other_plan(home: &mut Home) {
    other_plan(home, "v3");
    home.plan.trigger = Trigger::Halt { height: Height(100) };
}

fn went_on_beyond_halt(home: &mut Home) {
    (home.plan.trigger, home.height) = (Trigger::AwaitHalt { height: Height(100) }, Some(Height(101)));
}

#[test]
fn each_fault_is_found_under_its_name() {
    let faults: [(&str, Severity, Break); 48] = [
        ("binary.version", Severity::Ok, |home| names_itself(home, r#"{"version":"v2","hash":"x"}"#)),
        ("binary.version", Severity::Ok, |home| names_itself(home, r#"a note; {"version":"v2"}"#)),
        ("binary.version", Severity::Error, |home| names_itself(home, r#"{"version":"v2.0","hash":"x"}"#)),
        ("binary.version", Severity::Error, |home| names_itself(home, "v2")),
        ("binary.version", Severity::Error, |home| program(home, "#!/bin/sh\nkill -KILL $$\n")),
        ("binary.version", Severity::Error, |home| program(home, "#!/nowhere\n")),
        ("binary.version", Severity::Warning, |home| program(home, "#!/bin/sh\necho version: v3.0.0\n")),
        ("binary.version", Severity::Warning, |home| program(home, "#!/bin/sh\necho version: v2.0.0\nexit 3\n")),
        ("binary.peers", Severity::Warning, |home| peers(home, vec![peer("v1.9.9")])),
        ("binary.peers", Severity::Ok, |home| peers(home, vec![peer("v1.9.9"), peer("2.0.1")])),
        ("binary.peers", Severity::Unknown, |home| peers(home, vec!["http://127.0.0.1:1/abci_info".to_owned()])),
        ("binary.handler", Severity::Warning, |home| planned_as(home, "V2")),
        ("binary.handler", Severity::Unknown, |home| home.plan.release = release("v1")),
        ("config.valid", Severity::Error, |home| fs::write(home.path("omnivisor.toml"), "[unit.main]\nx = 1").unwrap()),
        ("config.valid", Severity::Error, |home| remove(home, "omnivisor.toml")),
        ("config.environment", Severity::Error, |home| remove(home, "node.env")),
        ("config.environment", Severity::Error, |home| fs::write(home.path("node.env"), "=x").unwrap()),
        ("config.secrets", Severity::Warning, |home| mode(home, "secrets/url", 0o644)),
        ("config.secrets", Severity::Warning, |home| remove(home, "secrets/url")),
        ("config.programs", Severity::Error, |home| remove(home, "releases/v2/bin/node")),
        ("config.programs", Severity::Error, |home| mode(home, "releases/v2/bin/node", 0o644)),
        ("config.ports", Severity::Error, |home| home.own = vec![u32::MAX]),
        ("data.directory", Severity::Warning, |home| remove(home, "data")),
        ("data.format", Severity::Warning, |home| remove(home, "data/FORMAT")),
        ("data.key-mode", Severity::Warning, |home| mode(home, "config/key.json", 0o640)),
        ("data.key-mode", Severity::Error, |home| mode(home, "config/key.json", 0o604)),
        ("data.key-mode", Severity::Error, |home| mode(home, "config/key.json", 0o620)),
        ("data.custody", Severity::Error, |home| home.recorded = Some(SignState { height: 1, round: 0, step: 0 })),
        ("data.custody", Severity::Error, |home| {
            let path = home.shape.layout.custody();
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "{").unwrap();
        }),
        ("data.key-mode", Severity::Unknown, |home| remove(home, "config/key.json")),
        ("data.sign-state", Severity::Error, |home| remove(home, "config/key.json")),
        ("data.sign-state", Severity::Error, |home| remove(home, "data/sign_state.json")),
        ("data.sign-state", Severity::Error, |home| fs::write(home.path("data/sign_state.json"), "{").unwrap()),
        ("data.sign-state", Severity::Error, |home| home.recorded = Some(SignState { height: 8, round: 0, step: 0 })),
        ("data.remote-signer", Severity::Error, |home| home.signer = None),
        ("data.remote-signer", Severity::Unknown, |home| {
            home.signer = None;
            home.door = TcpListener::bind("127.0.0.1:0").unwrap();
        }),
        ("data.left-key", Severity::Warning, |home| {
            fs::write(home.path("config/left.json"), "{}").unwrap();
            fs::write(home.path("data/left_state.json"), r#"{"height":"7","round":0,"step":3}"#).unwrap();
        }),
        ("data.silence", Severity::Warning, |home| home.shape.signer.as_mut().unwrap().silent_blocks = Some(10)),
        ("plan.release", Severity::Error, |home| remove(home, "releases/v2.release.json")),
        ("plan.conflict", Severity::Error, |home| other_plan(home, "v3")),
        ("plan.conflict", Severity::Warning, |home| other_plan(home, "v2")),
        ("plan.conflict", Severity::Warning, halted_beside_other_plan),
        ("plan.trigger", Severity::Warning, went_on_beyond_halt),
        ("plan.trigger", Severity::Warning, |home| home.height = Some(Height(100))),
        ("plan.trigger", Severity::Unknown, |home| home.height = None),
        ("plan.trigger", Severity::Warning, |home| home.plan.trigger = Trigger::Time { wall_ms: 999 }),
        ("release.complete", Severity::Error, |home| {
            fs::write(home.path("releases/v2/bin/node"), "#!/bin/su\n").unwrap();
        }),
        ("release.rollback-target", Severity::Error, |home| remove(home, "releases/v1.release.json")),
    ];
    check_each(faults);
}

fn check_each(faults: impl IntoIterator<Item = (&'static str, Severity, Break)>) {
    for (index, (id, expected, break_it)) in faults.into_iter().enumerate() {
        let mut home = Home::new();
        assert_eq!(home.worst(id), Severity::Ok, "{id} before fault {index}");
        break_it(&mut home);
        assert_eq!(home.worst(id), expected, "{id} after fault {index}");
    }
}

#[test]
fn a_place_of_releases_that_cannot_be_asked_is_found() {
    let faults: [(&str, Severity, Break); 4] = [
        ("fetch.catalog", Severity::Warning, |home| remove(home, "releases/v2.release.json")),
        ("fetch.catalog", Severity::Ok, |home| {
            remove(home, "releases/v2.release.json");
            catalog_at(home, GITHUB.address());
        }),
        ("fetch.catalog", Severity::Warning, |home| {
            remove(home, "releases/v2.release.json");
            catalog_at(home, GITHUB.address());
            remove(home, "secrets/token");
        }),
        ("config.secrets", Severity::Warning, |home| remove(home, "secrets/token")),
    ];
    check_each(faults);
}

#[test]
fn a_release_that_runs_already_is_no_obstacle_at_the_trigger() {
    let mut home = Home::new();
    home.plan.release = release("v1");
    assert_eq!(home.worst("plan.release"), Severity::Warning);
    let quick = home.examine(Depth::Quick);
    let found = quick.iter().find(|finding| finding.id == "plan.release").unwrap();
    assert_eq!(found.severity, Severity::Ok);
}

#[test]
fn names_that_differ_in_case_alone_are_told() {
    let home = Home::new();
    fs::create_dir_all(home.path("releases/V2/bin")).unwrap();
    fs::write(home.path("releases/V2/bin/node"), "#!/bin/sh\n").unwrap();
    assert_eq!(home.worst("plan.name"), Severity::Warning);
}

#[test]
fn a_unit_with_an_unknown_user_is_found() {
    let mut home = Home::new();
    let main = home.shape.units.get_mut(&UnitName::main()).unwrap();
    main.launch.user = Some("no-such-user-here".to_owned());
    assert_eq!(home.worst("config.users"), Severity::Error);
}

#[test]
fn a_stranger_on_the_database_is_found() {
    let mut home = Home::new();
    let lock = fs::OpenOptions::new().write(true).open(home.path("data/db/LOCK")).unwrap();
    rustix::fs::fcntl_lock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(home.worst("data.lock"), Severity::Ok, "it is ours");
    home.own = vec![u32::MAX];
    assert_eq!(home.worst("data.lock"), Severity::Error);
    drop(lock);
    assert_eq!(home.worst("data.lock"), Severity::Ok);
}

#[test]
fn what_runs_under_a_shim_of_this_home_is_ours_without_a_daemon_too() {
    let mut home = Home::new();
    home.own = vec![u32::MAX];
    let unit = home.shape.layout.unit(&UnitName::main());
    let mut shim = std::process::Command::new("/bin/sh")
        .args(["-c", "sleep 600 & echo $!; wait", "shim", "--dir"])
        .arg(&unit)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(shim.stdout.take().unwrap()), &mut line).unwrap();
    let child: u32 = line.trim().parse().unwrap();
    let family = home.with_input(Depth::Full, processes::family_of);
    for pid in [child, shim.id()] {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid.cast_signed()).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
    shim.wait().unwrap();
    assert!(family.contains(&shim.id()) && family.contains(&child), "{family:?} lacks {} or {child}", shim.id());
}

#[test]
fn a_rival_supervisor_of_this_home_is_found() {
    let home = Home::new();
    assert_eq!(home.worst("host.supervisor"), Severity::Ok);
    let rival = home.path("cosmovisor");
    fs::copy("/bin/sleep", &rival).unwrap();
    let mut child =
        std::process::Command::new(&rival).arg("600").env("DAEMON_HOME", home.folder.path()).spawn().unwrap();
    let as_child = home.worst("host.supervisor");
    let mut apart = home;
    apart.own = vec![u32::MAX];
    let as_stranger = apart.worst("host.supervisor");
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((as_child, as_stranger), (Severity::Ok, Severity::Error));
}

#[test]
fn a_free_port_is_in_order() {
    let home = Home::new();
    assert_eq!(home.worst("config.ports"), Severity::Ok, "ours");
    let Home { listener, .. } = &home;
    let port = listener.local_addr().unwrap().port();
    let mut home = home;
    home.listener = TcpListener::bind("127.0.0.1:0").unwrap();
    home.own = vec![u32::MAX];
    let found = home.examine(Depth::Full).into_iter().find(|finding| finding.id == "config.ports").unwrap();
    assert_eq!((found.severity, found.message.as_str()), (Severity::Ok, "nobody listens"), "port {port}");
}

#[test]
fn nothing_is_left_behind() {
    let names = |home: &Home| {
        let mut names = BTreeSet::new();
        let mut folders = vec![home.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path.clone());
                }
                names.insert(path);
            }
        }
        names
    };
    let home = Home::new();
    let before = names(&home);
    home.examine(Depth::Full);
    assert_eq!(names(&home), before);
}

#[test]
fn the_quick_look_is_a_part_of_the_full_one() {
    let home = Home::new();
    let quick: BTreeSet<String> = home.examine(Depth::Quick).into_iter().map(|finding| finding.id).collect();
    let expected: BTreeSet<String> =
        CHECKS.iter().filter(|check| check.quick).map(|check| check.id.to_owned()).collect();
    assert_eq!(quick, expected);
}

#[test]
fn names_are_unique_and_the_documentation_explains_each() {
    let documentation = include_str!("../../../../docs/doctor.md");
    let explained = documentation.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<&str> = explained.map(|(id, _)| id).collect();
    let known: Vec<&str> = ids().collect();
    let sorted = |ids: &[&str]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&explained), sorted(&known));
    assert_eq!(known.iter().collect::<BTreeSet<_>>().len(), known.len());
}

#[test]
fn the_names_inside_releases_are_those_of_their_crate() {
    let source = include_str!("../../../release/src/examine.rs");
    let quoted = source.split('"').filter(|text| text.starts_with("binary.") || text.starts_with("release."));
    assert_eq!(quoted.collect::<BTreeSet<_>>(), RELEASE_IDS.into_iter().collect());
}

#[test]
fn numbers_of_the_system_are_understood() {
    assert_eq!(host::kernel_version("6.1.0-18-amd64"), Some((6, 1)));
    assert_eq!(host::kernel_version("5.15-rc1"), Some((5, 15)));
    assert_eq!(host::kernel_version("unknown"), None);
    let text = "MemTotal:       16303428 kB\nMemAvailable:    1024 kB\nHugePages_Total:       0\n";
    assert_eq!(host::memory_field(text, "MemAvailable"), Some(1 << 20));
    assert_eq!(host::memory_field(text, "Mem"), None);
    assert_eq!(host::memory_field(text, "HugePages_Total"), None);
}

/// The node of a home on a machine that is made up.
fn on_machine<'a>(disk: &'a ov_sys::SimDisk, home: &'a Home, clock: &'a SimClock, layout: Layout) -> DoctorInput<'a> {
    DoctorInput {
        disk,
        shape: &home.shape,
        source: &home.shape,
        layout,
        depth: Depth::Full,
        clock,
        plan: None,
        release: None,
        plans: &[],
        height: None,
        recorded_sign_state: None,
        stop_ms_max: 0,
        supply: &home.supply,
        own: &[],
    }
}

#[test]
fn a_machine_that_tells_nothing_forbids_nothing() {
    let home = Home::new();
    let disk = ov_sys::SimDisk::new(1);
    let clock = SimClock::new(Moment::default());
    let input = on_machine(&disk, &home, &clock, Layout::of_home(Path::new("/nowhere")));
    let errors: Vec<_> = examine(&input)
        .into_iter()
        .filter(|finding| finding.severity == Severity::Error && !finding.id.starts_with("config."))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
}
