//! What a chain adapter says about a node, in words that no chain owns.
//!
//! Plain data: the daemon reads it and carries it out. Paths are absolute; texts that may name the release that is
//! about to run are a [`Template`]. Nothing here does I/O, knows a chain, or knows a configuration format.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use ov_types::{EngineSettings, FailurePolicy, KeepMethod, ReleaseName, UnitName};

use crate::added::AddedArguments;
use crate::plans::PlanRules;
use crate::reload::Written;
use crate::secret::{Secret, shown_address};
use crate::template::Template;

mod fetch;

pub use fetch::{Addition, AdditionText, CatalogShape, FetchShape};

/// One node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeShape {
    /// Its name, for people.
    pub name: String,
    /// The chain adapter that made this shape.
    pub chain: String,
    /// Where things lie.
    pub layout: HomeLayout,
    /// How to launch and probe each unit; `main` is always among them.
    pub units: BTreeMap<UnitName, UnitShape>,
    /// The rules, as the engine wants them. The same units as in `units`. `seed` differs from home to home.
    pub engine: EngineSettings,
    /// How to ask the node as a whole.
    pub probes: NodeProbes,
    /// Where its height can be read while it does not run.
    pub height_at_rest: Option<HeightFiles>,
    /// Where plans appear by themselves.
    pub scouts: Vec<Scout>,
    /// The copy of a plan that is left in the folder of its release when that becomes current, if the family has that.
    pub applied_copy: Option<String>,
    /// What a plan does when the new release cannot be proven, unless the plan says otherwise.
    pub on_failure: FailurePolicy,
    /// How the data directory is kept before a switch.
    pub keep: KeepShape,
    /// The hook that is run once the node is down and its data kept, before the new release becomes current.
    pub before_switch: Option<Hook>,
    /// The hook that prepares the data for a new release, once that is current.
    pub migrate: Option<Hook>,
    /// How the program of a release is asked before a plan for it is armed.
    pub release_check: Option<ReleaseCheck>,
    /// What a new release has to show.
    pub prove: ProveShape,
    /// The key that this node signs with, if it is a validator.
    pub signer: Option<SignerShape>,
    /// Who signs for this node elsewhere, in the place of a key of its own.
    pub remote_signer: Option<RemoteSignerShape>,
    /// Who is told about what happens.
    pub webhooks: Vec<Webhook>,
    /// Where metrics are served over TCP, besides the control socket.
    pub metrics_listen: Option<SocketAddr>,
    /// How releases are fetched.
    pub fetch: FetchShape,
    /// Which snapshots stay.
    pub snapshots: Retention,
    /// How many releases stay besides the current one and those that a plan needs.
    pub releases_keep_last: u32,
    /// The settings behind all this, to tell what a reload changed.
    pub written: Written,
}

impl NodeShape {
    /// The files in which plans appear, and how they are to be understood.
    pub fn plan_files(&self) -> impl Iterator<Item = (&Path, &PlanRules)> {
        self.scouts.iter().filter_map(|scout| Some((scout.path()?, scout.rules())))
    }
}

/// Where the things of a node lie. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeLayout {
    /// The node's home.
    pub home: PathBuf,
    /// The configuration file, if the node is described by one.
    pub config: Option<PathBuf>,
    /// Our own folder.
    pub state: PathBuf,
    /// One folder per release.
    pub releases: PathBuf,
    /// Releases whose folder is not below the folder of releases, such as the first one of some families.
    pub placed: BTreeMap<ReleaseName, PathBuf>,
    /// The release that a new home begins with, where the family has a name for it: no plan ever led to it.
    pub first: Option<ReleaseName>,
    /// The link to the release that runs.
    pub current: PathBuf,
    /// Whether that link is written with the whole path, for families whose operators compare it.
    pub absolute_link: bool,
    /// The file of a release that says how it is launched, if the family has such: read anew when another becomes
    /// current. A folder without it is no release.
    pub launch_file: Option<String>,
    /// The node's data.
    pub data: PathBuf,
    /// One folder per snapshot.
    pub snapshots: PathBuf,
}

impl HomeLayout {
    /// Our own convention below a home.
    pub fn of_home(home: &Path) -> Self {
        Self {
            home: home.to_owned(),
            config: Some(home.join("omnivisor.toml")),
            state: home.join(".omnivisor"),
            releases: home.join("releases"),
            placed: BTreeMap::new(),
            first: None,
            current: home.join("current"),
            absolute_link: false,
            launch_file: None,
            data: home.join("data"),
            snapshots: home.join("snapshots"),
        }
    }

    /// Whether no plan ever led to this release.
    pub fn is_first(&self, release: &ReleaseName) -> bool {
        self.first.as_ref() == Some(release)
    }

    /// Where its releases lie.
    pub fn releases(&self) -> ov_release::Layout {
        ov_release::Layout {
            releases: self.releases.clone(),
            current: self.current.clone(),
            placed: self.placed.clone(),
            absolute_link: self.absolute_link,
            launch_file: self.launch_file.clone(),
        }
    }

    /// What the current release says of its launch.
    pub fn launch_path(&self) -> Option<PathBuf> {
        self.launch_file.as_ref().map(|file| self.current.join(file))
    }

    /// Held by the daemon that looks after this node.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Where the control API is served.
    pub fn socket(&self) -> PathBuf {
        self.state.join("control.sock")
    }

    /// What was decided and done.
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal")
    }

    /// Where, and when, the key of a validator was last used.
    pub fn custody(&self) -> PathBuf {
        self.state.join("custody.json")
    }

    /// What happened.
    pub fn events(&self) -> PathBuf {
        self.state.join("events")
    }

    /// One folder per unit.
    pub fn units(&self) -> PathBuf {
        self.state.join("units")
    }

    /// What the shim of a unit keeps.
    pub fn unit(&self, unit: &UnitName) -> PathBuf {
        self.units().join(unit)
    }

    /// Where the output of a unit goes unless it is told otherwise.
    pub fn log(&self, unit: &UnitName) -> PathBuf {
        self.state.join("logs").join(format!("{unit}.log"))
    }
}

/// How one unit is launched and asked.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitShape {
    /// How it is launched.
    pub launch: LaunchShape,
    /// What tells that it is ready; without it, up is ready. The bound stands in the unit's rules.
    pub readiness: Option<Readiness>,
    /// What tells that it is healthy. Whether it is restarted when it is not stands in the unit's rules.
    pub health: Option<Health>,
    /// While this file exists, launches of the unit are held.
    pub suspend_file: Option<PathBuf>,
    /// While this file does not exist, launches of the unit are held.
    pub only_when: Option<PathBuf>,
    /// Texts that mean danger when the unit wrote one of them since its launch and then ended by itself: it is not
    /// launched again without a person. Needs [`Output::Pump`].
    pub danger_marks: Vec<String>,
}

/// How a unit is launched.
#[derive(Clone, PartialEq, Eq)]
pub struct LaunchShape {
    /// The program; may go through `current`.
    pub program: Template,
    /// Its arguments.
    pub args: Vec<Template>,
    /// What is added to them on certain occasions.
    pub added: Vec<AddedArguments>,
    /// Variables set for it; they win over files and over what is inherited.
    pub env: Vec<(String, Template)>,
    /// Files of `NAME=VALUE` lines; a later file wins.
    pub env_files: Vec<PathBuf>,
    /// Whether it also gets the daemon's own variables.
    pub inherit_env: bool,
    /// Where it starts.
    pub cwd: Template,
    /// The user it runs as, by name or number; the daemon's own if not given.
    pub user: Option<String>,
    /// The group it runs as, by name or number; the user's own if not given.
    pub group: Option<String>,
    /// Its file mode creation mask; the daemon's own if not given.
    pub umask: Option<u32>,
    /// Resource limits that differ from the daemon's.
    pub limits: Vec<LimitShape>,
    /// What it reads.
    pub stdin: Stdin,
    /// Where its output goes.
    pub output: Output,
    /// Its nice value; the daemon's own if not given.
    pub nice: Option<i32>,
    /// What the kernel adds to its badness when memory is short; the daemon's own if not given.
    pub oom_score_adjust: Option<i32>,
    /// Whether it gets a `NOTIFY_SOCKET`.
    pub notify: bool,
}

/// Variables may be secret, so only their names are shown.
impl fmt::Debug for LaunchShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("LaunchShape")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("added", &self.added)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .finish_non_exhaustive()
    }
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitShape {
    /// One of [`crate::words::RESOURCES`].
    pub resource: String,
    /// The limit that is enforced; `None` is unlimited.
    pub soft: Option<u64>,
    /// The ceiling of the soft limit; `None` is unlimited.
    pub hard: Option<u64>,
}

/// What a unit reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Nothing.
    Null,
    /// What the daemon would read.
    Inherit,
}

/// Where a unit's output goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Where the daemon's own goes, untouched.
    Inherit,
    /// Through the shim into rotated files.
    Pump(LogShape),
}

/// A unit's log file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogShape {
    /// The file that is written; rotated ones lie beside it.
    pub path: PathBuf,
    /// Rotated at this length; 0 means never.
    pub max_bytes: u64,
    /// How many rotated files stay; 0 means all.
    pub keep: u32,
    /// Rotated at this age; 0 means never.
    pub rotate_every_seconds: u64,
    /// Whether rotated files are compressed.
    pub compress: bool,
}

/// What tells that a unit is ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Readiness {
    /// What is asked.
    pub probe: Probe,
    /// How often, until it is ready.
    pub every_ms: u64,
    /// How long one answer may take.
    pub timeout_ms: u64,
}

/// What tells that a unit is healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// What is asked.
    pub probe: Probe,
    /// How often.
    pub every_ms: u64,
    /// How long one answer may take.
    pub timeout_ms: u64,
    /// So many bad answers in a row make it unhealthy.
    pub failures: u32,
    /// The same for a launch that makes a failure good.
    pub failures_of_relaunch: u32,
}

/// One question to a unit that is answered with yes or no.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// Its process runs.
    Process,
    /// Somebody accepts connections there.
    Tcp {
        /// `host:port`.
        address: String,
    },
    /// A web server answers as expected.
    Http {
        /// Where.
        url: String,
        /// Any of these statuses is good.
        status: Vec<RangeInclusive<u16>>,
        /// A place in the JSON of the answer (RFC 6901); with no `expect`, something must be there.
        pointer: Option<String>,
        /// What must stand there.
        expect: Option<Comparison>,
    },
    /// A JSON-RPC service answers, whatever it says.
    JsonRpc(JsonRpcCall),
    /// A program exits with zero.
    Exec {
        /// The program.
        program: Template,
        /// Its arguments.
        args: Vec<Template>,
    },
    /// A line of the unit's output since its launch contains this text. Needs [`Output::Pump`].
    LogLine {
        /// The text.
        contains: String,
    },
    /// The unit said `READY=1` on its `NOTIFY_SOCKET`; for health, it said `WATCHDOG=1` not longer ago than the timeout.
    Notify,
}

impl Probe {
    /// Whether the unit's output is read for it.
    pub fn reads_log(&self) -> bool {
        matches!(self, Probe::LogLine { .. })
    }
}

/// What a value in an answer must be.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// This.
    Is(serde_json::Value),
    /// Anything but this.
    IsNot(serde_json::Value),
    /// A number not below this.
    AtLeast(i64),
    /// A number not above this.
    AtMost(i64),
}

/// How to ask the node as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeProbes {
    /// How to learn its height: the first that answers counts.
    pub height: Vec<HeightProbe>,
    /// How often the height is asked for.
    pub height_every_ms: u64,
    /// How to learn its version.
    pub version: Option<VersionProbe>,
    /// How long one answer may take.
    pub timeout_ms: u64,
}

/// How to learn a node's height. The answer is a number, or a text that is one.
#[derive(Debug, Clone, PartialEq)]
pub enum HeightProbe {
    /// From the JSON that a web server answers.
    Http {
        /// Where.
        url: String,
        /// The place in it (RFC 6901).
        pointer: String,
    },
    /// From the message that a gRPC service answers.
    Grpc {
        /// Where.
        call: GrpcCall,
        /// The field numbers that lead to it.
        field: Vec<u32>,
    },
    /// From what a program prints.
    Exec {
        /// The program.
        program: Template,
        /// Its arguments.
        args: Vec<Template>,
        /// The place in it, if it prints JSON.
        pointer: Option<String>,
    },
    /// From a file.
    File {
        /// Which.
        path: PathBuf,
        /// The place in it, if it is JSON.
        pointer: Option<String>,
    },
}

/// The files of a node that tell its height while it does not run. How they are written is the chain adapter's business:
/// [`crate::height_at_rest`] reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeightFiles {
    /// The directory of its databases.
    pub databases: PathBuf,
    /// The log of its consensus; rotated ones lie beside it.
    pub consensus_log: PathBuf,
}

/// How to learn which version a release is: a program of the release is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionProbe {
    /// The program, through `{release}`.
    pub program: Template,
    /// Its arguments.
    pub args: Vec<Template>,
    /// The place in its answer, if it prints JSON (RFC 6901).
    pub pointer: Option<String>,
    /// What it says.
    pub expect: Expect,
}

/// How the program of a release shows, before it is needed, that it runs here and is the one that is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseCheck {
    /// With these arguments it tells its version, and touches nothing but its home.
    pub args: Vec<String>,
    /// Where its answer has the version.
    pub version: VersionSaid,
    /// Whether the version must be the name of the release, letter for letter; only the first release has another name.
    /// Otherwise a name that begins a version makes one doubt all others.
    pub is_name: bool,
    /// The units whose programs are asked.
    pub units: Vec<UnitName>,
    /// Variables that tell it where its home is.
    pub home_variables: Vec<String>,
    /// Whether the name of a plan stands in the program that carries it out.
    pub names_plans: bool,
    /// Where other nodes of the network tell which version they run: only such as the configuration names.
    pub peers: Vec<String>,
    /// The place of the version in their answers (RFC 6901).
    pub peer_version: String,
}

/// Where a program's answer has its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionSaid {
    /// In the line that begins so; without such a line, in the first one.
    Line(String),
    /// In the JSON that it prints, perhaps among other lines, at this place (RFC 6901).
    Json(String),
}

/// What a release says of its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Its answer contains the release's name; a leading `v` may be missing.
    ReleaseName,
    /// Its answer contains this text; releases that are not listed are held against their name.
    Texts(BTreeMap<ReleaseName, String>),
}

/// Where plans appear by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scout {
    /// A JSON file `{"name", "height", "info"?}`, or a list of such, that the node or people write.
    PlanFile {
        /// The file.
        path: PathBuf,
        /// What such a plan does when the new release cannot be proven.
        on_failure: FailurePolicy,
        /// How it is to be understood.
        rules: PlanRules,
    },
    /// A service that tells which plan it knows of, if there is one. The node halts by itself for such a plan. That
    /// nobody answers is no fault: the plan is seen later then, where the node writes it.
    Asked {
        /// What it is asked.
        question: PlanQuestion,
        /// How often.
        every_ms: u64,
        /// How often once it has told a plan, and while it does not answer: where its answer is what tells that the node
        /// halted.
        planned_every_ms: u64,
        /// How long one answer may take.
        timeout_ms: u64,
        /// What such a plan does when the new release cannot be proven.
        on_failure: FailurePolicy,
        /// How it is to be understood.
        rules: PlanRules,
    },
}

impl Scout {
    /// The file that is looked at, if it looks at one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Scout::PlanFile { path, .. } => Some(path),
            Scout::Asked { .. } => None,
        }
    }

    /// How a plan is to be understood.
    pub fn rules(&self) -> &PlanRules {
        match self {
            Scout::PlanFile { rules, .. } | Scout::Asked { rules, .. } => rules,
        }
    }
}

/// How a service is asked for its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanQuestion {
    /// A web server by `GET`; its answer is JSON.
    Http {
        /// Where.
        url: String,
        /// Where the plan stands in the answer (RFC 6901): null there is no plan. The places of its parts begin at it.
        plan: String,
        /// Its parts.
        parts: PlanParts<String>,
        /// The header that says of which height the answer is.
        height_header: Option<String>,
    },
    /// A gRPC service, with an empty message; its answer is one message.
    Grpc {
        /// Where.
        call: GrpcCall,
        /// The field numbers that lead to the plan. The ones of its parts begin at it.
        plan: Vec<u32>,
        /// Its parts.
        parts: PlanParts<Vec<u32>>,
        /// The metadata that says of which height the answer is.
        height_header: Option<String>,
    },
    /// The node itself, by JSON-RPC: what it does not know of is not planned.
    JsonRpc {
        /// What is called.
        call: JsonRpcCall,
        /// Where the plan stands in the result (RFC 6901): with null there, nothing is known yet, and with an empty name
        /// there is none. The places of its parts begin at it.
        plan: String,
        /// Its parts.
        parts: PlanParts<String>,
        /// Where it says that it has halted for the plan, with true.
        halted: String,
    },
}

impl PlanQuestion {
    /// Whom it asks, as it may be shown.
    pub fn shown(&self) -> String {
        match self {
            PlanQuestion::Http { url, .. } => shown_address(url),
            PlanQuestion::Grpc { call, .. } => call.shown(),
            PlanQuestion::JsonRpc { call, .. } => call.shown(),
        }
    }
}

/// Where the parts of a plan stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanParts<Place> {
    /// Its name.
    pub name: Place,
    /// The first height that needs the new release.
    pub height: Place,
    /// What it says besides.
    pub info: Place,
}

/// One gRPC method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcCall {
    /// `host:port`; over TLS behind `https://`, and in the clear without or behind `http://`.
    pub address: String,
    /// `/package.Service/Method`.
    pub method: String,
}

impl GrpcCall {
    /// Whom it asks, as it may be shown.
    pub fn shown(&self) -> String {
        let host = self.address.rsplit_once('@').map_or(self.address.as_str(), |(_, host)| host);
        if self.address.contains("://") { shown_address(&self.address) } else { host.to_owned() }
    }
}

/// One method of a JSON-RPC 1.0 service that takes no parameters. Field names in its answer are found whatever their case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonRpcCall {
    /// The socket that it listens on.
    pub socket: PathBuf,
    /// The path that is asked for, from its `/` on.
    pub path: String,
    /// `service.Method`.
    pub method: String,
}

impl JsonRpcCall {
    /// Whom it asks, as it may be shown.
    pub fn shown(&self) -> String {
        self.socket.display().to_string()
    }
}

/// How the data directory is kept before a switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeepShape {
    /// How.
    pub method: KeepMethod,
    /// Names of files that are never changed once written, as patterns with `*` and `?`: they may be hard-linked.
    pub write_once: Vec<String>,
    /// Names of files that stay out, as patterns. The validator's key always does.
    pub exclude: Vec<String>,
    /// Where what is kept goes as a plain copy of the data, if not into the snapshots folder: a folder, and the name that
    /// the day goes behind.
    pub outside: Option<(PathBuf, String)>,
    /// The file in which the node says the format of its data: a rollback restores the snapshot when its text has
    /// changed.
    pub format_file: Option<PathBuf>,
}

impl NodeShape {
    /// The folder that the data is kept in before a switch.
    pub fn kept_in(&self) -> &Path {
        self.keep.outside.as_ref().map_or(&self.layout.snapshots, |(folder, _)| folder)
    }
}

/// A program that is run once at a certain moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// The program.
    pub program: Template,
    /// Its arguments.
    pub args: Vec<HookArg>,
    /// How long it may take.
    pub timeout_ms: u64,
    /// Whether it is made executable for its owner if it is not.
    pub make_executable: bool,
    /// What its exit codes mean besides 0, which is success; all others are failures that another try may mend.
    pub codes: HookCodes,
    /// With these arguments the program shows whether it has such a command, and carries nothing out: where it has none, it
    /// answers as [`HookCodes::no_such_command`] says. `None` where that cannot be asked.
    pub question: Option<Vec<String>>,
}

/// One argument of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookArg {
    /// A text.
    Text(Template),
    /// The name of the plan, letter for letter as it was written where it was learned.
    PlanName,
    /// The height of the plan; 0 if it has none.
    PlanHeight,
}

/// What the exit codes of a hook mean.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookCodes {
    /// With this code, and this text in its output, the program has no such command: there is nothing to do.
    pub no_such_command: Option<(i32, String)>,
    /// With this code it must not be tried again without a person.
    pub abort: Option<i32>,
    /// With this code it wants to be run again at once, at most so often.
    pub again: Option<(i32, u32)>,
}

/// What a new release has to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProveShape {
    /// All probes must be good for this long without a break.
    pub soak_ms: u64,
    /// And that must be reached this long after its start.
    pub within_ms: u64,
}

/// The key of a validator. At least one of the two paths is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignerShape {
    /// The key: it never enters a snapshot, and one process at a time may hold it.
    pub key: Option<PathBuf>,
    /// The place in the key, if it is JSON, of what tells it from other keys (RFC 6901): the file may be written in more
    /// than one way. Without it, or where nothing is there, the whole file counts.
    pub identity: Option<String>,
    /// What was already signed: it never goes backwards.
    pub sign_state: Option<PathBuf>,
    /// For so many blocks the key must have been silent, or the node itself refuses to start; `None` where it does not
    /// look at that.
    pub silent_blocks: Option<u64>,
    /// A person said that this node signs. Else it is a node that has a key, as all of its family do: only what was
    /// signed makes it a validator.
    pub is_declared: bool,
}

/// Somebody elsewhere who signs for a node, and connects to it for that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSignerShape {
    /// Where the node waits for it, as its configuration says.
    pub address: String,
    /// The same as a port of this machine; `None` where it is none.
    pub listens: Option<SocketAddr>,
    /// What the node would sign with if it were told to sign itself.
    pub left: SignerShape,
}

/// Somebody who is told about what happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// What to call it in messages: never its address.
    pub name: String,
    /// Its address.
    pub url: Secret,
    /// Which events, by the names of [`crate::words::NOTIFICATIONS`].
    pub events: Vec<String>,
    /// A file of `Name: value` lines that are sent along.
    pub headers_file: Option<PathBuf>,
    /// What the body is signed with (HMAC-SHA256).
    pub secret: Option<Secret>,
    /// How long one try may take.
    pub timeout_ms: u64,
    /// How often it is tried before it is given up.
    pub attempts: u32,
}

/// Which snapshots stay. One that breaks any bound goes, oldest first; the newest always stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// At most so many.
    pub keep_last: u32,
    /// None older than this.
    pub keep_for_ms: Option<u64>,
    /// Not more bytes than this in all.
    pub max_bytes: Option<u64>,
}
