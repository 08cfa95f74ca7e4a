//! The comparison with Cosmovisor: upgrades of the same fake chain, and what it costs to wait for one.

mod idle;
mod subject;
mod upgrades;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};

use super::Conditions;
use super::document::Document;
use super::facts;
use super::quiet::{self, Patience, Quiet};
use super::report::{self, Aim, Cell, OURS, Row, percentile};
use crate::e2e::parts::{self, NotHere};
use crate::{Verdict, report as say};
use subject::Subject;
use upgrades::{Foresight, Upgrade};

const DOCUMENT: Document = Document { name: "cosmos", title: "Omnivisor beside Cosmovisor" };
const THEIRS: &str = "cosmovisor";
/// How many upgrades follow each other, by the size of the data: what is copied has to have room.
const UPGRADES_IN_A_ROW: usize = 10;
const UPGRADES_WITH_DATA: usize = 3;
/// What has to stay free on the disk.
const SPARE_GIB: u64 = 8;

/// How to compare with Cosmovisor.
#[derive(Debug, Args)]
pub(crate) struct Cosmos {
    /// Measure these only, print them, and write no document.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// How large the data of the nodes is.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 2, 10])]
    gib: Vec<u64>,
    #[command(flatten)]
    conditions: Conditions,
}

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Upgrades,
    Idle,
}

/// Everything a measurement needs.
struct Bench {
    subjects: [Subject; 2],
    folder: PathBuf,
    patience: Patience,
}

/// Runs the comparison and writes it down.
pub(super) fn run(root: &Path, options: &Cosmos) -> Result<Verdict> {
    let original = match parts::original(&root.join("target/e2e/cosmos")) {
        Ok(original) => original,
        Err(error) => {
            say(&format!("not run: {}", error.downcast::<NotHere>()?.0));
            return Ok(Verdict::NotRun);
        }
    };
    let ours = match &options.conditions.program {
        Some(program) => fs::canonicalize(program).context("find our program")?,
        None => parts::ours(root, true)?,
    };
    let (folder, patience) = (options.conditions.make_folder()?, options.conditions.patience());
    let mut facts = facts::of_machine(&folder);
    facts.push((THEIRS.to_owned(), original.version.to_owned()));
    let subjects = [(OURS, ours.clone()), (THEIRS, original.program)];
    let subjects = subjects.map(|(name, supervisor)| Subject { name, supervisor, node: ours.clone() });
    let bench = Bench { subjects, folder: folder.clone(), patience };
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    let mut rows = Vec::new();
    let mut add = |new: Vec<Row>| -> Result<()> {
        say(&report::table(&new));
        rows.extend(new);
        // After each part: what was measured is not lost with what was not.
        if options.only.is_empty() { DOCUMENT.write(root, &facts, &rows) } else { Ok(()) }
    };
    if wants(Part::Idle) {
        add(bench.idle())?;
    }
    for gib in options.gib.iter().filter(|_| wants(Part::Upgrades)) {
        add(bench.upgrades(*gib))?;
    }
    fs::remove_dir_all(&folder).context("remove the folder worked in")?;
    Ok(Verdict::Passed)
}

type Measured<T> = Result<Quiet<T>, String>;

impl Bench {
    /// Measures one after the other.
    fn each<T>(&self, measure: impl Fn(&Subject, &Path) -> Result<T>) -> Vec<(&'static str, Measured<T>)> {
        self.subjects.iter().map(|subject| self.one(subject, &measure)).collect()
    }

    /// Measures one as quietly as it can be had, in a folder that is gone afterwards.
    fn one<T>(&self, subject: &Subject, measure: impl Fn(&Subject, &Path) -> Result<T>) -> (&'static str, Measured<T>) {
        say(&format!("… {}", subject.name));
        let attempt = || {
            let folder = self.folder.join(subject.name);
            fs::create_dir_all(&folder).context("make a folder")?;
            let result = measure(subject, &folder);
            let _ = fs::remove_dir_all(&folder);
            result
        };
        (subject.name, quiet::measure(self.patience, attempt).map_err(|error| format!("{error:#}")))
    }

    fn idle(&self) -> Vec<Row> {
        say("waiting for an upgrade that is far away");
        let all = self.each(idle::idle);
        let megabytes = |kib: u64| number(kib) * 1.024 / 1e3;
        vec![
            row("memory while a plan waits (PSS)", "MB", 1, Some(Aim::TimesLess(4.0)), &all, |it| {
                megabytes(it.cost.pss_kib)
            }),
            row("memory while a plan waits (RSS)", "MB", 1, None, &all, |it| megabytes(it.cost.rss_kib)),
            row("processes that look after the node", "", 0, None, &all, |it| number(it.cost.processes as u64)),
            row("processor while a plan waits", "ms/minute", 1, None, &all, |it| it.processor_ms_per_minute),
            row("processes started while a plan waits", "per minute", 1, Some(Aim::AtMost(0.0)), &all, |it| {
                it.started_per_minute
            }),
        ]
    }

    fn upgrades(&self, gib: u64) -> Vec<Row> {
        let count = if gib == 0 { UPGRADES_IN_A_ROW } else { UPGRADES_WITH_DATA };
        say(&format!("{count} upgrades with {gib} GiB of data"));
        let measure = |foresight: Foresight| {
            move |subject: &Subject, folder: &Path| {
                has_room(folder, gib)?;
                upgrades::upgrades(subject, folder, gib << 30, count, foresight)
            }
        };
        let all = self.each(measure(Foresight::None));
        // The original has no way to be told of several ahead, and nothing that it would do then.
        let mut ahead = vec![self.one(&self.subjects[0], measure(Foresight::Scheduled))];
        ahead.extend(all.iter().filter(|(who, _)| *who != OURS).cloned());
        let what = |name: &str| format!("{name}, {gib} GiB, median of {count}");
        let at = |of: fn(&Upgrade) -> f64| move |all: &Vec<Upgrade>| median(all, of);
        let downtime_aim = (gib == 2).then_some(Aim::TimesLess(50.0));
        let detection_aim = (gib == 0).then_some(Aim::AtMost(20.0));
        vec![
            row(&what("plan written to noticed"), "ms", 1, detection_aim, &all, at(|it| it.noticed_ms)),
            row(&what("plan written to old process gone"), "ms", 1, None, &all, at(|it| it.stopped_ms)),
            row(&what("old process gone to new one running"), "ms", 1, downtime_aim, &all, at(|it| it.gap_ms)),
            row(&what("plan written to new process running"), "ms", 1, downtime_aim, &all, at(|it| it.whole_ms)),
            row(&what("the same, ours knowing of it ahead"), "ms", 1, downtime_aim, &ahead, at(|it| it.whole_ms)),
        ]
    }
}

/// The data, and what the original copies of it: one folder for all that happens on one day.
fn has_room(folder: &Path, gib: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(folder).context("look at the disk")?;
    let free_gib = (disk.f_bavail * disk.f_frsize) >> 30;
    let needed_gib = 2 * gib + SPARE_GIB;
    ensure!(free_gib >= needed_gib, "find room: {needed_gib} GiB are needed, {free_gib} GiB are free");
    Ok(())
}

fn median(all: &[Upgrade], of: fn(&Upgrade) -> f64) -> f64 {
    percentile(&all.iter().map(of).collect::<Vec<f64>>(), 50).unwrap_or(f64::NAN)
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn row<T>(
    what: &str,
    unit: &'static str,
    decimals: usize,
    aim: Option<Aim>,
    all: &[(&'static str, Measured<T>)],
    of: impl Fn(&T) -> f64,
) -> Row {
    let cell = |(who, measured): &(&'static str, Measured<T>)| Cell {
        who,
        value: measured.as_ref().map(|quiet| of(&quiet.value)).map_err(Clone::clone),
        others: measured.as_ref().map_or(0.0, |quiet| quiet.others),
    };
    Row { what: what.to_owned(), unit, decimals, aim, cells: all.iter().map(cell).collect() }
}
