//! The proof of a new release: a gate, not a sleep.
//!
//! The right version answers; then main is up, ready and healthy, and the height is beyond the trigger and moves on, all
//! of it without a break for the soak time; and all within a bound. Owns nothing: it looks at the node through [`Live`].

use std::sync::Arc;
use std::time::Duration;

use ov_chains::NodeShape;
use ov_engine::StepCall;
use ov_sys::Disk;
use ov_types::record::StepFacts;
use ov_types::{Height, Problem, RunId, Span, Trigger, UnitName};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::crash_points::CrashPoint;
use crate::live::Live;
use crate::probe::{Scene, version};
use crate::remote_signer::{self, Seen};

/// A version command may fail on a busy machine; a wrong answer does not become right.
const VERSION_TRIES: u32 = 3;
const VERSION_PAUSE: Duration = Duration::from_millis(500);
/// How often a remote signer is looked for when all else is good.
const SIGNER_PAUSE: Duration = Duration::from_millis(500);

/// Proves that the release which was just started is what it should be.
pub(crate) async fn prove(
    shape: Arc<NodeShape>,
    disk: Arc<dyn Disk>,
    call: StepCall,
    mut live: watch::Receiver<Live>,
) -> Result<StepFacts, Problem> {
    CrashPoint::ProofBegun.reach();
    let deadline = Instant::now() + Duration::from_millis(shape.prove.within_ms);
    let failed = |cause: String| {
        Problem::transient("OV-UPG-032", format!("prove release {}", call.plan.release))
            .cause(cause)
            .state(format!("the node runs {}, unproven", call.plan.release))
            .hint("`omnivisor logs main` tells what the new release says")
    };
    let said = prove_version(&shape, &disk, &call, deadline).await.map_err(failed)?;
    let wanted = Wanted::of(&shape, &call, &live.borrow());
    let soak = Duration::from_millis(shape.prove.soak_ms);
    let mut missing = "nothing was seen yet".to_owned();
    let proven = async {
        let mut good: Option<Good> = None;
        loop {
            let seen = live.borrow_and_update().clone();
            good = match wanted.judge(&seen) {
                Ok(run) => good.filter(|good| good.run == run).or_else(|| Some(Good::begin(run, &seen))),
                Err(lack) => {
                    missing = lack;
                    None
                }
            };
            let Some(good) = good.filter(|good| wanted.above.is_none() || good.has_moved(&seen)) else {
                if let Some(good) = good {
                    missing = format!("the height stands at {} and does not move", good.height);
                }
                live.changed().await.ok()?;
                continue;
            };
            tokio::select! {
                () = sleep_until(good.since + soak) => {}
                changed = live.changed() => {
                    changed.ok()?;
                    continue;
                }
            }
            if signer_is_there(&shape, &disk).await {
                return Some(());
            }
            "no signer is connected".clone_into(&mut missing);
            tokio::time::sleep(SIGNER_PAUSE).await;
        }
    };
    match timeout_at(deadline, proven).await {
        Ok(Some(())) => {
            CrashPoint::Proven.reach();
            let note = format!("{said}good for {}", Span::from_ms(shape.prove.soak_ms));
            Ok(StepFacts::noted(note))
        }
        Ok(None) => Err(failed("the daemon is stopping".to_owned())),
        Err(_) => Err(failed(format!("{missing}, {} after the start", Span::from_ms(shape.prove.within_ms)))),
    }
}

/// Whether who signs for the node elsewhere has found its way to the new release; true where nobody does, and where that
/// cannot be looked at.
async fn signer_is_there(shape: &Arc<NodeShape>, disk: &Arc<dyn Disk>) -> bool {
    if shape.remote_signer.is_none() {
        return true;
    }
    let (shape, disk) = (Arc::clone(shape), Arc::clone(disk));
    let look = move || {
        let family = crate::family::family(&*disk, &shape.layout.state, &[std::process::id()]);
        let seen = shape.remote_signer.as_ref().map(|remote| remote_signer::look(&*disk, remote, &family));
        matches!(seen, None | Some(Seen::Connected | Seen::Unknown))
    };
    tokio::task::spawn_blocking(look).await.unwrap_or(false)
}

/// A time without a fault so far.
#[derive(Debug, Clone, Copy)]
struct Good {
    run: RunId,
    since: Instant,
    /// Where the height stood when it began.
    height: Height,
}

impl Good {
    fn begin(run: RunId, seen: &Live) -> Self {
        Self { run, since: Instant::now(), height: seen.height.map(|(height, _)| height).unwrap_or_default() }
    }

    /// A node that answers may still have come to a stand.
    fn has_moved(&self, seen: &Live) -> bool {
        seen.height.is_some_and(|(height, _)| height > self.height)
    }
}

async fn prove_version(
    shape: &NodeShape,
    disk: &Arc<dyn Disk>,
    call: &StepCall,
    deadline: Instant,
) -> Result<String, String> {
    let Some(probe) = &shape.probes.version else { return Ok(String::new()) };
    let release = crate::steps::release_layout(shape).directory(&call.plan.release);
    let scene = Scene {
        disk: Arc::clone(disk),
        release,
        environment: Vec::new(),
        directory: Some(shape.layout.home.clone()),
        timeout: Duration::from_millis(shape.probes.timeout_ms),
    };
    let mut answer = version(probe, &call.plan.release, &scene).await;
    for _ in 1..VERSION_TRIES {
        if answer.ok || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(VERSION_PAUSE).await;
        answer = version(probe, &call.plan.release, &scene).await;
    }
    if answer.ok { Ok(format!("{}; ", answer.message)) } else { Err(answer.message) }
}

/// What the node has to show.
struct Wanted {
    /// The height must be above this one, and move on; `None` when nobody asks the node for its height.
    above: Option<Height>,
    /// Main's health is asked for, and must have been told.
    health: bool,
}

impl Wanted {
    fn of(shape: &NodeShape, call: &StepCall, live: &Live) -> Self {
        let asked = !shape.probes.height.is_empty();
        // Without a height in the trigger, the chain has to move on from where it was. So it has when a person did not
        // wait for that height. A node that halts may do so before anybody saw it there.
        let was = call.facts.height.or(live.height.map(|(height, _)| height));
        let from = match call.plan.trigger {
            Trigger::Height { height } | Trigger::AwaitHalt { height } => {
                Some(was.map_or(height, |was| was.min(height)))
            }
            Trigger::Halt { height } => Some(height),
            Trigger::Time { .. } | Trigger::Now => was,
        };
        let health = shape.units.get(&UnitName::main()).is_some_and(|main| main.health.is_some());
        Self { above: asked.then_some(from.unwrap_or_default()), health }
    }

    /// The run that shows everything, or what is missing.
    fn judge(&self, live: &Live) -> Result<RunId, String> {
        let run = live.main_up.ok_or("main is not up")?;
        if !live.main_ready {
            return Err("main is not ready".to_owned());
        }
        match live.main_healthy {
            Some(false) => return Err("main is not healthy".to_owned()),
            None if self.health => return Err("main has not shown yet that it is healthy".to_owned()),
            _ => {}
        }
        match (self.above, live.height) {
            (None, _) => Ok(run),
            (Some(above), Some((height, from))) if from == run && height > above => Ok(run),
            (Some(above), Some((height, from))) if from == run => {
                Err(format!("the height stands at {height} and has to pass {above}"))
            }
            (Some(above), _) => Err(format!("the height is not known yet and has to pass {above}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(run: u64, height: Option<u64>) -> Live {
        Live {
            main_up: Some(RunId(run)),
            main_ready: true,
            main_healthy: None,
            height: height.map(|height| (Height(height), RunId(run))),
        }
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let wanted = Wanted { above: Some(Height(100)), health: false };
        assert_eq!(wanted.judge(&live(3, Some(101))), Ok(RunId(3)));
        let lacks = |live: &Live| wanted.judge(live).unwrap_err();
        assert!(lacks(&Live::default()).contains("not up"));
        assert!(lacks(&Live { main_ready: false, ..live(3, Some(101)) }).contains("not ready"));
        assert!(lacks(&Live { main_healthy: Some(false), ..live(3, Some(101)) }).contains("not healthy"));
        assert!(lacks(&live(3, Some(100))).contains("stands at 100"));
        assert!(lacks(&live(3, None)).contains("not known"));
        let stale = Live { height: Some((Height(500), RunId(2))), ..live(3, None) };
        assert!(lacks(&stale).contains("not known"), "a height seen from the old process proves nothing");
        let asked = Wanted { above: None, health: true };
        assert!(asked.judge(&live(3, None)).unwrap_err().contains("healthy"), "nobody has said so yet");
        assert_eq!(asked.judge(&Live { main_healthy: Some(true), ..live(3, None) }), Ok(RunId(3)));
        assert_eq!(Wanted { above: None, health: false }.judge(&live(3, None)), Ok(RunId(3)));
    }

    #[test]
    fn a_height_that_stands_proves_nothing() {
        let good = Good::begin(RunId(3), &live(3, Some(101)));
        assert!(!good.has_moved(&live(3, Some(101))));
        assert!(good.has_moved(&live(3, Some(102))));
    }
}
