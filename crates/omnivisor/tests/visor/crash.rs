//! Upgrades of Visor's homes while the drop-in dies: at each point that such an upgrade comes by, whatever was decided,
//! linked or launched by then.

use std::sync::Mutex;

use fakenode::vega::Role;
use ov_testkit::{DropIn, wait_until};

use super::support::{Flavour, Node, for_both_flavours, pinned_height};

/// Deaths that are under way at once: they wait more than they work.
const AT_ONCE: usize = 8;
/// The upgrade's height, behind which the old version must never run.
const HEIGHT: u64 = 30;

/// Points, each with the visits at which the drop-in dies.
const POINTS: [(&str, &[u32]); 22] = [
    ("daemon.decided", &[2, 4, 6, 8, 10, 12]),
    ("daemon.launching", &[1, 2]),
    ("daemon.launched", &[1, 2]),
    ("daemon.proof-begun", &[1]),
    ("daemon.proven", &[1]),
    ("journal.written", &[6, 12]),
    ("journal.synced", &[7, 13]),
    ("release.switched", &[1]),
    ("step.stage.begin", &[1]),
    ("step.stage.applied", &[1]),
    ("step.stage.verified", &[1]),
    ("step.examine.begin", &[1]),
    ("step.examine.applied", &[1]),
    ("step.recheck.begin", &[1]),
    ("step.recheck.applied", &[1]),
    ("step.recheck.verified", &[1]),
    ("step.switch.begin", &[1]),
    ("step.switch.applied", &[1]),
    ("step.switch.verified", &[1]),
    ("step.commit.begin", &[1]),
    ("step.commit.applied", &[1]),
    ("step.commit.verified", &[1]),
];

/// Takes a node through an upgrade in which the drop-in dies there, and says whether it did.
fn survives(flavour: Flavour, death: &str) -> bool {
    let mut node = Node::new(flavour);
    node.stage("v0.2.0");
    node.propose(&[&format!("v0.2.0@{HEIGHT}")]);
    let mut command = node.command(&["run", "--home", node.home().to_str().unwrap()]);
    command.env("OMNIVISOR_CRASH_AT", death);
    DropIn::start(&mut node, command);
    wait_until("its death, or the end of the upgrade", || !node.is_running() || is_over(&node));
    let died = !node.is_running();
    node.kill();
    node.start();
    wait_until("the end of the upgrade", || is_over(&node));

    assert_eq!(node.current(), node.home().join("v0.2.0"), "{death}");
    assert_eq!(node.blocks()[0], format!("v0.1.0: 1-{HEIGHT}"), "{death}");
    let launches = node.launches(Role::Core);
    let new = launches.iter().position(|launch| launch.version == "v0.2.0").unwrap();
    let (old, new) = launches.split_at(new);
    assert!(new.iter().all(|launch| launch.version == "v0.2.0"), "{death}: {launches:?}");
    assert!(old.iter().all(|launch| pinned_height(launch).is_none()), "{death}: {launches:?}");
    assert_eq!(new.first().and_then(pinned_height), Some(HEIGHT), "{death}");

    // It has answered by now: whatever comes later begins where it is.
    node.kill_all();
    let known = new.len() + old.len();
    node.start();
    wait_until("another launch", || node.launches(Role::Core).len() > known);
    let next = &node.launches(Role::Core)[known];
    assert_eq!((next.version.as_str(), pinned_height(next)), ("v0.2.0", None), "{death}");
    node.stop();
    assert_eq!(node.violations(), Vec::<String>::new(), "{death}");
    died
}

fn is_over(node: &Node) -> bool {
    let history = node.omnivisor(&["upgrade", "history", "--json"]);
    String::from_utf8(history.stdout).unwrap().contains("\"committed\"")
}

for_both_flavours! {
    fn an_upgrade_survives_every_death(flavour) {
        let deaths = POINTS.iter().flat_map(|(point, visits)| visits.iter().map(move |visit| format!("{point}#{visit}")));
        let deaths = Mutex::new(deaths.collect::<Vec<_>>().into_iter());
        let lived = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| loop {
                    let Some(death) = deaths.lock().unwrap().next() else { return };
                    if !survives(flavour, &death) {
                        lived.lock().unwrap().push(death);
                    }
                });
            }
        });
        assert_eq!(lived.into_inner().unwrap(), Vec::<String>::new(), "nothing died in these");
    }
}
