//! Arguments of the commands about plans, upgrades, releases and snapshots.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use ov_types::{FailurePolicy, Height, PlanId, ReleaseName, SnapshotId, Span};

use super::trigger::{self, When};

/// `omnivisor plan …`.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// List plans that are not over
    List {
        /// Also those that are
        #[arg(long)]
        all: bool,
    },
    /// Go to a release at a height, at a time, or now
    #[command(after_help = super::help::PLAN_ADD)]
    Add(NewPlanArgs),
    /// Put another plan in the place of one
    Replace {
        /// The plan that goes
        #[arg(value_parser = plan_id)]
        plan: PlanId,
        #[command(flatten)]
        new: NewPlanArgs,
    },
    /// Take a plan back; nothing of it remains
    Cancel {
        /// The plan
        #[arg(value_parser = plan_id)]
        plan: PlanId,
    },
}

/// What to go to, and when.
#[derive(Debug, Args)]
pub(crate) struct NewPlanArgs {
    /// The release to go to
    #[arg(long, value_name = "NAME")]
    pub(crate) release: ReleaseName,
    #[command(flatten)]
    pub(crate) when: WhenArgs,
    /// Stage the release from this program file, folder or address (http, https, file, s3::, gcs::)
    #[arg(long, value_name = "PATH")]
    pub(crate) from: Option<PathBuf>,
    /// The SHA-256 that its program must have
    #[arg(long, value_name = "DIGEST", value_parser = sha256)]
    pub(crate) sha256: Option<String>,
    /// When it cannot be proven: go back to the old release, or keep the new one and try again ever more slowly
    /// [default: as configured]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub(crate) on_failure: Option<FailureChoice>,
    /// Take no snapshot of the data first
    #[arg(long)]
    pub(crate) no_keep: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// Exactly one trigger.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhenArgs {
    /// When the node reaches this height
    #[arg(long, value_parser = height)]
    height: Option<Height>,
    /// At this time, such as 2026-11-20T16:00:00Z, or in +2h
    #[arg(long, value_parser = trigger::time)]
    time: Option<When>,
    /// As soon as everything is prepared
    #[arg(long)]
    now: bool,
}

impl WhenArgs {
    /// The one that was given.
    pub(crate) fn when(&self) -> When {
        match (self.height, self.time) {
            (Some(height), _) => When::Height(height),
            (None, Some(time)) => time,
            (None, None) => When::Now,
        }
    }
}

/// What to do when a release cannot be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailureChoice {
    // Go back to the old release.
    Rollback,
    // Keep the new release and try again, ever more slowly.
    Hold,
}

impl From<FailureChoice> for FailurePolicy {
    fn from(choice: FailureChoice) -> Self {
        match choice {
            FailureChoice::Rollback => FailurePolicy::Rollback,
            FailureChoice::Hold => FailurePolicy::Hold,
        }
    }
}

/// Whether to wait until something is over.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct WaitArgs {
    /// Return when it is over, at the latest after SPAN; the exit code says how it ended
    #[arg(long, value_name = "SPAN", num_args = 0..=1, require_equals = true, default_missing_value = "forever")]
    #[arg(value_parser = patience)]
    pub(crate) wait: Option<Patience>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Until it is over.
    Forever,
    /// At most this many milliseconds.
    Within(u64),
}

fn patience(text: &str) -> Result<Patience, String> {
    if text == "forever" {
        return Ok(Patience::Forever);
    }
    text.parse::<Span>().map(|span| Patience::Within(span.ms())).map_err(|error| error.to_string())
}

/// `omnivisor upgrade …`.
#[derive(Debug, Subcommand)]
pub(crate) enum UpgradeCommand {
    /// Stage a release and examine it; nothing visible changes
    Prepare {
        /// The release
        release: ReleaseName,
        /// The program file or folder that becomes the release, or an address (http, https, file, s3::, gcs::)
        /// [default: where the configuration says that releases are found by their names]
        #[arg(long, value_name = "SOURCE")]
        from: Option<PathBuf>,
        /// The SHA-256 that its program must have
        #[arg(long, value_name = "DIGEST", value_parser = sha256)]
        sha256: Option<String>,
    },
    /// Carry a plan out now instead of at its trigger
    Apply(UpgradeArgs),
    /// Go back to the release before
    Rollback {
        /// The upgrade to undo [default: the one under way, else the last]
        #[arg(value_parser = plan_id)]
        plan: Option<PlanId>,
        #[command(flatten)]
        wait: WaitArgs,
    },
    /// Go on with an upgrade that needed an operator
    Retry(UpgradeArgs),
    /// Show what the journal says; works without a daemon too
    History {
        /// Only this upgrade
        #[arg(value_parser = plan_id)]
        plan: Option<PlanId>,
        /// Only records after this number
        #[arg(long, value_name = "NUMBER")]
        since: Option<u64>,
    },
}

/// Which upgrade, and whether to wait for it.
#[derive(Debug, Args)]
pub(crate) struct UpgradeArgs {
    /// The plan
    #[arg(value_parser = plan_id)]
    pub(crate) plan: PlanId,
    #[command(flatten)]
    pub(crate) wait: WaitArgs,
}

/// `omnivisor release …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReleaseCommand {
    /// List what is staged
    List,
    /// Show where one came from, and what was said for it
    Show {
        /// The release
        release: ReleaseName,
    },
    /// Remove one that neither runs nor is planned
    Remove {
        /// The release
        release: ReleaseName,
    },
}

/// `omnivisor snapshot …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SnapshotCommand {
    /// Take a snapshot of the data; returns when it is complete
    Create {
        /// Why, for whoever reads the list
        #[arg(long)]
        reason: Option<String>,
    },
    /// List snapshots
    List,
    /// Read every file of one and compare it with its manifest
    Verify {
        /// The snapshot
        snapshot: SnapshotId,
    },
    /// Put one in the place of the data
    Restore {
        /// The snapshot
        snapshot: SnapshotId,
        /// The node's name, as a sign that you mean it; asked for on a terminal
        #[arg(long, value_name = "NODE")]
        confirm: Option<String>,
        /// Its height, for a validator: the network goes on from there
        #[arg(long, value_name = "HEIGHT", value_parser = height)]
        height: Option<Height>,
    },
    /// Remove one
    Remove {
        /// The snapshot
        snapshot: SnapshotId,
    },
}

fn plan_id(text: &str) -> Result<PlanId, String> {
    text.parse().map(PlanId).map_err(|_| "a plan is named by its number; `omnivisor plan list` shows them".to_owned())
}

fn height(text: &str) -> Result<Height, String> {
    text.parse().map(Height).map_err(|_| "a height is a whole number".to_owned())
}

fn sha256(text: &str) -> Result<String, String> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a SHA-256 has 64 hexadecimal digits".to_owned())
    }
}
