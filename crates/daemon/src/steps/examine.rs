//! Examine: the doctor found nothing that forbids the upgrade. Nothing is changed, hence nothing to undo.

use ov_engine::StepCall;
use ov_types::record::StepFacts;
use ov_types::{Finding, Problem, Severity, counted};

use super::{Work, Workshop, state_at};
use crate::doctor::Depth;

pub(super) struct Examine;

impl Work for Examine {
    /// Never taken for done: what was in order before the daemon died may not be now.
    fn probe(&self, _: &Workshop, _: &StepCall) -> Result<Option<StepFacts>, Problem> {
        Ok(None)
    }

    fn apply(&self, shop: &Workshop, call: &StepCall) -> Result<StepFacts, Problem> {
        // At the same time: where the node has halted already, nobody is to wait for both.
        std::thread::scope(|scope| {
            let hook = shop.shape.migrate.as_ref();
            let asked = hook.map(|hook| scope.spawn(|| super::command::missing(shop, call, hook)));
            let facts = judge(shop, call, Depth::Full, "OV-UPG-015")?;
            let no_command = asked.and_then(|asked| asked.join().ok().flatten());
            Ok(StepFacts { no_command, ..facts })
        })
    }

    fn verify(&self, _: &Workshop, _: &StepCall) -> Result<(), Problem> {
        Ok(())
    }

    fn undo(&self, _: &Workshop, _: &StepCall) -> Result<StepFacts, Problem> {
        Ok(StepFacts::default())
    }
}

/// Has the doctor look, and fails on errors.
pub(super) fn judge(shop: &Workshop, call: &StepCall, depth: Depth, code: &str) -> Result<StepFacts, Problem> {
    super::stage::take_again(shop, call)?;
    let shop = &shop
        .as_of(&call.plan.release)
        .map_err(|problem| Problem { code: code.to_owned(), ..problem }.state(state_at(call)))?;
    let findings = shop.examine(Some(&call.plan), None, depth);
    let errors: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
    if errors.is_empty() {
        let warnings = findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
        let (checks, warnings) = (counted(findings.len(), "check"), counted(warnings, "warning"));
        return Ok(StepFacts::noted(format!("{checks}, {warnings}")));
    }
    let mut problem = Problem::transient(code, format!("find release {} fit to run", call.plan.release))
        .state(state_at(call))
        .hint(errors.iter().map(|finding| finding.fix.as_str()).collect::<Vec<_>>().join("; "));
    for finding in errors {
        problem = problem.cause(format!("{} ({}): {}", finding.id, finding.subject, finding.message));
    }
    Err(problem)
}
