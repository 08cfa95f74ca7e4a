//! The sections about the node as a whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use ov_types::{ByteSize, FailurePolicy, KeepMethod, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;
use crate::words;

/// `[paths]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Paths {
    /// The node's data directory: what a snapshot holds, and `{data}` elsewhere in this file.
    pub(crate) data: String,
    /// One folder per release.
    pub(crate) releases: String,
    /// The link to the release that runs. It is replaced in one step when the node is switched.
    pub(crate) current: String,
    /// One folder per snapshot. On the same file system as `data`, snapshots can share its blocks.
    pub(crate) snapshots: String,
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            data: "data".to_owned(),
            releases: "releases".to_owned(),
            current: "current".to_owned(),
            snapshots: "snapshots".to_owned(),
        }
    }
}

/// `[probe]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Probes {
    /// How long one answer may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
    /// How to learn the node's height: exactly one of `http`, `program` and `file`. Without it, plans for a height can
    /// only come from a node that stops itself, and nobody notices when the node stands still.
    pub(crate) height: Option<HeightQuestion>,
    /// How to learn which version a release is. An upgrade is proven only if the new release gives the right answer.
    pub(crate) version: Option<VersionQuestion>,
}

impl Default for Probes {
    fn default() -> Self {
        Self { timeout: Span::from_seconds(5), height: None, version: None }
    }
}

/// `[probe.height]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct HeightQuestion {
    /// Ask this address; the answer is JSON, and `pointer` says where the height stands in it.
    #[schemars(schema_with = "formats::url")]
    pub(crate) http: Option<String>,
    /// Run this program; it prints the height, or JSON if `pointer` is given.
    pub(crate) program: Option<String>,
    /// Arguments of `program`.
    pub(crate) args: Vec<String>,
    /// Read this file; it holds the height, or JSON if `pointer` is given.
    pub(crate) file: Option<String>,
    /// Where the height stands in JSON (RFC 6901), such as `/result/sync_info/latest_block_height`. A number, or a text
    /// that is one.
    #[schemars(schema_with = "formats::pointer")]
    pub(crate) pointer: Option<String>,
    /// How often to ask. It is asked faster as the height of a plan comes near.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) every: Span,
}

impl Default for HeightQuestion {
    fn default() -> Self {
        Self { http: None, program: None, args: Vec::new(), file: None, pointer: None, every: Span::from_seconds(2) }
    }
}

/// `[probe.version]`
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct VersionQuestion {
    /// The program that says its version. A relative path begins at the folder of the release that is asked about.
    pub(crate) program: Option<String>,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// Where the version stands, if the answer is JSON (RFC 6901).
    #[schemars(schema_with = "formats::pointer")]
    pub(crate) pointer: Option<String>,
    /// What the answer must contain, by name of the release. A release that is not listed must say its own name; a
    /// leading `v` may be missing.
    #[schemars(extend("propertyNames" = { "format": "release-name" }))]
    pub(crate) expect: BTreeMap<String, String>,
}

/// What to do when the height does not move.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StallAction {
    Alert,
    Restart,
    Off,
}

/// `[progress]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Progress {
    /// The height must move within this time.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) stall: Span,
    /// What happens when it does not: `alert` tells you, `restart` also stops `main` and launches it again, `off` does
    /// nothing.
    #[schemars(schema_with = "formats::stall_action")]
    pub(crate) policy: StallAction,
}

impl Default for Progress {
    fn default() -> Self {
        Self { stall: Span::from_seconds(300), policy: StallAction::Alert }
    }
}

/// `[upgrade]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Upgrade {
    /// What a plan does when the new release cannot be proven, unless the plan says otherwise. `rollback` goes back to
    /// the old release and its data: for patch releases. `hold` keeps the new one and tries again, more and more
    /// slowly: for upgrades of the whole network, whose height the old release cannot pass.
    #[schemars(schema_with = "formats::on_failure")]
    pub(crate) on_failure: FailurePolicy,
    /// How long before its trigger it is told that an upgrade is near (`upgrade-near`), each once. An empty list tells
    /// nothing.
    #[schemars(schema_with = "formats::spans")]
    pub(crate) near: Vec<Span>,
    /// Units that run at the trigger are told to stop only so much later: for nodes that halt by themselves and whose peers
    /// may still need them. What is left of it is waited for by the next daemon too.
    #[schemars(schema_with = "formats::span")]
    pub(crate) stop_delay: Span,
    /// All units must be down this long after they were told to stop. Longer than the graces of the units that wait
    /// for each other, added up; what they turned out to need beyond those (`grace-max`) is added by itself.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) stop_within: Span,
    /// `main` must have been down for this long before anything is done with its data: for what it leaves behind outside
    /// of its own processes.
    #[schemars(schema_with = "formats::span")]
    pub(crate) rest: Span,
    /// The new release must run this long after the switch.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) start_within: Span,
    /// The pause before a step that failed is tried again; doubled each time.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) retry_first: Span,
    /// The longest such pause.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) retry_max: Span,
    /// What a new release has to show before the upgrade is committed.
    pub(crate) prove: Prove,
    /// The snapshot of the data that is taken between the old release's end and the new one's start.
    pub(crate) keep: Keep,
    /// A program that is run once the node is down and its data kept, before `current` changes. It gets the plan's name,
    /// as it was written, and its height as arguments, and may be run more than once.
    pub(crate) before_switch: Option<BeforeSwitch>,
    /// A program that prepares the data for the new release, run after the switch and before the start. It may run
    /// more than once, so it must not mind.
    pub(crate) migrate: Option<Migrate>,
}

impl Default for Upgrade {
    fn default() -> Self {
        Self {
            on_failure: FailurePolicy::Rollback,
            near: words::NEAR_MS.map(Span::from_ms).into(),
            stop_delay: Span::from_seconds(0),
            stop_within: Span::from_seconds(600),
            rest: Span::from_seconds(0),
            start_within: Span::from_seconds(600),
            retry_first: Span::from_seconds(10),
            retry_max: Span::from_seconds(600),
            prove: Prove::default(),
            keep: Keep::default(),
            before_switch: None,
            migrate: None,
        }
    }
}

/// `[upgrade.prove]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Prove {
    /// For this long, without a break: all units ready and healthy, the right version, the height above the plan's and
    /// moving; as far as there are probes for it.
    #[schemars(schema_with = "formats::span")]
    pub(crate) soak: Span,
    /// The proof must be complete this long after the start.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) within: Span,
    /// `main` may end this often before the proof has failed.
    #[schemars(range(max = 1000))]
    pub(crate) exits: u32,
}

impl Default for Prove {
    fn default() -> Self {
        Self { soak: Span::from_seconds(60), within: Span::from_seconds(900), exits: 2 }
    }
}

/// `[upgrade.keep]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Keep {
    /// How. `reflink` shares blocks and takes milliseconds (XFS, btrfs); `hard-link` links the files of `write-once`
    /// and copies the rest; `copy` copies everything; `auto` is the first of these that works here; `off` takes no
    /// snapshot, so that a rollback keeps the data as the new release left it.
    #[schemars(schema_with = "formats::keep_method")]
    pub(crate) method: KeepMethod,
    /// Files that the node never changes once they are written, such as `*.sst`. A pattern with a `/` is about the
    /// whole path within the data directory, one without about the last name alone; `?` is one character, `*` any
    /// number within a name, `**` any number of folders.
    #[schemars(schema_with = "formats::patterns")]
    pub(crate) write_once: Vec<String>,
    /// Files that stay out of snapshots, as patterns. The validator's key always does.
    #[schemars(schema_with = "formats::patterns")]
    pub(crate) exclude: Vec<String>,
    /// The file in which the node says the format of its data. A relative path begins at the data directory. A
    /// rollback puts the snapshot back if the text in it has changed; without this key, if `[upgrade.migrate]` has run;
    /// and always when the new release wrote to the data but never made a block.
    pub(crate) format_file: Option<String>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { method: KeepMethod::Auto, write_once: Vec::new(), exclude: vec!["LOCK".to_owned()], format_file: None }
    }
}

/// `[upgrade.before-switch]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct BeforeSwitch {
    /// The program. A relative path begins at the node's home. It is made executable for its owner.
    pub(crate) program: Option<String>,
    /// How long it may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
}

impl Default for BeforeSwitch {
    fn default() -> Self {
        Self { program: None, timeout: Span::from_seconds(3600) }
    }
}

/// `[upgrade.migrate]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Migrate {
    /// The program. A relative path begins at the node's home; `{release}` is the new release's folder.
    pub(crate) program: Option<String>,
    /// Its arguments.
    pub(crate) args: Vec<String>,
    /// How long it may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
}

impl Default for Migrate {
    fn default() -> Self {
        Self { program: None, args: Vec::new(), timeout: Span::from_seconds(3600) }
    }
}

/// `[scout]`
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Scouts {
    /// A file that the node writes when it stops itself for an upgrade: JSON with `name` (the release), `height`, and
    /// perhaps `info`.
    pub(crate) plan_file: Option<PlanFile>,
    /// A file in which people put plans ahead of time: a JSON list of `{"name": …, "height": …}`. It is heeded as soon as
    /// it is saved; an entry that is taken out before its height is withdrawn, one that cannot be used holds up no other.
    pub(crate) schedule: Option<Schedule>,
    /// A map of all releases of the chain, for a node that goes through its history: `chain.json` or `versions.json` of the
    /// chain registry, or TOML with `[[versions]]` that have `name`, `height` and perhaps `binaries`. Those ahead of the
    /// release that runs are plans: each is gone to when the node halts at its height, by itself or told
    /// to, or is seen there.
    pub(crate) version_map: Option<VersionMap>,
}

/// `[scout.schedule]`
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Schedule {
    /// The file. A relative path begins at the node's home.
    pub(crate) path: Option<String>,
    /// What such a plan does when the new release cannot be proven. As `upgrade.on-failure` says if not given.
    #[schemars(schema_with = "formats::on_failure")]
    pub(crate) on_failure: Option<FailurePolicy>,
}

/// `[scout.plan-file]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct PlanFile {
    /// The file. A relative path begins at the node's home.
    pub(crate) path: Option<String>,
    /// What such a plan does when the new release cannot be proven; see `upgrade.on-failure`. The old release stopped
    /// itself at this height, so going back to it seldom helps.
    #[schemars(schema_with = "formats::on_failure")]
    pub(crate) on_failure: FailurePolicy,
}

impl Default for PlanFile {
    fn default() -> Self {
        Self { path: None, on_failure: FailurePolicy::Hold }
    }
}

/// `[scout.version-map]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct VersionMap {
    /// The file; TOML if its name ends in `.toml`, else JSON. A relative path begins at the node's home.
    pub(crate) path: Option<String>,
    /// So many releases are planned, and hence staged and fetched, ahead.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) ahead: u32,
    /// What such a plan does when the new release cannot be proven. As `upgrade.on-failure` says if not given.
    #[schemars(schema_with = "formats::on_failure")]
    pub(crate) on_failure: Option<FailurePolicy>,
}

impl Default for VersionMap {
    fn default() -> Self {
        Self { path: None, ahead: 2, on_failure: None }
    }
}

/// `[validator]`
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Validator {
    /// The file with the private key. Leave it out where a remote signer holds it.
    pub(crate) key: Option<String>,
    /// The file that says what was already signed: JSON with `height`, `round` and `step`. A restore keeps the higher
    /// of the live and the restored one.
    pub(crate) sign_state: Option<String>,
}

/// `[[webhook]]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Webhook {
    /// What to call it in messages. `webhook 1`, `webhook 2`, … if not given.
    #[schemars(schema_with = "formats::name")]
    pub(crate) name: Option<String>,
    /// Its address. Exactly one of `url`, `url-file` and `url-env`; the latter two keep it out of this file. It is
    /// never shown anywhere.
    #[schemars(schema_with = "formats::hook_url")]
    pub(crate) url: Option<String>,
    /// A file that holds its address.
    pub(crate) url_file: Option<String>,
    /// A variable of the daemon's environment that holds its address.
    pub(crate) url_env: Option<String>,
    /// What it is told. All of these if empty.
    #[schemars(schema_with = "formats::notifications")]
    pub(crate) events: Vec<String>,
    /// A file of `Name: value` lines that are sent along, such as `Authorization: Bearer …`.
    pub(crate) headers_file: Option<String>,
    /// A file that holds a secret. The body is signed with it: the header `X-Omnivisor-Signature` is `sha256=` and the
    /// HMAC-SHA256 in hexadecimal.
    pub(crate) secret_file: Option<String>,
    /// A variable of the daemon's environment that holds this secret.
    pub(crate) secret_env: Option<String>,
    /// How long one try may take.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
    /// How often a notification is tried before it is given up.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) attempts: u32,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            url_file: None,
            url_env: None,
            events: Vec::new(),
            headers_file: None,
            secret_file: None,
            secret_env: None,
            timeout: Span::from_seconds(10),
            attempts: 5,
        }
    }
}

/// `[metrics]`
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Metrics {
    /// An address such as `127.0.0.1:9300` where `/metrics` is served to anyone who can reach it. It is always served
    /// on the control socket.
    #[schemars(schema_with = "formats::socket_address")]
    pub(crate) listen: Option<SocketAddr>,
}

/// `[snapshots]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Snapshots {
    /// At most so many. Those that an unfinished upgrade may go back to stay all the same, and on the way back from a
    /// committed upgrade the one from before it.
    #[schemars(range(min = 1, max = 10_000))]
    pub(crate) keep_last: u32,
    /// None older than this.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) keep_for: Option<Span>,
    /// Not more than this in all, as restored directories would have it.
    #[schemars(schema_with = "formats::size")]
    pub(crate) max_bytes: Option<ByteSize>,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self { keep_last: 2, keep_for: None, max_bytes: None }
    }
}

/// `[fetch]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Fetch {
    /// Whether the addresses that plans carry are followed. Without it only what you name is fetched.
    pub(crate) by_plan: bool,
    /// Whether nothing is fetched that no checksum was given for.
    pub(crate) must_have_checksum: bool,
    /// Folders of somebody who keeps copies, asked in this order when the address itself does not serve.
    #[schemars(schema_with = "formats::urls")]
    pub(crate) mirrors: Vec<String>,
    /// Public keys. If there are any, one of them must have signed what is fetched, beside every checksum; the signature
    /// lies at the same address with `.minisig`, or `.asc` or `.sig`, behind it. Each is a minisign key, the line that
    /// begins with `RW`, or an OpenPGP certificate in armour, for which the program has to be built with `openpgp`.
    pub(crate) signers: Vec<String>,
    /// What is fetched may not be larger.
    #[schemars(schema_with = "formats::size")]
    pub(crate) download_max: ByteSize,
    /// What an archive holds may not be larger.
    #[schemars(schema_with = "formats::size")]
    pub(crate) unpacked_max: ByteSize,
    /// A download that takes longer is given up for now; the next try goes on where it was.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) timeout: Span,
    /// A server that says nothing for this long is taken to be gone.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) stall: Span,
    /// How often a server is asked in a row before it is told that it does not answer. A plan goes on asking all the same.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) tries: u32,
    /// Where a release is looked for by its name, when neither you nor its plan say where it is.
    pub(crate) github: Option<GitHub>,
}

/// `[fetch.github]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct GitHub {
    /// Whose repository it is. This, `repository` and `asset` have to be given.
    pub(crate) owner: String,
    /// The name of the repository.
    pub(crate) repository: String,
    /// The file of a release that is fetched: an archive or the program itself. In it, `{release}` is the name of the
    /// release, `{version}` the same without a leading `v`, `{os}` and `{arch}` are this machine's as Go calls them, such
    /// as `linux` and `amd64`.
    pub(crate) asset: String,
    /// The tag of a release, with the same words.
    pub(crate) tag: String,
    /// What the program is called in an archive, if it neither lies where it does in the release nor in the root by its
    /// own name.
    pub(crate) program: Option<String>,
    /// The address of the API, for a GitHub of your own.
    #[schemars(schema_with = "formats::url")]
    pub(crate) api: String,
    /// A variable of the daemon's environment that holds a token. Without a token GitHub answers 60 questions in an hour,
    /// which is enough for one node, and knows of no private repository. It is no fault if the variable is not set.
    #[schemars(schema_with = "formats::variable")]
    pub(crate) token_env: String,
    /// A file that holds the token.
    pub(crate) token_file: Option<String>,
}

impl Default for GitHub {
    fn default() -> Self {
        Self {
            owner: String::new(),
            repository: String::new(),
            asset: String::new(),
            tag: "{release}".to_owned(),
            program: None,
            api: "https://api.github.com".to_owned(),
            token_env: "GITHUB_TOKEN".to_owned(),
            token_file: None,
        }
    }
}

impl Default for Fetch {
    fn default() -> Self {
        Self {
            by_plan: false,
            must_have_checksum: false,
            mirrors: Vec::new(),
            signers: Vec::new(),
            download_max: ByteSize(8 << 30),
            unpacked_max: ByteSize(16 << 30),
            timeout: Span::from_seconds(6 * 3600),
            stall: Span::from_seconds(30),
            tries: 4,
            github: None,
        }
    }
}

/// `[releases]`
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Releases {
    /// How many stay besides the current one, the one before it, and those that a plan needs.
    #[schemars(range(max = 10_000))]
    pub(crate) keep_last: u32,
}

impl Default for Releases {
    fn default() -> Self {
        Self { keep_last: 5 }
    }
}
