//! The sections of families: what a node of that kind has to be told, and nothing that a key of every node says.

use ov_types::Span;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::formats;

/// `[cosmos]`
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Cosmos {
    /// The node's program: the name of a file in the folder `bin` of each release, such as `"simd"`. Required.
    pub(crate) program: Option<String>,
    /// Its arguments: what stands behind `cosmovisor run`. `--home {home}` is added unless another home is among them.
    pub(crate) args: Vec<String>,
    /// Whether names of plans are lowered before a release is looked for, as Cosmovisor does unless it is told not to.
    pub(crate) lower_names: bool,
    /// How often a `pre-upgrade` of the new release that asks for it (exit code 31) is run again at once.
    #[schemars(range(max = 1000))]
    pub(crate) pre_upgrade_retries: u32,
    /// Where the node answers gRPC, behind `https://` over TLS: there it is asked which upgrade governance decided on.
    /// Unless it is set, the node's own `config/app.toml` says so; empty, nobody is asked by gRPC.
    pub(crate) grpc_address: Option<String>,
    /// How often that is asked.
    #[schemars(schema_with = "formats::lasting")]
    pub(crate) ask_every: Span,
}

impl Default for Cosmos {
    fn default() -> Self {
        Self {
            program: None,
            args: vec!["start".to_owned()],
            lower_names: true,
            pre_upgrade_retries: 0,
            grpc_address: None,
            ask_every: Span::from_seconds(10),
        }
    }
}
