//! Which library files a program would be given by this host's loader, found without running anything.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use ov_sys::disk::{Disk, Kind};

use crate::elf::{self, ElfFacts};
use crate::loader_paths;
use crate::tree;

/// How many libraries of libraries are followed.
const LIBRARIES_MAX: usize = 512;

/// What became of a program's libraries.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    /// Where each needed name was found.
    pub(crate) found: BTreeMap<String, PathBuf>,
    /// Names that were not found, each with the file that needs it.
    pub(crate) missing: Vec<(String, PathBuf)>,
    /// Versions that a found library does not define: library, version, and the file that needs it.
    pub(crate) versions_missing: Vec<(String, String, PathBuf)>,
    /// Versions that the C library defines, if it was found.
    pub(crate) glibc_defined: Vec<String>,
}

/// A file whose needs are to be met, and the folders that those above it ask for on behalf of theirs.
struct Open {
    path: PathBuf,
    facts: ElfFacts,
    inherited: Vec<PathBuf>,
}

/// Finds every library that `program` needs, and those that these need.
pub(crate) fn find(
    disk: &dyn Disk,
    program: &Path,
    facts: &ElfFacts,
    library_path: &[PathBuf],
    triple: &str,
) -> Libraries {
    let interpreter = facts.interpreter.clone().unwrap_or_default();
    let host = loader_paths::folders(disk, &interpreter, triple);
    let mut libraries = Libraries::default();
    let mut defined: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut needing = Vec::new();
    let mut open = VecDeque::new();
    open.push_back(Open { path: program.to_owned(), facts: facts.clone(), inherited: Vec::new() });
    while let Some(file) = open.pop_front() {
        let own = |list: &[String]| list.iter().map(|text| expand(text, &file.path)).collect::<Vec<_>>();
        // RPATH serves the libraries below too, and counts only where there is no RUNPATH.
        let mut inherited = if file.facts.runpath.is_empty() { own(&file.facts.rpath) } else { Vec::new() };
        inherited.extend(file.inherited.iter().cloned());
        let mut folders = if file.facts.runpath.is_empty() { inherited.clone() } else { Vec::new() };
        folders.extend(library_path.iter().cloned());
        folders.extend(own(&file.facts.runpath));
        folders.extend(host.iter().cloned());
        for name in &file.facts.needed {
            if libraries.found.contains_key(name) || libraries.missing.iter().any(|(missing, _)| missing == name) {
                continue;
            }
            if libraries.found.len() >= LIBRARIES_MAX {
                break;
            }
            match candidate(disk, name, &folders, facts) {
                Some((path, of_library)) => {
                    libraries.found.insert(name.clone(), path.clone());
                    defined.insert(name.clone(), of_library.versions_defined.clone());
                    open.push_back(Open { path, facts: of_library, inherited: inherited.clone() });
                }
                None => libraries.missing.push((name.clone(), file.path.clone())),
            }
        }
        needing.push((file.path, file.facts.versions_needed));
    }
    for (path, versions) in needing {
        for (library, version) in versions {
            if defined.get(&library).is_some_and(|defined| !defined.contains(&version)) {
                libraries.versions_missing.push((library, version, path.clone()));
            }
        }
    }
    libraries.glibc_defined = defined.remove("libc.so.6").unwrap_or_default();
    libraries
}

/// The first file of that name that the loader would take: files for other processors are passed over, as it does.
fn candidate(disk: &dyn Disk, name: &str, folders: &[PathBuf], program: &ElfFacts) -> Option<(PathBuf, ElfFacts)> {
    let paths = if name.contains('/') {
        vec![PathBuf::from(name)]
    } else {
        folders.iter().map(|folder| folder.join(name)).collect()
    };
    paths.into_iter().filter(|path| path.is_absolute()).find_map(|path| {
        let facts = tree::facts_followed(disk, &path).ok()??;
        if facts.kind != Kind::File {
            return None;
        }
        let of_library = elf::read(disk, &path).ok()?;
        let same = (of_library.machine, of_library.is_64, of_library.is_little)
            == (program.machine, program.is_64, program.is_little);
        same.then_some((path, of_library))
    })
}

/// Puts the folder of the file itself in place of `$ORIGIN`.
fn expand(text: &str, file: &Path) -> PathBuf {
    let origin = file.parent().unwrap_or(Path::new("/")).to_string_lossy();
    PathBuf::from(text.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
}
