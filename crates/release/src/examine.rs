//! What would keep a program from running on this host, found before it is needed.
//!
//! Reads only, starts nothing, and answers with findings rather than errors: a check that cannot be made says so.

use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Facts, Kind};
use ov_sys::durable;
use ov_types::{Finding, ReleaseName};

use crate::digest::Digest;
use crate::elf::{self, ElfError, ElfFacts};
use crate::layout::Layout;
use crate::libraries::{self, Libraries};
use crate::state::{State, verify};
use crate::tree;

/// How much of a script is read to find its interpreter.
const SCRIPT_HEAD_LEN: usize = 256;

/// The host a program shall run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The processor, as `e_machine` counts them, and its name.
    pub machine: (u16, &'static str),
    /// The folder name that multi-arch systems use for its libraries.
    pub triple: &'static str,
    /// Folders of `LD_LIBRARY_PATH` in the environment the program will get.
    pub library_path: Vec<PathBuf>,
    /// The level of x86-64 of the processor, from 1; 0 for other processors.
    pub x86_64_level: u32,
}

impl Host {
    /// The host that this program was built for.
    pub fn this() -> Self {
        let (machine, name, triple) = match std::env::consts::ARCH {
            "aarch64" => (object::elf::EM_AARCH64, "aarch64", "aarch64-linux-gnu"),
            "riscv64" => (object::elf::EM_RISCV, "riscv64", "riscv64-linux-gnu"),
            "x86" => (object::elf::EM_386, "x86", "i386-linux-gnu"),
            "arm" => (object::elf::EM_ARM, "arm", "arm-linux-gnueabihf"),
            _ => (object::elf::EM_X86_64, "x86_64", "x86_64-linux-gnu"),
        };
        Self { machine: (machine.0, name), triple, library_path: Vec::new(), x86_64_level: x86_64_level() }
    }
}

/// The level of x86-64 whose features this processor has, and the system has switched on.
fn x86_64_level() -> u32 {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        let second = [has!("cmpxchg16b"), has!("popcnt"), has!("ssse3"), has!("sse4.1"), has!("sse4.2")];
        let third = [has!("avx2"), has!("bmi1"), has!("bmi2"), has!("f16c"), has!("fma"), has!("lzcnt"), has!("movbe")];
        let fourth = [has!("avx512f"), has!("avx512bw"), has!("avx512cd"), has!("avx512dq"), has!("avx512vl")];
        let levels = [&second[..], &third, &fourth].into_iter().zip(2..);
        levels.take_while(|(features, _)| features.iter().all(|has| *has)).last().map_or(1, |(_, level)| level)
    }
    #[cfg(not(target_arch = "x86_64"))]
    0
}

/// Examines a program.
pub fn examine(disk: &dyn Disk, program: &Path, host: &Host, expected: Option<Digest>) -> Vec<Finding> {
    examine_as(disk, program, host, |end| digest(disk, program, end, expected))
}

fn examine_as(disk: &dyn Disk, program: &Path, host: &Host, digest: impl Fn(&Path) -> Finding) -> Vec<Finding> {
    let end = tree::resolve(disk, program).unwrap_or_else(|_| program.to_owned());
    let facts = match disk.facts(&end) {
        Ok(Some(facts)) if facts.kind == Kind::File => facts,
        Ok(found) => {
            let what = if found.is_some() { "it is not a regular file" } else { "there is no such file" };
            return vec![Finding::error("binary.executable", program.display(), what, "stage the release again")];
        }
        Err(error) => {
            return vec![Finding::unknown("binary.executable", program.display(), format!("cannot look: {error}"))];
        }
    };
    let mut findings = vec![executable(program, &facts), owner(program, &facts)];
    findings.extend(noexec(disk, program, &end));
    findings.push(digest(&end));
    match elf::read(disk, &end) {
        Ok(elf) => findings.extend(examine_elf(disk, program, &end, &elf, host)),
        Err(ElfError::NotElf) => findings.push(script(disk, program, &end)),
        Err(ElfError::Damaged(why)) => {
            let message = format!("its ELF tables cannot be read: {why}");
            findings.push(Finding::error("binary.machine", program.display(), message, "stage the release again"));
        }
    }
    findings
}

/// Examines a release: whether it is whole, every byte read, and then its program.
pub fn examine_release(disk: &dyn Disk, layout: &Layout, name: &ReleaseName, host: &Host) -> Vec<Finding> {
    match verify(disk, layout, name) {
        Ok(State::Complete(provenance)) => {
            let files = provenance.entries.len();
            let message = format!("complete: {files} entries, {} bytes, tree {}", provenance.size, provenance.tree);
            let mut findings = vec![Finding::ok("release.complete", name, message)];
            if provenance.program.is_empty() {
                // What is launched lies elsewhere.
                return findings;
            }
            let program = layout.directory(name).join(&provenance.program);
            // Its bytes were read a moment ago.
            let read = Finding::ok("binary.digest", program.display(), "as its provenance says");
            findings.extend(examine_as(disk, &program, host, |_| read.clone()));
            findings.extend(other_release(disk, layout, name, &program));
            findings
        }
        Ok(State::Unknown) if says_its_launch(disk, layout, name) => {
            vec![Finding::ok("release.complete", name, "put there by hand: it is taken on as it is")]
        }
        Ok(state) => {
            let message = format!("it is {}", state.describe());
            vec![Finding::error("release.complete", name, message, "stage the release again")]
        }
        Err(error) => vec![Finding::unknown("release.complete", name, with_causes(&error))],
    }
}

/// Whether a folder has the file without which no folder is a release of its family.
fn says_its_launch(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> bool {
    let file = layout.launch_file.as_ref().map(|file| layout.directory(name).join(file));
    file.is_some_and(|file| durable::exists(disk, &file).unwrap_or(false))
}

/// Whether the release to go back to is whole.
pub fn rollback_target(disk: &dyn Disk, layout: &Layout, name: &ReleaseName) -> Finding {
    const ID: &str = "release.rollback-target";
    match verify(disk, layout, name) {
        Ok(State::Complete(_)) => Finding::ok(ID, name, "complete"),
        Ok(state) => {
            let message = format!("it is {}: an upgrade could not be rolled back", state.describe());
            Finding::error(ID, name, message, "stage or adopt it again before the upgrade")
        }
        Err(error) => Finding::unknown(ID, name, with_causes(&error)),
    }
}

fn executable(program: &Path, facts: &Facts) -> Finding {
    const ID: &str = "binary.executable";
    if facts.mode & 0o111 == 0 {
        return Finding::error(ID, program.display(), "it has no execute bit", "chmod a+x, or stage the release again");
    }
    if facts.mode & 0o111 != 0o111 {
        let message = format!("only some users may execute it (mode {:04o})", facts.mode);
        return Finding::warning(ID, program.display(), message, "chmod a+x if the node runs as another user");
    }
    Finding::ok(ID, program.display(), format!("mode {:04o}", facts.mode))
}

fn owner(program: &Path, facts: &Facts) -> Finding {
    const ID: &str = "binary.owner";
    if facts.mode & 0o002 != 0 {
        return Finding::warning(ID, program.display(), "every user may change it", "chmod o-w");
    }
    if facts.mode & 0o6000 != 0 {
        let message = "it runs as its owner or group, not as the node's user (set-id bit)";
        return Finding::warning(ID, program.display(), message, "chmod ug-s");
    }
    Finding::ok(ID, program.display(), format!("uid {}, gid {}, mode {:04o}", facts.uid, facts.gid, facts.mode))
}

fn noexec(disk: &dyn Disk, program: &Path, end: &Path) -> Option<Finding> {
    const ID: &str = "binary.noexec";
    Some(match disk.room(end.parent()?) {
        Ok(room) if room.noexec => {
            let message = "its file system is mounted noexec: the kernel will refuse to run it";
            Finding::error(ID, program.display(), message, "mount with exec, or keep releases elsewhere")
        }
        Ok(_) => Finding::ok(ID, program.display(), "its file system allows programs"),
        Err(error) => Finding::unknown(ID, program.display(), format!("cannot look: {error}")),
    })
}

fn digest(disk: &dyn Disk, program: &Path, end: &Path, expected: Option<Digest>) -> Finding {
    const ID: &str = "binary.digest";
    match (tree::digest_file(disk, end), expected) {
        (Err(error), _) => Finding::unknown(ID, program.display(), with_causes(&error)),
        (Ok((size, found)), Some(expected)) if found != expected => {
            let message = format!("sha256 is {found}, expected {expected} ({size} bytes)");
            Finding::error(ID, program.display(), message, "fetch it again from a trusted source")
        }
        (Ok((size, found)), _) => Finding::ok(ID, program.display(), format!("sha256 {found}, {size} bytes")),
    }
}

fn script(disk: &dyn Disk, program: &Path, end: &Path) -> Finding {
    const ID: &str = "binary.interpreter";
    let subject = program.display();
    let head = match read_head(disk, end) {
        Ok(head) => head,
        Err(error) => return Finding::unknown(ID, subject, format!("cannot read: {error}")),
    };
    let Some(line) = head.strip_prefix(b"#!") else {
        let message = "it is neither an ELF program nor a script";
        return Finding::error("binary.machine", subject, message, "stage the right file");
    };
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let interpreter = line.split_whitespace().next().unwrap_or_default();
    match tree::facts_followed(disk, Path::new(interpreter)) {
        Ok(Some(facts)) if interpreter.starts_with('/') && facts.kind == Kind::File => {
            Finding::ok(ID, subject, format!("a script for `{}`", line.trim()))
        }
        _ => {
            let message = format!("it is a script, and its interpreter `{interpreter}` does not exist");
            Finding::error(ID, subject, message, "install the interpreter")
        }
    }
}

fn read_head(disk: &dyn Disk, path: &Path) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    std::io::Read::read_to_end(&mut std::io::Read::take(disk.open(path)?, SCRIPT_HEAD_LEN as u64), &mut head)?;
    Ok(head)
}

fn examine_elf(disk: &dyn Disk, program: &Path, end: &Path, facts: &ElfFacts, host: &Host) -> Vec<Finding> {
    let subject = program.display();
    let (machine, machine_name) = host.machine;
    if facts.machine != machine {
        let message = format!("it is built for machine {}, this host is {machine_name} ({machine})", facts.machine);
        return vec![Finding::error("binary.machine", subject, message, "get the build for this host")];
    }
    let mut findings = vec![Finding::ok("binary.machine", &subject, machine_name)];
    findings.extend(cpu(program, facts, host));
    let Some(interpreter) = &facts.interpreter else {
        if !facts.needed.is_empty() {
            let message = "it needs libraries and names no loader: it is a library, not a program";
            findings.push(Finding::error("binary.interpreter", subject, message, "stage the right file"));
            return findings;
        }
        findings.push(Finding::ok("binary.interpreter", subject, "statically linked"));
        return findings;
    };
    findings.push(match tree::facts_followed(disk, interpreter) {
        Ok(Some(found)) if interpreter.is_absolute() && found.kind == Kind::File => {
            Finding::ok("binary.interpreter", &subject, interpreter.display().to_string())
        }
        _ => {
            let message = format!("its loader `{}` does not exist here", interpreter.display());
            Finding::error("binary.interpreter", &subject, message, "get the build for this distribution")
        }
    });
    let libraries = libraries::find(disk, end, facts, &host.library_path, host.triple);
    findings.push(needed(program, facts, &libraries));
    findings.extend(glibc(program, facts, &libraries));
    findings
}

/// A program that says which level of the processor it needs is ended by its loader, or by the first instruction that
/// is not there.
fn cpu(program: &Path, facts: &ElfFacts, host: &Host) -> Option<Finding> {
    const ID: &str = "binary.cpu";
    let (needs, has) = (facts.x86_64_level, host.x86_64_level);
    if needs == 0 || has == 0 {
        return None;
    }
    let message = format!("it needs x86-64-v{needs}, this processor is x86-64-v{has}");
    Some(if needs > has {
        Finding::error(ID, program.display(), message, "get a build for older processors, or run it on a newer one")
    } else {
        Finding::ok(ID, program.display(), message)
    })
}

fn needed(program: &Path, facts: &ElfFacts, libraries: &Libraries) -> Finding {
    const ID: &str = "binary.needed";
    let missing = libraries.missing.iter().map(|(name, by)| format!("`{name}` (needed by `{}`)", by.display()));
    let versions = libraries.versions_missing.iter().filter(|(_, version, _)| !is_glibc(version));
    let versions = versions.map(|(name, version, by)| format!("{version} in `{name}` (needed by `{}`)", by.display()));
    let lacking: Vec<_> = missing.chain(versions).collect();
    if lacking.is_empty() {
        let message = format!("{} needed, {} found in all", facts.needed.len(), libraries.found.len());
        return Finding::ok(ID, program.display(), message);
    }
    let message = format!("not found: {}", lacking.join(", "));
    Finding::error(ID, program.display(), message, "install the library, or put it where the program looks for it")
}

fn glibc(program: &Path, facts: &ElfFacts, libraries: &Libraries) -> Option<Finding> {
    const ID: &str = "binary.glibc";
    let highest = |versions: &mut dyn Iterator<Item = &str>| versions.filter_map(glibc_version).max();
    let has = highest(&mut libraries.glibc_defined.iter().map(String::as_str));
    let lacking: Vec<_> = libraries.versions_missing.iter().filter(|(_, version, _)| is_glibc(version)).collect();
    if !lacking.is_empty() {
        let list: Vec<_> = lacking.iter().map(|(_, version, by)| format!("{version} (`{}`)", by.display())).collect();
        let has = has.map_or_else(|| "an unknown version".to_owned(), show_version);
        let message = format!("it needs {}, this host has {has}", list.join(", "));
        return Some(Finding::error(
            ID,
            program.display(),
            message,
            "get a build for this host's glibc, or a static one",
        ));
    }
    let needs = highest(&mut facts.versions_needed.iter().map(|(_, version)| version.as_str()))?;
    Some(match has {
        Some(has) => {
            let message = format!("it needs {}, this host has {}", show_version(needs), show_version(has));
            Finding::ok(ID, program.display(), message)
        }
        None => Finding::unknown(ID, program.display(), "the host's C library was not found"),
    })
}

fn is_glibc(version: &str) -> bool {
    version.starts_with("GLIBC_")
}

/// `GLIBC_2.34` as numbers, which order as the versions do.
fn glibc_version(version: &str) -> Option<(u32, u32, u32)> {
    let mut parts = version.strip_prefix("GLIBC_")?.split('.').map(str::parse);
    let major = parts.next()?.ok()?;
    let minor = parts.next()?.ok()?;
    let patch = parts.next().unwrap_or(Ok(0)).ok()?;
    Some((major, minor, patch))
}

fn show_version((major, minor, patch): (u32, u32, u32)) -> String {
    if patch == 0 { format!("GLIBC_{major}.{minor}") } else { format!("GLIBC_{major}.{minor}.{patch}") }
}

/// A program whose loader lies in another release dies when that release is pruned.
fn other_release(disk: &dyn Disk, layout: &Layout, name: &ReleaseName, program: &Path) -> Option<Finding> {
    let end = tree::resolve(disk, program).ok()?;
    let interpreter = elf::read(disk, &end).ok()?.interpreter?;
    if !interpreter.starts_with(&layout.releases) || interpreter.starts_with(layout.directory(name)) {
        return None;
    }
    let message = format!("its loader `{}` lies in another release", interpreter.display());
    Some(Finding::error("binary.self-contained", name, message, "run the release's own set-up again"))
}

/// An error with all its causes, on one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<_> = causes.map(ToString::to_string).collect();
    format!("failed to {}", texts.join(": "))
}
