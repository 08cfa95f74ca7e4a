//! A validator of the chain with whoever looks after it, ours or the original. All of it is gone when it is dropped.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::chain::{Home, PROGRAM};
use super::rpc::{ask, number};
use crate::processes::{naming, wait_for_end, wait_until};

/// How long anything may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A home and the program that looks after it.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) home: Home,
    supervisor: PathBuf,
    variables: Vec<(String, String)>,
    running: Option<Child>,
}

impl Node {
    pub(super) fn new(home: Home, supervisor: PathBuf) -> Self {
        Self { home, supervisor, variables: Vec::new(), running: None }
    }

    pub(super) fn set(&mut self, name: &str, value: &str) {
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// A command of the supervisor.
    pub(super) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.supervisor);
        command.args(words).stdin(Stdio::null()).env("DAEMON_HOME", &self.home.folder).env("DAEMON_NAME", PROGRAM);
        // Commands that are given no home make one where the user is at home.
        command.env("COSMOVISOR_COLOR_LOGS", "false").env("HOME", &self.home.folder);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(super) fn start(&mut self) -> Result<()> {
        self.start_as(&["run", "start"])
    }

    /// Starts the program with these words before the home.
    pub(super) fn start_as(&mut self, words: &[&str]) -> Result<()> {
        ensure!(self.running.is_none(), "start what is running");
        let log = File::options().create(true).append(true).open(self.log_path()).context("open the log")?;
        let home = self.home.folder.to_string_lossy().into_owned();
        let mut command = self.command(words);
        command.args(["--home", &home]);
        command.stdout(log.try_clone()?).stderr(log);
        self.running = Some(command.spawn().context("start the supervisor")?);
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        self.home.path("log")
    }

    /// What it and the node wrote since the beginning.
    pub(super) fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    pub(super) fn wait_for_line(&self, part: &str) -> Result<()> {
        wait_until(&format!("a line with `{part}`"), PATIENCE, || self.log().contains(part))
    }

    pub(super) fn height(&self) -> Option<u64> {
        number(&ask(self.home.rpc(), "/status").ok()?["sync_info"]["latest_block_height"])
    }

    pub(super) fn wait_for_height(&self, height: u64) -> Result<()> {
        wait_until(&format!("height {height}"), PATIENCE, || self.height() >= Some(height))
            .with_context(|| format!("see {} at height {:?}", self.home.folder.display(), self.height()))
    }

    /// Which release answers.
    pub(super) fn release(&self) -> Result<String> {
        let info = ask(self.home.rpc(), "/abci_info")?;
        Ok(info["response"]["version"].as_str().context("find the version of the node")?.to_owned())
    }

    /// What `current` says, letter for letter.
    pub(super) fn current(&self) -> Result<String> {
        let target = fs::read_link(self.home.path("cosmovisor/current")).context("read `current`")?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// Whether the supervisor runs; how it ended, if it did.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = &mut self.running else { return Ok(None) };
        let status = child.try_wait().context("look after the supervisor")?;
        if status.is_some() {
            self.running = None;
        }
        Ok(status)
    }

    /// Stops the supervisor with SIGTERM; nothing of the node is left then.
    pub(super) fn stop(&mut self) -> Result<ExitStatus> {
        let mut child = self.running.take().context("stop what is not running")?;
        send(child.id(), Signal::TERM);
        let mut status = None;
        wait_until("the supervisor to end", PATIENCE, || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        })?;
        wait_for_end(&self.left(), PATIENCE)?;
        status.context("wait for the supervisor")
    }

    /// Kills the supervisor and nothing else, if it runs.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills everything, as a power cut does.
    pub(super) fn kill_all(&mut self) -> Result<()> {
        self.kill();
        let left = self.left();
        for pid in &left {
            send(*pid, Signal::KILL);
        }
        wait_for_end(&left, PATIENCE)
    }

    /// All processes of this home but the supervisor that was started here.
    fn left(&self) -> Vec<u32> {
        let supervisor = self.running.as_ref().map(Child::id);
        naming(&self.home.folder).into_iter().filter(|pid| Some(*pid) != supervisor).collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for _ in 0..5 {
            if self.kill_all().is_ok() && self.left().is_empty() {
                return;
            }
        }
    }
}

fn send(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}
