//! Everything that is served, as one table. The OpenAPI document and the tests are made from it.
//!
//! A handler reads its request's parts, asks the node task, and gives back the answer. It decides nothing.

use hyper::StatusCode;
use ov_types::api::{NewDaemon, Refusal, UnitOrder};
use ov_types::{ExitCode, Problem};
use serde::Serialize;

use super::answer::{JSON, OPEN_METRICS, full, json};
use super::call::{Call, wrong_parameter};
use super::events;
use super::route::{Answer, Gives, Parameter, Route};
use crate::request::{Reply, Request};

/// The document that describes this table; a test keeps the two alike.
const DOCUMENT: &str = include_str!("../../../../docs/openapi.json");

const ALL: Parameter = Parameter { name: "all", schema: "boolean", summary: "Also plans that are over" };
const PLAN: Parameter = Parameter { name: "plan", schema: "integer", summary: "This upgrade only" };
const RECORDS_SINCE: Parameter =
    Parameter { name: "since", schema: "integer", summary: "Only records after the one with this number" };
const EVENTS_SINCE: Parameter = Parameter {
    name: "since",
    schema: "string",
    summary: "Only events after the one with this index; `newest` for those to come; everything kept if absent. The \
              header Last-Event-ID does the same",
};
const FOLLOW: Parameter = Parameter {
    name: "follow",
    schema: "boolean",
    summary: "Stay and send events as they happen, as `Accept: text/event-stream` does",
};
const RELEASE: Parameter = Parameter {
    name: "release",
    schema: "string",
    summary: "Examine this release; that of the next plan, else the current one, if absent",
};
const UNITS_STAY: Parameter = Parameter { name: "units_stay", schema: "boolean", summary: "Leave the units running" };

const GET: &str = "GET";
const POST: &str = "POST";
const DELETE: &str = "DELETE";

/// A route without parameters or a body.
const fn get(path: &'static str, summary: &'static str, gives: Gives, serve: fn(Call) -> Answer) -> Route {
    Route { method: GET, path, summary, query: &[], takes: None, gives, serve }
}

/// An order without parameters or a body, which is acknowledged.
const fn order(method: &'static str, path: &'static str, summary: &'static str, serve: fn(Call) -> Answer) -> Route {
    Route { method, path, summary, query: &[], takes: None, gives: Gives::One("Acknowledged"), serve }
}

/// What is served.
pub(super) static ROUTES: [Route; 25] = [
    get("/v1/status", "How the node is", Gives::One("Status"), |call| {
        ask(call, |_, reply| Ok(Request::Status { reply }))
    }),
    Route {
        query: &[ALL],
        ..get("/v1/plans", "Plans, the next one first", Gives::List("PlanStatus"), |call| {
            ask(call, |call, reply| Ok(Request::Plans { all: call.flag("all")?, reply }))
        })
    },
    Route {
        takes: Some("NewPlan"),
        ..order(POST, "/v1/plans", "Queue a plan", |call| {
            ask(call, |call, reply| Ok(Request::AddPlan { plan: call.body()?, reply }))
        })
    },
    order(DELETE, "/v1/plans/{id}", "Withdraw a plan before its trigger", |call| {
        ask(call, |call, reply| Ok(Request::CancelPlan { plan: call.plan()?, reply }))
    }),
    order(POST, "/v1/plans/{id}/apply", "Trigger a plan now", |call| {
        ask(call, |call, reply| Ok(Request::ApplyPlan { plan: call.plan()?, reply }))
    }),
    order(POST, "/v1/plans/{id}/retry", "Try an upgrade again that needs an operator", |call| {
        ask(call, |call, reply| Ok(Request::RetryPlan { plan: call.plan()?, reply }))
    }),
    Route {
        query: &[PLAN],
        ..order(POST, "/v1/upgrade/rollback", "Turn an upgrade round", |call| {
            ask(call, |call, reply| Ok(Request::Rollback { plan: call.plan_parameter()?, reply }))
        })
    },
    get("/v1/releases", "Releases in their folder", Gives::List("ReleaseStatus"), |call| {
        ask(call, |_, reply| Ok(Request::Releases { reply }))
    }),
    Route {
        takes: Some("NewRelease"),
        ..order(POST, "/v1/releases", "Stage a release without a plan", |call| {
            ask(call, |call, reply| Ok(Request::StageRelease { release: call.body()?, reply }))
        })
    },
    order(DELETE, "/v1/releases/{name}", "Remove a release that nothing needs", |call| {
        ask(call, |call, reply| Ok(Request::RemoveRelease { release: call.name("name")?, reply }))
    }),
    get("/v1/snapshots", "Snapshots of the data directory", Gives::List("SnapshotStatus"), |call| {
        ask(call, |_, reply| Ok(Request::Snapshots { reply }))
    }),
    Route {
        takes: Some("NewSnapshot"),
        ..order(POST, "/v1/snapshots", "Snapshot the data directory", |call| {
            ask(call, |call, reply| Ok(Request::TakeSnapshot { snapshot: call.body()?, reply }))
        })
    },
    Route {
        gives: Gives::One("SnapshotReport"),
        ..order(POST, "/v1/snapshots/{id}/verify", "Read a snapshot through", |call| {
            ask(call, |call, reply| Ok(Request::VerifySnapshot { snapshot: call.name("id")?, reply }))
        })
    },
    Route {
        takes: Some("RestoreSnapshot"),
        ..order(POST, "/v1/snapshots/{id}/restore", "Put a snapshot in the data directory's place", |call| {
            ask(call, |call, reply| {
                let (snapshot, confirmation) = (call.name("id")?, call.body()?);
                Ok(Request::RestoreSnapshot { snapshot, confirmation, reply })
            })
        })
    },
    order(DELETE, "/v1/snapshots/{id}", "Remove a snapshot", |call| {
        ask(call, |call, reply| Ok(Request::RemoveSnapshot { snapshot: call.name("id")?, reply }))
    }),
    Route {
        takes: Some("ConfirmMachine"),
        ..order(POST, "/v1/machine/confirm", "Say that no other machine signs with the node's key", |call| {
            ask(call, |call, reply| Ok(Request::ConfirmMachine { confirmation: call.body()?, reply }))
        })
    },
    order(POST, "/v1/units/{unit}/{order}", "Stop, start, restart, suspend or resume a unit", |call| {
        ask(call, |call, reply| Ok(Request::Unit { unit: call.name("unit")?, order: call.unit_order()?, reply }))
    }),
    Route {
        query: &[RELEASE],
        ..get("/v1/doctor", "Look for anything that would go wrong", Gives::One("DoctorReport"), |call| {
            ask(call, |call, reply| Ok(Request::Doctor { release: call.name_parameter("release")?, reply }))
        })
    },
    Route {
        query: &[PLAN, RECORDS_SINCE],
        ..get("/v1/history", "Records of the journal", Gives::List("HistoryEntry"), |call| {
            ask(call, |call, reply| {
                let (plan, since) = (call.plan_parameter()?, call.number_parameter("since")?);
                Ok(Request::History { plan, since, reply })
            })
        })
    },
    Route {
        gives: Gives::One("ReloadReport"),
        ..order(POST, "/v1/reload", "Read the configuration again", |call| {
            ask(call, |_, reply| Ok(Request::Reload { reply }))
        })
    },
    Route {
        takes: Some("NewDaemon"),
        ..order(POST, "/v1/self-upgrade", "Have another program file take the daemon's place", |call| {
            ask(call, |call, reply| {
                let NewDaemon { program } = call.body()?;
                Ok(Request::SelfUpgrade { program: program.into(), reply })
            })
        })
    },
    Route {
        query: &[UNITS_STAY],
        ..order(POST, "/v1/stop", "End the daemon", |call| {
            ask(call, |call, reply| Ok(Request::Stop { units_stay: call.flag("units_stay")?, reply }))
        })
    },
    Route {
        query: &[EVENTS_SINCE, FOLLOW],
        ..get("/v1/events", "What happened", Gives::Events, |call| Box::pin(async move { events::serve(call) }))
    },
    get("/v1/openapi.json", "This description", Gives::Document, |_| {
        Box::pin(async { Ok(full(StatusCode::OK, JSON, DOCUMENT)) })
    }),
    get(METRICS_PATH, "Numbers for Prometheus", Gives::Metrics, |call| Box::pin(async move { metrics(&call) })),
];

/// The one route that is served on TCP too.
pub(super) const METRICS_PATH: &str = "/metrics";

/// Asks the node task what `make` builds from the call, and answers with what it says.
fn ask<T, M>(call: Call, make: M) -> Answer
where
    T: Serialize + Send + 'static,
    M: FnOnce(&Call, Reply<T>) -> Result<Request, Refusal> + Send + 'static,
{
    Box::pin(async move {
        let (reply, answer) = tokio::sync::oneshot::channel();
        let request = make(&call, reply)?;
        json(&call.node.send(request, answer).await?)
    })
}

fn metrics(call: &Call) -> Result<hyper::Response<super::answer::Body>, Refusal> {
    let text = call.node.metrics.encode(call.node.events.unwritten()).map_err(|error| Refusal {
        problem: Problem::permanent("OV-API-010", "write the metrics").because(&error),
        exit_code: ExitCode::Failed.number(),
    })?;
    Ok(full(StatusCode::OK, OPEN_METRICS, text))
}

impl Call {
    fn plan_parameter(&self) -> Result<Option<ov_types::PlanId>, Refusal> {
        Ok(self.number_parameter("plan")?.map(ov_types::PlanId))
    }

    fn unit_order(&self) -> Result<UnitOrder, Refusal> {
        let word: String = self.name("order")?;
        let words = UnitOrder::ALL.map(|(_, word)| word).join(", ");
        UnitOrder::from_word(&word).ok_or_else(|| wrong_parameter("order", &word, &format!("expected one of {words}")))
    }
}
