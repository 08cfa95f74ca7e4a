//! What is counted about one node, in a registry that its node task owns, for Prometheus to read.
//!
//! Most numbers follow from the event stream: [`Metrics::observe`] is told every event. The rest is set. Ages and
//! remaining times are exposed as points in time, so that nothing has to wake up to keep them right. Nothing here
//! reads a clock or asks the node anything.

use std::fmt;
use std::sync::atomic::AtomicU64;

use ov_types::api::{PlanPhase, PlanStatus, SnapshotStatus};
use ov_types::record::Outcome;
use ov_types::{EventKind, Height, Moment, UnitName};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

type Seconds = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfUnit {
    unit: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfExit {
    unit: String,
    expected: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfPhase {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfResult {
    result: &'static str,
}

/// The phases that a plan which is not over can be in.
const PHASES: [&str; 5] = ["queued", "forward", "armed", "backward", "needs-operator"];

/// The numbers of one node.
pub struct Metrics {
    registry: Registry,
    unit_up: Family<OfUnit, Gauge>,
    unit_launches: Family<OfUnit, Counter>,
    unit_exits: Family<OfExit, Counter>,
    output_lost_bytes: Family<OfUnit, Counter>,
    height: Gauge,
    height_moved: Seconds,
    plans: Family<OfPhase, Gauge>,
    upgrade_due: Seconds,
    upgrade_gap: Seconds,
    upgrades: Family<OfOutcome, Counter>,
    snapshots: Gauge,
    snapshot_bytes: Gauge,
    events_unwritten: Gauge,
    webhooks: Family<OfResult, Counter>,
}

impl Metrics {
    /// Fresh numbers of this node.
    pub fn new(version: &str, node: &str, chain: &str) -> Self {
        let info = [("version", version), ("node", node), ("chain", chain)];
        let info = Info::new(info.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec());
        let mut registry = Registry::with_prefix("omnivisor");
        registry.register("daemon", "The daemon that answers, and its node", info);
        let mut metrics = Self {
            registry,
            unit_up: Family::default(),
            unit_launches: Family::default(),
            unit_exits: Family::default(),
            output_lost_bytes: Family::default(),
            height: Gauge::default(),
            height_moved: Seconds::default(),
            plans: Family::default(),
            upgrade_due: Seconds::default(),
            upgrade_gap: Seconds::default(),
            upgrades: Family::default(),
            snapshots: Gauge::default(),
            snapshot_bytes: Gauge::default(),
            events_unwritten: Gauge::default(),
            webhooks: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("unit_up", "Whether the unit's process runs", self.unit_up.clone());
        registry.register("unit_launches", "Launches of the unit", self.unit_launches.clone());
        registry.register("unit_exits", "Ends of the unit's process", self.unit_exits.clone());
        registry.register("output_lost_bytes", "Output that could not be kept", self.output_lost_bytes.clone());
        registry.register("height", "The last height seen", self.height.clone());
        let moved = self.height_moved.clone();
        registry.register("height_moved_timestamp_seconds", "When the height last moved; zero before that", moved);
        registry.register("plans", "Plans that are not over", self.plans.clone());
        let due = self.upgrade_due.clone();
        registry.register("upgrade_due_timestamp_seconds", "When the armed upgrade is expected; zero if none", due);
        let gap = self.upgrade_gap.clone();
        registry.register("upgrade_gap_seconds", "Time without a process in the last upgrade", gap);
        registry.register("upgrades", "Upgrades that are over", self.upgrades.clone());
        registry.register("snapshots", "Snapshots that are kept", self.snapshots.clone());
        registry.register("snapshot_bytes", "Their size, as restored", self.snapshot_bytes.clone());
        registry.register("events_unwritten", "Events that are not on disk", self.events_unwritten.clone());
        registry.register("webhooks", "Notifications sent", self.webhooks.clone());
    }

    /// Counts what follows from an event.
    pub fn observe(&self, event: &EventKind) {
        match event {
            EventKind::DaemonStarted { adopted, .. } => adopted.iter().for_each(|unit| self.unit_up(unit, true)),
            EventKind::UnitStarted { unit, .. } => {
                self.unit_up(unit, true);
                self.unit_launches.get_or_create(&of(unit)).inc();
            }
            EventKind::UnitExited { unit, expected, .. } => {
                self.unit_up(unit, false);
                let expected = if *expected { "true" } else { "false" };
                self.unit_exits.get_or_create(&OfExit { unit: unit.to_string(), expected }).inc();
            }
            EventKind::OutputLost { unit, bytes, .. } => {
                self.output_lost_bytes.get_or_create(&of(unit)).inc_by(*bytes);
            }
            EventKind::UpgradeEnded { outcome, gap_ms, .. } => {
                self.upgrades.get_or_create(&OfOutcome { outcome: word(*outcome) }).inc();
                if let Some(gap_ms) = gap_ms {
                    self.upgrade_gap.set(seconds(i64::try_from(*gap_ms).unwrap_or(i64::MAX)));
                }
            }
            _ => {}
        }
    }

    /// Whether a unit's process runs.
    pub fn unit_up(&self, unit: &UnitName, up: bool) {
        self.unit_up.get_or_create(&of(unit)).set(i64::from(up));
    }

    /// There is no such unit any more.
    pub fn unit_gone(&self, unit: &UnitName) {
        self.unit_up.remove(&of(unit));
    }

    /// The height moved to `height`.
    pub fn height(&self, height: Height, at: Moment) {
        self.height.set(count(height.0));
        self.height_moved.set(seconds(at.wall_ms));
    }

    /// These plans are not over; an armed one tells when it is due.
    pub fn plans(&self, plans: &[PlanStatus], now: Moment) {
        for phase in PHASES {
            let those = plans.iter().filter(|plan| phase_word(&plan.phase) == Some(phase));
            self.plans.get_or_create(&OfPhase { phase }).set(count(those.count() as u64));
        }
        let armed = plans.iter().filter(|plan| plan.phase == PlanPhase::Armed);
        let due_ms =
            armed.filter_map(|plan| plan.eta_ms).min().map(|eta_ms| now.wall_ms.saturating_add_unsigned(eta_ms));
        self.upgrade_due.set(due_ms.map_or(0.0, seconds));
    }

    /// These snapshots are kept.
    pub fn snapshots(&self, snapshots: &[SnapshotStatus]) {
        self.snapshots.set(count(snapshots.len() as u64));
        self.snapshot_bytes.set(count(snapshots.iter().map(|snapshot| snapshot.bytes).sum()));
    }

    /// A notification was delivered, or given up.
    pub fn webhook(&self, delivered: bool) {
        let result = if delivered { "delivered" } else { "failed" };
        self.webhooks.get_or_create(&OfResult { result }).inc();
    }

    /// Everything in the text format of OpenMetrics.
    pub fn encode(&self, events_unwritten: u64) -> Result<String, fmt::Error> {
        self.events_unwritten.set(count(events_unwritten));
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn of(unit: &UnitName) -> OfUnit {
    OfUnit { unit: unit.to_string() }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Committed => "committed",
        Outcome::RolledBack => "rolled-back",
        Outcome::Withdrawn => "withdrawn",
        Outcome::Superseded => "superseded",
    }
}

fn phase_word(phase: &PlanPhase) -> Option<&'static str> {
    Some(match phase {
        PlanPhase::Queued => "queued",
        PlanPhase::Forward { .. } => "forward",
        PlanPhase::Armed => "armed",
        PlanPhase::Backward { .. } => "backward",
        PlanPhase::NeedsOperator { .. } => "needs-operator",
        PlanPhase::Ended { .. } | PlanPhase::Unknown => return None,
    })
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "exact for every time within 285,000 years of 1970")]
fn seconds(milliseconds: i64) -> f64 {
    milliseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_types::{ExitStatus, PlanId, ReleaseName, RunId};

    fn line(metrics: &Metrics, name: &str) -> Option<String> {
        let text = metrics.encode(0).unwrap();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
    }

    #[test]
    fn numbers_follow_from_events() {
        let metrics = Metrics::new("1.2.3", "alpha", "generic");
        let unit = UnitName::main();
        assert_eq!(line(&metrics, "omnivisor_unit_up{unit=\"main\"}"), None);
        metrics.observe(&EventKind::UnitStarted { unit: unit.clone(), run: RunId(1), pid: 7 });
        assert_eq!(line(&metrics, "omnivisor_unit_up{unit=\"main\"}").as_deref(), Some("1"));
        let status = Some(ExitStatus::Code(1));
        metrics.observe(&EventKind::UnitExited { unit: unit.clone(), status, expected: false });
        metrics.observe(&EventKind::OutputLost { unit, bytes: 9, reason: String::new() });
        assert_eq!(line(&metrics, "omnivisor_unit_up{unit=\"main\"}").as_deref(), Some("0"));
        assert_eq!(line(&metrics, "omnivisor_unit_launches_total{unit=\"main\"}").as_deref(), Some("1"));
        let exits = "omnivisor_unit_exits_total{unit=\"main\",expected=\"false\"}";
        assert_eq!(line(&metrics, exits).as_deref(), Some("1"));
        assert_eq!(line(&metrics, "omnivisor_output_lost_bytes_total{unit=\"main\"}").as_deref(), Some("9"));
        metrics.observe(&EventKind::UpgradeEnded {
            plan: PlanId(1),
            release: ReleaseName::new("v2").unwrap(),
            outcome: Outcome::RolledBack,
            gap_ms: Some(1_500),
        });
        assert_eq!(line(&metrics, "omnivisor_upgrades_total{outcome=\"rolled-back\"}").as_deref(), Some("1"));
        assert_eq!(line(&metrics, "omnivisor_upgrade_gap_seconds").as_deref(), Some("1.5"));
    }

    #[test]
    fn every_number_is_shown_with_a_help_line() {
        let metrics = Metrics::new("1.2.3", "alpha", "generic");
        metrics.height(Height(42), Moment { monotonic_ms: 1, wall_ms: 2_500 });
        metrics.plans(&[], Moment::default());
        metrics.webhook(true);
        metrics.webhook(false);
        let text = metrics.encode(3).unwrap();
        assert!(
            text.contains("omnivisor_daemon_info{version=\"1.2.3\",node=\"alpha\",chain=\"generic\"} 1\n"),
            "{text}"
        );
        for line in [
            "omnivisor_height 42",
            "omnivisor_height_moved_timestamp_seconds 2.5",
            "omnivisor_plans{phase=\"armed\"} 0",
            "omnivisor_events_unwritten 3",
            "omnivisor_webhooks_total{result=\"delivered\"} 1",
            "omnivisor_webhooks_total{result=\"failed\"} 1",
        ] {
            assert!(text.lines().any(|shown| shown == line), "no `{line}` in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
