//! The comparison of supervisors: what is measured, in which order, how often.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::crowd::{self, Programs};
use super::document::Document;
use super::log::Sink;
use super::peers::Peer;
use super::quiet::{self, Patience, Quiet};
use super::report::{self, Aim, Cell, OURS, Row, percentile};
use super::volume::{self, Volume};
use super::{Part, Supervise, facts, relaunch, switch};
use crate::report as say;

const IDLE_UNITS: usize = 20;
const IDLE_WINDOW: Duration = Duration::from_secs(20);
const KILLS: usize = 200;
const CROWD_UNITS: usize = 200;
const LOG_BYTES: u64 = 2 << 30;
/// In turns, so that none has the memory to itself that the one before it warmed; the median counts.
const LOG_ROUNDS: usize = 3;
const DATA_BYTES: u64 = 2 << 30;
const UPGRADES: usize = 12;
const MEMORY_FOLDER: &str = "/dev/shm";
const PACKAGES: &str = "s6 runit supervisor xfsprogs btrfs-progs";
const DOCUMENT: Document = Document { name: "supervise", title: "Omnivisor beside other supervisors" };

/// Everything a measurement needs.
struct Bench {
    programs: Programs,
    folder: PathBuf,
    patience: Patience,
    measured: u32,
}

/// Runs the comparison and writes it down.
pub(super) fn run(root: &Path, options: &Supervise) -> Result<bool> {
    look_for_peers(options.install)?;
    let programs = programs(root, options)?;
    let (folder, patience) = (options.conditions.make_folder()?, options.conditions.patience());
    let mut bench = Bench { programs, folder: folder.clone(), patience, measured: 0 };
    let wants = |part| options.only.is_empty() || options.only.contains(&part);
    let mut facts = facts::of_machine(&folder);
    facts.extend(facts::of_peers());
    let mut rows = Vec::new();
    let parts: [(Part, Measure); 5] = [
        (Part::Idle, Bench::idle),
        (Part::Relaunch, Bench::relaunch),
        (Part::Crowd, Bench::crowd),
        (Part::Log, Bench::log),
        (Part::Switch, Bench::switch),
    ];
    for (part, measure) in parts {
        if wants(part) {
            let new = measure(&mut bench);
            say(&report::table(&new));
            rows.extend(new);
        }
        if options.only.is_empty() {
            // After each part: what was measured is not lost with what was not.
            DOCUMENT.write(root, &facts, &rows)?;
        }
    }
    fs::remove_dir_all(&folder).context("remove the folder worked in")?;
    Ok(true)
}

fn look_for_peers(install: bool) -> Result<()> {
    let missing = Peer::ALL.iter().filter_map(|peer| peer.is_here().err().and(peer.package())).count();
    if missing > 0 && install {
        volume::tool(Command::new("apt-get").args(["install", "-y", "-q"]).args(PACKAGES.split(' ')))?;
    } else if missing > 0 {
        say(&format!("not everything is here to be compared with: apt-get install {PACKAGES}"));
    }
    Ok(())
}

/// Builds what is measured and what it looks after, as they are delivered.
fn programs(root: &Path, options: &Supervise) -> Result<Programs> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec().context("ask cargo")?;
    let built = metadata.target_directory.join("release");
    let mut packages = vec!["xtask"];
    if options.conditions.program.is_none() {
        packages.push("omnivisor");
    }
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--release", "--quiet"]).current_dir(root);
    for package in packages {
        build.args(["-p", package]);
    }
    ensure!(build.status().context("start cargo")?.success(), "build what is to be measured");
    let omnivisor = options.conditions.program.clone().unwrap_or_else(|| built.join("omnivisor").into());
    Ok(Programs {
        omnivisor: fs::canonicalize(omnivisor).context("find omnivisor")?,
        child: built.join("xtask").into(),
    })
}

impl Bench {
    /// Measures once more or less often, in a folder of its own, as quietly as it can be had.
    fn quietly<T>(
        &mut self,
        base: &Path,
        mut measure: impl FnMut(&Programs, &Path) -> Result<T>,
    ) -> Result<Quiet<T>, String> {
        let (programs, measured) = (&self.programs, &mut self.measured);
        let attempt = || {
            *measured += 1;
            let folder = base.join(format!("omnivisor-bench-{}-{measured}", std::process::id()));
            fs::create_dir_all(&folder).context("make a folder")?;
            let result = measure(programs, &folder);
            let _ = fs::remove_dir_all(&folder);
            result
        };
        quiet::measure(self.patience, attempt).map_err(|error| format!("{error:#}"))
    }

    /// Measures every supervisor in the same way.
    fn each_peer<T>(&mut self, measure: impl Fn(Peer, &Programs, &Path) -> Result<T>) -> Vec<(Peer, Measured<T>)> {
        let folder = self.folder.clone();
        let one = |peer: Peer| {
            say(&format!("… {}", peer.name()));
            let measured = peer.is_here().map_err(|error| format!("{error:#}"));
            (peer, measured.and_then(|()| self.quietly(&folder, |programs, folder| measure(peer, programs, folder))))
        };
        Peer::ALL.into_iter().map(one).collect()
    }

    fn idle(&mut self) -> Vec<Row> {
        say(&format!("{IDLE_UNITS} idle processes"));
        let all = self.each_peer(|peer, programs, folder| {
            crowd::idle(peer, &programs.omnivisor, folder, IDLE_UNITS, IDLE_WINDOW)
        });
        let number = |count: u64| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
        vec![
            row("memory, shared pages in part (PSS)", "MB", 1, Some(Aim::AtMost(10.0)), &all, |idle| {
                number(idle.cost.pss_kib) / 1e3 * 1.024
            }),
            row("memory, shared pages in full (RSS)", "MB", 1, None, &all, |idle| {
                number(idle.cost.rss_kib) / 1e3 * 1.024
            }),
            row("processes", "", 0, None, &all, |idle| number(idle.cost.processes as u64)),
            row("wake-ups while idle", "per minute", 1, Some(Aim::AtMost(0.0)), &all, |idle| idle.wakes_per_minute),
        ]
    }

    fn relaunch(&mut self) -> Vec<Row> {
        say(&format!("{KILLS} processes killed"));
        let all = self.each_peer(|peer, programs, folder| relaunch::relaunch(peer, programs, folder, KILLS));
        vec![
            row("killed to relaunched, median", "ms", 2, Some(Aim::AtMost(5.0)), &all, at(50)),
            row("killed to relaunched, p99", "ms", 2, None, &all, at(99)),
        ]
    }

    fn crowd(&mut self) -> Vec<Row> {
        say(&format!("{CROWD_UNITS} processes started and stopped"));
        let all = self.each_peer(|peer, programs, folder| crowd::start_stop(peer, programs, folder, CROWD_UNITS));
        let ms = |what: &str, of: fn(&crowd::StartStop) -> f64| row(what, "ms", 0, None, &all, of);
        vec![
            ms(&format!("{CROWD_UNITS} processes started"), |both| both.start_ms),
            ms(&format!("{CROWD_UNITS} processes stopped"), |both| both.stop_ms),
        ]
    }

    fn log(&mut self) -> Vec<Row> {
        say("output into rotated files, every byte compared");
        let (disk, kind) = (self.folder.clone(), volume::kind(&self.folder));
        // In memory, so that the tools are compared and not the disk; and on the disk, beside what it takes from `cat`.
        let places: [(&str, &Path, &[Sink]); 2] =
            [("memory", Path::new(MEMORY_FOLDER), &Sink::ALL), (&kind, &disk, &[Sink::Omnivisor, Sink::Cat])];
        let mut rows = Vec::new();
        for (place, folder, sinks) in places {
            let rates = self.pour_in_turns(sinks, place, folder);
            let one = |(sink, rate): (&Sink, &Measured<f64>)| cell(sink.name(), rate, |rate| *rate);
            let cells = sinks.iter().zip(&rates).map(one).collect();
            let what = format!("output to rotated files, {place}, median of {LOG_ROUNDS}");
            rows.push(Row { what, unit: "GB/s", decimals: 2, aim: Some(Aim::AtLeast(1.0)), cells });
        }
        rows
    }

    /// The median rate of each; as disturbed as its most disturbed round.
    fn pour_in_turns(&mut self, sinks: &[Sink], place: &str, folder: &Path) -> Vec<Measured<f64>> {
        let mut rates: Vec<Result<Vec<Quiet<f64>>, String>> = sinks.iter().map(|_| Ok(Vec::new())).collect();
        for round in 1..=LOG_ROUNDS {
            for (sink, rates) in sinks.iter().zip(&mut rates) {
                let Ok(sofar) = rates else { continue };
                say(&format!("… {}, {place}, {round} of {LOG_ROUNDS}", sink.name()));
                match self.quietly(folder, |programs, folder| sink.pour(programs, folder, LOG_BYTES)) {
                    Ok(rate) => sofar.push(rate),
                    Err(why) => *rates = Err(why),
                }
            }
        }
        let median = |rates: Vec<Quiet<f64>>| {
            let values: Vec<f64> = rates.iter().map(|rate| rate.value).collect();
            let others = rates.iter().map(|rate| rate.others).fold(0.0, f64::max);
            Quiet { value: percentile(&values, 50).unwrap_or_default(), others }
        };
        rates.into_iter().map(|rates| rates.map(median)).collect()
    }

    fn switch(&mut self) -> Vec<Row> {
        say(&format!("{UPGRADES} upgrades each"));
        let folder = self.folder.clone();
        let here = volume::kind(&folder);
        let bare = self.quietly(&folder, |programs, home| switch::gaps(programs, home, None, UPGRADES));
        let script = self.quietly(&folder, |programs, home| switch::gaps_of_script(programs, home, UPGRADES));
        let mut rows = gap_rows(&format!("nothing kept, {here}"), 10.0, &[(OURS, bare), ("shell script", script)]);
        let volumes: [(&str, &dyn Fn() -> Result<Volume>); 3] = [
            (&here, &|| Volume::here(&folder)),
            ("xfs (reflink)", &|| Volume::in_a_file(&folder.join("xfs"), &["mkfs.xfs", "-q", "-f", "-m", "reflink=1"])),
            ("btrfs", &|| Volume::in_a_file(&folder.join("btrfs"), &["mkfs.btrfs", "-q", "-f"])),
        ];
        for (name, make) in volumes {
            say(&format!("… {name}"));
            let kept = make().map_err(|error| format!("{error:#}")).and_then(|volume| {
                self.quietly(&volume.folder, |programs, home| switch::gaps(programs, home, Some(DATA_BYTES), UPGRADES))
            });
            rows.extend(gap_rows(&format!("2 GB kept, {name}"), 150.0, &[(OURS, kept)]));
        }
        rows
    }
}

/// One part of the comparison.
type Measure = fn(&mut Bench) -> Vec<Row>;

type Measured<T> = Result<Quiet<T>, String>;

fn cell<T>(who: &'static str, measured: &Measured<T>, of: impl Fn(&T) -> f64) -> Cell {
    let others = measured.as_ref().map_or(0.0, |quiet| quiet.others);
    Cell { who, value: measured.as_ref().map(|quiet| of(&quiet.value)).map_err(Clone::clone), others }
}

fn row<T>(
    what: &str,
    unit: &'static str,
    decimals: usize,
    aim: Option<Aim>,
    all: &[(Peer, Measured<T>)],
    of: impl Fn(&T) -> f64,
) -> Row {
    let cells = all.iter().map(|(peer, measured)| cell(peer.name(), measured, &of)).collect();
    Row { what: what.to_owned(), unit, decimals, aim, cells }
}

fn at(percent: usize) -> impl Fn(&Vec<f64>) -> f64 {
    move |times| percentile(times, percent).unwrap_or(f64::NAN)
}

fn gap_rows(what: &str, aim_ms: f64, all: &[(&'static str, Measured<Vec<f64>>)]) -> Vec<Row> {
    let of = |percent: usize, name: &str, aim| Row {
        what: format!("switch gap, {what}, {name}"),
        unit: "ms",
        decimals: 2,
        aim,
        cells: all.iter().map(|(who, gaps)| cell(who, gaps, at(percent))).collect(),
    };
    vec![of(50, "median", Some(Aim::AtMost(aim_ms))), of(99, "p99", None)]
}
