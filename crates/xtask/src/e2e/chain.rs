//! A chain that begins: the homes of its validators, with one genesis, quick blocks and quick governance.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::stage::Stage;
use super::tool;

/// The id of every chain here.
pub(super) const CHAIN_ID: &str = "chain-of-tests";
/// The name of the chain's program, in homes as well.
pub(super) const PROGRAM: &str = "chaind";
/// The key that each validator sends transactions with.
pub(super) const KEY: &str = "validator";
/// How long people may vote, in whole seconds.
pub(super) const VOTING_SECONDS: u64 = 4;
const BLOCK_TIME: &str = "250ms";
const STAKE: &str = "1000000000stake";
const BALANCE: &str = "1000000000000stake";

/// A validator before anybody looks after it.
#[derive(Debug, Clone)]
pub(super) struct Home {
    pub(super) folder: PathBuf,
    pub(super) address: Ipv4Addr,
}

impl Home {
    pub(super) fn rpc(&self) -> SocketAddr {
        (self.address, 26657).into()
    }

    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }
}

/// Makes the homes of a chain with so many validators of equal weight; the first release is in place for all.
pub(super) fn found(stage: &Stage, validators: u8) -> Result<Vec<Home>> {
    let program = &stage.parts.chain["v1"];
    let homes: Vec<Home> = (1..=validators)
        .map(|place| Home { folder: stage.folder.join(format!("node{place}")), address: Stage::address(place) })
        .collect();
    let first = homes.first().context("found a chain without validators")?;
    for (place, home) in homes.iter().enumerate() {
        let run = |words: &[&str]| tool(Command::new(program).args(words).arg("--home").arg(&home.folder));
        run(&["init", &format!("validator-{place}"), "--chain-id", CHAIN_ID])?;
        run(&["keys", "add", KEY, "--keyring-backend", "test"])?;
        run(&["genesis", "add-genesis-account", KEY, BALANCE, "--keyring-backend", "test"])?;
        let ip = home.address.to_string();
        let gentx = ["genesis", "gentx", KEY, STAKE, "--keyring-backend", "test", "--chain-id", CHAIN_ID, "--ip", &ip];
        run(&gentx)?;
        configure(home)?;
    }
    join_genesis(program, first, &homes)?;
    let peers = homes.iter().map(|home| peer(program, home)).collect::<Result<Vec<String>>>()?.join(",");
    let genesis = fs::read(first.path("config/genesis.json")).context("read the genesis")?;
    for home in &homes {
        fs::write(home.path("config/genesis.json"), &genesis).context("write the genesis")?;
        edit(&home.path("config/config.toml"), &[("p2p", "persistent_peers", &format!("{peers:?}"))])?;
        install(stage, home, "v1", "genesis")?;
    }
    Ok(homes)
}

/// Puts a release of the chain into a place of Cosmovisor's layout, as an operator would.
pub(super) fn install(stage: &Stage, home: &Home, release: &str, place: &str) -> Result<()> {
    let bin = home.path("cosmovisor").join(place).join("bin");
    fs::create_dir_all(&bin).context("make a release")?;
    fs::copy(&stage.parts.chain[release], bin.join(PROGRAM)).context("make a release").map(|_| ())
}

/// All accounts and all first transactions in the genesis of one, with parameters that suit a test.
fn join_genesis(program: &Path, first: &Home, homes: &[Home]) -> Result<()> {
    for other in homes.iter().skip(1) {
        let key = tool(
            Command::new(program)
                .args(["keys", "show", KEY, "--address", "--keyring-backend", "test"])
                .arg("--home")
                .arg(&other.folder),
        )?;
        let words = ["genesis", "add-genesis-account", key.trim(), BALANCE];
        tool(Command::new(program).args(words).arg("--home").arg(&first.folder))?;
        for entry in fs::read_dir(other.path("config/gentx")).context("read a first transaction")? {
            let entry = entry?;
            fs::copy(entry.path(), first.path("config/gentx").join(entry.file_name()))?;
        }
    }
    tool(Command::new(program).args(["genesis", "collect-gentxs", "--home"]).arg(&first.folder))?;
    let file = first.path("config/genesis.json");
    let mut genesis: Value = serde_json::from_slice(&fs::read(&file)?).context("understand the genesis")?;
    let governance = &mut genesis["app_state"]["gov"]["params"];
    governance["voting_period"] = json!(format!("{VOTING_SECONDS}s"));
    governance["expedited_voting_period"] = json!("1s");
    fs::write(file, serde_json::to_vec_pretty(&genesis)?).context("write the genesis")
}

/// Where it listens, and how quick it is. Nothing but this home's own address on loopback.
fn configure(home: &Home) -> Result<()> {
    let at = |port: u16| format!("\"tcp://{}:{port}\"", home.address);
    edit(
        &home.path("config/config.toml"),
        &[
            ("rpc", "laddr", &at(26657)),
            ("rpc", "pprof_laddr", "\"\""),
            ("p2p", "laddr", &at(26656)),
            ("p2p", "external_address", &format!("\"{}:26656\"", home.address)),
            ("p2p", "addr_book_strict", "false"),
            ("p2p", "allow_duplicate_ip", "true"),
            ("consensus", "timeout_commit", &format!("\"{BLOCK_TIME}\"")),
            ("consensus", "timeout_propose", "\"1s\""),
        ],
    )?;
    edit(&home.path("config/client.toml"), &[("", "node", &at(26657)), ("", "chain-id", &format!("{CHAIN_ID:?}"))])?;
    edit(
        &home.path("config/app.toml"),
        &[
            ("", "minimum-gas-prices", "\"0stake\""),
            ("grpc", "address", &format!("\"{}:9090\"", home.address)),
            ("api", "enable", "true"),
            ("api", "address", &at(1317)),
        ],
    )
}

/// From its next start on, a node tells nothing about plans before it halts.
pub(super) fn keep_plans_secret(home: &Home) -> Result<()> {
    edit(&home.path("config/app.toml"), &[("grpc", "enable", "false"), ("api", "enable", "false")])
}

fn peer(program: &Path, home: &Home) -> Result<String> {
    let id = tool(Command::new(program).args(["comet", "show-node-id", "--home"]).arg(&home.folder))?;
    Ok(format!("{}@{}:26656", id.trim(), home.address))
}

/// Gives keys of a TOML file other values, each a table, a key and the text of the value.
fn edit(file: &Path, changes: &[(&str, &str, &str)]) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    fs::write(file, edited(&text, changes)?).with_context(|| format!("write {}", file.display()))
}

fn edited(text: &str, changes: &[(&str, &str, &str)]) -> Result<String> {
    let mut table = String::new();
    let mut missing: Vec<_> = changes.to_vec();
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut table);
        }
        let key = line.split_once('=').map(|(key, _)| key.trim());
        let wanted = missing.iter().position(|(of, name, _)| *of == table && Some(*name) == key);
        lines.push(match wanted.map(|place| missing.swap_remove(place)) {
            Some((_, name, value)) => format!("{name} = {value}"),
            None => line.to_owned(),
        });
    }
    anyhow::ensure!(missing.is_empty(), "find {missing:?} in the configuration");
    Ok(lines.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::edited;

    #[test]
    fn keys_are_found_in_their_own_table() {
        let text = "laddr = 1\n[rpc]\nladdr = 2\n# laddr = 3\n[p2p]\nladdr = 4\n";
        let changed = edited(text, &[("p2p", "laddr", "5"), ("", "laddr", "6")]).unwrap();
        assert_eq!(changed, "laddr = 6\n[rpc]\nladdr = 2\n# laddr = 3\n[p2p]\nladdr = 5\n");
        assert!(edited(text, &[("rpc", "port", "1")]).is_err());
    }
}
