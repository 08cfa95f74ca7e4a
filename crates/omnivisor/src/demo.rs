//! `demo`: what Omnivisor is for, shown on this machine, and proven.
//!
//! A daemon of its own looks after the node that is inside this program ([`fakenode`]), in a temporary home. Each act
//! makes something happen that should end well, and reads back from the node's own notes that it did. Nothing here
//! reaches into the daemon: whatever the demo can do, an operator can.

mod acts;
mod ground;
mod interrupt;
mod tell;
mod visitor;

use std::path::{Path, PathBuf};

use ov_types::{ExitCode, Problem};
use serde::Serialize;

use crate::args::{DemoArgs, Sabotage};
use crate::failure::Failure;
use crate::output::Console;
use crate::session::Session;
use acts::ACTS;
use ground::Ground;
use tell::{Fact, Teller};

/// What the demo's node is: a page that anybody could have written.
const CONFIGURATION: &str = r#"name = "demo"

[unit.main]
program = "current/bin/fakenode"
args = ["start", "--home", "{home}", "--block-ms", "100", "--sign", "--data-bytes", "64MiB", "--http", "ADDRESS"]

[unit.main.ready]
http = "http://ADDRESS/health"
every = "50ms"

[unit.main.stop]
grace = "20s"

[validator]
key = "config/priv_validator_key.json"
sign-state = "data/priv_validator_state.json"

[probe.height]
http = "http://ADDRESS/status"
pointer = "/result/sync_info/latest_block_height"
every = "100ms"

[probe.version]
program = "bin/fakenode"
args = ["version"]

[upgrade.keep]
write-once = ["blocks/*.sst"]
format-file = "format"

[upgrade.prove]
soak = "3s"
within = "30s"
exits = 1
"#;

/// Why the demo ended before its end.
#[derive(Debug)]
enum Stop {
    /// Somebody asked it to.
    Interrupted,
    /// Something was not as promised.
    Deviated(String),
    /// Something could not even be tried.
    Failed(Failure),
}

impl Stop {
    fn deviated(error: &(dyn std::error::Error + 'static)) -> Self {
        let problem = Problem::permanent("", "").because(error);
        Self::Deviated(problem.causes.join(": "))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

/// Ends the demo unless this holds.
fn require(holds: bool, else_what: &str) -> Result<(), Stop> {
    if holds { Ok(()) } else { Err(Stop::Deviated(else_what.to_owned())) }
}

/// What the demo came to, for programs.
#[derive(Debug, Serialize)]
struct Shown {
    measured: Vec<Fact>,
}

/// Plays all acts. Succeeds only if everything happened as told.
pub(crate) fn demo(session: &Session, named: Option<&Path>, arguments: &DemoArgs) -> Result<(), Failure> {
    // The variable names a node that is somebody's, and no place for a demo.
    let of_a_node = std::env::var_os("OMNIVISOR_HOME").map(PathBuf::from);
    let named = named.filter(|named| of_a_node.as_deref() != Some(named)).map(|_| session.home.as_path());
    let teller = Teller::new(&session.console);
    let mut ground = Ground::prepare(named, arguments.keep, &teller)?;
    let mut on = "prepare";
    let played = play(&mut ground, arguments.sabotage, &mut on);
    let measured = match played {
        Ok(measured) => measured,
        Err(stop) => return Err(explain(&mut ground, on, stop)),
    };
    let (home, is_kept) = (ground.home.clone(), ground.is_kept());
    drop(ground);
    close(&teller, &measured)?;
    if is_kept {
        teller.paragraph(&format!("The home is kept: {}", home.display()))?;
    }
    if session.console.json { Console::json_line(&Shown { measured }) } else { Ok(()) }
}

fn play(ground: &mut Ground, sabotage: Option<Sabotage>, on: &mut &'static str) -> Result<Vec<Fact>, Stop> {
    let teller = ground.teller;
    let home = ground.home.display();
    teller.paragraph(&format!("Everything below happens now, on this machine, in {home}. It takes half a minute."))?;
    let mut measured = Vec::new();
    for (number, act) in ACTS.iter().enumerate() {
        *on = act.title;
        teller.act(number + 1, act.title, act.promise)?;
        measured.extend((act.play)(ground, sabotage)?);
    }
    *on = "Stop, and look at everything that is left";
    teller.heading(on)?;
    measured.extend(verify(ground)?);
    Ok(measured)
}

/// Stops the node, and has its own witness say whether all of its data is true.
fn verify(ground: &mut Ground) -> Result<Vec<Fact>, Stop> {
    ground.stop()?;
    let report = fakenode::verify_home(&ground.home).map_err(|error| Stop::deviated(&error))?;
    require(report.problems.is_empty(), &format!("the data is damaged: {:?}", report.problems))?;
    require(report.violations.is_empty(), &format!("a rule of validators was broken: {:?}", report.violations))?;
    let versions: Vec<_> = report.versions.iter().map(|span| span.version.as_str()).collect();
    require(versions == ["v1", "v2", "v4"], &format!("the blocks were made by {versions:?}"))?;
    require(report.first_height == 1 && report.signatures > 0, "the first blocks, or all signatures, are missing")?;
    let spans: Vec<_> =
        report.versions.iter().map(|span| format!("{} {}–{}", span.version, span.from, span.to)).collect();
    let (blocks, signatures) = (report.last_height, report.signatures);
    ground.teller.proof("the daemon, its shim and the node have ended; no process is left")?;
    ground.teller.proof(&format!("blocks 1 to {blocks} are there, without a gap: {}", spans.join(", ")))?;
    ground.teller.proof(&format!("{signatures} signatures, and no height was signed twice"))?;
    Ok(vec![
        Fact::new("blocks, without a gap", blocks.to_string()),
        Fact::new("signatures, none twice", signatures.to_string()),
    ])
}

fn close(teller: &Teller, measured: &[Fact]) -> Result<(), Failure> {
    teller.heading("Measured")?;
    teller.facts(measured)?;
    teller.heading("Your own node, in a folder for its home")?;
    for line in [
        "omnivisor init --release v1 --from ./mynode -- start --home {home}",
        "omnivisor run",
        "omnivisor plan add --release v2 --from ./mynode-v2 --height 1200000",
    ] {
        teller.command(line)?;
    }
    Ok(())
}

/// What failed, in which act, and where to look.
fn explain(ground: &mut Ground, act: &str, stop: Stop) -> Failure {
    let what = match stop {
        Stop::Interrupted => {
            let problem = Problem::transient("OV-DEM-002", "finish the demo").cause("it was told to end");
            let made = if ground.is_kept() { "is kept" } else { "is removed" };
            let state = format!("what the demo had started is ended; its home {made}");
            return Failure::new(ExitCode::Failed, problem.state(state));
        }
        // The reader left: nobody wants to know.
        Stop::Failed(failure) if failure.is_silent() => return failure,
        Stop::Failed(failure) => failure.to_string(),
        Stop::Deviated(what) => what,
    };
    ground.keep();
    let problem = Problem::permanent("OV-DEM-001", format!("show what was promised in \"{act}\"")).cause(what);
    let (daemon, node) = (ground.daemon_log(), ground.home.join(".omnivisor/logs"));
    let problem = problem.state("what the demo had started is ended; its home is kept");
    let hint = format!("the daemon's log is {}, the node's is in {}", daemon.display(), node.display());
    Failure::new(ExitCode::Failed, problem.hint(hint))
}
