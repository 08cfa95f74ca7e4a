//! What validators decide together: a proposal, their votes, and the plan that comes of it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::chain::{CHAIN_ID, Home, KEY};
use super::node::PATIENCE;
use super::rpc::{ask, number};
use super::tool;
use crate::processes::wait_until;

/// The address of governance itself, which alone may plan an upgrade: the hash of its name.
const AUTHORITY: &str = "cosmos10d07y265gmmuvt4z0w9aw880jnsr700j6zn9kn";

/// An upgrade to be decided on.
#[derive(Debug, Clone)]
pub(super) struct Proposal<'a> {
    /// Which one it is, counted from 1.
    pub(super) number: u64,
    pub(super) name: &'a str,
    pub(super) height: u64,
    pub(super) info: &'a str,
}

/// Has the validators propose and accept an upgrade; ends when the plan is the chain's own.
pub(super) fn decide(program: &Path, validators: &[Home], proposal: &Proposal) -> Result<()> {
    let plan = json!({ "name": proposal.name, "height": proposal.height.to_string(), "info": proposal.info });
    let message = json!({
        "@type": "/cosmos.upgrade.v1beta1.MsgSoftwareUpgrade", "authority": AUTHORITY, "plan": plan,
    });
    accept(program, validators, proposal.number, &message, true)?;
    let height = height(&validators[0])?;
    ensure!(height < proposal.height, "decide in time: the chain is at {height}");
    Ok(())
}

/// Has them take the plan back; ends when the chain has none any more.
pub(super) fn withdraw(program: &Path, validators: &[Home], number: u64) -> Result<()> {
    let message = json!({ "@type": "/cosmos.upgrade.v1beta1.MsgCancelUpgrade", "authority": AUTHORITY });
    accept(program, validators, number, &message, false)
}

/// Proposes, and has everybody vote for it; then the chain has a plan, or none.
fn accept(program: &Path, validators: &[Home], number: u64, message: &Value, plans: bool) -> Result<()> {
    let first = validators.first().context("decide without validators")?;
    let text = json!({
        "messages": [message], "deposit": "10000000stake", "title": format!("Proposal {number}"), "summary": "A step.",
    });
    let file = first.path(&format!("proposal-{number}.json"));
    fs::write(&file, serde_json::to_vec(&text)?).context("write a proposal")?;
    send(program, first, &["gov", "submit-proposal", &file.to_string_lossy()])?;
    for voter in validators {
        send(program, voter, &["gov", "vote", &number.to_string(), "yes"])?;
    }
    wait_until("the proposal to pass", PATIENCE, || has_plan(first).is_ok_and(|has| has == plans))
}

/// Sends a transaction, and waits until it is in a block and did what it should.
fn send(program: &Path, sender: &Home, words: &[&str]) -> Result<()> {
    let node = format!("tcp://{}", sender.rpc());
    let common = ["--from", KEY, "--keyring-backend", "test", "--chain-id", CHAIN_ID, "--gas", "1000000"];
    let mut command = Command::new(program);
    command.arg("tx").args(words).args(common).args(["--node", &node, "--output", "json", "--yes", "--home"]);
    let answer = tool(command.arg(&sender.folder))?;
    let answer: Value = serde_json::from_str(&answer).context("understand what became of a transaction")?;
    ensure!(answer["code"] == json!(0), "send a transaction: {}", answer["raw_log"]);
    let hash = answer["txhash"].as_str().context("find the hash of a transaction")?;
    let mut found = Value::Null;
    wait_until("a transaction to be in a block", Duration::from_secs(30), || {
        found = ask(sender.rpc(), &format!("/tx?hash=0x{hash}")).unwrap_or_default();
        !found.is_null()
    })?;
    ensure!(found["tx_result"]["code"] == json!(0), "carry out a transaction: {}", found["tx_result"]["log"]);
    Ok(())
}

/// Whether the chain has a plan that was decided on.
fn has_plan(home: &Home) -> Result<bool> {
    let answer = ask(home.rpc(), "/abci_query?path=\"/cosmos.upgrade.v1beta1.Query/CurrentPlan\"")?;
    Ok(answer["response"]["value"].as_str().is_some_and(|value| !value.is_empty()))
}

/// The height of the chain as this validator sees it.
pub(super) fn height(home: &Home) -> Result<u64> {
    number(&ask(home.rpc(), "/status")?["sync_info"]["latest_block_height"]).context("find the height of the chain")
}
