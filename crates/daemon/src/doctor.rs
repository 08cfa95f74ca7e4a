//! Looks at everything that could keep a node from running or an upgrade from succeeding, before it does.
//!
//! The checks are a table: each has a stable name, says whether it is cheap enough for the moment of the trigger, and
//! looks at one thing. Reads only, but for one tiny clone and an empty home, both removed at once; asks nobody outside this machine,
//! but the nodes and the catalog that the configuration names;
//! every look is bounded. A check that cannot be made says so and forbids nothing; one that has nothing to look at
//! says nothing. What is inside a release is examined by its own crate, under the names in [`RELEASE_IDS`].

mod binary;
mod catalog;
mod config;
mod data;
mod host;
mod peers;
mod plan;
mod processes;
mod service;
mod signing;
mod storage;

use std::fmt;

use ov_chains::NodeShape;
use ov_release::{Host, Layout, examine_release, rollback_target};
use ov_sys::{Clock, Disk};
use ov_types::{FailurePolicy, Finding, Height, Plan, ReleaseName, Severity, UnitName};
use ov_vault::SignState;

use crate::fetch::Supply;
use crate::source::ShapeSource;

/// How closely to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything: before arming, and by hand. May take seconds.
    Full,
    /// What may have changed since, in milliseconds: at the trigger.
    Quick,
}

/// What the doctor is told.
#[derive(Debug, Clone)]
pub struct DoctorInput<'a> {
    /// The file system, `/proc` included.
    pub disk: &'a dyn Disk,
    /// The node.
    pub shape: &'a NodeShape,
    /// Where that was learned.
    pub source: &'a dyn ShapeSource,
    /// Where its releases lie.
    pub layout: Layout,
    /// How closely to look.
    pub depth: Depth,
    /// The time.
    pub clock: &'a dyn Clock,
    /// The plan that is to be carried out.
    pub plan: Option<&'a Plan>,
    /// The release to examine when there is no plan; the current one if neither is given.
    pub release: Option<&'a ReleaseName>,
    /// All plans that are not over.
    pub plans: &'a [Plan],
    /// The last height seen.
    pub height: Option<Height>,
    /// What the validator was last seen to have signed.
    pub recorded_sign_state: Option<SignState>,
    /// How long the slowest unit may take to stop.
    pub stop_ms_max: u64,
    /// What releases are fetched with.
    pub supply: &'a Supply,
    /// The processes that are ours: the daemon, its shims and what they run. Their children are ours as well.
    pub own: &'a [u32],
}

impl DoctorInput<'_> {
    /// The release that `current` names.
    fn current(&self) -> Option<ReleaseName> {
        ov_release::current(self.disk, &self.layout).ok()?.release()
    }

    /// The release that is to run.
    fn target(&self) -> Option<ReleaseName> {
        self.plan.map(|plan| &plan.release).or(self.release).cloned().or_else(|| self.current())
    }
}

/// What a check found, without the check's name.
#[derive(Debug)]
struct Verdict {
    severity: Severity,
    subject: String,
    message: String,
    fix: String,
}

impl Verdict {
    fn good(subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, subject: subject.to_string(), message: message.into(), fix: String::new() }
    }

    fn unknown(subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self { severity: Severity::Unknown, ..Self::good(subject, message) }
    }

    fn warning(subject: impl fmt::Display, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, fix: fix.into(), ..Self::good(subject, message) }
    }

    fn error(subject: impl fmt::Display, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { severity: Severity::Error, fix: fix.into(), ..Self::good(subject, message) }
    }
}

struct Check {
    /// Stable; explained in `docs/doctor.md`.
    id: &'static str,
    /// Whether it is made at the trigger too.
    quick: bool,
    look: fn(&DoctorInput<'_>) -> Vec<Verdict>,
}

const fn full(id: &'static str, look: fn(&DoctorInput<'_>) -> Vec<Verdict>) -> Check {
    Check { id, quick: false, look }
}

const fn quick(id: &'static str, look: fn(&DoctorInput<'_>) -> Vec<Verdict>) -> Check {
    Check { id, quick: true, look }
}

const CHECKS: [Check; 40] = [
    full("host.arch", host::arch),
    full("host.kernel", host::kernel),
    full("host.cgroup", host::cgroup),
    full("host.time", host::time),
    full("host.descriptors", host::descriptors),
    full("host.memory", host::memory),
    full("host.service-stop", service::stop),
    full("host.service-kill", service::kill),
    full("host.service-restart", service::restart),
    full("host.linger", service::linger),
    full("host.supervisor", processes::supervisor),
    quick("disk.free", storage::free),
    quick("disk.inodes", storage::inodes),
    quick("disk.read-only", storage::read_only),
    quick("disk.noexec", storage::noexec),
    full("disk.reflink", storage::reflink),
    full("disk.snapshot", storage::snapshot),
    quick("plan.release", plan::release),
    full("plan.name", plan::name),
    full("plan.trigger", plan::trigger),
    full("plan.conflict", plan::conflict),
    quick("data.directory", data::directory),
    full("data.lock", data::lock),
    full("data.format", data::format),
    quick("data.sign-state", data::sign_state),
    quick("data.key-mode", data::key_mode),
    quick("data.custody", data::custody),
    quick("data.remote-signer", signing::remote),
    full("data.left-key", signing::left_key),
    full("data.silence", signing::silence),
    full("config.valid", config::valid),
    full("config.secrets", config::secrets),
    full("config.environment", config::environment),
    full("config.users", config::users),
    quick("config.programs", config::programs),
    full("config.ports", processes::ports),
    full("fetch.catalog", catalog::reached),
    full("binary.version", binary::version),
    full("binary.handler", binary::handler),
    full("binary.peers", peers::version),
];

/// The names of what is found inside releases.
pub const RELEASE_IDS: [&str; 12] = [
    "release.complete",
    "release.rollback-target",
    "binary.cpu",
    "binary.digest",
    "binary.executable",
    "binary.glibc",
    "binary.interpreter",
    "binary.machine",
    "binary.needed",
    "binary.noexec",
    "binary.owner",
    "binary.self-contained",
];

/// Looks at everything that applies.
pub fn examine(input: &DoctorInput<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for check in CHECKS.iter().filter(|check| check.quick || input.depth == Depth::Full) {
        findings.extend((check.look)(input).into_iter().map(|Verdict { severity, subject, message, fix }| Finding {
            id: check.id.to_owned(),
            severity,
            subject,
            message,
            fix,
        }));
    }
    if input.depth == Depth::Full {
        findings.extend(releases(input));
    }
    findings
}

/// The names of everything that can be found.
pub fn ids() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.id).chain(RELEASE_IDS)
}

/// An error with all its causes, on one line.
fn failed(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    format!("failed to {}", causes.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

fn releases(input: &DoctorInput<'_>) -> Vec<Finding> {
    let Some(target) = input.target() else { return Vec::new() };
    let main = input.shape.units.get(&UnitName::main());
    let library_path = main.and_then(|unit| unit.launch.env.iter().find(|(name, _)| name == "LD_LIBRARY_PATH"));
    let library_path = library_path.map(|(_, path)| path.fill(&input.layout.directory(&target)));
    let host = Host {
        library_path: library_path.iter().flat_map(|path| std::env::split_paths(path)).collect(),
        ..Host::this()
    };
    let mut findings = examine_release(input.disk, &input.layout, &target, &host);
    let goes_back = input.plan.is_some_and(|plan| plan.on_failure == FailurePolicy::Rollback);
    if let Some(current) = input.current().filter(|current| goes_back && *current != target) {
        findings.push(rollback_target(input.disk, &input.layout, &current));
    }
    findings
}

#[cfg(test)]
mod tests;
