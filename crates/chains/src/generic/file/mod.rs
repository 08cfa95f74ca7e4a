//! `omnivisor.toml` as Rust types: one type per section, one field per key.
//!
//! These types are three things at once: what the file is read into, its JSON Schema, and, through their comments, the
//! reference in `docs/configuration.md`. Every key has a default, so that a later check and not the parser says what is
//! missing. Meaning is given to it all in the modules beside this one.

mod families;
mod formats;
mod node;
mod unit;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use families::Cosmos;
pub(crate) use formats::{check_key, check_text, parse_limit, parse_status};
pub(crate) use node::{
    Fetch, GitHub, HeightQuestion, PlanFile, Probes, Schedule, StallAction, Validator, VersionMap, VersionQuestion,
    Webhook,
};
use node::{Metrics, Paths, Progress, Releases, Scouts, Snapshots, Upgrade};
pub(crate) use unit::{
    Health, HealthAction, LimitValue, LoopAction, OutputWord, Question, Ready, StatusValue, StdinWord, Stop, Unit,
};

/// The whole file.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
#[schemars(title = "omnivisor.toml")]
pub(crate) struct File {
    /// Which family of chains the node belongs to. `generic` knows nothing about any chain: everything stands in this
    /// file. Any other has settings of its own that hold where this file says nothing.
    #[schemars(schema_with = "formats::chain")]
    pub(crate) chain: String,
    /// What to call the node in messages, metrics and notifications. The name of its home folder if not given.
    #[schemars(schema_with = "formats::name")]
    pub(crate) name: Option<String>,
    /// A node built with the Cosmos SDK; needs `chain = "cosmos"`.
    pub(crate) cosmos: Option<Cosmos>,
    /// Where things lie. Relative paths begin at the node's home; `{home}` stands for it.
    pub(crate) paths: Paths,
    /// The processes of the node, by name. `[unit.main]` is the node itself; any other name is a helper.
    #[schemars(extend("propertyNames" = { "format": "unit-name" }))]
    pub(crate) unit: BTreeMap<String, Unit>,
    /// How to ask the node as a whole.
    pub(crate) probe: Probes,
    /// What to do when the height does not move. Needs `[probe.height]`.
    pub(crate) progress: Progress,
    /// How the node is taken to a new release.
    pub(crate) upgrade: Upgrade,
    /// Where plans appear by themselves.
    pub(crate) scout: Scouts,
    /// Set this on a node that signs: its key never enters a snapshot, what it has signed never goes backwards, and
    /// `main` stays down after a crash loop.
    pub(crate) validator: Option<Validator>,
    /// Who is told about what happens: one `[[webhook]]` each. Every notification is a JSON object, sent with `POST`.
    pub(crate) webhook: Vec<Webhook>,
    /// Metrics for Prometheus.
    pub(crate) metrics: Metrics,
    /// Which snapshots stay. The newest always does, and so does one that a running upgrade may need.
    pub(crate) snapshots: Snapshots,
    /// How releases are fetched from where plans and people say they are.
    pub(crate) fetch: Fetch,
    /// Which releases stay.
    pub(crate) releases: Releases,
}

impl Default for File {
    fn default() -> Self {
        Self {
            chain: "generic".to_owned(),
            name: None,
            cosmos: None,
            paths: Paths::default(),
            unit: BTreeMap::new(),
            probe: Probes::default(),
            progress: Progress::default(),
            upgrade: Upgrade::default(),
            scout: Scouts::default(),
            validator: None,
            webhook: Vec::new(),
            metrics: Metrics::default(),
            snapshots: Snapshots::default(),
            fetch: Fetch::default(),
            releases: Releases::default(),
        }
    }
}
