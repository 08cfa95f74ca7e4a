//! The words of Omnivisor as Rust types: ids, heights, plans, steps, records, events, answers of the API.
//!
//! Everything here is data that crosses a wall: between crates, into the journal, over the control API. No
//! behaviour beyond parsing, ordering and printing, no I/O, no clock. `docs/GLOSSARY.md` says what each word means.

pub mod api;
mod event;
mod event_text;
mod exit_code;
mod finding;
mod ids;
mod moment;
mod occasion;
mod plan;
mod problem;
pub mod record;
mod settings;
mod span;
mod step;
mod unit;

pub use event::{Event, EventKind, Importance, Work};
pub use exit_code::ExitCode;
pub use finding::{Finding, Severity, worst};
pub use ids::{GroupName, Height, InvalidName, PlanId, ReleaseName, RunId, SnapshotId, UnitName};
pub use moment::{Moment, utc};
pub use occasion::{AfterUpgrade, Occasion};
pub use plan::{FailurePolicy, Origin, Plan, Trigger};
pub use problem::{Lasting, Problem};
pub use record::Record;
pub use settings::{
    BackOff, CrashLoop, EngineSettings, KeepMethod, Lifetime, RestartPolicy, StallPolicy, StartAfter, StartWhen,
    StopRule, UnitRules, UpgradeRules, WhenLooping, WhenUnhealthy,
};
pub use span::{ByteSize, InvalidSpan, Span, counted};
pub use step::{Direction, Step};
pub use unit::{ExitStatus, ParkReason, UnitState};
