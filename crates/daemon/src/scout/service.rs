//! Asks a service which plan it knows of, and says what that means in the words of the engine.
//!
//! The node halts by itself for such a plan, so all that is learned here is what to prepare. Who does not answer says
//! nothing; who answers that there is no plan takes back only what its answer is early enough to know of. Owns no state.

use std::time::Duration;

use hyper::HeaderMap;
use ov_chains::NodeShape;
use ov_chains::plans::{PlanNames, PlanRules};
use ov_chains::shape::{PlanParts, PlanQuestion};
use ov_engine::Input;
use ov_sys::Disk;
use ov_types::{FailurePolicy, Height, Origin, Trigger};
use serde_json::Value;

use super::evidence::Gathered;
use super::{Candidate, Known, MainSeen, Named, candidate_of, wish};
use crate::probe::{bounded, grpc, http, protobuf};

/// What a service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The plan, if there is one; or why none of ours can be made from what it calls one.
    pub plan: Result<Option<Candidate>, String>,
    /// The height of which the answer is, if it says so.
    pub at: Option<Height>,
}

/// Asks; an error says why there is no answer, and means nothing.
pub async fn ask(question: &PlanQuestion, names: PlanNames, timeout: Duration) -> Result<Answered, String> {
    bounded(timeout, async {
        match question {
            PlanQuestion::Http { url, plan, parts, height_header } => {
                let answer = http::get(url, true).await?;
                if answer.status != 200 {
                    return Err(format!("{} answers with status {}", question.shown(), answer.status));
                }
                let plan = read_json(&answer.body, plan, parts, names)
                    .map_err(|why| format!("{} gives an answer that cannot be used: {why}", question.shown()))?;
                Ok(Answered { plan, at: answered_at(&answer.headers, height_header.as_deref()) })
            }
            PlanQuestion::Grpc { call, plan, parts, height_header } => {
                let answer = grpc::call(call).await?;
                let plan = read_message(&answer.message, plan, parts, names)
                    .map_err(|why| format!("{} gives an answer that cannot be used: {why}", question.shown()))?;
                Ok(Answered { plan, at: answered_at(&answer.metadata, height_header.as_deref()) })
            }
        }
    })
    .await
}

fn answered_at(headers: &HeaderMap, name: Option<&str>) -> Option<Height> {
    headers.get(name?)?.to_str().ok()?.trim().parse().ok().map(Height)
}

/// A plan, none, or why what is called one is none of ours.
type Read = Result<Option<Candidate>, String>;

/// The outer error is an answer that is none.
fn read_json(body: &[u8], plan: &str, parts: &PlanParts<String>, names: PlanNames) -> Result<Read, String> {
    let document: Value = serde_json::from_slice(body).map_err(|error| format!("it is not JSON: {error}"))?;
    match document.pointer(plan) {
        None => Err(format!("it has nothing at `{plan}`")),
        Some(Value::Null) => Ok(Ok(None)),
        Some(plan) => {
            let part = |place: &String| plan.pointer(place);
            Ok(candidate_of([part(&parts.name), part(&parts.height), part(&parts.info)], names).map(Some))
        }
    }
}

/// The outer error is an answer that is none.
fn read_message(message: &[u8], plan: &[u32], parts: &PlanParts<Vec<u32>>, names: PlanNames) -> Result<Read, String> {
    let find = |message, path| protobuf::find(message, path).map_err(|malformed| malformed.to_string());
    let Some(found) = find(message, plan)? else { return Ok(Ok(None)) };
    let plan = found.bytes().ok_or("it has something else in the place of a plan")?;
    let text = |found: Option<protobuf::Value<'_>>| {
        let bytes = found.and_then(protobuf::Value::bytes).filter(|bytes| !bytes.is_empty())?;
        Some(Value::String(String::from_utf8_lossy(bytes).into_owned()))
    };
    let (name, info) = (text(find(plan, &parts.name)?), text(find(plan, &parts.info)?));
    // On the wire a number below zero is a very large one.
    let signed = |number| i64::try_from(number).map_or(Value::Null, Value::from);
    let height = find(plan, &parts.height)?.and_then(protobuf::Value::number).map(signed);
    Ok(candidate_of([name.as_ref(), height.as_ref(), info.as_ref()], names).map(Some))
}

/// What a service said, for the engine, and what people should know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// For the engine.
    pub inputs: Vec<Input>,
    /// Why no plan comes of what it said.
    pub remark: Option<String>,
}

/// Understands what the service at `address` said.
pub fn understand(
    disk: &dyn Disk,
    shape: &NodeShape,
    (address, on_failure, rules): (&str, FailurePolicy, &PlanRules),
    said: &Answered,
    known: &Known,
) -> Heard {
    let mut heard = Heard::default();
    let about = |what: String| format!("the service at {address}: {what}");
    let plan = match &said.plan {
        Ok(plan) => plan.as_ref(),
        Err(why) => return Heard { remark: Some(about(format!("its plan is not used: {why}"))), ..heard },
    };
    let seen = plan.map(|plan| {
        let origin = Origin::Service { address: address.to_owned(), name: plan.release.to_string() };
        (plan, origin)
    });
    if let Some((plan, origin)) = &seen {
        match Gathered::of(disk, shape, known, None).is_ahead(rules, plan) {
            Ok(()) => {
                let trigger = Trigger::AwaitHalt { height: plan.height };
                heard.inputs.push(Input::PlanSeen(wish(plan, trigger, on_failure, origin)));
            }
            Err(why) => {
                heard.inputs.push(Input::PlanGone(origin.clone()));
                let what = format!("the plan for {} at height {} is not carried out", plan.release, plan.height);
                heard.remark = why.map(|why| about(format!("{what}: {why}")));
            }
        }
    }
    let here = |named: &&Named| matches!(&named.origin, Origin::Service { address: at, .. } if at == address);
    let others =
        known.named.iter().filter(here).filter(|named| seen.as_ref().is_none_or(|(_, it)| *it != named.origin));
    let gone = others.filter(|named| is_gone(named, said.at, rules, known));
    // First, so that a plan that takes the place of another one does not meet it.
    heard.inputs.splice(0..0, gone.map(|named| Input::PlanGone(named.origin.clone())).collect::<Vec<_>>());
    heard
}

/// Whether a plan that the service does not name any more is withdrawn. At its height the network carries it out, and
/// forgets it: whoever has come there knows nothing of a node that has not.
fn is_gone(named: &Named, at: Option<Height>, rules: &PlanRules, known: &Known) -> bool {
    let own = known.height.filter(|_| known.main == MainSeen::Runs);
    let is_early = named.height.is_none_or(|due| at.or(own).is_some_and(|at| at < due));
    let went_on = named.height.is_some_and(|due| own.is_some_and(|own| own > due));
    let is_current = known.current.as_ref().is_some_and(|current| rules.names.same(current, &named.release));
    is_early || went_on || is_current
}

#[cfg(test)]
mod tests;
