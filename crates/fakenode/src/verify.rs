//! Reading what nodes left behind, and saying whether all of it is true.
//!
//! It only reads. A node that is running may seal a segment meanwhile, so verify a stopped one.

use crate::block::Block;
use crate::bulk;
use crate::error::Error;
use crate::sign::{self, Violation};
use crate::store::{CURRENT_CONTENT, Paths};
use crate::switches::Switches;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Blocks in a row that the same version made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSpan {
    /// The version, cut to 16 bytes.
    pub version: String,
    /// Its first height of the span.
    pub from: u64,
    /// Its last height of the span.
    pub to: u64,
}

/// What a data directory holds, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// The data format marker.
    pub format: u64,
    /// Height of the first block, 0 if there is none.
    pub first_height: u64,
    /// Height of the last block, 0 if there is none.
    pub last_height: u64,
    /// Sealed write-once files with blocks.
    pub segments: u64,
    /// Write-once files made to fill space.
    pub bulk_files: u64,
    /// Who made which blocks.
    pub versions: Vec<VersionSpan>,
    /// How many signatures were given, and the highest height among them.
    pub signatures: u64,
    /// The highest height that was signed, 0 if none.
    pub signed_height: u64,
    /// Rules of a validator that were broken; each makes the report not ok.
    pub violations: Vec<Violation>,
    /// Everything else that is wrong.
    pub problems: Vec<String>,
}

/// Checks a home: its data directory, its sign state and its violations.
pub fn verify_home(home: &Path) -> Result<Report, Error> {
    let mut report = verify_data(&home.join("data"))?;
    let signed = sign::read_signed_heights(home)?;
    report.signatures = signed.len() as u64;
    report.signed_height = signed.iter().copied().max().unwrap_or(0);
    let state_height = sign::read_state_height(&home.join(Switches::default().state_file))?.unwrap_or(0);
    if state_height < report.signed_height {
        let (state, signed) = (state_height, report.signed_height);
        report.problems.push(format!("the sign state is at height {state}, but height {signed} was signed"));
    }
    report.violations = sign::read_violations(home)?;
    report.ok = report.problems.is_empty() && report.violations.is_empty();
    Ok(report)
}

/// Checks a data directory alone, such as a snapshot.
pub fn verify_data(data: &Path) -> Result<Report, Error> {
    let paths = Paths::new(data);
    let mut report = Report { segments: paths.count_segments(), ..Report::default() };
    match paths.format()? {
        Some(format) => report.format = format,
        None => report.problems.push("there is no format marker".to_owned()),
    }
    let mut manifest_heights = vec![0];
    for number in 1..=report.segments {
        match paths.read_segment(number) {
            Ok(blocks) => take_blocks(&mut report, &blocks, &format!("segment {number}")),
            Err(error) => report.problems.push(error.to_string()),
        }
        manifest_heights.push(report.last_height);
    }
    check_manifest(&paths, &manifest_heights, &mut report);
    let sealed_height = report.last_height;
    match paths.read_log() {
        Ok((blocks, _torn)) => {
            let unsealed: Vec<Block> = blocks.into_iter().filter(|block| block.height > sealed_height).collect();
            take_blocks(&mut report, &unsealed, "the log");
        }
        Err(error) => report.problems.push(error.to_string()),
    }
    report.bulk_files = bulk::check(&paths.blocks(), &mut report.problems);
    report.ok = report.problems.is_empty();
    Ok(report)
}

fn take_blocks(report: &mut Report, blocks: &[Block], place: &str) {
    for block in blocks {
        if report.first_height == 0 {
            report.first_height = block.height;
        } else if block.height != report.last_height + 1 {
            report.problems.push(format!("{place}: height {} follows {}", block.height, report.last_height));
        }
        if block.format != report.format {
            let (found, marker) = (block.format, report.format);
            report.problems.push(format!("{place}: height {} has format {found} instead of {marker}", block.height));
        }
        report.last_height = block.height;
        match report.versions.last_mut() {
            Some(span) if span.version == block.version => span.to = block.height,
            _ => report.versions.push(VersionSpan {
                version: block.version.clone(),
                from: block.height,
                to: block.height,
            }),
        }
    }
}

/// The manifest may be one segment behind, after a crash between the two; it is never ahead.
fn check_manifest(paths: &Paths, heights: &[u64], report: &mut Report) {
    let behind = report.segments.saturating_sub(1);
    let found = match paths.read_manifest() {
        Ok(Some(found)) => found,
        Ok(None) => return report.problems.push("there is no manifest".to_owned()),
        Err(error) => return report.problems.push(error.to_string()),
    };
    let height = usize::try_from(found.segments).ok().and_then(|at| heights.get(at).copied());
    let plausible =
        (behind..=report.segments).contains(&found.segments) && (found.segments == 0 || height == Some(found.height));
    if !plausible {
        let (segments, last) = (report.segments, heights.last().copied().unwrap_or(0));
        report.problems.push(format!(
            "the manifest names {} segments up to height {}, there are {segments} up to {last}",
            found.segments, found.height
        ));
    }
    if std::fs::read(paths.of("CURRENT")).ok().as_deref() != Some(CURRENT_CONTENT) {
        report.problems.push("CURRENT does not name the manifest".to_owned());
    }
}
