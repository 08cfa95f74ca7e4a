//! What the node's own configuration tells us: its home, where it answers, and who signs for it.
//!
//! Read only. The node takes a value from its arguments, else from a variable that begins with its program's name, else
//! from its file. A file that is missing or that we cannot read tells nothing, and the node's defaults hold.

use std::net::SocketAddr;

use toml::Table;

use super::arguments::flag_value;
use super::read::Environment;

/// Where a node answers unless it is told otherwise.
const RPC_DEFAULT: &str = "tcp://127.0.0.1:26657";

/// What a node is launched with.
#[derive(Clone, Copy)]
pub struct NodeLaunch<'a> {
    /// The file name of its program.
    pub program: &'a str,
    /// Its arguments.
    pub arguments: &'a [String],
    /// Its environment.
    pub environment: Environment<'a>,
}

impl std::fmt::Debug for NodeLaunch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeLaunch").field("program", &self.program).field("arguments", &self.arguments).finish()
    }
}

impl NodeLaunch<'_> {
    /// The home that the node is told to have; its program's default is not known.
    pub fn home(&self) -> Option<String> {
        self.given("home")
    }

    /// What a flag says, or else its variable. An empty variable is one that is not set.
    pub(super) fn given(&self, key: &str) -> Option<String> {
        flag_value(self.arguments, &format!("--{key}")).map(str::to_owned).or_else(|| self.variable(key))
    }

    fn variable(&self, key: &str) -> Option<String> {
        (self.environment)(&self.variable_of(key)).filter(|value| !value.is_empty())
    }

    /// The variable in which the node looks for this.
    pub(super) fn variable_of(&self, key: &str) -> String {
        format!("{}_{key}", self.program).replace(['.', '-'], "_").to_uppercase()
    }
}

/// What matters of a node's `config/config.toml`, of its arguments and of its variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// The address of its web server, `host:port`; `None` where it has none that we could ask.
    pub rpc: Option<String>,
    /// Where it waits for somebody else who holds its key.
    pub remote_signer: Option<String>,
    /// The directory of its databases; from the node's home on, unless it is absolute.
    pub databases: String,
    /// The log of its consensus; from the node's home on, unless it is absolute.
    pub consensus_log: String,
    /// The file of its key; from the node's home on, unless it is absolute.
    pub key: String,
    /// The file of what it has signed; from the node's home on, unless it is absolute.
    pub sign_state: String,
    /// In how many of the last blocks the node looks for its own signature, and refuses to start if it finds one.
    pub silent_blocks: u64,
    /// Nodes of others that it trusts for state sync, as addresses of the web.
    pub references: Vec<String>,
}

/// Reads all of them.
pub fn node_config(file: &str, launch: NodeLaunch<'_>) -> NodeConfig {
    let table: Table = file.parse().unwrap_or_default();
    let rpc = table.get("rpc").and_then(|rpc| rpc.get("laddr")).and_then(toml::Value::as_str);
    let rpc = launch.given("rpc.laddr").or_else(|| rpc.map(str::to_owned));
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    // What has no flag is looked for among the variables only where the file has it as well.
    let path = |key: &str, default: &str| {
        let written = text(key).map(|written| launch.variable(key).unwrap_or(written));
        written.filter(|path| !path.trim().is_empty()).unwrap_or_else(|| default.to_owned())
    };
    let remote_signer = launch.given("priv_validator_laddr").or_else(|| text("priv_validator_laddr"));
    let databases = launch.given("db_dir").or_else(|| text("db_dir")).filter(|path| !path.trim().is_empty());
    let consensus = |key: &str| table.get("consensus").and_then(|consensus| consensus.get(key));
    let log = consensus("wal_file").and_then(toml::Value::as_str).filter(|log| !log.trim().is_empty());
    let silent_blocks = launch.given("consensus.double_sign_check_height").and_then(|text| text.trim().parse().ok());
    let silent_written = || consensus("double_sign_check_height")?.as_integer()?.try_into().ok();
    let written = table.get("statesync").and_then(|section| section.get("rpc_servers")).and_then(toml::Value::as_str);
    let references = launch.given("statesync.rpc_servers").or_else(|| written.map(str::to_owned)).unwrap_or_default();
    NodeConfig {
        references: references.split(',').filter_map(reference).collect(),
        silent_blocks: silent_blocks.or_else(silent_written).unwrap_or(0),
        rpc: reachable(rpc.as_deref().unwrap_or(RPC_DEFAULT)),
        remote_signer: remote_signer.filter(|address| !address.trim().is_empty()),
        key: path("priv_validator_key_file", "config/priv_validator_key.json"),
        sign_state: path("priv_validator_state_file", "data/priv_validator_state.json"),
        databases: databases.unwrap_or_else(|| "data".to_owned()),
        consensus_log: log.unwrap_or("data/cs.wal/wal").to_owned(),
    }
}

/// The address of somebody else's node, as of a web server.
fn reference(listed: &str) -> Option<String> {
    let address = listed.trim().trim_end_matches('/');
    let address = address.strip_prefix("tcp://").unwrap_or(address);
    let is_of_web = address.starts_with("http://") || address.starts_with("https://");
    (!address.is_empty()).then(|| if is_of_web { address.to_owned() } else { format!("http://{address}") })
}

/// The port of this machine where a node waits for its signer, if it is one.
pub(super) fn signer_port(listens: &str) -> Option<SocketAddr> {
    let address = listens.trim();
    let address = address.strip_prefix("tcp://").unwrap_or(address);
    let (host, port) = address.rsplit_once(':').filter(|_| !address.contains('/'))?;
    let host = if host.is_empty() { "0.0.0.0" } else { host };
    format!("{host}:{port}").replace("localhost:", "127.0.0.1:").parse().ok()
}

/// Where to ask a node that listens there.
pub(super) fn reachable(listens: &str) -> Option<String> {
    let address = listens.trim();
    let address = address.strip_prefix("tcp://").or_else(|| address.strip_prefix("http://")).unwrap_or(address);
    if address.contains('/') {
        return None;
    }
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok().filter(|port| *port > 0)?;
    // Whoever listens everywhere also listens here.
    let host = match host {
        "" | "0.0.0.0" => "127.0.0.1",
        "[::]" => "[::1]",
        host => host,
    };
    Some(format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is read of this file, these arguments, and these variables.
    fn read(file: &str, line: &str, variables: &[(&str, &str)]) -> NodeConfig {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let environment =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        node_config(file, NodeLaunch { program: "my-simd", arguments: &arguments, environment: &environment })
    }

    fn rpc(file: &str, line: &str) -> Option<String> {
        read(file, line, &[]).rpc
    }

    #[test]
    fn the_address_is_learned_from_arguments_then_the_file_then_by_default() {
        let file = "moniker = \"x\"\n[rpc]\nladdr = \"tcp://0.0.0.0:36657\"\n";
        for (file, line, expected) in [
            ("", "start", Some("127.0.0.1:26657")),
            ("not toml [", "start", Some("127.0.0.1:26657")),
            (file, "start", Some("127.0.0.1:36657")),
            (file, "start --rpc.laddr tcp://10.0.0.5:1234", Some("10.0.0.5:1234")),
            (file, "start --rpc.laddr=tcp://[::]:1234", Some("[::1]:1234")),
            (file, "start --rpc.laddr :1234", Some("127.0.0.1:1234")),
            (file, "start --rpc.laddr unix:///run/x.sock", None),
            (file, "start --rpc.laddr tcp://127.0.0.1:0", None),
            ("[rpc]\nladdr = \"\"", "start", None),
        ] {
            assert_eq!(rpc(file, line).as_deref(), expected, "{file} {line}");
        }
    }

    #[test]
    fn a_key_that_somebody_else_holds_is_noticed() {
        const FILE: &str = "priv_validator_laddr = \"tcp://0.0.0.0:26659\"";
        let remote = |file: &str, line: &str, variables: &[(&str, &str)]| read(file, line, variables).remote_signer;
        assert_eq!(remote(FILE, "start", &[]).as_deref(), Some("tcp://0.0.0.0:26659"));
        assert_eq!(remote("priv_validator_laddr = \"\"", "start", &[]), None);
        assert_eq!(remote("", "start", &[]), None);
        assert_eq!(remote("", "start --priv_validator_laddr tcp://:1", &[]).as_deref(), Some("tcp://:1"));
        let variables = [("MY_SIMD_PRIV_VALIDATOR_LADDR", "tcp://:2")];
        assert_eq!(remote(FILE, "start", &variables).as_deref(), Some("tcp://:2"));
        assert_eq!(remote(FILE, "start --priv_validator_laddr=tcp://:1", &variables).as_deref(), Some("tcp://:1"));
        assert_eq!(remote(FILE, "start --priv_validator_laddr=", &[]), None, "it was switched off");
        assert_eq!(remote("", "start", &[("MY_SIMD_PRIV_VALIDATOR_LADDR", "")]), None);
        for (address, port) in [
            ("tcp://0.0.0.0:26659", Some("0.0.0.0:26659")),
            ("tcp://:26659", Some("0.0.0.0:26659")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("tcp://localhost:1", Some("127.0.0.1:1")),
            ("tcp://[::]:1", Some("[::]:1")),
            ("unix:///run/signer.sock", None),
            ("tcp://host", None),
        ] {
            assert_eq!(signer_port(address), port.map(|port| port.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_nodes_own_look_for_its_signature_is_noticed() {
        const FILE: &str = "[consensus]\ndouble_sign_check_height = 5\n";
        assert_eq!(read(FILE, "start", &[]).silent_blocks, 5);
        assert_eq!(read("", "start", &[]).silent_blocks, 0);
        assert_eq!(read("[consensus]\ndouble_sign_check_height = -5\n", "start", &[]).silent_blocks, 0);
        assert_eq!(read(FILE, "start --consensus.double_sign_check_height=7", &[]).silent_blocks, 7);
        assert_eq!(read(FILE, "start", &[("MY_SIMD_CONSENSUS_DOUBLE_SIGN_CHECK_HEIGHT", "9")]).silent_blocks, 9);
    }

    #[test]
    fn nodes_of_others_are_those_of_state_sync() {
        let file = "[statesync]\nrpc_servers = \"a.example:26657, https://b.example/,tcp://c.example:1\"\n";
        let expected = ["http://a.example:26657", "https://b.example", "http://c.example:1"];
        assert_eq!(read(file, "start", &[]).references, expected);
        assert!(read("[statesync]\nrpc_servers = \"\"\n", "start", &[]).references.is_empty());
    }

    #[test]
    fn the_files_of_the_signer_may_lie_elsewhere() {
        let files = |file: &str, variables: &[(&str, &str)]| {
            let config = read(file, "start", variables);
            (config.key, config.sign_state)
        };
        let usual = ("config/priv_validator_key.json".to_owned(), "data/priv_validator_state.json".to_owned());
        let variables = [("MY_SIMD_PRIV_VALIDATOR_KEY_FILE", "/other.json")];
        assert_eq!(files("priv_validator_key_file = \"\"", &[]), usual);
        assert_eq!(files("", &variables), usual, "the node does not look for it either");
        let file = "priv_validator_key_file = \"/safe/key.json\"\npriv_validator_state_file = \"state.json\"";
        assert_eq!(files(file, &[]), ("/safe/key.json".to_owned(), "state.json".to_owned()));
        assert_eq!(files(file, &variables).0, "/other.json");
    }

    #[test]
    fn the_home_is_that_of_the_node() {
        let home = |line: &str, variables: &[(&str, &str)]| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let environment =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            NodeLaunch { program: "simd", arguments: &arguments, environment: &environment }.home()
        };
        assert_eq!(home("start", &[]), None);
        assert_eq!(home("start", &[("SIMD_HOME", "/a"), ("HOME", "/b")]).as_deref(), Some("/a"));
        assert_eq!(home("start --home /c", &[("SIMD_HOME", "/a")]).as_deref(), Some("/c"));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(file in ".{0,60}", address in "(tcp://)?[a-z0-9.:\\[\\]/]{0,20}") {
            let arguments = ["--rpc.laddr".to_owned(), address];
            let _ = node_config(&file, NodeLaunch { program: "", arguments: &arguments, environment: &|_| None });
        }
    }
}
