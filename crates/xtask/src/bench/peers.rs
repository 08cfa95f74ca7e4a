//! The supervisors that are compared: how each is told about its processes, started and stopped.
//!
//! Each runs as it is delivered. Only what would make it give up on a child that is killed again and again is turned off.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::processes::{self, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);

/// Who looks after processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    Omnivisor,
    S6,
    Runit,
    Supervisord,
    Systemd,
}

/// One process to be looked after.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    /// Where its output goes; nowhere in particular if not given.
    pub(super) log: Option<PathBuf>,
}

/// A supervisor at work.
#[derive(Debug)]
pub(super) struct Running {
    peer: Peer,
    root: Child,
    folder: PathBuf,
}

impl Peer {
    pub(super) const ALL: [Self; 5] = [Self::Omnivisor, Self::S6, Self::Runit, Self::Supervisord, Self::Systemd];

    pub(super) fn name(self) -> &'static str {
        ["omnivisor", "s6", "runit", "supervisord", "systemd"][self as usize]
    }

    /// The Debian package that holds it.
    pub(super) fn package(self) -> Option<&'static str> {
        [None, Some("s6"), Some("runit"), Some("supervisor"), Some("systemd")][self as usize]
    }

    /// Whether it is here; why not, if it is not.
    pub(super) fn is_here(self) -> Result<()> {
        let program = ["", "s6-svscan", "runsvdir", "supervisord", "/lib/systemd/systemd"][self as usize];
        if !program.is_empty() && find(program).is_none() {
            bail!("find it: it is not installed");
        }
        if self == Self::Systemd && !rustix::process::geteuid().is_root() {
            bail!("run it nested: that needs root");
        }
        Ok(())
    }

    /// Starts it in a folder of its own with these units.
    pub(super) fn start(self, omnivisor: &Path, folder: &Path, units: &[Unit]) -> Result<Running> {
        fs::create_dir_all(folder).context("make a folder")?;
        let mut command = match self {
            Self::Omnivisor => {
                fs::write(folder.join("omnivisor.toml"), omnivisor_file(units))?;
                let mut command = Command::new(omnivisor);
                command.arg("--home").arg(folder).arg("run");
                command
            }
            Self::S6 | Self::Runit => {
                run_scripts(folder, units)?;
                let mut command = Command::new(if self == Self::S6 { "s6-svscan" } else { "runsvdir" });
                command.arg(folder.join("services"));
                command
            }
            Self::Supervisord => {
                fs::write(folder.join("supervisord.conf"), supervisord_file(folder, units))?;
                let mut command = Command::new("supervisord");
                command.arg("-n").arg("-c").arg(folder.join("supervisord.conf"));
                command
            }
            Self::Systemd => nested_systemd(folder, units)?,
        };
        let talk = File::create(folder.join("talk"))?;
        command.stdin(Stdio::null()).stdout(talk.try_clone()?).stderr(talk).current_dir(folder);
        let root = command.spawn().with_context(|| format!("start {}", self.name()))?;
        Ok(Running { peer: self, root, folder: folder.to_owned() })
    }
}

impl Running {
    /// All its processes, those it looks after included.
    pub(super) fn family(&self) -> Vec<u32> {
        let mut family = processes::family(self.root.id(), &self.folder);
        // What only makes room for a nested systemd is not its own.
        family.retain(|pid| processes::name(*pid) != "unshare");
        family
    }

    /// Stops everything as its manual says, and waits until nothing is left.
    pub(super) fn stop(mut self) -> Result<()> {
        let family = self.family();
        match self.peer {
            Peer::Systemd => {
                let init = family.first().copied().context("find the nested systemd")?;
                let mut stop = Command::new("nsenter");
                stop.args(["-t", &init.to_string(), "-m", "-p", "systemctl", "stop", "bench.target"]);
                stop.status().context("enter the nested systemd")?;
                send(init, Signal::KILL)?;
            }
            Peer::Runit => send(self.root.id(), Signal::HUP)?,
            _ => send(self.root.id(), Signal::TERM)?,
        }
        let root = &mut self.root;
        wait_until("the supervisor to end", PATIENCE, || !matches!(root.try_wait(), Ok(None)))?;
        processes::wait_for_end(&family, PATIENCE)
    }
}

impl Drop for Running {
    /// Whatever went wrong, nothing is left running.
    fn drop(&mut self) {
        if matches!(self.root.try_wait(), Ok(None)) {
            for pid in self.family() {
                let _ = send(pid, Signal::KILL);
            }
            let _ = self.root.kill();
            let _ = self.root.wait();
        }
        if self.peer == Peer::Systemd {
            for group in groups() {
                remove_group(&group);
            }
        }
    }
}

pub(super) fn send(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("make sense of a process id")?;
    kill_process(pid, signal).context("send a signal")
}

/// Finds a program.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn omnivisor_file(units: &[Unit]) -> String {
    let mut text = String::new();
    for (place, Unit { name, command, log }) in units.iter().enumerate() {
        let name = if place == 0 { "main" } else { name };
        let (program, arguments) = (&command[0], &command[1..]);
        let _ = writeln!(text, "[unit.{name}]\nprogram = {program:?}\nargs = {arguments:?}");
        let _ = writeln!(text, "[unit.{name}.back-off]\nreset = \"1s\"\n[unit.{name}.crash-loop]\ncount = 10000");
        if let Some(log) = log {
            let _ = writeln!(
                text,
                "[unit.{name}.log]\npath = \"{}\"\nmax-size = \"64MiB\"\nkeep = 0\ncompress = false",
                log.display()
            );
        }
    }
    text
}

fn run_scripts(folder: &Path, units: &[Unit]) -> Result<()> {
    for unit in units {
        let service = folder.join("services").join(&unit.name);
        fs::create_dir_all(&service)?;
        let run = service.join("run");
        fs::write(&run, format!("#!/bin/sh\nexec {}\n", unit.command.join(" ")))?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

fn supervisord_file(folder: &Path, units: &[Unit]) -> String {
    let mut text = format!(
        "[supervisord]\nlogfile={0}/supervisord.log\npidfile={0}/supervisord.pid\nchildlogdir={0}\n",
        folder.display()
    );
    for Unit { name, command, log } in units {
        let command = command.join(" ");
        let log = log.as_ref().map_or("NONE".to_owned(), |log| log.display().to_string());
        let _ = writeln!(text, "[program:{name}]\ncommand={command}\nautorestart=true\nstderr_logfile=NONE");
        let _ = writeln!(text, "stdout_logfile={log}\nstdout_logfile_maxbytes=64MB\nstdout_logfile_backups=1000");
    }
    text
}

/// A systemd that is the first process of its own namespaces, below its own cgroup. It knows no unit but ours: those
/// of the system would clear folders that are still the host's.
fn nested_systemd(folder: &Path, units: &[Unit]) -> Result<Command> {
    let files = folder.join("systemd");
    fs::create_dir_all(&files)?;
    let mut wants = String::new();
    for Unit { name, command, .. } in units {
        let _ = write!(wants, "{name}.service ");
        let text = format!(
            "[Unit]\nDefaultDependencies=no\nStartLimitIntervalSec=0\nPartOf=bench.target\n\
             [Service]\nExecStart={}\nRestart=always\nStandardOutput=null\nStandardError=null\n",
            command.join(" ")
        );
        fs::write(files.join(format!("{name}.service")), text)?;
    }
    fs::write(files.join("bench.target"), format!("[Unit]\nDefaultDependencies=no\nWants={wants}\n"))?;
    let inner = format!(
        "set -e\nmount -t tmpfs none /run\nmkdir -p /run/systemd/system\ncp {}/* /run/systemd/system/\n\
         mount -t tmpfs none /lib/systemd/system-generators\n\
         exec env -i PATH=\"$PATH\" container=bench SYSTEMD_UNIT_PATH=/run/systemd/system \
         /lib/systemd/systemd --system --unit=bench.target \
         --log-target=null --show-status=0\n",
        files.display()
    );
    fs::write(folder.join("inner.sh"), inner)?;
    let mut outer = String::new();
    for group in groups() {
        let _ = writeln!(outer, "mkdir -p {0}; echo $$ > {0}/cgroup.procs", group.display());
    }
    let _ = writeln!(
        outer,
        "exec unshare --pid --mount --cgroup --ipc --uts --fork --mount-proc sh {}/inner.sh",
        folder.display()
    );
    fs::write(folder.join("outer.sh"), outer)?;
    let mut command = Command::new("sh");
    command.arg(folder.join("outer.sh"));
    Ok(command)
}

/// The cgroups a nested systemd lives below, in whichever hierarchies systemd uses here.
fn groups() -> Vec<PathBuf> {
    let roots = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"];
    let here = roots.map(Path::new).into_iter().filter(|root| root.join("cgroup.procs").exists());
    here.map(|root| root.join("omnivisor-bench")).collect()
}

fn remove_group(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove_group(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
