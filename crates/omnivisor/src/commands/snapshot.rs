//! `snapshot create|list|verify|restore|remove`.

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::Path;

use ov_client::Client;
use ov_types::api::{NewSnapshot, RestoreSnapshot, SnapshotReport, SnapshotStatus, Status};
use ov_types::{ExitCode, Height, SnapshotId};

use super::acknowledge;
use crate::args::SnapshotCommand;
use crate::failure::Failure;
use crate::output::{self, Console, Look, Tone};
use crate::session::Session;

/// Longer than any node's name.
const ANSWER_BYTES_MAX: usize = 4_096;

pub(super) fn snapshot(session: &Session, command: SnapshotCommand) -> Result<(), Failure> {
    match command {
        SnapshotCommand::Create { reason } => {
            session.console.say(Tone::Faint, "taking a snapshot of the data …");
            acknowledge(session, &session.ask(|client| client.take_snapshot(&NewSnapshot { reason }))?)
        }
        SnapshotCommand::List => {
            let snapshots = session.ask(Client::snapshots)?;
            if snapshots.is_empty() {
                session.console.say(Tone::Faint, "there is no snapshot");
            }
            session.console.result(&snapshots, |snapshots, look| output::snapshot_list(snapshots, look))
        }
        SnapshotCommand::Verify { snapshot } => verify(session, &snapshot),
        SnapshotCommand::Restore { snapshot, confirm, height } => restore(session, &snapshot, confirm, height),
        SnapshotCommand::Remove { snapshot } => {
            acknowledge(session, &session.ask(|client| client.remove_snapshot(&snapshot))?)
        }
    }
}

fn verify(session: &Session, snapshot: &SnapshotId) -> Result<(), Failure> {
    session.console.say(Tone::Faint, "reading every file of the snapshot …");
    let report = session.ask(|client| client.verify_snapshot(snapshot))?;
    session.console.result(&report, |report, look| {
        let style = look.style;
        report_text(report, |tone, text| style.paint(tone, text))
    })?;
    if report.problems.is_empty() { Ok(()) } else { Err(Failure::silent(ExitCode::Failed)) }
}

fn report_text(report: &SnapshotReport, paint: impl Fn(Tone, String) -> String) -> String {
    let mut text = String::new();
    for problem in &report.problems {
        let _ = writeln!(text, "{}", paint(Tone::Bad, output::one_line(problem)));
    }
    let count = report.problems.len();
    let (tone, verdict) =
        if count == 0 { (Tone::Good, "as it was taken".to_owned()) } else { (Tone::Bad, format!("{count} problems")) };
    let line = format!("snapshot {}: {} files, {verdict}", report.id, report.files);
    let _ = writeln!(text, "{}", paint(tone, line));
    text
}

fn restore(
    session: &Session,
    snapshot: &SnapshotId,
    confirm: Option<String>,
    height: Option<Height>,
) -> Result<(), Failure> {
    let confirm = match confirm {
        Some(confirm) => confirm,
        None if Console::is_interactive() => ask_for_name(session, snapshot)?,
        None => {
            let hint = "confirm it with `--confirm NODE`, where NODE is the name that `omnivisor status` shows";
            return Err(Failure::usage(format!("restore snapshot {snapshot} without a confirmation"), hint));
        }
    };
    let confirmation = RestoreSnapshot { confirm, height };
    acknowledge(session, &session.ask(|client| client.restore_snapshot(snapshot, &confirmation))?)
}

fn ask_for_name(session: &Session, snapshot: &SnapshotId) -> Result<String, Failure> {
    let status = session.ask(Client::status)?;
    let known = session.ask(Client::snapshots)?.into_iter().find(|known| known.id == *snapshot);
    let known = known.ok_or_else(|| {
        Failure::usage(format!("find snapshot {snapshot}"), "`omnivisor snapshot list` shows all there are")
    })?;
    Console::tell(&question(&status, &known, &session.console.talk_look()));
    let mut answer = String::new();
    let mut input = std::io::Read::take(std::io::stdin().lock(), ANSWER_BYTES_MAX as u64);
    input.read_line(&mut answer).map_err(|error| Failure::file("read", Path::new("standard input"), &error))?;
    Ok(answer.trim().to_owned())
}

/// What is about to happen, for whoever may still think better of it.
fn question(status: &Status, snapshot: &SnapshotStatus, look: &Look) -> String {
    let now = status.height.map(|height| format!(", now at height {height},")).unwrap_or_default();
    let of = snapshot.release.as_ref().map(|release| format!(" of {release}")).unwrap_or_default();
    let then = snapshot.height.map(|height| format!(" at height {height}")).unwrap_or_default();
    let (node, id, taken) = (output::one_line(&status.node), &snapshot.id, look.clock.both(snapshot.taken_ms));
    format!(
        "The data of node `{node}`{now} gives way to snapshot {id}{of}{then}, taken {taken}.\nIt is kept beside it. Type \
         the node's name to go on: "
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn whoever_restores_is_told_what_goes_and_what_comes() {
        let snapshot = SnapshotStatus {
            id: SnapshotId::new("s1").unwrap(),
            taken_ms: sample::NOON_MS - 3_600_000,
            release: Some(sample::release("v1")),
            height: Some(Height(1_230_000)),
            reason: String::new(),
            files: 35,
            bytes: 1,
            how: String::new(),
            complete: true,
        };
        assert_eq!(
            question(&sample::status(), &snapshot, &sample::look()),
            "The data of node `alpha`, now at height 1234600, gives way to snapshot s1 of v1 at height 1230000, taken 1h \
             ago (11:00:00).\nIt is kept beside it. Type the node's name to go on: "
        );
    }

    #[test]
    fn a_report_names_every_problem_and_counts_them() {
        let mut report = SnapshotReport { id: SnapshotId::new("s1").unwrap(), problems: Vec::new(), files: 35 };
        assert_eq!(report_text(&report, |_, text| text), "snapshot s1: 35 files, as it was taken\n");
        report.problems.push("blocks/1.blk differs".to_owned());
        assert_eq!(report_text(&report, |_, text| text), "blocks/1.blk differs\nsnapshot s1: 35 files, 1 problems\n");
    }
}
