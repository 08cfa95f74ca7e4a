//! A core: makes blocks, knows which upgrade was accepted, takes snapshots, and idles once an upgrade is due.
//!
//! The proposals of the network are the switch `upgrades`, a release tag and a height each: what is there has the votes
//! it needs, what vanishes was withdrawn. The core decides nothing but what the real one decides at each block.

use super::broker::{Feed, Told};
use super::chain::Chain;
use super::command::Call;
use super::process::Process;
use super::rpc::{self, Admin};
use super::witness::Expectation;
use crate::comet::Databases;
use crate::error::Error;
use crate::life::{Ending, Interrupt, NOTHING_OPEN, Stage};
use crate::lifecycle::Step;
use crate::output::say;
use crate::plan::Upgrade;
use crate::sign::Signer;
use crate::switches::Switches;
use crate::{files, http};
use nix::sys::signal::Signal;
use serde_json::json;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a core that idles says so.
const IDLE_TALK: Duration = Duration::from_secs(1);
/// How often it tries to reach its data node.
const DIAL_PAUSE: Duration = Duration::from_millis(20);

/// What a core says of the upgrade before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// The member that holds the tag, which differs within the family.
    pub(super) tag_field: String,
    /// Nothing before the first block of a run; then a release, or none by the name of nothing.
    pub(super) accepted: Option<(String, u64)>,
    pub(super) ready: bool,
}

impl Standing {
    /// The result of the admin server's method, members in the real order.
    pub(super) fn text(&self) -> String {
        let release = |(tag, height): &(String, u64)| {
            format!("{{{}:{},\"UpgradeBlockHeight\":{height}}}", json!(self.tag_field), json!(tag))
        };
        let accepted = self.accepted.as_ref().map_or("null".to_owned(), release);
        format!("{{\"AcceptedReleaseInfo\":{accepted},\"ReadyToUpgrade\":{}}}", self.ready)
    }
}

/// `start`.
pub(super) fn run(call: &Call) -> Result<Ending, Error> {
    let process = Process::begin(call)?;
    let core = Core { call, standing: Arc::new(Mutex::new(standing(call)?)), process };
    let outcome = core.live();
    core.process.life.end(outcome)
}

/// A core that knows nothing yet, of the family that its program is named after.
fn standing(call: &Call) -> Result<Standing, Error> {
    let family = |name: &str| name[..1].to_uppercase() + &name[1..] + "ReleaseTag";
    let tag_field = call.switches()?.release_tag_field.unwrap_or_else(|| family(&call.name));
    Ok(Standing { tag_field, accepted: None, ready: false })
}

struct Core<'a> {
    call: &'a Call,
    process: Process,
    standing: Arc<Mutex<Standing>>,
}

/// What a core holds once it makes blocks.
struct Running {
    chain: Chain,
    consensus: Consensus,
    feed: Option<Feed>,
    expectation: Expectation,
    height: u64,
    /// The proposals that the network was done with.
    done: Vec<String>,
    made: u64,
    is_accused: bool,
}

/// What the consensus engine within a core has in a home of its own.
#[derive(Default)]
struct Consensus {
    databases: Option<Databases>,
    signer: Option<Signer>,
}

impl Consensus {
    fn open(process: &Process, home: &Path, stored: u64) -> Result<Self, Error> {
        let switches = process.switches();
        let databases = switches.comet.then(|| Databases::begin(&home.join("data"), stored)).transpose()?;
        files::make_directory(&home.join("data"))?;
        let signer = switches.sign.then(|| process.witness.signer(home, &switches)).transpose()?;
        Ok(Self { databases, signer })
    }

    /// A new block came: it is signed, and stored before it is carried out.
    fn store(&mut self, height: u64) -> Result<(), Error> {
        if let Some(signer) = &mut self.signer {
            signer.sign(height)?;
        }
        self.databases.as_mut().map_or(Ok(()), |databases| databases.store(height))
    }

    fn carry_out(&mut self, height: u64) -> Result<(), Error> {
        self.databases.as_mut().map_or(Ok(()), |databases| databases.carry_out(height))
    }
}

impl Core<'_> {
    fn live(&self) -> Stage<Infallible> {
        let _alone = self.process.start()?;
        let mut running = self.open()?;
        running.feed = self.dial()?;
        let switches = self.process.switches();
        if let Some(address) = &switches.http {
            http::serve(&self.process.witness.life()?, &self.process.life.shared, address)?;
        }
        let admin = (self.socket(), self.call.value("admin.server.http-path").unwrap_or("/rpc"));
        if switches.admin != Some(Admin::Absent) {
            rpc::serve(&admin.0, admin.1, &self.process.life.shared, &self.standing)?;
        }
        self.process.life.note(Step::Started)?;
        say(&format!("core {} started at height {}", self.call.profile.version, running.height));
        let (mut due, mut talk) = (Instant::now(), Instant::now());
        loop {
            let switches = self.process.listen()?;
            self.process.life.misbehave(&switches, running.made)?;
            if self.is_ready() {
                if talk <= Instant::now() {
                    say("waiting for the shutdown that the upgrade needs");
                    talk = Instant::now() + IDLE_TALK;
                }
            } else if due <= Instant::now() && self.advance(&switches, &mut running)? {
                due = Instant::now() + Duration::from_millis(switches.block_ms);
            }
            self.process.wait(due.max(Instant::now() + Duration::from_millis(1)), NOTHING_OPEN)?;
        }
    }

    fn open(&self) -> Stage<Running> {
        let wanted = self.call.value("snapshot.load-from-block-height").unwrap_or("0");
        let wanted: i64 = wanted.parse().map_err(|_| Error::Usage(format!("invalid argument `{wanted}'")))?;
        let chain = Chain::open(&self.call.home(), u64::try_from(wanted).unwrap_or(0))?;
        let (height, done) = (chain.loaded.height, chain.loaded.done.clone());
        if chain.discarded > 0 {
            say(&format!("discarded {} snapshots above height {height}", chain.discarded));
        }
        self.process.life.shared.set_height(height);
        let expectation = self.process.witness.expectation()?;
        let consensus = match self.call.value("tendermint-home") {
            Some(home) => Consensus::open(&self.process, Path::new(home), chain.stored()?)?,
            None => Consensus::default(),
        };
        Ok(Running { chain, consensus, feed: None, expectation, height, done, made: 0, is_accused: false })
    }

    /// Waits for the data node that is to hear what happens, if there is one.
    fn dial(&self) -> Stage<Option<Feed>> {
        while let Some(path) = self.process.listen()?.broker {
            if let Some(feed) = Feed::dial(Path::new(&path)) {
                return Ok(Some(feed));
            }
            self.process.life.pause(DIAL_PAUSE, NOTHING_OPEN)?;
        }
        Ok(None)
    }

    fn socket(&self) -> PathBuf {
        let default = || std::env::temp_dir().join("vega.sock");
        self.call.value("admin.server.socket-path").map_or_else(default, PathBuf::from)
    }

    fn is_ready(&self) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).ready
    }

    /// Does what comes next, and says whether the next time is a block away: blocks that are stored come at once.
    fn advance(&self, switches: &Switches, running: &mut Running) -> Stage<bool> {
        let next = running.height + 1;
        let is_stored = next <= running.chain.stored()?;
        let may_make = !switches.stop_blocks && switches.max_height.is_none_or(|most| next <= most);
        if self.process.life.shared.hung() || !(is_stored || may_make) {
            return Ok(true);
        }
        let accepted = self.standing.lock().unwrap_or_else(PoisonError::into_inner).accepted.clone();
        if accepted.is_some_and(|(tag, height)| !tag.is_empty() && height == running.height) {
            return self.halt(switches, running).map(|()| true);
        }
        if !is_stored {
            running.consensus.store(next)?;
        }
        running.chain.store(next)?;
        self.carry_out(switches, running, next)?;
        Ok(!is_stored)
    }

    fn carry_out(&self, switches: &Switches, running: &mut Running, height: u64) -> Stage<()> {
        let version = &self.call.profile.version;
        let is_open = |upgrade: &&Upgrade| {
            upgrade.height >= height && upgrade.name != *version && !running.done.contains(&label(upgrade))
        };
        let accepted = switches.schedule().iter().find(is_open).cloned();
        let told = accepted.as_ref().map_or((String::new(), 0), |it| (it.name.clone(), it.height));
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).accepted = Some(told);
        self.process.witness.note_block(height)?;
        if !running.is_accused && running.expectation.version(height).is_some_and(|expected| expected != version) {
            running.is_accused = true;
            self.process.witness.accuse("wrong-version", height)?;
        }
        running.consensus.carry_out(height)?;
        running.height = height;
        running.made += 1;
        self.process.life.shared.set_height(height);
        say(&format!("committed block height={height} version={version}"));
        if let Some(feed) = &mut running.feed {
            feed.tell(Told::Block(height));
        }
        if let Some(upgrade) = accepted.filter(|upgrade| upgrade.height == height) {
            // The network is done with it before the last snapshot, which therefore does not know it.
            running.done.push(label(&upgrade));
            running.chain.take_snapshot(height, &running.done)?;
            self.process.witness.note_upgrade(&upgrade)?;
            if let Some(feed) = &mut running.feed {
                feed.tell(Told::Upgrade(height));
            }
        } else if height.is_multiple_of(switches.snapshot_blocks.max(1)) {
            running.chain.take_snapshot(height, &running.done)?;
        }
        Ok(())
    }

    /// The block behind the height of an upgrade arrived: it is stored, and nothing moves any more.
    fn halt(&self, switches: &Switches, running: &mut Running) -> Stage<()> {
        let next = running.height + 1;
        if next > running.chain.stored()? {
            running.consensus.store(next)?;
            running.chain.store(next)?;
            self.process.life.shared.set_stored(next);
        }
        if running.feed.as_mut().is_some_and(|feed| !feed.is_ready(running.height)) {
            return Ok(());
        }
        self.process.life.stop_by(Signal::SIGKILL);
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).ready = true;
        self.process.life.note(Step::Halted)?;
        say(&format!("ready for the upgrade at height {}", running.height));
        match switches.halt_exit {
            Some(code) => Err(Interrupt::Ended(Ending::Exit(code))),
            None => Ok(()),
        }
    }
}

fn label(upgrade: &Upgrade) -> String {
    String::from(upgrade.clone())
}
