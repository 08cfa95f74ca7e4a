//! Every route of the control API as a method.

use std::path::PathBuf;
use std::time::Duration;

use ov_types::api::{
    Acknowledged, ConfirmMachine, DoctorReport, HistoryEntry, NewDaemon, NewPlan, NewRelease, NewSnapshot, PlanStatus,
    ReleaseStatus, ReloadReport, RestoreSnapshot, SnapshotReport, SnapshotStatus, Status, UnitOrder,
};
use ov_types::{Event, PlanId, ReleaseName, SnapshotId, UnitName};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};

use crate::transport::{FETCH, QUICK, SLOW, Transport, request, within};
use crate::{ClientError, EventStream};

/// Where to begin reading events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// At the oldest one that is kept.
    Oldest,
    /// After the one with this index.
    After(u64),
    /// After the newest one: only what is yet to come.
    Newest,
}

impl Since {
    fn query(self) -> String {
        match self {
            Since::Oldest => "since=0".to_owned(),
            Since::After(index) => format!("since={index}"),
            Since::Newest => "since=newest".to_owned(),
        }
    }
}

/// A client of the daemon that looks after one node.
#[derive(Debug)]
pub struct Client {
    transport: Transport,
    patience: Option<Duration>,
}

impl Client {
    /// A client for the node in this home. Nothing is opened yet.
    pub fn new(home: impl Into<PathBuf>) -> Self {
        Self { transport: Transport::new(home.into()), patience: None }
    }

    /// Gives up on every answer after this long, instead of a time that fits what is asked.
    #[must_use]
    pub fn patience(self, limit: Duration) -> Self {
        Self { patience: Some(limit), ..self }
    }

    /// How the node is.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.get("/v1/status", QUICK)
    }

    /// Plans that are not over, the next one first; `all` of them if wanted.
    pub fn plans(&self, all: bool) -> Result<Vec<PlanStatus>, ClientError> {
        self.get(&format!("/v1/plans?all={all}"), QUICK)
    }

    /// Queues a plan.
    pub fn add_plan(&self, plan: &NewPlan) -> Result<Acknowledged, ClientError> {
        self.post("/v1/plans", plan, QUICK)
    }

    /// Withdraws a plan before its trigger.
    pub fn cancel_plan(&self, plan: PlanId) -> Result<Acknowledged, ClientError> {
        self.order("DELETE", &format!("/v1/plans/{plan}"), QUICK)
    }

    /// Triggers a plan now.
    pub fn apply_plan(&self, plan: PlanId) -> Result<Acknowledged, ClientError> {
        self.order("POST", &format!("/v1/plans/{plan}/apply"), QUICK)
    }

    /// Tries an upgrade again that needs an operator.
    pub fn retry_plan(&self, plan: PlanId) -> Result<Acknowledged, ClientError> {
        self.order("POST", &format!("/v1/plans/{plan}/retry"), QUICK)
    }

    /// Turns an upgrade round: this one, or the one under way, or the last one.
    pub fn rollback(&self, plan: Option<PlanId>) -> Result<Acknowledged, ClientError> {
        let query = query(&[("plan", plan.map(|plan| plan.to_string()))]);
        self.order("POST", &format!("/v1/upgrade/rollback{query}"), QUICK)
    }

    /// Releases in their folder.
    pub fn releases(&self) -> Result<Vec<ReleaseStatus>, ClientError> {
        self.get("/v1/releases", QUICK)
    }

    /// Stages a release without a plan.
    pub fn stage_release(&self, release: &NewRelease) -> Result<Acknowledged, ClientError> {
        self.post("/v1/releases", release, FETCH)
    }

    /// Removes a release that nothing needs.
    pub fn remove_release(&self, release: &ReleaseName) -> Result<Acknowledged, ClientError> {
        self.order("DELETE", &format!("/v1/releases/{}", encoded(release.as_str())), SLOW)
    }

    /// Snapshots of the data directory.
    pub fn snapshots(&self) -> Result<Vec<SnapshotStatus>, ClientError> {
        self.get("/v1/snapshots", QUICK)
    }

    /// Snapshots the data directory.
    pub fn take_snapshot(&self, snapshot: &NewSnapshot) -> Result<Acknowledged, ClientError> {
        self.post("/v1/snapshots", snapshot, SLOW)
    }

    /// Reads a snapshot through.
    pub fn verify_snapshot(&self, snapshot: &SnapshotId) -> Result<SnapshotReport, ClientError> {
        self.order("POST", &format!("/v1/snapshots/{}/verify", encoded(snapshot.as_str())), SLOW)
    }

    /// Puts a snapshot in the place of the data directory.
    pub fn restore_snapshot(
        &self,
        snapshot: &SnapshotId,
        confirmation: &RestoreSnapshot,
    ) -> Result<Acknowledged, ClientError> {
        self.post(&format!("/v1/snapshots/{}/restore", encoded(snapshot.as_str())), confirmation, SLOW)
    }

    /// Says that no other machine signs with the node's key.
    pub fn confirm_machine(&self, confirmation: &ConfirmMachine) -> Result<Acknowledged, ClientError> {
        self.post("/v1/machine/confirm", confirmation, QUICK)
    }

    /// Removes a snapshot.
    pub fn remove_snapshot(&self, snapshot: &SnapshotId) -> Result<Acknowledged, ClientError> {
        self.order("DELETE", &format!("/v1/snapshots/{}", encoded(snapshot.as_str())), SLOW)
    }

    /// Tells a unit something.
    pub fn unit(&self, unit: &UnitName, order: UnitOrder) -> Result<Acknowledged, ClientError> {
        self.order("POST", &format!("/v1/units/{unit}/{}", order.word()), SLOW)
    }

    /// Looks for anything that would go wrong with this release, or that of the next plan, or the current one.
    pub fn doctor(&self, release: Option<&ReleaseName>) -> Result<DoctorReport, ClientError> {
        self.get(
            &format!("/v1/doctor{}", query(&[("release", release.map(|release| encoded(release.as_str())))])),
            SLOW,
        )
    }

    /// Records of the journal: of one upgrade only, and after the one with this number only, if wanted.
    pub fn history(&self, plan: Option<PlanId>, since: Option<u64>) -> Result<Vec<HistoryEntry>, ClientError> {
        let query =
            query(&[("plan", plan.map(|plan| plan.to_string())), ("since", since.map(|since| since.to_string()))]);
        self.get(&format!("/v1/history{query}"), QUICK)
    }

    /// Reads the configuration again.
    pub fn reload(&self) -> Result<ReloadReport, ClientError> {
        self.order("POST", "/v1/reload", QUICK)
    }

    /// Has another program file take the daemon's place; the units go on running.
    pub fn self_upgrade(&self, daemon: &NewDaemon) -> Result<Acknowledged, ClientError> {
        self.post("/v1/self-upgrade", daemon, QUICK)
    }

    /// Ends the daemon, and the units too unless they shall stay.
    pub fn stop(&self, units_stay: bool) -> Result<Acknowledged, ClientError> {
        self.order("POST", &format!("/v1/stop?units_stay={units_stay}"), SLOW)
    }

    /// What happened, as far as it is kept.
    pub fn events(&self, since: Since) -> Result<Vec<Event>, ClientError> {
        self.get(&format!("/v1/events?{}", since.query()), QUICK)
    }

    /// What happened, and what happens from now on. After the stream ended, go on with
    /// [`Since::After`] its last index: nothing is skipped or repeated.
    pub fn follow(&self, since: Since) -> Result<EventStream, ClientError> {
        let runtime = runtime()?;
        let request = request("GET", &format!("/v1/events?follow=true&{}", since.query()), None)?;
        let response = runtime.block_on(within(self.limit(QUICK), self.transport.open(request)))?;
        Ok(EventStream::new(runtime, response.into_body()))
    }

    /// The numbers of `/metrics`.
    pub fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.exchange("GET", "/metrics", None, QUICK)?;
        String::from_utf8(bytes).map_err(ClientError::protocol)
    }

    /// The OpenAPI document.
    pub fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.get("/v1/openapi.json", QUICK)
    }

    fn get<T: DeserializeOwned>(&self, path: &str, limit: Duration) -> Result<T, ClientError> {
        decode(&self.exchange("GET", path, None, limit)?)
    }

    fn order<T: DeserializeOwned>(&self, method: &str, path: &str, limit: Duration) -> Result<T, ClientError> {
        decode(&self.exchange(method, path, None, limit)?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize, limit: Duration) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::protocol)?;
        decode(&self.exchange("POST", path, Some(body), limit)?)
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
        limit: Duration,
    ) -> Result<Vec<u8>, ClientError> {
        let request = request(method, path, body)?;
        let answer = runtime()?.block_on(self.transport.ask(request, self.limit(limit)))?;
        Ok(answer.into())
    }

    fn limit(&self, usual: Duration) -> Duration {
        self.patience.unwrap_or(usual)
    }
}

/// A single-threaded runtime takes about fifty microseconds to make, and leaves nothing running between calls.
fn runtime() -> Result<Runtime, ClientError> {
    Builder::new_current_thread().enable_all().build().map_err(ClientError::protocol)
}

fn decode<T: DeserializeOwned>(answer: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(answer).map_err(ClientError::protocol)
}

/// A name as a part of an address: what would end it there is written as `%xx`.
fn encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+~".contains(&byte);
    name.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The parameters that have a value. They are encoded already where they have to be.
fn query(parameters: &[(&str, Option<String>)]) -> String {
    let given: Vec<String> =
        parameters.iter().filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?))).collect();
    if given.is_empty() { String::new() } else { format!("?{}", given.join("&")) }
}
