//! The five acts. Each promises something, makes it happen, and gives back what was measured; anything else than what
//! was promised ends the demo.

use fakenode::Profile;
use fakenode::lifecycle::{Entry, Step as NodeStep};
use ov_sys::{Disk as _, RealDisk};
use ov_types::api::PlanPhase;
use ov_types::record::Outcome;
use ov_types::{Direction, ExitStatus, Height, PlanId, Record, Step, Trigger};

use super::ground::{Ground, kill_node, main_of};
use super::tell::{Fact, time};
use super::visitor::{Visitor, ask};
use super::{Sabotage, Stop, require};
use crate::output;

/// One act.
pub(super) struct Act {
    /// Its heading.
    pub(super) title: &'static str,
    /// What is about to be shown.
    pub(super) promise: &'static str,
    /// Makes it happen.
    pub(super) play: fn(&mut Ground, Option<Sabotage>) -> Result<Vec<Fact>, Stop>,
}

/// All acts, in order.
pub(super) const ACTS: [Act; 5] = [
    Act {
        title: "A node under care",
        promise: "A small node that signs ten blocks a second, as a validator would. `omnivisor run` starts it and \
                  looks after it.",
        play: care,
    },
    Act {
        title: "The node is killed",
        promise: "kill -9. Its parent notices at once and launches it again; no block may be lost.",
        play: kill,
    },
    Act {
        title: "An upgrade at a height",
        promise: "Release v2 is staged and examined while v1 runs. At the height, v1 is stopped, the data is \
                  snapshotted, one link is switched, v2 is started, and has to prove itself.",
        play: upgrade,
    },
    Act {
        title: "A bad release",
        promise: "Release v3 raises the format of the data, signs a few blocks, and crashes. It cannot be proven, so \
                  v2 comes back with the data it can read. What was signed stays signed.",
        play: bad_release,
    },
    Act {
        title: "The daemon is killed in the middle of an upgrade",
        promise: "kill -9 to Omnivisor itself, while v2 is going down to make way for v4. Nobody is left to decide \
                  anything. Then a new daemon is started.",
        play: killed_daemon,
    },
];

/// Blocks between a plan and its height: enough to stage and examine the release before.
const BLOCKS_AHEAD: u64 = 25;

fn care(ground: &mut Ground, _: Option<Sabotage>) -> Result<Vec<Fact>, Stop> {
    let (release, source) = ground.make_release(&Profile::new("v1"))?;
    crate::daemon::first_release(&ground.home, &release, &source)?;
    let daemon = ground.start_daemon()?;
    let (status, pid) = ground.wait_for_main("v1", 20)?;
    ground.teller.command("omnivisor status")?;
    ground.teller.quote(&output::status(&status, &ground.teller.look()))?;
    require(status.daemon.pid == daemon, "another daemon answers")?;
    require(execs(&ground.life()?).count() == 1, "the node was started more than once")?;
    let height = status.height.unwrap_or_default();
    ground.teller.proof(&format!("process {pid} runs v1 and has made {height} blocks"))?;
    Ok(Vec::new())
}

fn kill(ground: &mut Ground, _: Option<Sabotage>) -> Result<Vec<Fact>, Stop> {
    let height = ground.height()?;
    let (_, old) = ground.wait_for_main("v1", height)?;
    let before = ground.life()?.len();
    ground.teller.command(&format!("kill -9 {old}"))?;
    let killed_ns = kill_node(old)?;
    let (status, new) = ground.wait_for_main("v1", height + 15)?;
    let exit = main_of(&status).and_then(|main| main.last_exit);
    require(exit == Some(ExitStatus::Signal(9)), &format!("the last exit is told as {exit:?}"))?;
    let life = ground.life()?;
    let [exec, started] = first_two(life.get(before..).unwrap_or_default())?;
    require(old != new && exec.pid == new, "it is not a new process")?;
    let lost = height.saturating_sub(started.height);
    require(lost == 0, &format!("height {height} was seen before, and only {} after", started.height))?;
    let back = time(exec.monotonic_ns.saturating_sub(killed_ns));
    ground.teller.proof(&format!("process {new} took over {back} after the death of {old}"))?;
    ground.teller.proof(&format!("it went on at block {}; none is lost", started.height + 1))?;
    Ok(vec![Fact::new("killed, runs again after", back)])
}

fn upgrade(ground: &mut Ground, _: Option<Sabotage>) -> Result<Vec<Fact>, Stop> {
    let height = ground.height()? + BLOCKS_AHEAD;
    let before = ground.life()?.len();
    let visitor = Visitor::come(ground.address);
    ground.teller.command(&format!("omnivisor plan add --release v2 --from incoming/v2 --height {height}"))?;
    let plan = ground.plan(&Profile::new("v2"), Trigger::Height { height: Height(height) })?;
    let ended = ground.wait_for_end(plan, Outcome::Committed)?;
    let (status, _) = ground.wait_for_main("v2", height + 1)?;
    let visit = visitor.go().ok_or_else(|| Stop::Deviated("nobody watched the node from outside".to_owned()))?;
    require(status.release.as_ref().is_some_and(|release| release.as_str() == "v2"), "`current` is not v2")?;

    let life = ground.life()?;
    let since = life.get(before..).unwrap_or_default();
    let stopped = find(since, NodeStep::Stopped, "v1")?;
    let exec = find(since, NodeStep::Exec, "v2")?;
    require(stopped.height >= height, "v1 was stopped before the height")?;
    require(find(since, NodeStep::Started, "v2")?.height >= stopped.height, "v2 began with fewer blocks than v1 had")?;
    require(ended.gap_ms.is_some(), "the daemon measured no gap")?;
    let gap = time(exec.monotonic_ns.saturating_sub(stopped.monotonic_ns));
    ground.teller.proof(&format!("v1 stopped at block {}; {gap} later v2 ran", stopped.height))?;
    let silence = time(visit.silence_ns);
    ground.teller.proof(&format!("a client that asks all the time got no answer for {silence}"))?;
    let (snapshot, took) = snapshot(ground, plan)?;
    ground.teller.proof(&format!("in between, a snapshot in {took} ({snapshot}), which verifies"))?;
    Ok(vec![
        Fact::new("upgrade, no process for", gap),
        Fact::new("upgrade, no answer for", silence),
        Fact::new("upgrade, snapshot in", format!("{took}, {snapshot}")),
    ])
}

/// The snapshot that an upgrade took: what it is, and how long it took. It is read through.
fn snapshot(ground: &Ground, plan: PlanId) -> Result<(String, String), Stop> {
    let (mut began_ms, mut done) = (0, None);
    for record in history(ground, plan)? {
        match record {
            Record::StepStarted { at, step: Step::Keep, .. } => began_ms = at.monotonic_ms,
            Record::StepDone { at, step: Step::Keep, facts, .. } => done = Some((at, facts)),
            _ => {}
        }
    }
    let taken = done.and_then(|(at, facts)| Some((at, facts.snapshot?, facts.note?)));
    let (at, id, note) = taken.ok_or_else(|| Stop::Deviated("the upgrade took no snapshot".to_owned()))?;
    let report = ground.ask(|client| client.verify_snapshot(&id))?;
    require(report.problems.is_empty(), &format!("snapshot {id}: {:?}", report.problems))?;
    let snapshots = ground.ask(ov_client::Client::snapshots)?;
    let listed = snapshots.into_iter().find(|listed| listed.id == id && listed.complete);
    let bytes = listed.ok_or_else(|| Stop::Deviated(format!("snapshot {id} is not listed")))?.bytes;
    let how = note.split_once(": ").map_or(note.as_str(), |(_, how)| how);
    Ok((format!("{}, {how}", output::size(bytes)), time(at.monotonic_ms.saturating_sub(began_ms) * 1_000_000)))
}

fn bad_release(ground: &mut Ground, sabotage: Option<Sabotage>) -> Result<Vec<Fact>, Stop> {
    let before = ground.life()?.len();
    let bad = match sabotage {
        Some(Sabotage::GoodRelease) => Profile::new("v3"),
        None => Profile::new("v3").with("data_format", 2).with("crash_after", 6),
    };
    let began_ns = fakenode::lifecycle::monotonic_ns();
    ground.teller.command("omnivisor plan add --release v3 --from incoming/v3 --now")?;
    let plan = ground.plan(&bad, Trigger::Now)?;
    let ended = ground.wait_for_end(plan, Outcome::RolledBack)?;
    let signed = sign_state(ground)?;
    let life = ground.life()?;
    let since = life.get(before..).unwrap_or_default();
    let crashes: Vec<_> = since.iter().filter(|entry| entry.step == NodeStep::Crashed).collect();
    let top = crashes.iter().map(|entry| entry.height).max().unwrap_or_default();
    require(!crashes.is_empty() && crashes.iter().all(|entry| entry.version == "v3"), "v3 did not crash")?;
    if let PlanPhase::Ended { because: Some(problem), .. } = &ended.phase {
        ground.teller.proof(&format!("v3 crashed {} times, at last at block {top}", crashes.len()))?;
        ground.teller.proof(&format!("verdict: failed to {problem}"))?;
    }
    require(signed >= top, &format!("block {top} was signed, and the sign state fell to {signed}"))?;

    let (status, _) = ground.wait_for_main("v2", top + 10)?;
    let life = ground.life()?;
    let back = find(life.get(before..).unwrap_or_default(), NodeStep::Started, "v2")?;
    let restored = restored_note(ground, plan)?;
    let format = RealDisk.read(&ground.home.join("data/format"), 64).map_err(|error| Stop::deviated(&error))?;
    require(format.trim_ascii() == b"1", "the data still has the format of v3")?;
    require(back.height < top, "the blocks of v3 are still there")?;
    require(status.release.as_ref().is_some_and(|release| release.as_str() == "v2"), "`current` is not v2")?;
    let took = time(back.monotonic_ns.saturating_sub(began_ns));
    ground.teller.proof(&format!("{restored}; v2 went on at block {}", back.height + 1))?;
    ground.teller.proof(&format!("the sign state stayed at {signed}: no block was signed twice"))?;
    Ok(vec![
        Fact::new("bad release, v2 again after", took),
        Fact::new("bad release, data put back", format!("format 2 to 1, block {top} to {}", back.height)),
        Fact::new("bad release, sign state", format!("stayed at block {signed}")),
    ])
}

/// What the journal says about the data that was put back.
fn restored_note(ground: &Ground, plan: PlanId) -> Result<String, Stop> {
    let note = history(ground, plan)?.into_iter().find_map(|record| match record {
        Record::StepDone { step: Step::Switch, direction: Direction::Backward, facts, .. } => facts.note,
        _ => None,
    });
    let note = note.and_then(|note| note.split_once(';').map(|(what, _)| what.to_owned()));
    note.filter(|what| what.contains("restored")).ok_or_else(|| Stop::Deviated("no snapshot was restored".to_owned()))
}

/// The height that the validator's own file says was signed.
fn sign_state(ground: &Ground) -> Result<u64, Stop> {
    let path = ground.home.join("data/priv_validator_state.json");
    let bytes = RealDisk.read(&path, 4096).map_err(|error| Stop::deviated(&error))?;
    let state: serde_json::Value = serde_json::from_slice(&bytes).map_err(|error| Stop::deviated(&error))?;
    let height = state["height"].as_str().and_then(|height| height.parse().ok());
    height.ok_or_else(|| Stop::Deviated(format!("{} names no height", path.display())))
}

fn killed_daemon(ground: &mut Ground, _: Option<Sabotage>) -> Result<Vec<Fact>, Stop> {
    let before = ground.life()?.len();
    // So that there is time to be killed in.
    let slow = ask(ground.address, "POST", "/control", r#"{"stop_delay_ms": 2500}"#);
    require(matches!(slow, Ok(200)), &format!("the node does not listen: {slow:?}"))?;
    let (_, old) = ground.wait_for_main("v2", 0)?;
    ground.teller.command("omnivisor plan add --release v4 --from incoming/v4 --now")?;
    let stops_before = ground.stops_heard()?;
    let plan = ground.plan(&Profile::new("v4"), Trigger::Now)?;
    // The order may be decided and not yet given: only the node knows that it came.
    ground.wait_for("v2 to be going down", || Ok((ground.stops_heard()? > stops_before).then_some(())))?;
    let killed = ground.kill_daemon()?;
    let killed_ns = fakenode::lifecycle::monotonic_ns();
    ground.teller.command(&format!("kill -9 {killed}    # the daemon, while v2 is going down"))?;
    require(ground.life()?.len() == before, "the daemon was killed too late: v2 had gone down before")?;

    let stopped = ground.wait_for("v2 to have gone", || {
        let life = ground.life()?;
        let stopped = life.get(before..).unwrap_or_default().iter().find(|entry| entry.step == NodeStep::Stopped);
        let gone = matches!(ov_sys::host::process_facts(old), Ok(None));
        Ok(stopped.filter(|_| gone).cloned())
    })?;
    require(ground.life()?.len() == before + 1, "something was started while nobody decided anything")?;
    let gone = time(stopped.monotonic_ns.saturating_sub(killed_ns));
    ground
        .teller
        .proof(&format!("v2, process {old}, ended {gone} later at block {}; only its shim saw it", stopped.height))?;

    let restarted_ns = fakenode::lifecycle::monotonic_ns();
    ground.teller.command("omnivisor run")?;
    let daemon = ground.start_daemon()?;
    ground.wait_for_end(plan, Outcome::Committed)?;
    let (status, new) = ground.wait_for_main("v4", stopped.height + 10)?;
    let life = ground.life()?;
    let since = life.get(before + 1..).unwrap_or_default();
    require(execs(since).count() == 1, "v4 was started more than once")?;
    let exec = find(since, NodeStep::Exec, "v4")?;
    require(exec.pid == new && new != old, "the process that is told is not the one that runs")?;
    require(status.daemon.pid == daemon && daemon != killed, "it is not a new daemon that answers")?;
    let began = history(ground, plan)?.iter().filter(|record| matches!(record, Record::PlanAdded { .. })).count();
    require(began == 1, "the upgrade was begun anew instead of finished")?;
    let finished = time(exec.monotonic_ns.saturating_sub(restarted_ns));
    ground.teller.proof(&format!("the new daemon, {daemon}, read the journal and went on: v4 ran {finished} later"))?;
    ground.teller.proof(&format!("the same upgrade is committed; process {new} is the only one of the node"))?;
    Ok(vec![Fact::new("daemon killed, next has v4 up", format!("after {finished}"))])
}

// ---- reading what was written ----------------------------------------------------------------------------------------

fn history(ground: &Ground, plan: PlanId) -> Result<Vec<Record>, Stop> {
    let entries = ground.ask(|client| client.history(Some(plan), None))?;
    Ok(entries.into_iter().map(|entry| entry.record).collect())
}

fn execs(life: &[Entry]) -> impl Iterator<Item = &Entry> {
    life.iter().filter(|entry| entry.step == NodeStep::Exec)
}

fn find<'a>(life: &'a [Entry], step: NodeStep, version: &str) -> Result<&'a Entry, Stop> {
    let found = life.iter().find(|entry| entry.step == step && entry.version == version);
    found.ok_or_else(|| Stop::Deviated(format!("the node never noted {step:?} of {version}")))
}

/// The beginning and the start of one run, and no other.
fn first_two(life: &[Entry]) -> Result<[&Entry; 2], Stop> {
    match life {
        [exec, started] if exec.step == NodeStep::Exec && started.step == NodeStep::Started => Ok([exec, started]),
        _ => Err(Stop::Deviated(format!("the node was to start once, and noted {life:?}"))),
    }
}
