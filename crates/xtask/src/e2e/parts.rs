//! The real parts: the chain in three releases, the original Cosmovisor, and the library of Vega's admin server, built by
//! Go from its module proxy.
//!
//! What was built is kept in `target/e2e`, in a folder named after everything that went into it. Builds nothing
//! but these, and fetches nothing by itself: Go does.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::tool;
use crate::report;

/// The releases of the chain, oldest first: see `e2e/cosmos/app.go`.
pub(crate) const RELEASES: [&str; 3] = ["v1", "v2", "v3"];
/// The original's releases, the one that we take the place of first. Module proxies do not all give every one.
const ORIGINALS: [&str; 2] = ["v1.7.1", "v1.5.0"];
const ORIGINAL_MODULE: &str = "cosmossdk.io/tools/cosmovisor";
/// The oldest that recent compilers take; what the original's logger asks for is older.
const ORIGINAL_NEEDS: &str = "github.com/bytedance/sonic v1.15.1";

/// Something that this machine does not have, so that nothing was tried.
#[derive(Debug, thiserror::Error)]
#[error("go on without it: {0}")]
pub(crate) struct NotHere(pub(crate) String);

/// All that scenarios are made of.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    /// The chain's program by release.
    pub(crate) chain: BTreeMap<&'static str, PathBuf>,
    pub(crate) original: Result<Original, String>,
    /// Our program.
    pub(crate) ours: PathBuf,
}

/// A release of the original Cosmovisor.
#[derive(Debug, Clone)]
pub(crate) struct Original {
    pub(crate) version: &'static str,
    pub(crate) program: PathBuf,
}

impl Parts {
    /// Builds what is not there yet.
    pub(crate) fn build(root: &Path, release: bool, program: Option<&Path>) -> Result<Self> {
        let cache = root.join("target/e2e/cosmos");
        let chain = chain(root, &cache)?;
        let original = match original(&cache) {
            Ok(original) => Ok(original),
            Err(error) => Err(error.downcast::<NotHere>()?.0),
        };
        let ours = match program {
            Some(program) => fs::canonicalize(program).context("find our program")?,
            None => ours(root, release)?,
        };
        Ok(Self { chain, original, ours })
    }
}

/// Builds our program, and says where it lies.
pub(crate) fn ours(root: &Path, release: bool) -> Result<PathBuf> {
    let metadata = cargo_metadata::MetadataCommand::new().current_dir(root).no_deps().exec().context("ask cargo")?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.args(["build", "--quiet", "-p", "omnivisor"]).args(release.then_some("--release")).current_dir(root);
    ensure!(build.status().context("start cargo")?.success(), "build our program");
    let profile = if release { "release" } else { "debug" };
    Ok(metadata.target_directory.join(profile).join("omnivisor").into())
}

/// The first of the original's releases that can be had.
pub(crate) fn original(cache: &Path) -> Result<Original> {
    let go = go_version()?;
    let mut problems = Vec::new();
    for version in ORIGINALS {
        let folder = cache.join(format!("original-{version}-{:016x}", digest(&[&go])));
        let program = folder.join("cosmovisor");
        if !program.exists() {
            fs::create_dir_all(&folder).context("make a folder for the original")?;
            let needs = format!("require (\n\t{ORIGINAL_MODULE} {version}\n\t{ORIGINAL_NEEDS}\n)\n");
            fs::write(folder.join("go.mod"), format!("module original\n\ngo 1.23\n\n{needs}"))
                .context("write go.mod")?;
            let package = format!("{ORIGINAL_MODULE}/cmd/cosmovisor");
            if let Err(problem) = fetch(&folder, &["-mod=mod", &package]) {
                problems.push(format!("Cosmovisor {version}: {problem}"));
                continue;
            }
            report(&format!("building Cosmovisor {version}"));
            // Whether an old program builds with a new compiler is nothing that we could mend.
            if let Err(problem) = build(&folder, &["-mod=mod"], &package, &program) {
                problems.push(format!("Cosmovisor {version}: {problem:#}"));
                continue;
            }
        }
        return Ok(Original { version, program });
    }
    Err(NotHere(problems.join("; ")).into())
}

fn chain(root: &Path, cache: &Path) -> Result<BTreeMap<&'static str, PathBuf>> {
    let source = root.join("crates/xtask/e2e/cosmos");
    let inputs = inputs(&source, &["app.go", "main.go", "go.mod", "go.sum"])?;
    let folder = cache.join(format!("chain-{:016x}", digest(&inputs)));
    let mut programs = BTreeMap::new();
    for release in RELEASES {
        let program = folder.join(release);
        if !program.exists() {
            fetch(&source, &["."]).map_err(NotHere)?;
            report(&format!("building release {release} of the chain; the first time takes minutes"));
            build(&source, &["-ldflags", &format!("-s -w -X main.release={release}")], ".", &program)?;
        }
        programs.insert(release, program);
    }
    Ok(programs)
}

/// The library that a core of Vega answers with, in a small server.
pub(super) fn vega_server(root: &Path) -> Result<PathBuf> {
    let source = root.join("crates/xtask/e2e/vega");
    let inputs = inputs(&source, &["main.go", "admin/admin.go", "go.mod", "go.sum"])?;
    let program = root.join(format!("target/e2e/vega/server-{:016x}", digest(&inputs)));
    if !program.exists() {
        fetch(&source, &["."]).map_err(NotHere)?;
        build(&source, &[], ".", &program)?;
    }
    Ok(program)
}

/// All that goes into a program: the compiler and the sources.
fn inputs(source: &Path, files: &[&str]) -> Result<Vec<String>> {
    let mut inputs = vec![go_version()?];
    for file in files {
        let path = source.join(file);
        inputs.push(fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(inputs)
}

fn go_version() -> Result<String> {
    tool(Command::new("go").arg("version")).map_err(|_| NotHere("Go is not installed".to_owned()).into())
}

/// Has Go bring all modules that a package is made of; else the end of what it said.
fn fetch(folder: &Path, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("go").args(["list", "-deps"]).args(arguments).current_dir(folder).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stderr);
    let last = || text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given").to_owned();
    output.status.success().then_some(()).ok_or_else(last)
}

/// Builds a program beside its place, and renames it: one that is there is whole.
fn build(folder: &Path, flags: &[&str], package: &str, program: &Path) -> Result<()> {
    let beside = program.with_extension("new");
    fs::create_dir_all(program.parent().context("find the folder of a program")?).context("make a folder")?;
    let mut command = Command::new("go");
    command.args(["build", "-buildvcs=false", "-trimpath"]).args(flags).arg("-o").arg(&beside).arg(package);
    let status = command.current_dir(folder).stdin(Stdio::null()).status().context("start Go")?;
    ensure!(status.success(), "build {package}");
    fs::rename(&beside, program).context("put a program into its place")
}

fn digest<T: AsRef<str>>(texts: &[T]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for text in texts {
        text.as_ref().hash(&mut hasher);
    }
    hasher.finish()
}
