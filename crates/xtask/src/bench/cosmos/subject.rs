//! One of those that are compared, at work on a home of the fake chain.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use fakenode::Profile;
use fakenode::lifecycle::{self, Entry, Step};
use rustix::process::Signal;
use serde_json::Value;

use crate::bench::child::now_ns;
use crate::bench::peers::send;
use crate::processes::{naming, wait_for_end, wait_until};

/// How long anything may take: the original copies all data while the node is down.
pub(super) const PATIENCE: Duration = Duration::from_secs(300);

/// Ours or theirs.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) name: &'static str,
    pub(super) supervisor: PathBuf,
    /// The program that is the fake node too.
    pub(super) node: PathBuf,
}

/// A home that is looked after; all of it is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Cared {
    pub(super) home: PathBuf,
    supervisor: PathBuf,
    arguments: Vec<String>,
    pub(super) root: Option<Child>,
}

impl Subject {
    /// A home whose node knows of these upgrades, each a name and a height; the releases for all of them lie ready.
    pub(super) fn prepare(&self, folder: &Path, block_ms: u64, schedule: &[(String, u64)]) -> Result<Cared> {
        let home = folder.join("home");
        for inside in ["data", "config"] {
            fs::create_dir_all(home.join(inside)).context("make a home")?;
        }
        // Both are called by the same name, though only ours looks at it.
        let supervisor = folder.join("cosmovisor");
        symlink(&self.supervisor, &supervisor).context("give the program its name")?;
        let mut handled: Vec<&str> = Vec::new();
        Profile::new("genesis").install(&home.join("cosmovisor/genesis"), &self.node)?;
        for (name, _) in schedule {
            handled.push(name);
            let profile = Profile::new(name).with("handles", handled.clone());
            profile.install(&home.join("cosmovisor/upgrades").join(name), &self.node)?;
        }
        // Free at this moment, which is all that can be had.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr())?;
        fs::write(home.join("config/config.toml"), format!("[rpc]\nladdr = \"tcp://{address}\"\n"))?;
        let upgrades: Vec<String> = schedule.iter().map(|(name, height)| format!("{name}@{height}")).collect();
        let mut arguments: Vec<String> =
            ["run", "start", "--home"].map(str::to_owned).into_iter().chain([home.display().to_string()]).collect();
        let node =
            ["--quiet".to_owned(), "--comet".to_owned(), format!("--block-ms={block_ms}"), format!("--http={address}")];
        arguments.extend(node);
        arguments.push(format!("--upgrades={}", upgrades.join(",")));
        Ok(Cared { home, supervisor, arguments, root: None })
    }
}

impl Cared {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.supervisor);
        command.env("DAEMON_HOME", &self.home).env("DAEMON_NAME", "fakenode").env("HOME", &self.home);
        // What the original asks about the height is told no home.
        command.env("FAKENODE_HOME", &self.home).stdin(Stdio::null());
        command
    }

    /// Runs another command of the supervisor.
    pub(super) fn call(&self, words: &[&str]) -> Result<()> {
        let output = self.command().args(words).output().context("start the supervisor")?;
        ensure!(output.status.success(), "run {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Starts it, and waits until the node makes blocks.
    pub(super) fn start(&mut self) -> Result<()> {
        let talk = File::create(self.home.join("talk"))?;
        let mut command = self.command();
        command.args(&self.arguments).stdout(talk.try_clone()?).stderr(talk);
        self.root = Some(command.spawn().context("start the supervisor")?);
        let mut is_there = true;
        wait_until("the node to make blocks", PATIENCE, || {
            is_there = self.is_there();
            !is_there || self.entries(Step::Started).len() == 1
        })?;
        ensure!(is_there, "see the supervisor stay: {}", self.last_words());
        Ok(())
    }

    /// What is noted of one kind, oldest first.
    pub(super) fn entries(&self, step: Step) -> Vec<Entry> {
        let all = lifecycle::read(&self.home).unwrap_or_default();
        all.into_iter().filter(|entry| entry.step == step).collect()
    }

    /// The process of the node, as it says itself.
    pub(super) fn node(&self) -> Result<u32> {
        Ok(self.entries(Step::Exec).last().context("find the node")?.pid)
    }

    /// When ours knew of the `number`th plan; none of the original.
    pub(super) fn plan_known_ns(&self, number: usize) -> Result<Option<u64>> {
        let events = self.home.join(".omnivisor/events");
        if !events.exists() {
            return Ok(None);
        }
        let read = |name: &str| fs::read_to_string(events.join(name)).unwrap_or_default();
        let text = read("previous.ndjson") + &read("current.ndjson");
        let known = text.lines().filter(|line| line.contains(r#""event":"plan-added""#)).nth(number - 1);
        let event: Value = serde_json::from_str(known.context("find the plan among the events")?)?;
        let wall_ms = event["at_ms"].as_u64().context("find when an event was")?;
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?.as_millis();
        let ago_ms = u64::try_from(now_ms).context("read the clock")?.saturating_sub(wall_ms);
        Ok(Some(now_ns().saturating_sub(ago_ms * 1_000_000)))
    }

    /// Whether the supervisor is still there.
    pub(super) fn is_there(&mut self) -> bool {
        self.root.as_mut().is_some_and(|root| matches!(root.try_wait(), Ok(None)))
    }

    /// What was said, for an error.
    pub(super) fn last_words(&self) -> String {
        let text = fs::read_to_string(self.home.join("talk")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Cared {
    fn drop(&mut self) {
        if let Some(mut root) = self.root.take() {
            let _ = root.kill();
            let _ = root.wait();
        }
        let left = naming(&self.home);
        for pid in &left {
            let _ = send(*pid, Signal::KILL);
        }
        let _ = wait_for_end(&left, PATIENCE);
    }
}
