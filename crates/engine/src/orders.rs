//! What people may tell a node, and when it is refused.

use ov_types::record::Outcome;
use ov_types::{EventKind, Moment, PlanId, Problem, Record, UnitName};

use crate::ledger::{Entry, Phase};
use crate::node::{Pause, WAY_OUT};
use crate::{Action, Node, Order, Refused};

impl Node {
    /// Takes an order. A refused one changes nothing. The answer names the plan it was about, if any.
    pub fn order(&mut self, now: Moment, order: Order) -> (Result<Option<PlanId>, Refused>, Vec<Action>) {
        self.now = now;
        let answer = self.take_order(order);
        (answer, self.settle())
    }

    fn take_order(&mut self, order: Order) -> Result<Option<PlanId>, Refused> {
        match order {
            Order::Add(wish) => {
                if self.shutting_down {
                    return refuse("the node is being stopped", "add the plan after the next start");
                }
                let twin = |entry: &&Entry| {
                    !entry.is_over() && entry.plan.release == wish.release && Some(entry.plan.id) != wish.replaces
                };
                if let Some(known) = self.ledger.entries().find(twin) {
                    let why =
                        format!("plan {} already goes to {} {}", known.plan.id, known.plan.release, known.plan.trigger);
                    let hint = if known.is_in_window() {
                        "a release never changes: give what is to take its place another name".to_owned()
                    } else {
                        format!("replace it with `omnivisor plan replace {}`, or cancel it first", known.plan.id)
                    };
                    return Err(Refused { why, hint });
                }
                if let Some(replaced) = wish.replaces {
                    self.cancel(replaced)?;
                }
                // Whoever adds a plan while an upgrade is under way has seen that one.
                let under_way = self.ledger.entries().find(|entry| entry.is_in_window()).map(|entry| entry.plan.id);
                Ok(Some(self.add_plan(&wish, under_way)))
            }
            Order::Cancel(id) => self.cancel(id).map(Some),
            Order::Apply(id) => self.apply(id).map(Some),
            Order::Rollback(id) => self.roll_back(id).map(Some),
            Order::Retry(id) => self.retry(id).map(Some),
            Order::Start(unit) => self.want(&unit, true),
            Order::Stop(unit) => {
                self.refuse_in_window(&unit)?;
                self.want(&unit, false)
            }
            Order::Restart(unit) => {
                self.refuse_in_window(&unit)?;
                self.want(&unit, true)?;
                if let Some(known) = self.units.get_mut(&unit) {
                    known.stop_for_restart();
                }
                Ok(None)
            }
            Order::Suspend(unit) => self.suspend(&unit, true),
            Order::Resume(unit) => self.suspend(&unit, false),
            Order::Pause => self.pause(),
            Order::Unpause => {
                self.pause = None;
                Ok(None)
            }
            Order::Shutdown => {
                if !self.shutting_down {
                    // Who stops a node and starts it again does not want to wait.
                    self.forgive_all();
                    (self.shutting_down, self.shutdown_since_ms) = (true, self.now.monotonic_ms);
                }
                Ok(None)
            }
            Order::Hurry => {
                self.hurry = true;
                Ok(None)
            }
        }
    }

    fn live_entry(&self, id: PlanId) -> Result<Entry, Refused> {
        match self.ledger.entry(id) {
            Some(entry) if !entry.is_over() => Ok(entry.clone()),
            Some(_) => refuse(&format!("plan {id} is over"), "`omnivisor upgrade history` tells how it ended"),
            None => refuse(&format!("there is no plan {id}"), "`omnivisor plan list` tells which there are"),
        }
    }

    fn cancel(&mut self, id: PlanId) -> Result<PlanId, Refused> {
        let entry = self.live_entry(id)?;
        if entry.is_stuck() {
            let hint = format!("`omnivisor upgrade retry {id}` tries again; {WAY_OUT}");
            return refuse(&format!("upgrade {id} can neither go on nor back"), &hint);
        }
        if entry.is_going_back() {
            let hint = format!("wait for it, or have it tried again: `omnivisor upgrade retry {id}`");
            return refuse(&format!("plan {id} is being undone already"), &hint);
        }
        if entry.is_in_window() {
            let hint = format!("`omnivisor upgrade rollback {id}` turns it round while that is possible");
            return refuse(&format!("the trigger of plan {id} was reached"), &hint);
        }
        self.withdraw(id, "a person took it back");
        Ok(id)
    }

    fn apply(&mut self, id: PlanId) -> Result<PlanId, Refused> {
        let entry = self.live_entry(id)?;
        if entry.phase != Phase::Armed {
            let hint = "`omnivisor plan list` tells how far it is and what it waits for";
            return refuse(&format!("plan {id} is not armed"), hint);
        }
        if let Some(other) = self.ledger.entries().find(|other| other.is_in_window() && !other.is_stuck()) {
            return refuse(&format!("upgrade {} is under way", other.plan.id), "wait for it to end");
        }
        if !self.main_may_be_upgraded() {
            return refuse("main is kept down by a person", "`omnivisor unit start main` first");
        }
        self.active.entry(id).or_default().is_applied = true;
        Ok(id)
    }

    fn main_may_be_upgraded(&self) -> bool {
        self.those_of_main().map(|(name, _)| self.ledger.unit(name)).all(|told| told.wanted && !told.suspended)
    }

    fn roll_back(&mut self, id: PlanId) -> Result<PlanId, Refused> {
        let entry = self.live_entry(id)?;
        let (step, attempt) = match &entry.phase {
            Phase::Forward { step, attempt, .. } => (*step, *attempt),
            Phase::NeedsOperator { then } => match **then {
                Phase::Forward { step, attempt, .. } => (step, attempt),
                _ => {
                    return refuse(
                        &format!("upgrade {id} is on its way back"),
                        &format!("`omnivisor upgrade retry {id}` tries again"),
                    );
                }
            },
            Phase::Prepared | Phase::Armed => return self.cancel(id),
            _ => return refuse(&format!("upgrade {id} is on its way back already"), "wait for it to end"),
        };
        if step.is_preparation() {
            return self.cancel(id);
        }
        let limit = entry.point_of_no_return();
        if let Some(superseded) = entry.facts.superseded {
            let why = format!("upgrade {id} took the place of upgrade {superseded}, which was never proven");
            return refuse(&why, &format!("there is no good release to go back to; {WAY_OUT}"));
        }
        if step > limit || (step == limit && attempt > 0) {
            let why = format!("upgrade {id} is past `{limit}`, its point of no return");
            let hint = format!(
                "the new release may have written data that the old one must not see: \
                 `omnivisor snapshot restore` gives it its own; {WAY_OUT}"
            );
            return refuse(&why, &hint);
        }
        let problem = Problem::permanent("OV-UPG-041", "go on with the upgrade").cause("a person turned it round");
        self.turn_back(id, Outcome::RolledBack, problem);
        Ok(id)
    }

    fn retry(&mut self, id: PlanId) -> Result<PlanId, Refused> {
        let entry = self.live_entry(id)?;
        if matches!(entry.phase, Phase::NeedsOperator { .. }) {
            self.record(Record::Resumed { at: self.now, plan: id });
            self.active.insert(id, crate::node::Active::default());
            return Ok(id);
        }
        match self.active.get_mut(&id) {
            Some(active) if !active.in_flight && active.retry_at_ms.is_some() => {
                active.retry_at_ms = None;
                Ok(id)
            }
            _ => refuse(
                &format!("upgrade {id} does not wait for another try"),
                "`omnivisor plan list` tells how far it is",
            ),
        }
    }

    fn pause(&mut self) -> Result<Option<PlanId>, Refused> {
        // Data is what one may need that can neither go on nor back; so long as it does not touch it itself.
        let under_way = self.ledger.entries().find(|entry| entry.is_in_window()).cloned();
        if let Some(entry) = under_way.as_ref().filter(|entry| !entry.is_stuck() || self.touches_files(entry)) {
            let why = format!("upgrade {} is under way and looks after the data", entry.plan.id);
            return refuse(&why, "wait for it to end");
        }
        if self.pause.is_some() || self.shutting_down {
            return refuse(
                "the node is being stopped, or its data is being worked on, already",
                "wait for that to end",
            );
        }
        if let Some(entry) = under_way {
            // What it waits for cannot come meanwhile: it is tried again afterwards.
            self.abandon_step(entry.plan.id);
            self.active.insert(entry.plan.id, crate::node::Active::default());
        }
        self.pause = Some(Pause::Asked);
        Ok(None)
    }

    fn known_unit(&self, unit: &UnitName) -> Result<(), Refused> {
        if self.settings.units.contains_key(unit) {
            return Ok(());
        }
        let names: Vec<&str> = self.settings.units.keys().map(UnitName::as_str).collect();
        refuse(&format!("there is no unit {unit}"), &format!("the units are: {}", names.join(", ")))
    }

    /// While an upgrade takes its first try at a step, main is its business; once it is held, a person may step in.
    fn refuse_in_window(&self, unit: &UnitName) -> Result<(), Refused> {
        let busy = |entry: &&Entry| {
            entry.is_in_window()
                && !matches!(&entry.phase, Phase::Forward { problem: Some(_), .. } | Phase::NeedsOperator { .. })
        };
        match self.ledger.entries().find(busy) {
            Some(entry) if self.is_of_main(unit) => {
                let hint =
                    format!("wait for it to end, or turn it round: `omnivisor upgrade rollback {}`", entry.plan.id);
                refuse(&format!("upgrade {} is under way and looks after main", entry.plan.id), &hint)
            }
            _ => Ok(()),
        }
    }

    fn want(&mut self, unit: &UnitName, up: bool) -> Result<Option<PlanId>, Refused> {
        self.known_unit(unit)?;
        let told = self.ledger.unit(unit);
        let (at, name) = (self.now, unit.clone());
        if told.parked.is_some() && up {
            self.record(Record::UnitReleased { at, unit: name.clone() });
        }
        if told.wanted != up {
            self.record(Record::UnitWanted { at, unit: name, up });
        }
        if up {
            self.forgive(unit);
        }
        Ok(None)
    }

    fn suspend(&mut self, unit: &UnitName, suspended: bool) -> Result<Option<PlanId>, Refused> {
        self.known_unit(unit)?;
        if self.ledger.unit(unit).suspended != suspended {
            self.record(Record::UnitSuspended { at: self.now, unit: unit.clone(), suspended });
            self.tell(EventKind::UnitSuspended { unit: unit.clone(), suspended });
        }
        Ok(None)
    }
}

fn refuse<T>(why: &str, hint: &str) -> Result<T, Refused> {
    Err(Refused { why: why.to_owned(), hint: hint.to_owned() })
}
