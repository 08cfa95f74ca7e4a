//! What the arguments of a node's program tell: whether they start the node or use it as a tool, which heights are
//! skipped, which home and address are meant.
//!
//! Pure. The program is the operator's, so nothing here refuses anything.

/// What an argument list is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The node itself: it is looked after.
    Node,
    /// A command that has its say and ends; it runs beside whatever runs.
    Tool,
}

/// Commands that do not run the node.
const TOOLS: [&str; 27] = [
    "add-genesis-account",
    "collect-gentxs",
    "comet",
    "cometbft",
    "completion",
    "config",
    "debug",
    "export",
    "gentx",
    "help",
    "init",
    "keys",
    "migrate",
    "module-hash-by-height",
    "pre-upgrade",
    "prune",
    "q",
    "query",
    "rollback",
    "snapshots",
    "status",
    "tendermint",
    "tx",
    "unsafe-reset-all",
    "validate-genesis",
    "version",
    "add-consumer-section",
];

/// Families of such commands, by how they begin.
const TOOL_FAMILIES: [&str; 3] = ["genesis", "testnet", "__complete"];

/// Flags before the command that take a value.
const FLAGS_WITH_VALUE: [&str; 6] =
    ["--home", "--log_level", "--log_format", "--log-level", "--log-format", "--chain-id"];

/// The flag before heights at which no upgrade is wanted.
const SKIP_FLAG: &str = "--unsafe-skip-upgrades";

/// What these arguments are for. An unknown command is taken for the node, which is then looked after; asking for help
/// is not.
pub fn purpose(arguments: &[String]) -> Purpose {
    let before_end = arguments.iter().take_while(|word| *word != "--");
    if before_end.clone().any(|word| word == "--help" || word == "-h") {
        return Purpose::Tool;
    }
    let is_tool = |word: &str| TOOLS.contains(&word) || TOOL_FAMILIES.iter().any(|family| word.starts_with(family));
    match command(arguments) {
        Some(word) if !is_tool(word) => Purpose::Node,
        // Without any command the program says how it is used.
        _ => Purpose::Tool,
    }
}

/// The command of these arguments, such as `start`.
pub fn command(arguments: &[String]) -> Option<&str> {
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if FLAGS_WITH_VALUE.contains(&word.as_str()) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

/// The heights at which the node is told to skip upgrades: whole numbers behind the flag up to the next flag. Unlike the
/// original, forms with `=` and commas are understood, and the flag may be repeated: the node understands them too.
pub fn skip_heights(arguments: &[String]) -> Vec<u64> {
    let mut heights = Vec::new();
    let mut is_behind_flag = false;
    for word in arguments {
        let values = match word.strip_prefix(SKIP_FLAG) {
            Some("") => {
                is_behind_flag = true;
                continue;
            }
            Some(rest) if rest.starts_with('=') => {
                is_behind_flag = true;
                &rest[1..]
            }
            _ => word,
        };
        is_behind_flag = is_behind_flag && !values.starts_with('-');
        if is_behind_flag {
            heights.extend(values.split([',', ' ']).filter_map(|value| value.trim().parse::<u64>().ok()));
        }
    }
    heights
}

/// The value of a flag, given as `--flag value` or `--flag=value`; the last one counts.
pub fn flag_value<'a>(arguments: &'a [String], flag: &str) -> Option<&'a str> {
    let mut found = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        match word.strip_prefix(flag) {
            Some("") => found = words.next().map(String::as_str).or(found),
            Some(rest) => found = rest.strip_prefix('=').or(found),
            None => {}
        }
    }
    found
}

/// Takes `--cosmovisor-config PATH` out of the arguments of `run`, wherever it stands; the rest is the node's. Only
/// this spelling is ours there: others reach the node.
pub fn take_config(arguments: &[String]) -> Result<(Option<String>, Vec<String>), &'static str> {
    let is_flag = |word: &String| {
        ["--cosmovisor-config", "-cosmovisor-config"].iter().any(|flag| word.eq_ignore_ascii_case(flag))
    };
    let Some(place) = arguments.iter().position(is_flag) else { return Ok((None, arguments.to_vec())) };
    let path = arguments.get(place + 1).ok_or("--cosmovisor-config requires an argument")?;
    let rest = arguments.iter().enumerate().filter(|(index, _)| *index != place && *index != place + 1);
    Ok((Some(path.clone()), rest.map(|(_, word)| word.clone()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn nodes_are_told_from_tools() {
        for line in [
            "start",
            "start --home /x",
            "--home /x start",
            "--home=/x --trace start",
            "--log_level info start --minimum-gas-prices 1stake",
            "in-place-fork",
            "rosetta",
            "start -- --help",
        ] {
            assert_eq!(purpose(&words(line)), Purpose::Node, "{line}");
        }
        for line in [
            "",
            "version",
            "version --long --output json",
            "keys list",
            "q bank balances x",
            "query upgrade plan",
            "tx bank send a b 1x",
            "config get client",
            "init moniker --chain-id x",
            "genesis add-genesis-account a 1x",
            "gentx a 1x",
            "collect-gentxs",
            "status --home /x",
            "debug addr x",
            "export --height 5",
            "rollback --hard",
            "snapshots list",
            "prune everything",
            "tendermint show-node-id",
            "comet show-validator",
            "cometbft unsafe-reset-all",
            "completion bash",
            "help",
            "--help",
            "start --help",
            "start -h",
            "testnet init-files",
            "in-place-testnet --help",
            "--home keys version",
            "--version",
        ] {
            assert_eq!(purpose(&words(line)), Purpose::Tool, "{line}");
        }
        assert_eq!(command(&words("--home /x start --home y")), Some("start"));
        assert_eq!(command(&words("--trace")), None);
    }

    #[test]
    fn skip_heights_are_read_in_every_form_that_the_node_reads() {
        for (line, heights) in [
            ("start", &[][..]),
            ("start --unsafe-skip-upgrades 10", &[10]),
            ("start --unsafe-skip-upgrades 10 20 --home 30", &[10, 20]),
            ("start --unsafe-skip-upgrades 10 x 20 -h 30", &[10, 20]),
            ("start --unsafe-skip-upgrades=10,20 --x 5", &[10, 20]),
            ("start --unsafe-skip-upgrades 10,20", &[10, 20]),
            ("start --unsafe-skip-upgrades 10 --unsafe-skip-upgrades 20", &[10, 20]),
            ("start --unsafe-skip-upgrades --home 10", &[]),
            ("start --unsafe-skip-upgrades", &[]),
            ("start --unsafe-skip-upgradesx 10", &[]),
            ("start --unsafe-skip-upgrades -5 10", &[]),
        ] {
            assert_eq!(skip_heights(&words(line)), heights, "{line}");
        }
    }

    #[test]
    fn flags_have_their_last_value() {
        let line = words("start --home /a --rpc.laddr=tcp://x --home=/b --homely /c");
        assert_eq!(flag_value(&line, "--home"), Some("/b"));
        assert_eq!(flag_value(&line, "--rpc.laddr"), Some("tcp://x"));
        assert_eq!(flag_value(&line, "--other"), None);
        assert_eq!(flag_value(&words("start --home"), "--home"), None);
    }

    #[test]
    fn the_own_flag_is_taken_out_once_wherever_it_stands() {
        for (line, config, rest) in [
            ("start --x", None, "start --x"),
            ("--cosmovisor-config c.toml start", Some("c.toml"), "start"),
            ("start --Cosmovisor-Config c.toml --x", Some("c.toml"), "start --x"),
            ("start -cosmovisor-config c.toml", Some("c.toml"), "start"),
            ("start --cosmovisor-config=c.toml -c d", None, "start --cosmovisor-config=c.toml -c d"),
            ("--cosmovisor-config a start --cosmovisor-config b", Some("a"), "start --cosmovisor-config b"),
        ] {
            let (path, left) = take_config(&words(line)).unwrap();
            assert_eq!((path.as_deref(), left), (config, words(rest)), "{line}");
        }
        assert_eq!(take_config(&words("start --cosmovisor-config")), Err("--cosmovisor-config requires an argument"));
    }

    proptest! {
        #[test]
        fn no_arguments_make_reading_panic(words in proptest::collection::vec("(--[a-z-]{0,12}|[a-z0-9=,-]{0,12}|--unsafe-skip-upgrades=?|--cosmovisor-config)", 0..8)) {
            let _ = purpose(&words);
            let _ = skip_heights(&words);
            let _ = flag_value(&words, "--home");
            let _ = take_config(&words);
        }
    }
}
