//! The scenarios: what is done to real nodes, and what must be true afterwards.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::chain::{self, Home};
use super::governance::{self, Proposal};
use super::node::{Node, PATIENCE};
use super::parts::NotHere;
use super::rpc::ask;
use super::server::Server;
use super::signing::Witness;
use super::stage::Stage;
use super::tool;
use crate::processes::wait_until;
use crate::report;

/// How many blocks ahead an upgrade is proposed: enough for a vote on a busy machine.
const NOTICE_BLOCKS: u64 = 40;
/// How many blocks are waited for behind an upgrade.
const AFTER_BLOCKS: u64 = 5;
/// How often our program is killed, how long before the halt that begins, and how long each of them lives at most.
const KILLS: usize = 10;
const KILLS_BEGIN_BLOCKS: u64 = 6;
const KILL_WITHIN: Duration = Duration::from_millis(1_500);
/// How CometBFT says that a validator voted for the block.
const SIGNED_FLAG: u64 = 2;

/// One of them.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) run: fn(&Stage) -> Result<()>,
}

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "governance",
        what: "a proposal passes, the chain halts, and the release that lies ready takes over",
        run: governance,
    },
    Scenario {
        name: "killed",
        what: "the same while our program, and sometimes the node too, is killed again and again",
        run: killed,
    },
    Scenario {
        name: "dead-node",
        what: "the chain halted under nobody's care, the node is dead, and then our program is started",
        run: dead_node,
    },
    Scenario {
        name: "second-proposal",
        what: "two upgrades that governance decides, one after the other, under one daemon",
        run: second_proposal,
    },
    Scenario {
        name: "batch",
        what: "after an upgrade by governance, one that only people scheduled, by height",
        run: batch,
    },
    Scenario {
        name: "exact",
        what: "one that people scheduled before the node was launched, which makes no block of the next release",
        run: exact,
    },
    Scenario {
        name: "missing",
        what: "the new release is not there at the halt, and is put into place by hand later",
        run: missing,
    },
    Scenario {
        name: "beside-original",
        what: "two validators, one under the original and one under ours, through the same upgrade",
        run: beside_original,
    },
    Scenario {
        name: "withdrawn",
        what: "governance takes a plan back that was armed already, and the old release goes on",
        run: withdrawn,
    },
    Scenario {
        name: "fetched-ahead",
        what: "the release is fetched and examined while the old one runs, as soon as the proposal has passed",
        run: fetched_ahead,
    },
    Scenario {
        name: "fetched-at-halt",
        what: "a node that tells nothing ahead halts, and the release is fetched by what it wrote down",
        run: fetched_at_halt,
    },
    Scenario {
        name: "wrong-checksum",
        what: "what is fetched is not what was voted on: the node waits for one that is put into place by hand",
        run: wrong_checksum,
    },
];

/// One validator under our program, with a witness of what it signs.
struct Alone {
    node: Node,
    witness: Witness,
    decided: u64,
}

impl Alone {
    fn new(stage: &Stage) -> Result<Self> {
        let home = chain::found(stage, 1)?.pop().context("find the validator")?;
        let witness = Witness::watch(home.path("data/priv_validator_state.json"));
        Ok(Self { node: Node::new(home, stage.drop_in()?), witness, decided: 0 })
    }

    fn start(&mut self) -> Result<()> {
        self.node.start()?;
        self.node.wait_for_height(3)
    }

    /// A command of our program on this home, to its end.
    fn call(&self, words: &[&str]) -> Result<String> {
        tool(&mut self.node.command(words))
    }

    /// Puts a release into place by the command for it.
    fn put_ready(&self, stage: &Stage, release: &str) -> Result<()> {
        self.call(&["add-upgrade", release, &stage.parts.chain[release].to_string_lossy()]).map(drop)
    }

    /// Has governance plan an upgrade of this name; at which height.
    fn decide(&mut self, stage: &Stage, name: &str, info: &str) -> Result<u64> {
        self.decide_ahead(stage, name, info, NOTICE_BLOCKS)
    }

    /// The same, so many blocks ahead.
    fn decide_ahead(&mut self, stage: &Stage, name: &str, info: &str, blocks: u64) -> Result<u64> {
        let home = self.node.home.clone();
        let height = governance::height(&home)? + blocks;
        self.decided += 1;
        let proposal = Proposal { number: self.decided, name, height, info };
        governance::decide(&stage.parts.chain["v1"], &[home], &proposal)?;
        Ok(height)
    }

    /// Waits for blocks behind this height, and looks at everything that must be true of the new release.
    fn goes_on(&self, release: &str, height: u64) -> Result<()> {
        self.node.wait_for_height(height + AFTER_BLOCKS)?;
        runs(&self.node, release)?;
        every_block_is_signed(&self.node.home, height)
    }

    /// Stops it in order; the sign state never went back.
    fn end(mut self) -> Result<()> {
        let status = self.node.stop()?;
        ensure!(status.success(), "stop in order: {status}");
        let signed = self.witness.ask()?;
        report(&format!("signed up to height {}, never back", signed.height));
        Ok(())
    }
}

/// This release answers, and `current` names it.
fn runs(node: &Node, release: &str) -> Result<()> {
    let answers = node.release()?;
    ensure!(answers == release, "see {release} answer: it is {answers}");
    let current = node.current()?;
    // Older releases of the original make absolute links.
    ensure!(current.ends_with(&format!("upgrades/{release}")), "see {release} as `current`: it is {current}");
    Ok(())
}

/// From the first block to some behind this height: each is signed by every validator, and none of them did wrong.
fn every_block_is_signed(home: &Home, height: u64) -> Result<()> {
    for height in 1..height + AFTER_BLOCKS {
        let block = &ask(home.rpc(), &format!("/block?height={height}"))?["block"];
        ensure!(
            block["evidence"]["evidence"].as_array().is_none_or(Vec::is_empty),
            "see no evidence in block {height}"
        );
        let commit = &ask(home.rpc(), &format!("/commit?height={height}"))?["signed_header"]["commit"];
        let signatures = commit["signatures"].as_array().context("find the signatures of a block")?;
        let all = signatures.iter().all(|signature| signature["block_id_flag"] == SIGNED_FLAG);
        ensure!(all && !signatures.is_empty(), "see block {height} signed by everybody: {commit}");
    }
    Ok(())
}

fn governance(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    alone.put_ready(stage, "v2")?;
    let height = alone.decide(stage, "v2", "")?;
    let before = alone.witness.now()?;
    alone.goes_on("v2", height)?;
    ensure!(alone.witness.now()? > before, "see the new release sign");
    ensure!(alone.node.log().contains("upgrade detected, relaunching"), "read of the upgrade");
    alone.end()
}

fn killed(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    alone.put_ready(stage, "v2")?;
    let height = alone.decide(stage, "v2", "")?;
    alone.node.wait_for_height(height - KILLS_BEGIN_BLOCKS)?;
    let mut moments = Vec::new();
    for kill in 1..=KILLS {
        let moment = stage.moment(KILL_WITHIN);
        std::thread::sleep(moment);
        let all = kill % 4 == 0;
        moments.push(format!("{}{}", moment.as_millis(), if all { " all" } else { "" }));
        if all {
            alone.node.kill_all()?;
        } else {
            alone.node.kill();
        }
        alone.node.start()?;
    }
    report(&format!("killed after so many milliseconds each: {}", moments.join(", ")));
    alone.goes_on("v2", height)?;
    alone.end()
}

fn dead_node(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    let height = alone.decide(stage, "v2", "")?;
    let home = alone.node.home.clone();
    ensure!(alone.node.stop()?.success(), "stop in order");
    let mut bare = Node::new(home.clone(), stage.parts.chain["v1"].clone());
    bare.start_as(&["start"])?;
    let plan = home.path("data/upgrade-info.json");
    wait_until("the chain to halt", PATIENCE, || std::fs::read(&plan).is_ok_and(|text| !text.is_empty()))?;
    bare.kill_all()?;
    drop(bare);
    alone.put_ready(stage, "v2")?;
    let launches = |log: &str| log.matches("running app").count();
    let before = launches(&alone.node.log());
    alone.node.start()?;
    alone.goes_on("v2", height)?;
    let log = alone.node.log();
    ensure!(launches(&log) == before + 1, "see nothing but the new release launched");
    alone.end()
}

fn second_proposal(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    for release in ["v2", "v3"] {
        alone.put_ready(stage, release)?;
        let height = alone.decide(stage, release, "")?;
        alone.goes_on(release, height)?;
    }
    alone.end()
}

fn batch(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    alone.put_ready(stage, "v2")?;
    let height = alone.decide(stage, "v2", "")?;
    alone.goes_on("v2", height)?;
    let height = governance::height(&alone.node.home)? + AFTER_BLOCKS;
    let list = format!("v3:{}:{height}", stage.parts.chain["v3"].display());
    alone.call(&["add-batch-upgrade", "--upgrade-list", &list])?;
    // Nothing of the chain knows of it: the release that answers is what tells.
    wait_until("the new release to answer", PATIENCE, || alone.node.release().is_ok_and(|release| release == "v3"))?;
    ensure!(alone.node.height() >= Some(height), "see the height of the schedule waited for");
    alone.goes_on("v3", height)?;
    alone.end()
}

fn exact(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    alone.put_ready(stage, "v2")?;
    let height = alone.decide(stage, "v2", "")?;
    alone.goes_on("v2", height)?;
    let height = governance::height(&alone.node.home)? + NOTICE_BLOCKS;
    let list = format!("v3:{}:{height}", stage.parts.chain["v3"].display());
    alone.call(&["add-batch-upgrade", "--upgrade-list", &list])?;
    alone.node.stop()?;
    alone.node.start()?;
    wait_until("the new release to answer", PATIENCE, || alone.node.release().is_ok_and(|release| release == "v3"))?;
    let halted = format!("halt per configuration height {height}");
    ensure!(alone.node.log().contains(&halted), "see the old release refuse block {height}");
    alone.goes_on("v3", height)?;
    alone.end()
}

fn missing(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.start()?;
    let height = alone.decide(stage, "v2", "")?;
    alone.node.wait_for_line("plan 1 waits")?;
    ensure!(alone.node.ended()?.is_none(), "see our program wait for the release");
    alone.put_ready(stage, "v2")?;
    alone.goes_on("v2", height)?;
    alone.end()
}

fn beside_original(stage: &Stage) -> Result<()> {
    let original = stage.parts.original.clone().map_err(NotHere)?;
    report(&format!("the original is Cosmovisor {}", original.version));
    let homes = chain::found(stage, 2)?;
    let watch = |home: &Home| Witness::watch(home.path("data/priv_validator_state.json"));
    let witnesses: Vec<Witness> = homes.iter().map(watch).collect();
    let mut nodes = Vec::new();
    for (home, supervisor) in homes.iter().zip([original.program, stage.drop_in()?]) {
        let mut node = Node::new(home.clone(), supervisor);
        chain::install(stage, home, "v2", "upgrades/v2")?;
        node.start()?;
        nodes.push(node);
    }
    nodes.iter().try_for_each(|node| node.wait_for_height(3))?;
    let height = governance::height(&homes[0])? + NOTICE_BLOCKS;
    let proposal = Proposal { number: 1, name: "v2", height, info: "" };
    governance::decide(&stage.parts.chain["v1"], &homes, &proposal)?;
    for node in &nodes {
        node.wait_for_height(height + AFTER_BLOCKS)?;
        runs(node, "v2")?;
        every_block_is_signed(&node.home, height)?;
    }
    ensure!(nodes[1].stop()?.success(), "stop in order");
    // After an upgrade the original leaves its node alone when it is told to stop.
    nodes[0].kill_all()?;
    witnesses.into_iter().try_for_each(|witness| witness.ask().map(drop))
}

fn withdrawn(stage: &Stage) -> Result<()> {
    let mut alone = Alone::new(stage)?;
    alone.node.set("OMNIVISOR_ASK_INTERVAL", "300ms");
    alone.start()?;
    alone.put_ready(stage, "v2")?;
    let height = alone.decide_ahead(stage, "v2", "", 2 * NOTICE_BLOCKS)?;
    alone.node.wait_for_line("upgrade 1 to v2 is armed")?;
    governance::withdraw(&stage.parts.chain["v1"], &[alone.node.home.clone()], 2)?;
    alone.node.wait_for_line("plan 1 to v2 is withdrawn")?;
    let at = governance::height(&alone.node.home)?;
    ensure!(at < height, "see the plan withdrawn in time: the chain is at {at}");
    alone.node.wait_for_height(height + AFTER_BLOCKS)?;
    ensure!(alone.node.release()? == "v1" && alone.node.current()? == "genesis", "see the old release go on");
    every_block_is_signed(&alone.node.home, height)?;
    alone.end()
}

/// One validator that may fetch what plans name, and the server that has it.
fn fetching(stage: &Stage) -> Result<(Alone, Server)> {
    let mut alone = Alone::new(stage)?;
    alone.node.set("DAEMON_ALLOW_DOWNLOAD_BINARIES", "true");
    alone.node.set("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "true");
    alone.node.set("OMNIVISOR_ASK_INTERVAL", "300ms");
    Ok((alone, Server::start(&stage.parts.chain["v2"])?))
}

fn fetched_ahead(stage: &Stage) -> Result<()> {
    let (mut alone, server) = fetching(stage)?;
    alone.start()?;
    let height = alone.decide(stage, "v2", &server.plan_info(None)?)?;
    alone.node.wait_for_line("upgrade 1 to v2 is armed")?;
    let armed_at = governance::height(&alone.node.home)?;
    ensure!(armed_at < height, "see the upgrade armed ahead: the chain is at {armed_at}");
    ensure!(alone.node.release()? == "v1", "see the old release run on");
    drop(server);
    alone.goes_on("v2", height)?;
    alone.end()
}

fn fetched_at_halt(stage: &Stage) -> Result<()> {
    let (mut alone, server) = fetching(stage)?;
    chain::keep_plans_secret(&alone.node.home)?;
    alone.start()?;
    let height = alone.decide(stage, "v2", &server.plan_info(None)?)?;
    ensure!(!alone.node.log().contains("plan 1"), "see nobody know of the plan before the halt");
    alone.goes_on("v2", height)?;
    ensure!(alone.node.log().contains("downloading binary complete"), "read of the download");
    alone.end()
}

fn wrong_checksum(stage: &Stage) -> Result<()> {
    let (mut alone, server) = fetching(stage)?;
    alone.start()?;
    let height = alone.decide(stage, "v2", &server.plan_info(Some(&"0".repeat(64)))?)?;
    alone.node.wait_for_line(&format!("UPGRADE \"v2\" NEEDED at height: {height}"))?;
    alone.node.wait_for_line("Checksums did not match")?;
    ensure!(alone.node.ended()?.is_none(), "see our program wait for the release");
    let place = alone.node.home.path("cosmovisor/upgrades/v2/bin");
    ensure!(!place.exists(), "see nothing of the wrong program in its place");
    alone.put_ready(stage, "v2")?;
    alone.goes_on("v2", height)?;
    alone.end()
}
