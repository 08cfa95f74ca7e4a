//! Events, findings, releases and snapshots as text.

use std::fmt::Write as _;

use ov_types::api::{DoctorReport, ReleaseStatus, SnapshotStatus};
use ov_types::{Event, Problem, Severity, counted};

use super::style::{importance_tone, severity_tone};
use super::table::{Cell, Table};
use super::{Look, Tone, hanging, one_line, size};

/// One event as one line with its line end.
pub(crate) fn event(event: &Event, look: &Look) -> String {
    let at = look.style.paint(Tone::Faint, look.clock.absolute(event.at_ms));
    let index = look.style.paint(Tone::Faint, format!("{:>6}", event.index));
    let text = look.style.paint(importance_tone(event.kind.importance()), one_line(&event.kind.to_string()));
    format!("{at} {index}  {text}\n")
}

/// Why something failed, in what state that left the node, and what to do next: one line each, where there is one.
pub(crate) fn reasons(problem: &Problem, look: &Look) -> String {
    let causes = problem.causes.iter().map(|cause| ("because:", cause));
    let lines = causes.chain([("state:", &problem.state), ("next:", &problem.hint)]);
    let line = |(name, value): (&str, &String)| {
        let value = hanging(&one_line(value), 11, 11, look);
        format!("  {} {value}\n", look.style.paint(Tone::Faint, format!("{name:<8}")))
    };
    lines.filter(|(_, value)| !value.is_empty()).map(line).collect()
}

/// `omnivisor doctor`: the worst last, where it is seen.
pub(crate) fn doctor(report: &DoctorReport, look: &Look) -> String {
    let mut findings: Vec<_> = report.findings.iter().collect();
    findings.sort_by_key(|finding| finding.severity);
    let mut text = String::new();
    let width = findings.iter().map(|finding| finding.id.chars().count()).max().unwrap_or_default();
    for finding in findings {
        let mark = look.style.paint(severity_tone(finding.severity), format!("{:<7}", word(finding.severity)));
        let id = look.style.paint(Tone::Strong, format!("{:<width$}", one_line(&finding.id)));
        let message = one_line(&format!("{}: {}", finding.subject, finding.message));
        let _ = writeln!(text, "{mark} {id}  {}", hanging(&message, 10 + width, 8, look));
        if !finding.fix.is_empty() {
            let fix = hanging(&one_line(&finding.fix), 14, 14, look);
            let _ = writeln!(text, "        {} {fix}", look.style.paint(Tone::Faint, "next:"));
        }
    }
    let count = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = [
        format!("{} ok", count(Severity::Ok)),
        format!("{} unknown", count(Severity::Unknown)),
        counted(count(Severity::Warning), "warning"),
        counted(count(Severity::Error), "error"),
    ];
    text.push_str(&look.style.paint(severity_tone(report.worst), counts.join(", ")));
    text.push('\n');
    text
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Ok => "ok",
        Severity::Unknown => "unknown",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// `omnivisor release show`.
pub(crate) fn release(release: &ReleaseStatus, look: &Look) -> String {
    let mut lines = vec![
        ("release", release.name.to_string()),
        ("state", release_state(release).1.to_owned()),
        ("size", size(release.bytes)),
        ("staged", release.staged_ms.map(|at| look.clock.both(at)).unwrap_or_default()),
        ("source", release.source.clone().unwrap_or_default()),
    ];
    if let Some(fetched) = &release.fetched {
        let unsaid = || "none was given: nothing said what it should be".to_owned();
        lines.extend([
            ("fetched", format!("{} from {}", size(fetched.bytes), fetched.address)),
            ("sha256", fetched.sha256.clone()),
            ("checksum", fetched.checksum.clone().unwrap_or_else(unsaid)),
            ("signed by", fetched.signer.clone().unwrap_or_else(|| "nobody was asked for".to_owned())),
        ]);
    }
    let line = |(name, text): (&str, String)| {
        format!("{} {}\n", look.style.paint(Tone::Faint, format!("{name:<10}")), one_line(&text))
    };
    lines.into_iter().filter(|(_, text)| !text.is_empty()).map(line).collect()
}

fn release_state(release: &ReleaseStatus) -> (Tone, &'static str) {
    match (release.current, release.complete) {
        (true, true) => (Tone::Good, "current"),
        (true, false) => (Tone::Bad, "current, incomplete"),
        (false, true) => (Tone::Plain, "staged"),
        (false, false) => (Tone::Bad, "incomplete"),
    }
}

/// `omnivisor release list`.
pub(crate) fn release_list(releases: &[ReleaseStatus], look: &Look) -> String {
    let mut table = Table::new(["RELEASE", "STATE", "SIZE", "STAGED", "SOURCE"]);
    for release in releases {
        let (tone, state) = release_state(release);
        table.row([
            Cell::new(Tone::Strong, release.name.as_str()),
            Cell::new(tone, state),
            size(release.bytes).into(),
            release.staged_ms.map(|at| look.clock.both(at)).unwrap_or_default().into(),
            release.source.clone().unwrap_or_default().into(),
        ]);
    }
    table.render(look)
}

/// `omnivisor snapshot list`.
pub(crate) fn snapshot_list(snapshots: &[SnapshotStatus], look: &Look) -> String {
    let mut table = Table::new(["SNAPSHOT", "TAKEN", "RELEASE", "HEIGHT", "SIZE", "FILES", "HOW", "REASON"]);
    for snapshot in snapshots {
        let (tone, how) =
            if snapshot.complete { (Tone::Plain, snapshot.how.clone()) } else { (Tone::Bad, "incomplete".to_owned()) };
        table.row([
            Cell::new(Tone::Strong, snapshot.id.as_str()),
            look.clock.both(snapshot.taken_ms).into(),
            snapshot.release.as_ref().map(ToString::to_string).unwrap_or_default().into(),
            snapshot.height.map(|height| height.to_string()).unwrap_or_default().into(),
            size(snapshot.bytes).into(),
            snapshot.files.to_string().into(),
            Cell::new(tone, how),
            snapshot.reason.clone().into(),
        ]);
    }
    table.render(look)
}
