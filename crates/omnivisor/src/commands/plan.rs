//! `plan list|add|replace|cancel`.

use ov_types::PlanId;
use ov_types::api::NewPlan;
use ov_types::record::Outcome;

use super::{acknowledge, finish};
use crate::args::{NewPlanArgs, PlanCommand};
use crate::failure::Failure;
use crate::home;
use crate::output::{self, Console, Tone};
use crate::session::Session;
use crate::wait::Wait;

pub(super) fn plan(session: &Session, command: PlanCommand) -> Result<(), Failure> {
    match command {
        PlanCommand::List { all } => {
            let plans = session.ask(|client| client.plans(all))?;
            if plans.is_empty() {
                session.console.say(Tone::Faint, "nothing is planned");
            }
            session.console.result(&plans, |plans, look| output::plan_list(plans, look))
        }
        PlanCommand::Add(arguments) => add(session, &arguments, None),
        PlanCommand::Replace { plan, new } => add(session, &new, Some(plan)),
        PlanCommand::Cancel { plan } => acknowledge(session, &session.ask(|client| client.cancel_plan(plan))?),
    }
}

fn add(session: &Session, arguments: &NewPlanArgs, replaces: Option<PlanId>) -> Result<(), Failure> {
    let wish = wish(arguments, replaces, Console::now_ms())?;
    let wait = Wait::begin_if(session, arguments.wait);
    let done = session.ask(|client| client.add_plan(&wish))?;
    finish(session, wait, &done, done.plan, &[Outcome::Committed])
}

fn wish(arguments: &NewPlanArgs, replaces: Option<PlanId>, now_ms: i64) -> Result<NewPlan, Failure> {
    Ok(NewPlan {
        release: arguments.release.clone(),
        trigger: arguments.when.when().trigger(now_ms),
        on_failure: arguments.on_failure.map(Into::into),
        source: arguments.from.as_deref().map(home::source).transpose()?,
        sha256: arguments.sha256.clone(),
        keep: arguments.no_keep.then_some(false),
        replaces,
    })
}
