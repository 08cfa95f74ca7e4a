//! The program of the release that is to run, as it shows itself: does it run here, which version does it say it is,
//! and does it know the plan by name.
//!
//! It is started once, with an empty folder for its home and a bound on its time; nothing else in the doctor starts what
//! a release brings. Only where a family says how its programs are asked.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use memchr::memmem::Finder;
use ov_chains::shape::{LaunchShape, ReleaseCheck, VersionSaid};
use ov_sys::durable;
use ov_sys::process::{Ending, Output};
use ov_types::{Origin, ReleaseName, UnitName};

use super::{DoctorInput, Verdict};
use crate::asking::{ANSWER_TIMEOUT, DOCTORS, Question, is_of_another_user};

/// So much of a program is searched for the name of a plan.
const SEARCHED_BYTES_MAX: u64 = 1 << 30;
const BUFFER_BYTES: usize = 1 << 20;
/// What a loader ends with when a library is missing, and a shell when there is no such program.
const NEVER_RAN: [i32; 2] = [126, 127];

/// A program of a release, and how it is asked.
type Asked<'a> = (PathBuf, &'a ReleaseCheck, &'a LaunchShape);

/// The program that main runs of a release.
fn program<'a>(input: &'a DoctorInput<'_>, release: &ReleaseName) -> Option<Asked<'a>> {
    let check = input.shape.release_check.as_ref()?;
    program_of(input, release, check, &UnitName::main())
}

/// All programs of a release that are asked, each once.
fn programs<'a>(input: &'a DoctorInput<'_>, release: &ReleaseName) -> Vec<Asked<'a>> {
    let mut programs: Vec<Asked<'a>> = Vec::new();
    let Some(check) = &input.shape.release_check else { return programs };
    for asked in check.units.iter().filter_map(|unit| program_of(input, release, check, unit)) {
        if programs.iter().all(|(known, ..)| *known != asked.0) {
            programs.push(asked);
        }
    }
    programs
}

fn program_of<'a>(
    input: &'a DoctorInput<'_>,
    release: &ReleaseName,
    check: &'a ReleaseCheck,
    unit: &UnitName,
) -> Option<Asked<'a>> {
    let launch = &input.shape.units.get(unit)?.launch;
    let directory = input.layout.directory(release);
    let path = match crate::steps::program_of_unit(input.shape, unit) {
        Some(inside) => directory.join(inside),
        // What is launched may lie elsewhere, where a release says so.
        None if input.shape.layout.launch_file.is_some() => launch.program.fill_path(&directory),
        None => return None,
    };
    durable::followed(input.disk, &path).ok()??;
    Some((path, check, launch))
}

fn ask(
    input: &DoctorInput<'_>,
    release: &ReleaseName,
    program: &Path,
    check: &ReleaseCheck,
    launch: &LaunchShape,
) -> io::Result<Output> {
    let release = &input.layout.directory(release);
    let question = Question { release, program, launch, variables: &check.home_variables, arguments: &check.args };
    DOCTORS.ask(input.disk, input.shape, &question)
}

/// What the program of a release says of its version, if it says anything.
pub(super) fn says(input: &DoctorInput<'_>, release: &ReleaseName) -> Option<String> {
    let (path, check, launch) = program(input, release)?;
    if is_of_another_user(launch) {
        return None;
    }
    let said = ask(input, release, &path, check, launch).ok().filter(Output::success)?;
    Some(version_said(&said, &check.version)).filter(|version| !version.is_empty())
}

pub(super) fn version(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(target) = input.target() else { return Vec::new() };
    programs(input, &target).into_iter().map(|asked| version_of(input, &target, asked)).collect()
}

fn version_of(input: &DoctorInput<'_>, target: &ReleaseName, (path, check, launch): Asked<'_>) -> Verdict {
    let subject = path.display();
    if is_of_another_user(launch) {
        return Verdict::unknown(subject, "it is not started as another user only to say its version");
    }
    let said = match ask(input, target, &path, check, launch) {
        Ok(output) => output,
        Err(error) => return does_not_run(&path, &format!("it cannot be started: {error}")),
    };
    match said.ending {
        Ending::Signaled(signal) => {
            does_not_run(&path, &format!("it was killed by signal {signal} before it could say its version"))
        }
        Ending::Exited(code) if NEVER_RAN.contains(&code) => {
            does_not_run(&path, &format!("it ends with {code} before it begins: {}", last_line(&said)))
        }
        Ending::TimedOut => {
            let message = format!("it did not say its version within {} seconds", ANSWER_TIMEOUT.as_secs());
            Verdict::warning(subject, message, "run its `version` by hand")
        }
        Ending::Exited(0) => {
            let version = version_said(&said, &check.version);
            if check.is_name && !input.shape.layout.is_first(target) {
                judge_name(target, &path, &version)
            } else {
                judge(target, &path, &version)
            }
        }
        Ending::Exited(code) => {
            let message = format!("asked for its version it ends with {code}: {}", last_line(&said));
            Verdict::warning(subject, message, "run its `version` by hand")
        }
    }
}

fn does_not_run(path: &Path, why: &str) -> Verdict {
    Verdict::error(path.display(), why, "stage a program that is built for this machine")
}

/// What it says of its version, in either output.
fn version_said(said: &Output, place: &VersionSaid) -> String {
    let texts = [&said.stdout, &said.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let line = match place {
        VersionSaid::Line(line) => line,
        VersionSaid::Json(pointer) => {
            let version = texts.iter().find_map(|text| ov_chains::value_within(text, pointer));
            return version.as_ref().and_then(|version| version.as_str()).map(shown).unwrap_or_default();
        }
    };
    let marked = texts.iter().flat_map(|text| text.lines()).find_map(|text| text.strip_prefix(line));
    let first = || texts.iter().flat_map(|text| text.lines()).find(|text| !text.trim().is_empty());
    shown(marked.or_else(first).unwrap_or_default())
}

fn last_line(said: &Output) -> String {
    let texts = [&said.stderr, &said.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let last = texts.iter().find_map(|text| text.lines().rfind(|text| !text.trim().is_empty()));
    shown(last.unwrap_or("without a word"))
}

/// Printable, and not too long for a finding.
fn shown(text: &str) -> String {
    text.trim().chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The release is called as its program calls itself.
fn judge_name(name: &ReleaseName, path: &Path, version: &str) -> Verdict {
    let subject = path.display();
    if version == name.as_str() {
        return Verdict::good(subject, format!("it runs here, and says that it is `{version}`"));
    }
    let message = format!("wrong binary version provided - provided: {version}, want: {name}");
    Verdict::error(subject, message, "put the program of that version there")
}

/// A plan has a name and no version; but many a name begins one.
fn judge(name: &ReleaseName, path: &Path, version: &str) -> Verdict {
    let subject = path.display();
    match numbers(name.as_str()) {
        Some(wanted) if !begins(version, &wanted) => {
            let message = format!("it says that it is `{version}`, and the release is called {name}");
            Verdict::warning(subject, message, "make sure that this is the program which the plan means")
        }
        _ => Verdict::good(subject, format!("it runs here, and says that it is `{version}`")),
    }
}

/// The numbers of a name that is nothing but a version, such as `v15` or `2.1.0`.
fn numbers(name: &str) -> Option<Vec<u64>> {
    let name = name.strip_prefix(['v', 'V']).unwrap_or(name);
    name.split('.').map(|part| part.parse().ok()).collect()
}

/// Whether a version begins with these numbers.
fn begins(version: &str, wanted: &[u64]) -> bool {
    let digits = version.trim_start_matches(|c: char| !c.is_ascii_digit());
    let number = digits.split(|c: char| !c.is_ascii_digit() && c != '.').next().unwrap_or_default();
    let found: Vec<u64> = number.split('.').map_while(|part| part.parse().ok()).collect();
    found.starts_with(wanted)
}

/// A program that carries a plan out has its name somewhere in its bytes.
pub(super) fn handler(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(plan) = input.plan.filter(|plan| plan.origin != Origin::Person) else { return Vec::new() };
    let Some((path, check, _)) = program(input, &plan.release) else { return Vec::new() };
    if !check.names_plans {
        return Vec::new();
    }
    // Of one that was learned elsewhere only the folder's name is known, in which letters may have been changed.
    let written = crate::steps::name_as_written(input.disk, input.shape, &plan.release);
    let (name, is_certain) = written.map_or_else(|| (plan.release.to_string(), false), |written| (written, true));
    vec![match mentions(input, &path, name.as_bytes()) {
        Ok(true) => Verdict::good(path.display(), format!("it knows `{name}`")),
        Ok(false) if !is_certain => Verdict::unknown(
            path.display(),
            format!("`{name}` is nowhere in it, but the plan may be written otherwise"),
        ),
        Ok(false) => {
            let message =
                format!("the name of the plan, `{name}`, is nowhere in it: it may not know how to carry it out");
            Verdict::warning(path.display(), message, "make sure that this is the program which the plan means")
        }
        Err(error) => Verdict::unknown(path.display(), format!("cannot look: {error}")),
    }]
}

fn mentions(input: &DoctorInput<'_>, path: &Path, name: &[u8]) -> io::Result<bool> {
    let finder = Finder::new(name);
    let mut reader = input.disk.open(path)?.take(SEARCHED_BYTES_MAX);
    let mut buffer = vec![0; BUFFER_BYTES.max(2 * name.len())];
    let mut kept = 0;
    loop {
        let count = match reader.read(&mut buffer[kept..]) {
            Ok(0) => return Ok(false),
            Ok(count) => kept + count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if finder.find(&buffer[..count]).is_some() {
            return Ok(true);
        }
        // The name may go on in what is read next.
        kept = name.len().saturating_sub(1).min(count);
        buffer.copy_within(count - kept..count, 0);
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_version_is_held_against_what_the_program_says() {
        for (name, version, fits) in [
            ("v15", "15.2.0", true),
            ("v15", "v15", true),
            ("v15", "v15.2.0-rc1", true),
            ("v15", "v1.5.2", false),
            ("v15", "v150.0.0", false),
            ("v2.1", "simd v2.1.3", true),
            ("v2.1", "v2.10.0", false),
            ("v2", "", false),
            ("v2", "HEAD-abcdef", false),
        ] {
            assert_eq!(begins(version, &numbers(name).unwrap()), fits, "{name} {version}");
        }
        for name in ["genesis", "big-step", "v", "v2-rc1", "2024-01", "sdk50"] {
            assert_eq!(numbers(name), None, "{name}");
        }
    }
}
