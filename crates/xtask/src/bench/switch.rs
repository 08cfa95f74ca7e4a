//! From the moment the old release's process is gone to the first instruction of the new one's.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};

use super::child::{self, Mark, marks, now_ns};
use super::crowd::{Programs, milliseconds};
use super::peers::send;
use super::volume::tool;
use crate::processes::wait_until;

const PATIENCE: Duration = Duration::from_secs(60);
const SEGMENT_BYTES: u64 = 32 << 20;
/// What of the data changes all the time, and hence cannot be linked.
const MUTABLE_BYTES: u64 = 8 << 20;

/// Takes a node through upgrades; the gap of each in milliseconds. `data_bytes` are kept in each if given.
pub(super) fn gaps(programs: &Programs, home: &Path, data_bytes: Option<u64>, upgrades: usize) -> Result<Vec<f64>> {
    prepare(programs, home, upgrades)?;
    make_data(&home.join("data"), data_bytes.unwrap_or(0))?;
    let file = home.join("marks");
    let method = if data_bytes.is_some() { "auto" } else { "off" };
    let text = format!(
        "[unit.main]\nprogram = \"current/bin/node\"\nargs = [\"{}\", \"mark\", \"{}\", \"main\"]\n\
         [upgrade.prove]\nsoak = \"50ms\"\n[upgrade.keep]\nmethod = \"{method}\"\nwrite-once = [\"*.sst\"]\n",
        child::NAME,
        file.display()
    );
    fs::write(home.join("omnivisor.toml"), text)?;
    let talk = File::create(home.join("talk"))?;
    let mut daemon = Command::new(&programs.omnivisor);
    daemon.arg("--home").arg(home).arg("run").stdout(talk.try_clone()?).stderr(talk);
    let mut daemon = daemon.stdin(Stdio::null()).spawn().context("start the daemon")?;
    let measured = wait_for_mark(&file, 1).and_then(|()| upgrade_all(programs, home, &file, upgrades));
    send(daemon.id(), Signal::TERM)?;
    wait_until("the daemon to end", PATIENCE, || !matches!(daemon.try_wait(), Ok(None)))?;
    measured
}

fn upgrade_all(programs: &Programs, home: &Path, file: &Path, upgrades: usize) -> Result<Vec<f64>> {
    let mut gaps = Vec::new();
    for number in 1..=upgrades {
        let release = format!("v{number}");
        let source = home.join("incoming").join(&release);
        let gap = gap_of(file, || {
            let mut add = Command::new(&programs.omnivisor);
            add.arg("--home").arg(home).args(["plan", "add", "--now", "--wait=60s", "--release", &release, "--from"]);
            tool(add.arg(&source))
        })?;
        ensure!(fs::read_link(home.join("current"))?.ends_with(&release), "find {release} switched to");
        gaps.push(gap);
    }
    Ok(gaps)
}

/// The same by hand, as a script would do it that makes nothing durable and looks at nothing.
pub(super) fn gaps_of_script(programs: &Programs, home: &Path, upgrades: usize) -> Result<Vec<f64>> {
    prepare(programs, home, upgrades)?;
    let file = home.join("marks");
    let start = format!("current/bin/node {} mark {} main & pid=$!", child::NAME, file.display());
    let script = format!(
        "{start}\nwhile read -r release; do\n\
         kill $pid; wait $pid\nln -sfn incoming/$release current\n{start}\ndone\nkill $pid; wait $pid\n"
    );
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).current_dir(home).stdin(Stdio::piped()).stderr(Stdio::null());
    let mut shell = shell.spawn().context("start a shell")?;
    let mut orders = shell.stdin.take().context("talk to the shell")?;
    let mut measure = || {
        wait_for_mark(&file, 1)?;
        (1..=upgrades).map(|number| gap_of(&file, || Ok(writeln!(orders, "v{number}")?))).collect()
    };
    let measured = measure();
    drop(orders);
    shell.wait().context("wait for the shell")?;
    measured
}

/// The gap that an upgrade leaves between the newest process and the next.
fn gap_of(file: &Path, upgrade: impl FnOnce() -> Result<()>) -> Result<f64> {
    let before = marks(file);
    let old = before.last().context("find the old process")?.pid;
    let watched = pidfd_open(Pid::from_raw(old).context("make sense of a process id")?, PidfdFlags::empty())
        .context("watch the old process")?;
    let watcher = std::thread::spawn(move || {
        let ended = poll(&mut [PollFd::new(&watched, PollFlags::IN)], None);
        ended.map(|_| now_ns())
    });
    upgrade()?;
    wait_for_mark(file, before.len() + 1)?;
    let gone_ns = watcher.join().ok().context("watch the old process")??;
    let new: Mark = marks(file).into_iter().nth(before.len()).context("find the new process")?;
    Ok(milliseconds(new.at_ns.saturating_sub(gone_ns)))
}

fn wait_for_mark(file: &Path, count: usize) -> Result<()> {
    wait_until("the process to start", PATIENCE, || marks(file).len() >= count)
}

/// A home with a first release, and as many more to go to.
fn prepare(programs: &Programs, home: &Path, upgrades: usize) -> Result<()> {
    for number in 0..=upgrades {
        let folder = if number == 0 { "releases" } else { "incoming" };
        let programs_folder = home.join(folder).join(format!("v{number}")).join("bin");
        fs::create_dir_all(&programs_folder).context("make a release")?;
        fs::copy(&programs.child, programs_folder.join("node")).context("make a release")?;
    }
    symlink("releases/v0", home.join("current")).context("make a release current")
}

/// Files that never change, and one that always does; on the disk before anything is measured.
pub(super) fn make_data(folder: &Path, bytes: u64) -> Result<()> {
    fs::create_dir_all(folder).context("make the data")?;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let mut block = vec![0; 1 << 20];
    let write = |name: String, length: u64, noise: &mut u64, block: &mut Vec<u8>| -> Result<()> {
        let mut file = File::create(folder.join(name))?;
        for _ in 0..length >> 20 {
            for eight in block.chunks_exact_mut(8) {
                *noise ^= *noise << 13;
                *noise ^= *noise >> 7;
                *noise ^= *noise << 17;
                eight.copy_from_slice(&noise.to_le_bytes());
            }
            file.write_all(block)?;
        }
        Ok(file.sync_all()?)
    };
    for number in 0..bytes / SEGMENT_BYTES {
        write(format!("{number:06}.sst"), SEGMENT_BYTES, &mut noise, &mut block).context("make the data")?;
    }
    write("state.db".to_owned(), MUTABLE_BYTES, &mut noise, &mut block).context("make the data")
}
