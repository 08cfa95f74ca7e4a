//! Files that a release gets if it does not bring them: what a family wants in each, and nobody publishes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::ReleaseError;
use crate::tree::{self, Entry, Planned, PlannedKind};

/// A file that a release gets if it does not bring it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// Its path in the release.
    pub path: String,
    /// What it holds.
    pub contents: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
}

/// What is to be made of these in a release that holds `there`, by paths, and whether they are directories.
fn missing(additions: &[Addition], mut there: BTreeMap<String, bool>) -> Result<Vec<Planned>, ReleaseError> {
    let mut planned = Vec::new();
    for Addition { path, contents, mode } in additions {
        let unfit = |why| ReleaseError::Unfit { path: path.into(), why };
        if !tree::is_inside(Path::new(path)) {
            return Err(unfit("what is added to a release must lie in it"));
        }
        if there.contains_key(path) {
            continue;
        }
        let above: Vec<&Path> = Path::new(path).ancestors().skip(1).filter(|it| !it.as_os_str().is_empty()).collect();
        for above in above.into_iter().rev() {
            let above = above.to_string_lossy().into_owned();
            match there.insert(above.clone(), true) {
                None => planned.push(of_nothing(above, PlannedKind::Directory { mode: 0o755 })),
                Some(true) => {}
                Some(false) => return Err(unfit("it would lie in what is no directory")),
            }
        }
        there.insert(path.clone(), false);
        planned.push(of_nothing(path.clone(), PlannedKind::Text { mode: *mode, contents: contents.clone() }));
    }
    Ok(planned)
}

fn of_nothing(path: String, what: PlannedKind) -> Planned {
    Planned { path, from: PathBuf::new(), what }
}

/// What is missing of these in what is planned.
pub(crate) fn missing_in_plan(additions: &[Addition], planned: &[Planned]) -> Result<Vec<Planned>, ReleaseError> {
    let kind = |plan: &Planned| (plan.path.clone(), matches!(plan.what, PlannedKind::Directory { .. }));
    missing(additions, planned.iter().map(kind).collect())
}

/// What is missing of these in a tree.
pub(crate) fn missing_in_tree(additions: &[Addition], entries: &[Entry]) -> Result<Vec<Planned>, ReleaseError> {
    let kind = |entry: &Entry| (entry.path().to_owned(), matches!(entry, Entry::Directory { .. }));
    missing(additions, entries.iter().map(kind).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addition(path: &str) -> Addition {
        Addition { path: path.to_owned(), contents: b"text".to_vec(), mode: 0o600 }
    }

    fn planned(wanted: &[&str], there: &[(&str, bool)]) -> Result<Vec<String>, ReleaseError> {
        let wanted: Vec<Addition> = wanted.iter().map(|path| addition(path)).collect();
        let there = there.iter().map(|(path, is_directory)| ((*path).to_owned(), *is_directory)).collect();
        Ok(missing(&wanted, there)?.into_iter().map(|plan| plan.path).collect())
    }

    #[test]
    fn only_what_is_missing_is_made_with_all_above_it() {
        assert_eq!(planned(&["a"], &[("a", false)]).unwrap(), [""; 0]);
        assert_eq!(planned(&["a", "x/y/b", "x/c"], &[("x", true)]).unwrap(), ["a", "x/y", "x/y/b", "x/c"]);
        for (path, there) in [("../a", "b"), ("/a", "b"), ("b/a", "b")] {
            assert!(matches!(planned(&[path], &[(there, false)]), Err(ReleaseError::Unfit { .. })), "{path}");
        }
    }
}
