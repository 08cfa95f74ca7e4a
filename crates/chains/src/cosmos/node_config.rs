//! What the node's own configuration tells us: where it answers, and who signs for it.
//!
//! Read only. A file that is missing or that we cannot read tells nothing, and the node's defaults hold.

use toml::Table;

use super::arguments::flag_value;

/// Where a node answers unless it is told otherwise.
const RPC_DEFAULT: &str = "tcp://127.0.0.1:26657";

/// What matters of a node's `config/config.toml` and of its arguments, which win.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeConfig {
    /// The address of its web server, `host:port`; `None` where it has none that we could ask.
    pub rpc: Option<String>,
    /// Whether somebody else holds its key.
    pub has_remote_signer: bool,
    /// The file of its key; from the node's home on, unless it is absolute.
    pub key: String,
    /// The file of what it has signed; from the node's home on, unless it is absolute.
    pub sign_state: String,
}

/// Reads both.
pub fn node_config(file: &str, arguments: &[String]) -> NodeConfig {
    let table: Table = file.parse().unwrap_or_default();
    let rpc = table.get("rpc").and_then(|rpc| rpc.get("laddr")).and_then(toml::Value::as_str);
    let rpc = flag_value(arguments, "--rpc.laddr").or(rpc).unwrap_or(RPC_DEFAULT);
    let text = |key: &str| table.get(key).and_then(toml::Value::as_str).filter(|text| !text.trim().is_empty());
    let signer = flag_value(arguments, "--priv_validator_laddr").or(text("priv_validator_laddr")).unwrap_or("");
    NodeConfig {
        rpc: address(rpc),
        has_remote_signer: !signer.trim().is_empty(),
        key: text("priv_validator_key_file").unwrap_or("config/priv_validator_key.json").to_owned(),
        sign_state: text("priv_validator_state_file").unwrap_or("data/priv_validator_state.json").to_owned(),
    }
}

/// Where to ask a node that listens there.
fn address(listens: &str) -> Option<String> {
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

    fn rpc(file: &str, line: &str) -> Option<String> {
        let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        node_config(file, &arguments).rpc
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
        let remote = |file: &str| node_config(file, &[]).has_remote_signer;
        assert!(remote("priv_validator_laddr = \"tcp://0.0.0.0:26659\""));
        assert!(!remote("priv_validator_laddr = \"\""));
        assert!(!remote(""));
    }

    #[test]
    fn the_files_of_the_signer_may_lie_elsewhere() {
        let usual = node_config("priv_validator_key_file = \"\"", &[]);
        let usual = (usual.key.as_str(), usual.sign_state.as_str());
        assert_eq!(usual, ("config/priv_validator_key.json", "data/priv_validator_state.json"));
        let file = "priv_validator_key_file = \"/safe/key.json\"\npriv_validator_state_file = \"state.json\"";
        let other = node_config(file, &[]);
        assert_eq!((other.key.as_str(), other.sign_state.as_str()), ("/safe/key.json", "state.json"));
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_panic(file in ".{0,60}", address in "(tcp://)?[a-z0-9.:\\[\\]/]{0,20}") {
            let arguments = ["--rpc.laddr".to_owned(), address];
            let _ = node_config(&file, &arguments);
        }
    }
}
