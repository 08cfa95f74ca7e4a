//! Where a node answers questions about its plan, as its `config/app.toml`, its variables and its arguments say.
//!
//! Read only. A file that is missing or that we cannot read tells nothing, and the node's defaults hold.

use toml::Table;

use super::node_config::{NodeLaunch, reachable};
use crate::shape::{GrpcCall, HeightProbe, PlanParts, PlanQuestion};

/// Where a node answers gRPC unless it is told otherwise.
pub(super) const GRPC_DEFAULT: &str = "localhost:9090";
const REST_DEFAULT: &str = "tcp://localhost:1317";

/// The height of the state from which an answer is.
const HEIGHT_METADATA: &str = "x-cosmos-block-height";
const HEIGHT_HEADER: &str = "grpc-metadata-x-cosmos-block-height";

/// Where a node answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// gRPC.
    pub grpc: Option<String>,
    /// The same as JSON.
    pub rest: Option<String>,
}

/// Reads what the node's files and arguments say. `told` is where the operator says that gRPC is answered; that counts,
/// unless it is the default.
pub fn services(file: &str, launch: NodeLaunch<'_>, told: &str) -> Services {
    let table: Table = file.parse().unwrap_or_default();
    let value = |section: &str, key: &str| table.get(section).and_then(|section| section.get(key));
    let enabled = |section: &str, default: bool| {
        let bare = launch.arguments.contains(&format!("--{section}.enable")).then_some(true);
        let given = launch.given(&format!("{section}.enable")).and_then(|text| text.parse().ok());
        given.or(bare).or(value(section, "enable").and_then(toml::Value::as_bool)).unwrap_or(default)
    };
    let listens = |section: &str, default: &str| {
        let given = launch.given(&format!("{section}.address"));
        let written = value(section, "address").and_then(toml::Value::as_str).map(str::to_owned);
        reachable(&given.or(written).unwrap_or_else(|| default.to_owned()))
    };
    let told = Some(told.trim()).filter(|told| *told != GRPC_DEFAULT);
    let grpc = match told {
        Some("") => None,
        Some(told) => Some(told.to_owned()),
        None => enabled("grpc", true).then(|| listens("grpc", GRPC_DEFAULT)).flatten(),
    };
    Services { grpc, rest: enabled("api", false).then(|| listens("api", REST_DEFAULT)).flatten() }
}

/// Where the node itself answers gRPC. Of a node without that file nothing is known: somebody else may answer there.
pub(super) fn own_grpc(file: &str, launch: NodeLaunch<'_>) -> Option<String> {
    services(file, launch, GRPC_DEFAULT).grpc.filter(|_| !file.trim().is_empty())
}

/// How the height is asked for.
pub(super) fn height_question(grpc: String) -> HeightProbe {
    let method = "/cosmos.base.tendermint.v1beta1.Service/GetLatestBlock".to_owned();
    // The block, its header, its height.
    HeightProbe::Grpc { call: GrpcCall { address: grpc, method }, field: vec![2, 1, 3] }
}

/// How the upgrade that is planned is asked for.
pub fn plan_question(services: &Services) -> Option<PlanQuestion> {
    let grpc = services.grpc.clone().map(|address| PlanQuestion::Grpc {
        call: GrpcCall { address, method: "/cosmos.upgrade.v1beta1.Query/CurrentPlan".to_owned() },
        plan: vec![1],
        parts: PlanParts { name: vec![1], height: vec![3], info: vec![4] },
        height_header: Some(HEIGHT_METADATA.to_owned()),
    });
    grpc.or_else(|| {
        Some(PlanQuestion::Http {
            url: format!("http://{}/cosmos/upgrade/v1beta1/current_plan", services.rest.as_ref()?),
            plan: "/plan".to_owned(),
            parts: PlanParts { name: "/name".to_owned(), height: "/height".to_owned(), info: "/info".to_owned() },
            height_header: Some(HEIGHT_HEADER.to_owned()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, line: &str, told: &str) -> (Option<String>, Option<String>) {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let environment = |name: &str| (name == "SIMD_GRPC_ADDRESS").then(|| "10.0.0.9:9".to_owned());
        let launch = NodeLaunch { program: "simd", arguments: &arguments, environment: &|_| None };
        let by_variable = services(file, NodeLaunch { environment: &environment, ..launch }, told).grpc;
        let is_open = told == GRPC_DEFAULT && !line.contains("--grpc") && !file.contains("enable = false");
        assert_eq!(by_variable.as_deref() == Some("10.0.0.9:9"), is_open, "{file} {line} {told}");
        let Services { grpc, rest } = services(file, launch, told);
        (grpc, rest)
    }

    #[test]
    fn the_operator_is_heard_first_then_arguments_and_then_the_file() {
        let file = "[grpc]\nenable = true\naddress = \"0.0.0.0:19090\"\n\
                    [api]\nenable = true\naddress = \"tcp://0.0.0.0:11317\"\n";
        let off = "[grpc]\nenable = false\n";
        for (file, line, told, grpc, rest) in [
            ("", "start", GRPC_DEFAULT, Some("localhost:9090"), None),
            ("not toml [", "start", GRPC_DEFAULT, Some("localhost:9090"), None),
            (file, "start", GRPC_DEFAULT, Some("127.0.0.1:19090"), Some("127.0.0.1:11317")),
            (file, "start", "https://grpc.example:443", Some("https://grpc.example:443"), Some("127.0.0.1:11317")),
            (file, "start --grpc.address 10.0.0.5:1", GRPC_DEFAULT, Some("10.0.0.5:1"), Some("127.0.0.1:11317")),
            (file, "start --grpc.enable=false --api.enable=false", GRPC_DEFAULT, None, None),
            (off, "start", GRPC_DEFAULT, None, None),
            (off, "start --api.enable", GRPC_DEFAULT, None, Some("localhost:1317")),
            (off, "start", "10.0.0.5:2", Some("10.0.0.5:2"), None),
            ("", "start", "", None, None),
        ] {
            let expected = (grpc.map(str::to_owned), rest.map(str::to_owned));
            assert_eq!(found(file, line, told), expected, "{file} {line} {told}");
        }
    }

    #[test]
    fn only_a_node_that_says_where_it_answers_is_asked_for_its_height() {
        let arguments = ["start".to_owned()];
        let launch = NodeLaunch { program: "simd", arguments: &arguments, environment: &|_| None };
        for (file, expected) in [
            ("", None),
            (" \n", None),
            ("[api]\nenable = true\n", Some("localhost:9090")),
            ("[grpc]\naddress = \"0.0.0.0:7\"\n", Some("127.0.0.1:7")),
            ("[grpc]\nenable = false\n", None),
        ] {
            assert_eq!(own_grpc(file, launch).as_deref(), expected, "{file:?}");
        }
    }

    #[test]
    fn grpc_is_asked_before_rest_and_nobody_where_nobody_answers() {
        let both = Services { grpc: Some("a:1".to_owned()), rest: Some("b:2".to_owned()) };
        assert_eq!(plan_question(&both).map(|it| it.shown()).as_deref(), Some("a:1"));
        let rest = plan_question(&Services { grpc: None, ..both }).map(|it| it.shown());
        assert_eq!(rest.as_deref(), Some("http://b:2/…"));
        assert_eq!(plan_question(&Services::default()), None);
    }
}
