//! The processes beside the node: children that linger, a double-forked one, and hopping chains.
//!
//! Each of them ends by itself after a while, so that a test that fails leaves nothing for ever.

use crate::error::Error;
use crate::{files, signals, time};
use std::path::Path;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

const LINGER: Duration = Duration::from_secs(600);
const HOP: Duration = Duration::from_millis(20);

/// Starts a child that lingers; its pid appears in `HOME/pids/NAME`.
pub(crate) fn spawn_lingering(home: &Path, name: &str, ignore_term: bool) -> Result<(), Error> {
    spawn(&[LINGER_COMMAND, &home.to_string_lossy(), name, word(ignore_term)]).map(drop)
}

/// Starts a lingering process whose parent is gone and which has its own session.
pub(crate) fn spawn_detached(home: &Path, ignore_term: bool) -> Result<(), Error> {
    spawn_and_wait(&[DETACH_COMMAND, &home.to_string_lossy(), word(ignore_term)])
}

/// Starts a chain of processes, each of which starts the next and exits.
pub(crate) fn spawn_hopper(home: &Path, hopping_ms: u64) -> Result<(), Error> {
    let until_ms = (time::now_ms() + hopping_ms).to_string();
    spawn_and_wait(&[HOP_COMMAND, &home.to_string_lossy(), &until_ms])
}

pub(crate) const LINGER_COMMAND: &str = "__linger";
pub(crate) const DETACH_COMMAND: &str = "__detach";
pub(crate) const HOP_COMMAND: &str = "__hop";

/// What such a process does; arguments as the spawning functions put them.
pub(crate) fn run(arguments: &[&str]) -> Result<(), Error> {
    match arguments {
        [LINGER_COMMAND, home, name, ignore_term] => linger(Path::new(home), name, *ignore_term == "yes"),
        [DETACH_COMMAND, home, ignore_term] => {
            own_session()?;
            spawn_lingering(Path::new(home), "detached", *ignore_term == "yes")
        }
        [HOP_COMMAND, home, until_ms] => hop(Path::new(home), until_ms),
        _ => Err(Error::Usage(format!("unknown command `{}`", arguments.join(" ")))),
    }
}

fn linger(home: &Path, name: &str, ignore_term: bool) -> Result<(), Error> {
    if ignore_term {
        signals::block()?;
    } else {
        signals::unblock()?;
    }
    let folder = home.join("pids");
    files::make_directory(&folder)?;
    files::replace(&folder.join(name), format!("{}\n", std::process::id()).as_bytes())?;
    sleep(LINGER);
    Ok(())
}

fn hop(home: &Path, until_ms: &str) -> Result<(), Error> {
    // Fails if this process leads a group already, which is as good.
    let _ = own_session();
    let folder = home.join("pids");
    files::make_directory(&folder)?;
    files::append_line(&folder.join("hops"), &std::process::id().to_string())?;
    sleep(HOP);
    let until: u64 = until_ms.parse().unwrap_or(0);
    if time::now_ms() < until {
        spawn(&[HOP_COMMAND, &home.to_string_lossy(), until_ms]).map(drop)?;
    }
    Ok(())
}

fn own_session() -> Result<(), Error> {
    let session = rustix::process::setsid();
    session.map(drop).map_err(|error| Error::System { action: "make a session", source: error.into() })
}

fn spawn(arguments: &[&str]) -> Result<Child, Error> {
    let failed = |source| Error::System { action: "spawn a process", source };
    let program = std::env::current_exe().map_err(failed)?;
    Command::new(program).args(arguments).spawn().map_err(failed)
}

fn spawn_and_wait(arguments: &[&str]) -> Result<(), Error> {
    let status = spawn(arguments)?.wait();
    status.map(drop).map_err(|source| Error::System { action: "wait for a process", source })
}

fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
