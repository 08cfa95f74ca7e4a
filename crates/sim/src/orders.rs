//! What people, their tools and the chain do to a node.

use std::path::Path;

use ov_engine::{Input, Order, UnitReport, Wish};
use ov_sys::Clock;
use ov_sys::disk::Disk;
use ov_sys::durable;
use ov_types::{FailurePolicy, Height, Origin, PlanId, Trigger, UnitName};

use crate::home::{self, LEVELS, release};
use crate::law::helper;
use crate::process::{Foretold, Gate};
use crate::{Lawful, World};

impl World {
    /// Something happens to the node that was not going to happen by itself.
    pub(crate) fn disturb(&mut self) -> Lawful {
        match self.random.below(20) {
            0..=4 => self.trouble(),
            5..=8 => self.add_plan(None),
            9..=10 => self.decide_on_gate(),
            11 => {
                self.drop_gates();
                Ok(())
            }
            12 => {
                self.place_release();
                Ok(())
            }
            13 => self.touch_suspend_file(),
            14..=16 => self.order_plan(),
            _ => self.order_unit(),
        }
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let count = u64::try_from(of.len()).unwrap_or(0);
        of.get(usize::try_from(self.random.below(count)).unwrap_or(0)).cloned()
    }

    fn height(&mut self) -> u64 {
        self.known.signed
    }

    fn tell(&mut self, name: &str, order: Order) -> Lawful {
        let text = format!("{order:?}");
        // Noted before it is obeyed: what follows comes with the answer.
        let applied = if let Order::Apply(id) = order { Some(id) } else { None };
        let applied = applied.filter(|id| self.known.applied.insert(*id));
        if let Some(answer) = self.order(order)? {
            if let (Some(id), Err(_)) = (applied, &answer) {
                self.known.applied.remove(&id);
            }
            self.note(format!("order {text}: {answer:?}"));
            let how = if answer.is_ok() { "obeyed" } else { "refused" };
            self.tally.count(format!("order.{name}.{how}"));
        }
        Ok(())
    }

    fn add_plan(&mut self, replaces: Option<PlanId>) -> Lawful {
        let current = self.home.aside().current()?.release().map_or(1, |name| home::level(&name));
        let level = if self.random.chance(2, 3) { current + 1 } else { 1 + self.random.below(LEVELS) };
        let level = level.min(LEVELS);
        let trigger = match self.random.below(4) {
            0..=1 => Trigger::Now,
            2 => Trigger::Height { height: Height(self.height() + self.random.below(10)) },
            _ => {
                let now_ms = self.home.clock.now().wall_ms;
                Trigger::Time { wall_ms: now_ms + i64::try_from(self.random.below(40_000)).unwrap_or(0) }
            }
        };
        let policies = [FailurePolicy::Rollback, FailurePolicy::Rollback, FailurePolicy::Hold];
        let on_failure = self.pick(&policies).unwrap_or(FailurePolicy::Rollback);
        let source = self.random.chance(4, 5).then(|| self.home.source(level).display().to_string());
        let sha256 = self.random.chance(1, 20).then(|| "0".repeat(64));
        let keep = self.random.chance(5, 6);
        let wish = Wish {
            release: release(level),
            trigger,
            on_failure,
            origin: Origin::Person,
            source,
            info: None,
            sha256,
            keep,
            replaces,
        };
        self.tell(if replaces.is_some() { "replace" } else { "add" }, Order::Add(wish))
    }

    /// The plans there are, and one that there is not.
    fn some_plan(&mut self) -> PlanId {
        let ledger = self.daemon.as_ref().map(|daemon| daemon.core.node().ledger());
        let live = |ledger: &ov_engine::Ledger| -> Vec<PlanId> {
            ledger.entries().filter(|entry| !entry.is_over()).map(|entry| entry.plan.id).collect()
        };
        let ids = ledger.map(live).unwrap_or_default();
        let any = PlanId(1 + self.random.below(4));
        if self.random.chance(1, 10) { any } else { self.pick(&ids).unwrap_or(any) }
    }

    fn order_plan(&mut self) -> Lawful {
        let id = self.some_plan();
        match self.random.below(8) {
            0..=1 => self.tell("cancel", Order::Cancel(id)),
            2..=3 => self.tell("apply", Order::Apply(id)),
            4 => self.tell("rollback", Order::Rollback(id)),
            5..=6 => self.tell("retry", Order::Retry(id)),
            _ => self.add_plan(Some(id)),
        }
    }

    fn order_unit(&mut self) -> Lawful {
        let other = self.other_of(&UnitName::main()).filter(|_| self.random.chance(1, 3));
        let unit = if self.random.chance(3, 4) { UnitName::main() } else { helper() };
        let unit = other.unwrap_or(unit);
        match self.random.below(9) {
            0 => self.tell("stop", Order::Stop(unit)),
            1..=3 => self.tell("start", Order::Start(unit)),
            4 => self.tell("restart", Order::Restart(unit)),
            5 => self.tell("suspend", Order::Suspend(unit)),
            6..=7 => self.tell("resume", Order::Resume(unit)),
            _ => self.tell("pause", Order::Pause),
        }
    }

    /// The network decides that from some height on, the rules of a higher level hold.
    fn decide_on_gate(&mut self) -> Lawful {
        let level = 1 + self.gates.iter().map(|gate| gate.level).max().unwrap_or(1);
        if level <= LEVELS {
            let height = self.height() + 1 + self.random.below(6);
            self.note(format!("from height {height} on, the rules of v{level} hold"));
            let gate = Gate { height, level };
            self.gates.push(gate);
            if self.foretold.is_none() && self.random.chance(1, 2) {
                let source = self.random.chance(2, 3).then(|| self.home.source(level).display().to_string());
                self.foretold = Some(Foretold { gate, source });
                return self.ask_node();
            }
            if self.random.chance(1, 2) {
                let source = self.random.chance(1, 2).then(|| self.home.source(level).display().to_string());
                let trigger = Trigger::Height { height: Height(height) };
                let wish = Wish {
                    release: release(level),
                    trigger,
                    on_failure: FailurePolicy::Hold,
                    origin: Origin::Person,
                    source,
                    info: None,
                    sha256: None,
                    keep: true,
                    replaces: None,
                };
                return self.tell("add", Order::Add(wish));
            }
        }
        Ok(())
    }

    /// The network thinks better of it, and people remove the plan file.
    fn drop_gates(&mut self) {
        self.note("the network wants no upgrade any more");
        self.gates.retain(|gate| gate.height < self.known.signed);
        let gates = &self.gates;
        self.foretold = self.foretold.take().filter(|foretold| gates.contains(&foretold.gate));
        let _ = durable::remove_tree(&self.home.disk, &self.home.data("upgrade-info.json"));
        self.look_for_plans(false);
    }

    fn place_release(&mut self) {
        let level = 2 + self.random.below(LEVELS - 1);
        let placed = self.home.place_by_hand(level);
        self.note(format!("v{level} is laid into its place by hand: {placed:?}"));
    }

    fn touch_suspend_file(&mut self) -> Lawful {
        let path = self.home.shape.layout.home.join("suspend");
        let present = self.random.chance(1, 3);
        self.note(format!("the suspend file is {}", if present { "made" } else { "removed" }));
        let _ =
            if present { durable::replace(&self.home.disk, &path, b"", 0o644) } else { remove(&self.home.disk, &path) };
        let there = durable::exists(&self.home.disk, &path).unwrap_or(true);
        self.give(Input::Unit(UnitName::main(), UnitReport::SuspendFile { present: there }))
    }
}

fn remove(disk: &dyn Disk, path: &Path) -> std::io::Result<()> {
    durable::remove_tree(disk, path)
}
