//! `prepare-upgrade`: asks the node which upgrade is planned, and puts its release into place ahead of time.
//!
//! The daemon that looks after the node brings the release, if one runs; without one it is done here, so that two never
//! fetch the same.

use std::time::Duration;

use ov_chains::NodeShape;
use ov_chains::cosmos::{self, Extras};
use ov_chains::plans::PlanRules;
use ov_chains::shape::{PlanQuestion, Scout};
use ov_daemon::fetch::Tell;
use ov_daemon::offline;
use ov_sys::{RealDisk, durable};
use ov_types::api::NewRelease;
use ov_types::{ExitCode, Problem, ReleaseName};

use super::Scene;
use super::scene::layout;
use crate::drop_in::{Call, Complaint, environment};
use crate::failure::Failure;
use crate::session;

/// How long the node may take to answer, as in the original.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// `prepare-upgrade`.
pub(super) fn prepare(call: &Call) -> Result<(), Complaint> {
    let Scene { settings, log } = Scene::of(call)?;
    let shape = cosmos::shape(&RealDisk, &settings, &Extras::default(), &[], &environment);
    let Some((question, rules)) = question(&shape) else { return Err(Complaint::new("gRPC address is empty")) };
    log.info_with("Using gRPC address", &[("address", question.shown())]);
    let answered = offline::ask_plan(question, rules.names, ANSWER_WITHIN);
    let plan = answered.map_err(|why| Complaint::new(format!("failed to query upgrade info: {why}")))?;
    let Some(plan) = plan else {
        log.info("No active upgrade plan found");
        return Ok(());
    };
    let about = [("name", plan.release.to_string()), ("height", plan.height.to_string())];
    log.info_with("Preparing for upgrade", &about);
    let program = layout(&settings).directory(&plan.release).join("bin").join(&settings.name);
    if !durable::exists(&RealDisk, &program).unwrap_or(false) {
        let source = offline::source_by_plan(shape.clone(), &plan.release, plan.info.as_deref().unwrap_or_default());
        let source = source.map_err(|problem| unreadable(&problem))?;
        log.info_with("Downloading upgrade binary", &[("url", source.clone())]);
        bring(shape, &settings.home, &plan.release, source)
            .map_err(|why| Complaint::new(format!("failed to download and verify binary: {why}")))?;
    }
    log.info_with("Upgrade preparation complete", &about);
    Ok(())
}

fn question(shape: &NodeShape) -> Option<(&PlanQuestion, &PlanRules)> {
    shape.scouts.iter().find_map(|scout| match scout {
        Scout::Asked { question, rules, .. } => Some((question, rules)),
        Scout::PlanFile { .. } => None,
    })
}

/// What the plan says of where the release is cannot be used.
fn unreadable(problem: &Problem) -> Complaint {
    let why = problem.causes.join(": ");
    Complaint::new(if why.starts_with("cannot find binary") {
        format!("binary URL not found in upgrade plan. Cannot prepare for upgrade: {why}")
    } else {
        format!("failed to parse upgrade info: {why}")
    })
}

fn bring(shape: NodeShape, home: &str, release: &ReleaseName, source: String) -> Result<(), String> {
    let wanted = NewRelease { name: release.clone(), source: Some(source), sha256: None };
    match session::ask(home.as_ref(), |client| client.stage_release(&wanted)) {
        // Nobody looks after the node now, or ever did.
        Err(failure) if matches!(failure.exit(), ExitCode::NotRunning | ExitCode::Configuration) => {
            let staged = offline::stage_release(shape, &wanted, Tell::default());
            staged.map(drop).map_err(|(problem, _)| told(&problem))
        }
        asked => asked.map(drop).map_err(|failure: Failure| told(failure.problem())),
    }
}

fn told(problem: &Problem) -> String {
    format!("{}: {}", problem.summary, problem.causes.join(": "))
}
