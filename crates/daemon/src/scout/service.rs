//! Asks a service which plan it knows of, and says what that means in the words of the engine.
//!
//! The node halts by itself for such a plan, so that what is learned here is what to prepare; and from some that it has
//! halted. Who does not answer says nothing; who answers that there is no plan takes back only what its answer is early
//! enough to know of. Owns no state.

use std::time::Duration;

use hyper::HeaderMap;
use ov_chains::NodeShape;
use ov_chains::plans::{PlanNames, PlanRules};
use ov_chains::shape::{PlanParts, PlanQuestion, Scout};
use ov_engine::Input;
use ov_sys::Disk;
use ov_types::{FailurePolicy, Height, Origin, Trigger};
use serde_json::Value;

use super::evidence::Gathered;
use super::{Candidate, Known, MainSeen, Named, candidate_of, wish};
use crate::probe::{bounded, grpc, http, json_rpc, protobuf};

/// What a service said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Its plan.
    pub plan: Told,
    /// Of when it speaks.
    pub of: Of,
}

/// What a service said of its plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It does not know yet.
    Nothing,
    /// There is none.
    None,
    /// This one.
    Plan(Candidate),
    /// None of ours can be made from what it calls one, and why.
    Unusable(String),
}

impl From<Read> for Told {
    fn from(read: Read) -> Self {
        match read {
            Ok(None) => Told::None,
            Ok(Some(plan)) => Told::Plan(plan),
            Err(why) => Told::Unusable(why),
        }
    }
}

/// Of when a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Of some node's chain at this height, if it says so.
    Chain(Option<Height>),
    /// Of this very node, now.
    Node {
        /// It has halted for its plan.
        halted: bool,
    },
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
                Ok(Answered { plan: plan.into(), of: of(&answer.headers, height_header.as_deref()) })
            }
            PlanQuestion::Grpc { call, plan, parts, height_header } => {
                let answer = grpc::call(call).await?;
                let plan = read_message(&answer.message, plan, parts, names)
                    .map_err(|why| format!("{} gives an answer that cannot be used: {why}", question.shown()))?;
                Ok(Answered { plan: plan.into(), of: of(&answer.metadata, height_header.as_deref()) })
            }
            PlanQuestion::JsonRpc { call, plan, parts, halted } => {
                let result = json_rpc::call(call).await?;
                read_result(&result, (plan, parts, halted), names)
                    .map_err(|why| format!("{} gives an answer that cannot be used: {why}", question.shown()))
            }
        }
    })
    .await
}

fn of(headers: &HeaderMap, name: Option<&str>) -> Of {
    let written = name.and_then(|name| headers.get(name)?.to_str().ok());
    Of::Chain(written.and_then(|height| height.trim().parse().ok()).map(Height))
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

/// The error is an answer that is none.
fn read_result(
    result: &Value,
    (plan, parts, halted): (&str, &PlanParts<String>, &str),
    names: PlanNames,
) -> Result<Answered, String> {
    let halted = match json_rpc::find(result, halted) {
        Some(Value::Bool(halted)) => *halted,
        _ => return Err(format!("it has no yes or no at `{halted}`")),
    };
    let told = match json_rpc::find(result, plan) {
        None | Some(Value::Null) => Told::Nothing,
        Some(plan) => {
            let part = |place: &String| json_rpc::find(plan, place);
            match part(&parts.name) {
                Some(Value::String(name)) if name.is_empty() => Told::None,
                name => candidate_of([name, part(&parts.height), part(&parts.info)], names).map(Some).into(),
            }
        }
    };
    Ok(Answered { plan: told, of: Of::Node { halted } })
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
    let here = |named: &&Named| matches!(&named.origin, Origin::Service { address: at, .. } if at == address);
    let halted = said.of == Of::Node { halted: true };
    let plan = match &said.plan {
        Told::Unusable(why) => {
            return Heard { remark: Some(about(format!("its plan is not used: {why}"))), ..heard };
        }
        // A node that halted without saying what for has halted for what it said last.
        Told::Nothing | Told::None if halted => {
            let mut halts = known.named.iter().filter(here).filter_map(|named| {
                Some(Candidate { release: named.release.clone(), height: named.height?, info: None })
            });
            let Some(plan) = halts.next() else {
                let what = "the node has halted for an upgrade and does not say for which; add the plan by hand";
                return Heard { remark: Some(about(what.to_owned())), ..heard };
            };
            Some(plan)
        }
        Told::Nothing => return heard,
        Told::None => None,
        Told::Plan(plan) => Some(plan.clone()),
    };
    let seen = plan.map(|plan| {
        let origin = Origin::Service { address: address.to_owned(), name: plan.release.to_string() };
        (plan, origin)
    });
    if let Some((plan, origin)) = &seen {
        let what = format!("the plan for {} at height {} is not carried out", plan.release, plan.height);
        match trigger(&Gathered::of(disk, shape, known, None), rules, plan, halted) {
            Ok(trigger) => heard.inputs.push(Input::PlanSeen(wish(plan, trigger, on_failure, origin))),
            Err(why) => {
                heard.inputs.push(Input::PlanGone(origin.clone()));
                heard.remark = why.map(|why| about(format!("{what}: {why}")));
            }
        }
    }
    let others =
        known.named.iter().filter(here).filter(|named| seen.as_ref().is_none_or(|(_, it)| *it != named.origin));
    let gone = others.filter(|named| is_gone(named, said.of, rules, known));
    // First, so that a plan that takes the place of another one does not meet it.
    heard.inputs.splice(0..0, gone.map(|named| Input::PlanGone(named.origin.clone())).collect::<Vec<_>>());
    heard
}

/// A node that tells by itself when it has halted may have ended before anybody heard it, and then it is down where the
/// release it ran must not run any more.
pub(super) fn halted_before_it_said_so(scout: &Scout, known: &Known) -> Option<Input> {
    let Scout::Asked { question: question @ PlanQuestion::JsonRpc { .. }, on_failure, .. } = scout else { return None };
    let at = known.at_rest.map(|at_rest| at_rest.at_least).or(known.height);
    let at = at.filter(|_| known.main != MainSeen::Runs)?;
    let address = question.shown();
    let named = known.named.iter().find(|named| {
        let is_here = matches!(&named.origin, Origin::Service { address: there, .. } if *there == address);
        is_here && named.height.is_some_and(|height| at >= height)
    })?;
    let plan = Candidate { release: named.release.clone(), height: named.height?, info: None };
    Some(Input::PlanSeen(wish(&plan, Trigger::Halt { height: plan.height }, *on_failure, &named.origin)))
}

/// When a plan is due; or why it is not carried out, if that is worth a word.
fn trigger(
    gathered: &Gathered<'_>,
    rules: &PlanRules,
    plan: &Candidate,
    halted: bool,
) -> Result<Trigger, Option<String>> {
    let height = plan.height;
    if !halted {
        return gathered.is_ahead(rules, plan).map(|()| Trigger::AwaitHalt { height });
    }
    if gathered.is_current(rules, &plan.release) {
        return Err(Some("the node has halted for it, and its release is the current one already".to_owned()));
    }
    Ok(Trigger::Halt { height })
}

/// Whether a plan that the service does not name any more is withdrawn. At its height the network carries it out, and
/// forgets it: whoever has come there knows nothing of a node that has not.
fn is_gone(named: &Named, of: Of, rules: &PlanRules, known: &Known) -> bool {
    let own = known.height.filter(|_| known.main == MainSeen::Runs);
    let Of::Chain(at) = of else { return true };
    let is_early = named.height.is_none_or(|due| at.or(own).is_some_and(|at| at < due));
    let went_on = named.height.is_some_and(|due| own.is_some_and(|own| own > due));
    let is_current = known.current.as_ref().is_some_and(|current| rules.names.same(current, &named.release));
    is_early || went_on || is_current
}

#[cfg(test)]
mod tests;
