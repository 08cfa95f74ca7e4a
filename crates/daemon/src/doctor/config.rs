//! The configuration: does it still read, and does everything that it names exist.

use std::path::{Path, PathBuf};

use ov_chains::shape::{HeightProbe, LaunchShape, Probe};
use ov_chains::{Secret, Template};
use ov_sys::disk::Kind;
use ov_sys::durable::followed;
use ov_sys::process::{Program, run};

use super::host::{PROC_BYTES_MAX, PROGRAM_TIMEOUT};
use super::{DoctorInput, Verdict, failed};

pub(super) fn valid(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(file) = &input.shape.layout.config else { return Vec::new() };
    vec![match input.source.shape(input.disk, None) {
        Ok(_) => Verdict::good(file.display(), "it can be read"),
        Err(problem) => {
            let why = problem.causes.join("; ");
            let message = format!("it is refused, and what was read before stays in force: {why}");
            Verdict::error(file.display(), message, "correct the file; a restart would fail")
        }
    }]
}

pub(super) fn secrets(input: &DoctorInput<'_>) -> Vec<Verdict> {
    const OF_HOOK: (&str, &str) = ("its webhook is told nothing", "write the file, or take the webhook out");
    const OF_CATALOG: (&str, &str) =
        ("no release is found by its name", "write the file, or take `fetch.github.token-file` out");
    let mut files: Vec<(&PathBuf, (&str, &str))> = Vec::new();
    for hook in &input.shape.webhooks {
        for secret in [Some(&hook.url), hook.secret.as_ref()] {
            files.extend(match secret {
                Some(Secret::File(path)) => Some((path, OF_HOOK)),
                _ => None,
            });
        }
        files.extend(hook.headers_file.iter().map(|path| (path, OF_HOOK)));
    }
    if let Some(Secret::File(path)) = input.shape.fetch.catalog.as_ref().and_then(|catalog| catalog.token.as_ref()) {
        files.push((path, OF_CATALOG));
    }
    let judge = |(path, (harm, fix)): (&PathBuf, (&str, &str))| match input
        .disk
        .read(path, PROC_BYTES_MAX)
        .and_then(|_| followed(input.disk, path))
    {
        Ok(Some(facts)) if facts.mode & 0o077 != 0 => {
            let message = format!("others than its owner may read this secret (mode {:04o})", facts.mode);
            Verdict::warning(path.display(), message, "chmod 600")
        }
        Ok(_) => Verdict::good(path.display(), "readable for its owner alone"),
        Err(error) => Verdict::warning(path.display(), format!("it cannot be read: {error}; {harm}"), fix),
    };
    files.into_iter().map(judge).collect()
}

pub(super) fn environment(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let release = release_directory(input);
    let units = input.shape.units.iter().filter(|(_, unit)| !unit.launch.env_files.is_empty());
    let judge =
        |(name, launch): (String, &LaunchShape)| match launch.environment(input.disk, &release, std::iter::empty()) {
            Ok(variables) => Verdict::good(name, ov_types::counted(variables.len(), "variable")),
            Err(error) => Verdict::error(name, failed(&error), "write or correct the file"),
        };
    units.map(|(name, unit)| (format!("unit {name}"), &unit.launch)).map(judge).collect()
}

pub(super) fn users(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let mut verdicts = Vec::new();
    for (unit, shape) in &input.shape.units {
        let names = [("passwd", "user", &shape.launch.user), ("group", "group", &shape.launch.group)];
        for (table, word, name) in names {
            let Some(name) = name.as_ref().filter(|name| name.parse::<u32>().is_err()) else { continue };
            let subject = format!("unit {unit}");
            verdicts.push(match is_known(input, table, name) {
                None => Verdict::unknown(subject, format!("whether there is a {word} `{name}` cannot be told")),
                Some(false) => {
                    let message = format!("there is no {word} `{name}`");
                    Verdict::error(subject, message, format!("add the {word}, or name another"))
                }
                Some(true) if !rustix::process::geteuid().is_root() => {
                    let message = format!("only root may launch it as {word} `{name}`");
                    Verdict::warning(subject, message, "run omnivisor as root, or let the unit run as omnivisor does")
                }
                Some(true) => Verdict::good(subject, format!("{word} `{name}` exists")),
            });
        }
    }
    verdicts
}

/// Whether the system knows the name; `None` when it cannot be asked.
fn is_known(input: &DoctorInput<'_>, table: &str, name: &str) -> Option<bool> {
    let text = input.disk.read(&Path::new("/etc").join(table), PROC_BYTES_MAX).ok()?;
    if String::from_utf8_lossy(&text).lines().any(|line| line.split(':').next() == Some(name)) {
        return Some(true);
    }
    // Directories of a network are known to the C library alone.
    let asked = Program { timeout: PROGRAM_TIMEOUT, ..Program::new("getent").arguments([table, name]) };
    Some(run(&asked).is_ok_and(|output| output.success()))
}

pub(super) fn programs(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let shape = input.shape;
    let mut programs: Vec<(String, &Template)> = Vec::new();
    for (name, unit) in &shape.units {
        programs.push((format!("unit {name}"), &unit.launch.program));
        let probes = [unit.readiness.as_ref().map(|r| &r.probe), unit.health.as_ref().map(|h| &h.probe)];
        for probe in probes.into_iter().flatten() {
            if let Probe::Exec { program, .. } = probe {
                programs.push((format!("a probe of unit {name}"), program));
            }
        }
    }
    programs.extend(shape.migrate.iter().map(|hook| ("the migrate hook".to_owned(), &hook.program)));
    programs.extend(shape.probes.version.iter().map(|probe| ("the version probe".to_owned(), &probe.program)));
    for probe in &shape.probes.height {
        if let HeightProbe::Exec { program, .. } = probe {
            programs.push(("the height probe".to_owned(), program));
        }
    }
    programs.into_iter().map(|(who, program)| judge_program(input, &who, program)).collect()
}

fn judge_program(input: &DoctorInput<'_>, who: &str, program: &Template) -> Verdict {
    let path = program.fill_path(&release_directory(input));
    // What goes through `current` will go through the release that is about to run.
    let path = match path.strip_prefix(&input.layout.current) {
        Ok(within) => release_directory(input).join(within),
        Err(_) => path,
    };
    let subject = format!("{who}: {}", path.display());
    match followed(input.disk, &path) {
        Ok(Some(facts)) if facts.kind == Kind::File && facts.mode & 0o111 != 0 => Verdict::good(subject, "executable"),
        Ok(Some(_)) => Verdict::error(subject, "it is no file that may be executed", "chmod a+x, or correct the path"),
        Ok(None) => Verdict::error(subject, "there is no such program", "install it, or correct the path"),
        Err(error) => Verdict::unknown(subject, format!("cannot look: {error}")),
    }
}

/// The directory of the release that is to run; what `current` names if it cannot be told.
fn release_directory(input: &DoctorInput<'_>) -> PathBuf {
    input.target().map_or_else(|| input.layout.current.clone(), |target| input.layout.directory(&target))
}
