//! `doctor` and `run --dry-run`: what would be launched, and what is wrong. Nothing is started or changed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use ov_chains::NodeShape;
use ov_chains::shape::{LaunchShape, Scout};
use ov_chains::vega::{self, Home, Standing};
use ov_daemon::{ShapeSource as _, offline};
use ov_sys::RealDisk;
use ov_types::api::DoctorReport;
use ov_types::{ExitCode, ReleaseName, Severity, counted};

use super::grammar::{RELEASE, home};
use super::run::DropIn;
use crate::args::GlobalArgs;
use crate::drop_in::{self, Call, Complaint, environment, told};
use crate::failure::Failure;
use crate::output::{self, Console};
use crate::session;

/// `doctor`.
pub(super) fn doctor(call: &Call) -> Result<(), Complaint> {
    let folder = home(call)?;
    let release = call.value(RELEASE).map(ReleaseName::new).transpose();
    let release = release.map_err(|error| Complaint::new(error.to_string()))?;
    let home = vega::load(&RealDisk, &folder, &environment)?;
    drop_in::write(warnings(&home).as_bytes())?;
    judge(&report(&home, &folder, release.as_ref())?)
}

/// `run --dry-run`.
pub(super) fn dry_run(call: &Call) -> Result<(), Complaint> {
    let folder = home(call)?;
    let home = vega::load(&RealDisk, &folder, &environment)?;
    let source = DropIn::new(folder.clone())?;
    let shape = source.shape(&RealDisk, None).map_err(|problem| Complaint::new(told(&problem)))?;
    drop_in::write(format!("{}{}", would_be(&home, &shape), warnings(&home)).as_bytes())?;
    judge(&report(&home, &folder, None)?)
}

/// What the doctor finds: the one of the daemon, if that looks after the node.
fn report(home: &Home, folder: &Path, release: Option<&ReleaseName>) -> Result<DoctorReport, Complaint> {
    match session::ask(folder, |client| client.doctor(release)) {
        // Nobody looks after the node now, or ever did.
        Err(failure) if matches!(failure.exit(), ExitCode::NotRunning | ExitCode::Configuration) => {
            let first = match &home.standing {
                Standing::Fresh(first) => Some(first),
                Standing::Release(_) => None,
            };
            let source = Arc::new(DropIn::new(folder.to_owned())?);
            offline::examine(source, release.or(first)).map_err(|problem| Complaint::new(told(&problem)))
        }
        asked => asked.map_err(|failure: Failure| Complaint::new(told(failure.problem()))),
    }
}

fn judge(report: &DoctorReport) -> Result<(), Complaint> {
    let console = Console::new(&GlobalArgs::default());
    drop_in::write(output::doctor(report, &console.look()).as_bytes())?;
    let errors = report.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if errors == 0 { Ok(()) } else { Err(Complaint::new(format!("the doctor found {}", counted(errors, "error")))) }
}

fn warnings(home: &Home) -> String {
    home.warnings.iter().fold(String::new(), |text, warning| text + "warning: " + &warning.replace('\n', "\n  ") + "\n")
}

/// What `run` would do with this home.
fn would_be(home: &Home, shape: &NodeShape) -> String {
    let (settings, current) = (&home.settings, &home.layout.current);
    let folder = home.release_folder();
    let mut text = String::new();
    let mut tell = |what: &str, value: String| {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{what:<10} {value}");
    };
    tell("home", format!("{}, of {}", settings.home.display(), home.run_config.flavour.title));
    tell(
        "release",
        match &home.standing {
            Standing::Release(release) => format!("{release}, in {}", folder.display()),
            Standing::Fresh(release) => {
                format!("{release}, in {}: {} would be made to lead there", folder.display(), current.display())
            }
        },
    );
    for (name, unit) in &shape.units {
        tell(if name.is_main() { "core" } else { "data node" }, command_line(&unit.launch, current));
    }
    for scout in &shape.scouts {
        if let Scout::Asked { question, .. } = scout {
            tell("asked at", question.shown());
        }
    }
    tell("restarts", format!("{}, {} seconds apart", settings.restarts, settings.restart_delay_seconds));
    tell("stops", format!("SIGTERM, and SIGKILL after {} seconds", settings.stop_timeout_seconds));
    let install = &settings.auto_install;
    tell(
        "releases",
        if install.enabled {
            format!("{} of {}/{}, where none is put into place", install.asset, install.owner, install.repository)
        } else {
            format!("put into {}/TAG by hand", settings.home.display())
        },
    );
    text
}

fn command_line(launch: &LaunchShape, release: &Path) -> String {
    let args = launch.args.iter().map(|arg| arg.fill(release));
    let words = std::iter::once(launch.program.fill(release)).chain(args);
    let quoted = |word: String| if word.contains([' ', '"']) || word.is_empty() { format!("{word:?}") } else { word };
    words.map(quoted).collect::<Vec<_>>().join(" ")
}
