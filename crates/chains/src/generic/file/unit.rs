//! The sections about one unit.

use std::collections::BTreeMap;

use ov_types::{ByteSize, RestartPolicy, Span, StartWhen};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// `[unit.<name>]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Unit {
    /// The program. A relative path begins at the node's home; `current/…` is the release that runs. Required.
    pub(crate) program: Option<String>,
    /// Its arguments, one text each; no shell reads them. In them, and in every other text of this unit, `{home}`,
    /// `{data}` and `{unit}` are filled in, `{release}` too where a program or its arguments, variables or working
    /// directory are given. `{{home}}` stands for a literal `{home}`.
    pub(crate) args: Vec<String>,
    /// Variables set for it. They win over `env-file` and over what is inherited.
    #[schemars(extend("propertyNames" = { "format": "variable" }))]
    pub(crate) env: BTreeMap<String, String>,
    /// Files of `NAME=VALUE` lines, read at each launch: the place for secrets. A later file wins.
    pub(crate) env_file: Vec<String>,
    /// Whether it also gets the daemon's own variables.
    pub(crate) inherit_env: bool,
    /// Where it starts.
    pub(crate) cwd: String,
    /// The user it runs as, by name or number. Only root may change it. The daemon's own if not given.
    pub(crate) user: Option<String>,
    /// The group it runs as, by name or number. The user's own if not given.
    pub(crate) group: Option<String>,
    /// Its file mode creation mask, such as `"0027"`. The daemon's own if not given.
    #[schemars(schema_with = "formats::umask")]
    pub(crate) umask: Option<String>,
    /// Resource limits, by the names of `prlimit --help`: `nofile = 65536` (soft and hard), `"1024:65536"` (soft and
    /// hard apart) or `"unlimited"`.
    #[schemars(schema_with = "formats::limits")]
    pub(crate) limits: BTreeMap<String, LimitValue>,
    /// Its nice value. The daemon's own if not given.
    #[schemars(schema_with = "formats::nice")]
    pub(crate) nice: Option<i32>,
    /// What the kernel adds to its badness when memory is short: -1000 is never killed, 1000 first. The daemon's own
    /// if not given.
    #[schemars(schema_with = "formats::oom_score_adjust")]
    pub(crate) oom_score_adjust: Option<i32>,
    /// What it reads: `null` is nothing, `inherit` what the daemon would read. Of a terminal that is so while the daemon
    /// is in its foreground; its signals, such as that of Ctrl-C, go to the daemon alone, which then stops the units.
    #[schemars(schema_with = "formats::stdin")]
    pub(crate) stdin: StdinWord,
    /// Where its output goes: `pump` into rotated files, `inherit` where the daemon's own goes.
    #[schemars(schema_with = "formats::output")]
    pub(crate) output: OutputWord,
    /// Its log file, when `output` is `pump`.
    pub(crate) log: Log,
    /// When it is launched again after it ended by itself: `always`, `on-failure` (not after exit code 0), `never`.
    #[schemars(schema_with = "formats::restart")]
    pub(crate) restart: RestartPolicy,
    /// Exit codes after which it stays down until you say `omnivisor unit start`, whatever `restart` says: those that
    /// mean "you may be signing twice", such as 2 for Teku or 129 for Nimbus.
    #[schemars(schema_with = "formats::exit_codes")]
    pub(crate) never_restart: Vec<i32>,
    /// Texts that mean the same when the unit wrote one of them since its launch and then ended by itself. The last four
    /// megabytes of its log are looked at. Needs `output = "pump"`.
    pub(crate) danger_marks: Vec<String>,
    /// How long to wait before it is launched again.
    pub(crate) back_off: BackOff,
    /// When to stop trying.
    pub(crate) crash_loop: CrashLoop,
    /// How it is stopped.
    pub(crate) stop: Stop,
    /// What tells that it is ready: exactly one of `process`, `tcp`, `http`, `program`, `log-line` and `notify`.
    /// Without this section it is ready when it runs.
    pub(crate) ready: Option<Ready>,
    /// What tells that it is healthy: exactly one of `tcp`, `http`, `program` and `notify`.
    pub(crate) health: Option<Health>,
    /// Units that must be `"up"` or `"ready"` before it is launched, such as `after = { database = "ready" }`. It is
    /// stopped before them.
    #[schemars(schema_with = "formats::conditions")]
    pub(crate) after: BTreeMap<String, StartWhen>,
    /// The same, and it is stopped when they go down.
    #[schemars(schema_with = "formats::conditions")]
    pub(crate) with: BTreeMap<String, StartWhen>,
    /// A word that names a group: units with the same word live and die together. When one of them fails, or is to be
    /// down, the others are stopped, each as its own `stop` says. They are launched together, once all of them are down
    /// and may be launched. However many fell, it is one failure, counted for all; the `restart`, `back-off` and
    /// `crash-loop` of the unit that failed say what follows. One that ended well, and whose `restart` leaves it at that,
    /// takes nobody with it.
    #[schemars(schema_with = "formats::group_name")]
    pub(crate) together: Option<String>,
    /// While this file exists, its launches are held.
    pub(crate) suspend_file: Option<String>,
    /// While this file does not exist, its launches are held: for helpers that belong to a role, say.
    pub(crate) only_when: Option<String>,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            program: None,
            args: Vec::new(),
            env: BTreeMap::new(),
            env_file: Vec::new(),
            inherit_env: true,
            cwd: "{home}".to_owned(),
            user: None,
            group: None,
            umask: None,
            limits: BTreeMap::new(),
            nice: None,
            oom_score_adjust: None,
            stdin: StdinWord::Null,
            output: OutputWord::Pump,
            log: Log::default(),
            restart: RestartPolicy::Always,
            never_restart: Vec::new(),
            danger_marks: Vec::new(),
            back_off: BackOff::default(),
            crash_loop: CrashLoop::default(),
            stop: Stop::default(),
            ready: None,
            health: None,
            after: BTreeMap::new(),
            with: BTreeMap::new(),
            together: None,
            suspend_file: None,
            only_when: None,
        }
    }
}

/// One resource limit as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum LimitValue {
    Number(u64),
    Text(String),
}

/// What a unit reads.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StdinWord {
    Null,
    Inherit,
}

/// Where a unit's output goes.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum OutputWord {
    Pump,
    Inherit,
}

/// `[unit.<name>.log]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Log {
    /// The file. Rotated ones lie beside it.
    pub(crate) path: String,
    /// It is rotated at this length; `"0"` means never.
    #[schemars(schema_with = "formats::size")]
    pub(crate) max_size: ByteSize,
    /// How many rotated files stay; 0 means all.
    #[schemars(range(max = 1_000_000))]
    pub(crate) keep: u32,
    /// It is rotated at this age, in whole seconds; `"0s"` means never.
    #[schemars(schema_with = "formats::span")]
    pub(crate) rotate: Span,
    /// Whether rotated files are compressed (gzip).
    pub(crate) compress: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            path: "{home}/.omnivisor/logs/{unit}.log".to_owned(),
            max_size: ByteSize(64 << 20),
            keep: 10,
            rotate: Span::default(),
            compress: true,
        }
    }
}

/// `[unit.<name>.back-off]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct BackOff {
    /// After so many failures in a row it is launched at once.
    #[schemars(range(max = 10_000))]
    pub(crate) at_once: u32,
    /// The wait after the next failure; doubled after each further one.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) first: Span,
    /// The longest wait. The same as `first` makes all waits equal.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) max: Span,
    /// Waits are spread by up to so many percent either way, so that a fleet does not move in step.
    #[schemars(range(max = 100))]
    pub(crate) jitter: u8,
    /// A run of this length makes earlier failures forgotten; `"0s"` means that none does.
    #[schemars(schema_with = "formats::span")]
    pub(crate) reset: Span,
}

impl Default for BackOff {
    fn default() -> Self {
        let minute = Span::from_seconds(60);
        Self { at_once: 1, first: Span::from_seconds(1), max: minute, jitter: 20, reset: minute }
    }
}

/// What happens in a crash loop.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LoopAction {
    Park,
    Retry,
    End,
}

/// What happens when a unit is not healthy.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HealthAction {
    Tell,
    Restart,
    End,
}

/// `[unit.<name>.crash-loop]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct CrashLoop {
    /// So many failures … If not given: 3 for `main` of a node with `[validator]`, 5 for everything else.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) count: Option<u32>,
    /// … within this time are a crash loop; `"0s"` means in a row, however long that takes.
    #[schemars(schema_with = "formats::span")]
    pub(crate) within: Span,
    /// What happens then: `park` keeps it down until you say `omnivisor unit start`, `retry` goes on trying, slowly,
    /// `end` stops every unit and ends the daemon, with exit code 1: whoever started it is to decide. The next daemon
    /// counts anew. While an upgrade can still make it good, the daemon stays.
    /// If not given: `park` for `main` of a node with `[validator]`, because a signer that dies again and again may be
    /// doing harm; `retry` for everything else.
    #[schemars(schema_with = "formats::loop_action")]
    pub(crate) then: Option<LoopAction>,
    /// How slowly.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) every: Span,
}

impl Default for CrashLoop {
    fn default() -> Self {
        Self { count: None, within: Span::from_seconds(120), then: None, every: Span::from_seconds(300) }
    }
}

/// `[unit.<name>.stop]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Stop {
    /// The signal that asks it to end, by name or number.
    #[schemars(schema_with = "formats::signal")]
    pub(crate) signal: String,
    /// After this long everything of it that is left is killed. Databases that are killed while they write may take
    /// days to repair, so be generous: it costs nothing while the process ends in time.
    #[schemars(schema_with = "formats::span")]
    pub(crate) grace: Span,
    /// The grace becomes three times as long as the longest stop that was seen, up to this. Ten minutes where `grace` is not
    /// given; a `grace` that is given holds as it is, unless this is given too.
    #[schemars(schema_with = "formats::span")]
    pub(crate) grace_max: Option<Span>,
}

impl Default for Stop {
    fn default() -> Self {
        Self { signal: "TERM".to_owned(), grace: Span::from_seconds(90), grace_max: None }
    }
}

/// A question that a running unit answers with yes or no.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Question {
    /// Somebody must accept connections at this `host:port`.
    #[schemars(schema_with = "formats::address")]
    pub(crate) tcp: Option<String>,
    /// A web server must answer at this address.
    #[schemars(schema_with = "formats::url")]
    pub(crate) http: Option<String>,
    /// With `http`: statuses that are good, as numbers or ranges such as `"200-299"`. 200 to 299 if empty.
    #[schemars(schema_with = "formats::statuses")]
    pub(crate) status: Vec<StatusValue>,
    /// With `http`: a place in the JSON of the answer (RFC 6901) where something must stand. At most one of the four
    /// keys below says what.
    #[schemars(schema_with = "formats::pointer")]
    pub(crate) pointer: Option<String>,
    /// With `pointer`: what must stand there. A number and a text that is this number are the same.
    #[schemars(schema_with = "formats::scalar")]
    pub(crate) is: Option<serde_json::Value>,
    /// With `pointer`: what must not stand there.
    #[schemars(schema_with = "formats::scalar")]
    pub(crate) is_not: Option<serde_json::Value>,
    /// With `pointer`: the smallest number that may stand there.
    #[schemars(schema_with = "formats::integer")]
    pub(crate) at_least: Option<i64>,
    /// With `pointer`: the largest number that may stand there.
    #[schemars(schema_with = "formats::integer")]
    pub(crate) at_most: Option<i64>,
    /// This program must exit with 0. A relative path begins at the node's home.
    pub(crate) program: Option<String>,
    /// Arguments of `program`.
    pub(crate) args: Vec<String>,
}

/// One good status, or a range of them, as it is written.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum StatusValue {
    Number(u16),
    Text(String),
}

/// `[unit.<name>.ready]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Ready {
    #[serde(flatten)]
    pub(crate) question: Question,
    /// It is ready when it runs.
    pub(crate) process: bool,
    /// A line of its output must contain this text. Needs `output = "pump"`.
    pub(crate) log_line: Option<String>,
    /// It says so itself: `READY=1` on the socket that `NOTIFY_SOCKET` names, as under systemd.
    pub(crate) notify: bool,
    /// How often to ask until it is ready.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) every: Span,
    /// How long one answer may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
    /// It must be ready this long after its launch, or it is stopped and that counts as a failure. No bound if not
    /// given: a node may take hours to catch up.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) within: Option<Span>,
}

impl Default for Ready {
    fn default() -> Self {
        Self {
            question: Question::default(),
            process: false,
            log_line: None,
            notify: false,
            every: Span::from_seconds(1),
            timeout: Span::from_seconds(5),
            within: None,
        }
    }
}

/// `[unit.<name>.health]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Health {
    #[serde(flatten)]
    pub(crate) question: Question,
    /// It says so itself: `WATCHDOG=1` on the socket that `NOTIFY_SOCKET` names, as under systemd, at least once in each
    /// `timeout`.
    pub(crate) notify: bool,
    /// How often to ask.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) every: Span,
    /// How long one answer may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
    /// So many bad answers in a row make it unhealthy. The first question is asked one `every` after the launch.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) failures: u32,
    /// The same for a launch that makes a failure good. As many as `failures` if not given.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub(crate) failures_of_relaunch: Option<u32>,
    /// What happens then: `tell` only tells you, `restart` also stops it and launches it again, which counts as a
    /// failure, `end` stops every unit and ends the daemon, as in a crash loop.
    #[schemars(schema_with = "formats::health_action")]
    pub(crate) then: HealthAction,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            question: Question::default(),
            notify: false,
            every: Span::from_seconds(10),
            timeout: Span::from_seconds(5),
            failures: 3,
            failures_of_relaunch: None,
            then: HealthAction::Tell,
        }
    }
}
