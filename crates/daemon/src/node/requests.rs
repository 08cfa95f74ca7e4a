//! Requests of people and programs, answered. Quick ones at once; those that read or copy files on a thread that may
//! wait, with the answer going straight to whoever asked.

use std::path::Path;
use std::sync::Arc;

use ov_engine::{Order, Phase, Refused, Wish};
use ov_sys::durable;
use ov_types::api::{
    Acknowledged, FetchedStatus, HistoryEntry, NewPlan, NewRelease, Refusal, ReleaseStatus, ReloadReport,
    RestoreSnapshot, SnapshotReport, SnapshotStatus, UnitOrder,
};
use ov_types::record::Outcome;
use ov_types::{ExitCode, FailurePolicy, Origin, Plan, PlanId, Problem, ReleaseName, SnapshotId, Trigger, UnitName};

use super::jobs::Task;
use super::{End, Keeper, Message, watched_files};
use crate::core::CoreError;
use crate::doctor::Depth;
use crate::fetch::{check_source, is_address, told};
use crate::request::{Reply, Request, no_such_thing};
use crate::steps::{Workshop, of_release, of_vault, stage};
use crate::units::Command;
use crate::watch::Watch;

type Answer<T> = Result<T, Refusal>;

impl Keeper {
    pub(super) fn take_request(&mut self, request: Request) -> Result<(), CoreError> {
        match request {
            Request::Status { reply } => drop(reply.send(Ok(self.status()))),
            Request::Plans { all, reply } => drop(reply.send(Ok(self.plans(all)))),
            Request::AddPlan { plan, reply } => self.add_plan(plan, reply)?,
            Request::CancelPlan { plan, reply } => {
                self.obey(Order::Cancel(plan), reply, |_| format!("plan {plan} is withdrawn"))?;
            }
            Request::ApplyPlan { plan, reply } => {
                self.obey(Order::Apply(plan), reply, |_| format!("upgrade {plan} starts"))?;
            }
            Request::RetryPlan { plan, reply } => {
                self.obey(Order::Retry(plan), reply, |_| format!("upgrade {plan} goes on"))?;
            }
            Request::Rollback { plan, reply } => self.roll_back(plan, reply)?,
            Request::Releases { reply } => self.aside(reply, |shop| releases(&shop)),
            Request::StageRelease { release, reply } => self.aside(reply, move |shop| stage_release(&shop, release)),
            Request::RemoveRelease { release, reply } => self.aside(reply, move |shop| remove_release(&shop, &release)),
            Request::Snapshots { reply } => self.snapshots(reply),
            Request::TakeSnapshot { snapshot, reply } => self.ask_for_job(Task::Snapshot(snapshot), reply)?,
            Request::VerifySnapshot { snapshot, reply } => {
                self.aside(reply, move |shop| verify_snapshot(&shop, &snapshot));
            }
            Request::RestoreSnapshot { snapshot, confirmation, reply } => {
                self.restore_snapshot(snapshot, &confirmation, reply)?;
            }
            Request::ConfirmMachine { confirmation, reply } => self.confirm_machine(&confirmation, reply)?,
            Request::RemoveSnapshot { snapshot, reply } => self.remove_snapshot(snapshot, reply),
            Request::Unit { unit, order, reply } => self.order_unit(unit, order, reply)?,
            Request::Doctor { release, reply } => self.doctor(release, reply),
            Request::History { plan, since, reply } => {
                let directory = self.shape.layout.journal();
                self.aside(reply, move |shop| history(&shop, &directory, plan, since));
            }
            Request::Reload { reply } => {
                let answer = self.reload()?;
                let _ = reply.send(answer);
            }
            Request::Stop { units_stay: false, reply } => {
                self.begin_stop(Order::Shutdown)?;
                let _ = reply.send(Ok(said("the units are being stopped, and the daemon with them")));
            }
            Request::Stop { units_stay: true, reply } => {
                self.end = Some(End::Left);
                let _ = reply.send(Ok(said("the daemon ends; the units go on running")));
            }
            Request::SelfUpgrade { program, reply } => self.replace_by(program, reply),
        }
        Ok(())
    }

    /// Passes an order to the engine and answers once it is durable.
    pub(super) fn obey(
        &mut self,
        order: Order,
        reply: Reply<Acknowledged>,
        message: impl FnOnce(Option<PlanId>) -> String,
    ) -> Result<(), CoreError> {
        if let Some(missing) = self.missing(&order) {
            let _ = reply.send(Err(missing));
            return Ok(());
        }
        let summary = order.to_string();
        let (answer, effects) = self.core.order(self.clock.now(), order)?;
        let answer = match answer {
            Ok(plan) => Ok(Acknowledged { message: message(plan), plan, snapshot: None }),
            Err(refused) => Err(refusal(summary, &refused)),
        };
        let _ = reply.send(answer);
        self.carry_out(effects)
    }

    /// The refusal of an order about something that is not there.
    fn missing(&self, order: &Order) -> Option<Refusal> {
        match order {
            Order::Cancel(plan) | Order::Apply(plan) | Order::Rollback(plan) | Order::Retry(plan) => {
                let known = self.core.node().ledger().entry(*plan).is_some();
                (!known).then(|| no_such_thing("plan", plan))
            }
            Order::Start(unit)
            | Order::Stop(unit)
            | Order::Restart(unit)
            | Order::Suspend(unit)
            | Order::Resume(unit) => (!self.shape.units.contains_key(unit)).then(|| {
                let names: Vec<&str> = self.shape.units.keys().map(UnitName::as_str).collect();
                let mut refusal = no_such_thing("unit", unit);
                refusal.problem.hint = format!("the node has: {}", names.join(", "));
                refusal
            }),
            _ => None,
        }
    }

    /// Does what may wait for a disk or a program on a thread of its own.
    fn aside<T: Send + 'static>(&self, reply: Reply<T>, work: impl FnOnce(Workshop) -> Answer<T> + Send + 'static) {
        let shop = self.workshop(None);
        let nobody_waits = shop.abandoned.clone();
        let mut work = tokio::task::spawn_blocking(move || work(shop));
        let mut reply = reply;
        drop(tokio::spawn(async move {
            let done = tokio::select! {
                done = &mut work => done,
                () = reply.closed() => {
                    // What a person wanted fetched for themselves is fetched while they wait; the next try goes on.
                    nobody_waits.cancel();
                    return;
                }
            };
            if let Ok(answer) = done {
                let _ = reply.send(answer);
            }
        }));
    }

    // ---- plans ---------------------------------------------------------------------------------------------------

    fn add_plan(&mut self, plan: NewPlan, reply: Reply<Acknowledged>) -> Result<(), CoreError> {
        if let Err(problem) = self.check_plan(&plan) {
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        }
        let NewPlan { release, trigger, on_failure, source, sha256, keep, replaces } = plan;
        let folder = crate::steps::release_layout(&self.shape).directory(&release);
        let missing = if source.is_some() || durable::exists(&*self.disk, &folder).unwrap_or(true) {
            String::new()
        } else if let Some(catalog) = &self.shape.fetch.catalog {
            format!("; it is looked for in {}", catalog.place.place())
        } else {
            format!("; it is not staged yet: `omnivisor upgrade prepare {release} --from PATH`")
        };
        let wish = Wish {
            on_failure: on_failure.unwrap_or(self.shape.on_failure),
            origin: Origin::Person,
            keep: keep.unwrap_or(true),
            release: release.clone(),
            trigger,
            source,
            info: None,
            sha256,
            replaces,
        };
        let under_way = self.core.node().ledger().entries().find(|entry| entry.is_in_window());
        let instead = under_way.map_or_else(String::new, |entry| {
            let (id, stuck) = (entry.plan.id, entry.is_stuck());
            format!(", in the place of upgrade {id}{}", if stuck { "" } else { " should that be held" })
        });
        self.obey(Order::Add(wish), reply, |id| {
            let id = id.map(|id| id.to_string()).unwrap_or_default();
            format!("plan {id}: go to {release} {trigger}{instead}{missing}")
        })
    }

    /// What can be seen to be wrong with a plan at once.
    fn check_plan(&self, plan: &NewPlan) -> Result<(), Problem> {
        let wrong = |cause: String, hint: &str| {
            let state = "the node runs as before; nothing was changed";
            Err(Problem::permanent("OV-UPG-001", "add the plan").cause(cause).state(state).hint(hint))
        };
        if self.current_release().as_ref() == Some(&plan.release) {
            return wrong(format!("{} is the release that runs already", plan.release), "name another release");
        }
        if let (Trigger::Height { height } | Trigger::AwaitHalt { height }, Some((seen, _))) =
            (plan.trigger, self.core.node().height())
            && height <= seen
        {
            let hint = "give a later height, or `--now`";
            return wrong(format!("height {height} is not above {seen}, where the node is"), hint);
        }
        check_source(&self.shape.fetch, &plan.release, plan)
            .map_err(|problem| problem.state("the node runs as before; nothing was changed"))?;
        if let Some(source) = plan.source.as_ref().filter(|source| !is_address(source)) {
            let path = self.shape.layout.home.join(source);
            if !ov_sys::durable::exists(&*self.disk, &path).unwrap_or(false) {
                return wrong(format!("there is no {}", path.display()), "give the path of the program or directory");
            }
        }
        if let Some(sha256) = &plan.sha256
            && sha256.parse::<ov_release::Digest>().is_err()
        {
            return wrong(format!("`{sha256}` is no SHA-256"), "give 64 hexadecimal digits");
        }
        Ok(())
    }

    /// Turns an upgrade round; one that is committed is followed by a plan back.
    fn roll_back(&mut self, plan: Option<PlanId>, reply: Reply<Acknowledged>) -> Result<(), CoreError> {
        let ledger = self.core.node().ledger();
        let live = ledger.entries().filter(|entry| !entry.is_over()).find(|entry| entry.is_in_window());
        if let Some(missing) = plan.and_then(|plan| self.missing(&Order::Rollback(plan))) {
            let _ = reply.send(Err(missing));
            return Ok(());
        }
        let chosen = plan.or(live.map(|entry| entry.plan.id));
        if let Some(id) = chosen
            && ledger.entry(id).is_some_and(|entry| !entry.is_over())
        {
            return self.obey(Order::Rollback(id), reply, |_| format!("upgrade {id} turns round"));
        }
        let committed = ledger.entries().rev().find(|entry| {
            let this = plan.is_none_or(|plan| plan == entry.plan.id);
            this && entry.phase == Phase::Ended { outcome: Outcome::Committed }
        });
        let back =
            committed.and_then(|entry| Some((entry.plan.clone(), entry.facts.clone(), entry.facts.previous.clone()?)));
        let Some((undone, facts, previous)) = back else {
            let problem = Problem::permanent("OV-UPG-002", "roll back")
                .cause("no upgrade is under way, and none was committed that left a release to go back to")
                .state("the node runs as before; nothing was changed")
                .hint("`omnivisor upgrade history` tells what happened");
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        };
        if let Some(superseded) = facts.superseded {
            let problem = Problem::permanent("OV-UPG-004", format!("roll back to {previous}"))
                .cause(format!(
                    "upgrade {} took the place of upgrade {superseded}, and {previous} was never proven",
                    undone.id
                ))
                .state("the node runs as before; nothing was changed")
                .hint("name the release to go to: `omnivisor plan add --now --release <name>`");
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        }
        if self.current_release().as_ref() != Some(&undone.release) || self.data_was_raised(facts.format.as_ref()) {
            let problem = Problem::permanent("OV-UPG-003", format!("roll back to {previous}"))
                .cause(format!("since upgrade {} the release or the data's format changed again", undone.id))
                .state("the node runs as before; nothing was changed")
                .hint("`omnivisor snapshot restore` and `omnivisor plan add` lead there step by step");
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        }
        let wish = Wish {
            release: previous.clone(),
            trigger: Trigger::Now,
            on_failure: FailurePolicy::Rollback,
            origin: Origin::Person,
            source: None,
            info: None,
            sha256: None,
            keep: true,
            replaces: None,
        };
        self.obey(Order::Add(wish), reply, |_| {
            format!("upgrade {} was committed; a plan leads back to {previous}", undone.id)
        })
    }

    fn data_was_raised(&self, before: Option<&String>) -> bool {
        let now = self.shape.keep.format_file.as_ref().map(|path| ov_vault::format_marker(&*self.disk, path));
        match now {
            None => false,
            Some(Ok(now)) => now.as_ref() != before,
            Some(Err(_)) => true,
        }
    }

    /// Hands over to another program file, once that has shown that it runs here.
    fn replace_by(&self, program: std::path::PathBuf, reply: Reply<Acknowledged>) {
        let messages = self.messages.clone();
        drop(tokio::task::spawn_blocking(move || {
            let answer =
                check_successor(&program).map(|version| said(format!("{version} takes over; the units go on running")));
            let good = answer.is_ok();
            let _ = reply.send(answer);
            if good {
                let _ = messages.blocking_send(Message::Replace(program));
            }
        }));
    }

    // ---- snapshots -----------------------------------------------------------------------------------------------

    fn snapshots(&self, reply: Reply<Vec<SnapshotStatus>>) {
        let metrics = Arc::clone(&self.handle.metrics);
        self.aside(reply, move |shop| {
            let listed = list_snapshots(&shop)?;
            metrics.snapshots(&listed);
            Ok(listed)
        });
    }

    fn restore_snapshot(
        &mut self,
        id: SnapshotId,
        confirmation: &RestoreSnapshot,
        reply: Reply<Acknowledged>,
    ) -> Result<(), CoreError> {
        if confirmation.confirm != self.shape.name {
            let problem = Problem::permanent("OV-SNP-004", format!("restore snapshot {id}"))
                .cause("the node's name was not given as confirmation")
                .state("the node runs as before; nothing was changed")
                .hint(format!("confirm with the node's name: {}", self.shape.name));
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        }
        let known = ov_vault::list(&*self.disk, &self.shape.layout.snapshots).unwrap_or_default();
        let Some(listed) = known.into_iter().find(|listed| listed.id == id) else {
            let _ = reply.send(Err(no_such_thing("snapshot", &id)));
            return Ok(());
        };
        let height = listed.summary.ok().and_then(|summary| summary.about.height);
        if let Some(height) = height.filter(|_| self.is_validator() && confirmation.height != height) {
            let problem = Problem::permanent("OV-SNP-007", format!("restore snapshot {id}"))
                .cause(format!("a validator's data would go to height {height}, and that height was not confirmed"))
                .state("the node runs as before; nothing was changed")
                .hint(format!(
                    "see that the network goes on from there, then confirm with `--height {height}` as well"
                ));
            let _ = reply.send(Err(Refusal { problem, exit_code: ExitCode::Refused.number() }));
            return Ok(());
        }
        self.ask_for_job(Task::Restore(id), reply)
    }

    fn remove_snapshot(&self, id: SnapshotId, reply: Reply<Acknowledged>) {
        let entries = self.core.node().ledger().entries();
        let needed = entries.filter(|entry| !entry.is_over()).any(|entry| entry.facts.snapshot.as_ref() == Some(&id));
        self.aside(reply, move |shop| {
            let summary = format!("remove snapshot {id}");
            if needed {
                let problem =
                    Problem::permanent("OV-SNP-005", summary).cause("an upgrade that is not over may need it");
                let problem = problem.state("nothing was removed").hint("wait for the upgrade to end");
                return Err(Refusal { problem, exit_code: ExitCode::Refused.number() });
            }
            let snapshots = &shop.shape.layout.snapshots;
            if !ov_sys::durable::exists(&*shop.disk, &snapshots.join(&id)).unwrap_or(true) {
                return Err(no_such_thing("snapshot", &id));
            }
            ov_vault::delete(&*shop.disk, snapshots, &id).map_err(|error| failed(of_vault(&summary, &error)))?;
            Ok(Acknowledged { snapshot: Some(id.clone()), ..said(format!("snapshot {id} is removed")) })
        });
    }

    // ---- units ---------------------------------------------------------------------------------------------------

    fn order_unit(&mut self, unit: UnitName, order: UnitOrder, reply: Reply<Acknowledged>) -> Result<(), CoreError> {
        let name = unit.clone();
        let (order, message) = match order {
            UnitOrder::Stop => (Order::Stop(unit), format!("unit {name} is kept down")),
            UnitOrder::Start => (Order::Start(unit), format!("unit {name} is kept up")),
            UnitOrder::Restart => (Order::Restart(unit), format!("unit {name} is stopped and launched again")),
            UnitOrder::Suspend => (Order::Suspend(unit), format!("launches of unit {name} are held")),
            UnitOrder::Resume => (Order::Resume(unit), format!("launches of unit {name} are let go")),
        };
        self.obey(order, reply, |_| message)
    }

    // ---- doctor, configuration -----------------------------------------------------------------------------------

    fn doctor(&self, release: Option<ReleaseName>, reply: Reply<ov_types::api::DoctorReport>) {
        self.aside(reply, move |shop| {
            let named = |plan: &&Plan| release.as_ref().is_none_or(|release| *release == plan.release);
            let plan = shop.plans.iter().find(named);
            let findings = shop.examine(plan, release.as_ref(), Depth::Full);
            Ok(ov_types::api::DoctorReport { worst: ov_types::worst(&findings), findings })
        });
    }

    /// Reads the configuration again: all of it holds, or none.
    pub(super) fn reload(&mut self) -> Result<Answer<ReloadReport>, CoreError> {
        let shape = match self.source.shape(&*self.disk, None) {
            Ok(shape) => shape,
            Err(problem) => {
                let state = "the earlier configuration stays in force; nothing was changed, but a restart would fail";
                let problem = problem.state(state);
                self.refuse_configuration(&problem);
                self.refused = Some(problem.clone());
                return Ok(Err(Refusal { problem, exit_code: ExitCode::Configuration.number() }));
            }
        };
        self.refused = None;
        let changes = ov_chains::diff(&self.shape, &shape);
        if changes.is_empty() {
            return Ok(Ok(ReloadReport::default()));
        }
        let mut shape = shape;
        if changes.needs_daemon {
            // Where things lie is settled for the life of a daemon.
            shape.layout = self.shape.layout.clone();
            shape.metrics_listen = self.shape.metrics_listen;
        }
        self.shape = Arc::new(shape);
        self.services = super::services::Services::default();
        self.watch = Watch::new(Arc::clone(&self.disk), watched_files(&self.shape), super::POLL_EVERY);
        for unit in &changes.added {
            self.add_unit(unit.clone(), None);
        }
        let report = changes.report();
        self.push(ov_types::EventKind::ConfigurationReloaded {
            now: report.now.clone(),
            next_start: report.next_start.clone(),
        });
        self.apply_now();
        self.look_at_files()?;
        self.take(ov_engine::Input::Settings(self.shape.engine.clone()))?;
        self.forget_removed();
        Ok(Ok(report))
    }

    /// What of a new configuration holds for processes that run.
    fn apply_now(&mut self) {
        for (name, unit) in &self.shape.units {
            if let (ov_chains::shape::Output::Pump(log), Some(here)) = (&unit.launch.output, self.units.get(name)) {
                here.task.tell(Command::Log(crate::units::log_settings(log)));
            }
        }
        let running: Vec<(UnitName, ov_types::RunId, Option<i64>)> = self
            .shape
            .units
            .keys()
            .filter_map(|name| {
                let view = self.core.node().unit_view(name)?;
                view.since_ms
                    .map(|_| (name.clone(), view.run, self.units.get(name).and_then(|here| here.since_wall_ms)))
            })
            .collect();
        for (unit, run, since) in running {
            self.watch_run(&unit, run, since);
        }
        self.tell_webhooks();
        let _ = self.messages.try_send(Message::Input(ov_engine::Input::Wake));
    }
}

/// Whether a program file is one that can take the daemon's place.
fn check_successor(program: &Path) -> Answer<String> {
    let refused = |cause: String| {
        let problem = Problem::permanent("OV-RUN-005", format!("hand over to {}", program.display()))
            .cause(cause)
            .state("this daemon goes on; nothing was changed")
            .hint("give the path of an `omnivisor` program file that runs on this machine");
        Err(Refusal { problem, exit_code: ExitCode::Refused.number() })
    };
    let asked = ov_sys::process::Program::new(program).arguments(["--version"]);
    match ov_sys::process::run(&asked) {
        Ok(output) if output.success() => {
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if said.starts_with("omnivisor ") { Ok(said) } else { refused(format!("it says it is `{said}`")) }
        }
        Ok(output) => refused(format!("asked for its version, it ended with {:?}", output.ending)),
        Err(error) => refused(error.to_string()),
    }
}

// ---- answers ---------------------------------------------------------------------------------------------------------

fn said(message: impl Into<String>) -> Acknowledged {
    Acknowledged { message: message.into(), ..Acknowledged::default() }
}

/// The engine's refusal as an operator sees it.
pub(super) fn refusal(summary: impl Into<String>, refused: &Refused) -> Refusal {
    let problem = Problem::permanent("OV-API-030", summary)
        .cause(refused.why.clone())
        .state("nothing was changed")
        .hint(refused.hint.clone());
    Refusal { problem, exit_code: ExitCode::Refused.number() }
}

fn failed(problem: Problem) -> Refusal {
    Refusal { problem: problem.state("the node runs as before"), exit_code: ExitCode::Failed.number() }
}

fn releases(shop: &Workshop) -> Answer<Vec<ReleaseStatus>> {
    let listed = ov_release::list(&*shop.disk, &shop.layout())
        .map_err(|error| failed(of_release("list the releases", &error)))?;
    Ok(listed
        .into_iter()
        .map(|each| {
            let provenance = each.state.clone().complete();
            ReleaseStatus {
                complete: provenance.is_some(),
                current: each.current,
                bytes: provenance.as_ref().map_or(0, |provenance| provenance.size),
                staged_ms: each.staged_at_ms(),
                fetched: provenance.as_ref().and_then(|provenance| provenance.fetched.as_deref()).map(fetched_status),
                source: provenance.map(|provenance| provenance.source),
                name: each.name,
            }
        })
        .collect())
}

fn fetched_status(fetched: &ov_release::Fetched) -> FetchedStatus {
    FetchedStatus {
        address: fetched.address.clone(),
        bytes: fetched.size,
        sha256: fetched.sha256.to_string(),
        checksum: fetched.checksum.clone(),
        signer: fetched.signer.clone(),
    }
}

fn stage_release(shop: &Workshop, release: NewRelease) -> Answer<Acknowledged> {
    let NewRelease { name, source, sha256 } = release;
    let staged = stage(shop, &name, source.as_deref(), sha256.as_deref(), None).map_err(failed)?;
    Ok(said(told(&staged)))
}

fn remove_release(shop: &Workshop, name: &ReleaseName) -> Answer<Acknowledged> {
    let summary = format!("remove release {name}");
    if shop.standing.needed().contains(name) {
        let problem = Problem::permanent("OV-REL-002", summary).cause("a plan that is not over needs it");
        let problem = problem.state("nothing was removed").hint("cancel the plan first");
        return Err(Refusal { problem, exit_code: ExitCode::Refused.number() });
    }
    match shop.standing.alone_with_releases(|| ov_release::withdraw(&*shop.disk, &shop.layout(), name)) {
        Ok(true) => Ok(said(format!("release {name} is removed"))),
        Ok(false) => Err(no_such_thing("release", name)),
        Err(error @ ov_release::ReleaseError::Current { .. }) => {
            let problem = of_release(&summary, &error).state("nothing was removed");
            Err(Refusal { problem, exit_code: ExitCode::Refused.number() })
        }
        Err(error) => Err(failed(of_release(&summary, &error))),
    }
}

fn list_snapshots(shop: &Workshop) -> Answer<Vec<SnapshotStatus>> {
    let listed = ov_vault::list(&*shop.disk, &shop.shape.layout.snapshots)
        .map_err(|error| failed(of_vault("list the snapshots", &error)))?;
    Ok(listed.into_iter().map(snapshot_status).collect())
}

fn snapshot_status(listed: ov_vault::Listed) -> SnapshotStatus {
    match listed.summary {
        Ok(summary) => SnapshotStatus {
            id: listed.id,
            taken_ms: summary.taken_at_ms,
            release: summary.about.release.clone(),
            height: summary.about.height,
            reason: summary.about.reason.clone(),
            files: summary.files,
            bytes: summary.size,
            how: format!("{} copied", ov_types::ByteSize(summary.copied).rounded()),
            complete: true,
        },
        Err(error) => SnapshotStatus {
            id: listed.id,
            taken_ms: 0,
            release: None,
            height: None,
            reason: error.to_string(),
            files: 0,
            bytes: 0,
            how: String::new(),
            complete: false,
        },
    }
}

fn verify_snapshot(shop: &Workshop, id: &SnapshotId) -> Answer<SnapshotReport> {
    let snapshots = &shop.shape.layout.snapshots;
    if !ov_sys::durable::exists(&*shop.disk, &snapshots.join(id)).unwrap_or(true) {
        return Err(no_such_thing("snapshot", id));
    }
    let wrong = ov_vault::verify(&*shop.disk, snapshots, id, &mut |_| {})
        .map_err(|error| failed(of_vault(&format!("verify snapshot {id}"), &error)))?;
    if wrong.is_empty() {
        // From now on every byte is known, and not only what was copied. Not sealing does no harm.
        let _ = ov_vault::seal(&*shop.disk, snapshots, id, &mut |_| {});
    }
    let files = list_snapshots(shop)?.into_iter().find(|listed| listed.id == *id).map_or(0, |listed| listed.files);
    let problems = wrong.into_iter().map(|wrong| format!("{} {}", wrong.path.display(), wrong.what)).collect();
    Ok(SnapshotReport { id: id.clone(), problems, files })
}

fn history(shop: &Workshop, directory: &Path, plan: Option<PlanId>, since: Option<u64>) -> Answer<Vec<HistoryEntry>> {
    crate::offline::history_in(&*shop.disk, directory, plan, since).map_err(|error| {
        let problem = Problem::transient("OV-JRN-001", "read the journal").because(&error).hint(error.hint());
        failed(problem)
    })
}
