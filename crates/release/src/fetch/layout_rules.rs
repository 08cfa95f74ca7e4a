//! Which member of an archive, or which file of a directory, becomes what in the release.
//!
//! An archive of exactly one file is the program, whatever the file is called. Otherwise the program is where it
//! belongs, or lies in the root by its name, or where it was said to lie, and is moved there; or else it is no release.

use std::path::Path;

use super::archive::Shape;

/// Something that may become part of a release.
pub(super) struct Candidate<'a> {
    pub(super) path: &'a str,
    pub(super) shape: &'a Shape,
}

/// What becomes of each candidate.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// The path in the release, by the number of the candidate; `None` is left out.
    pub(super) paths: Vec<Option<String>>,
    /// The files that have to be executable: the program, and what it leads to.
    pub(super) program: String,
}

/// Why what was fetched is not a release.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// The program is not there.
    #[error("url \"{address}\" result does not contain a {program} or {name} file")]
    NoProgram {
        /// Where it came from.
        address: String,
        /// Where the program should be.
        program: String,
        /// What it is called.
        name: String,
    },
    /// It is there, and cannot be run.
    #[error("use {path} of \"{address}\": {why}")]
    Unfit {
        /// Where it came from.
        address: String,
        /// What is wrong.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The program that is looked for.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Where it belongs.
    pub(super) program: &'a str,
    /// Where it was said to lie.
    pub(super) inside: Option<&'a str>,
}

/// Places candidates. `is_archive` says whether a single file may have any name.
pub(super) fn place(
    candidates: &[Candidate<'_>],
    is_archive: bool,
    subdirectory: Option<&str>,
    wanted: Wanted<'_>,
    address: &str,
) -> Result<Placement, Misplaced> {
    let program = wanted.program;
    let name = wanted.inside.unwrap_or_else(|| program.rsplit('/').next().unwrap_or(program));
    if let [Candidate { shape: Shape::File, .. }] = candidates
        && is_archive
    {
        return Ok(Placement { paths: vec![Some(program.to_owned())], program: program.to_owned() });
    }
    let inside = |path: &str| match subdirectory {
        None => Some(path.to_owned()),
        Some(directory) => path.strip_prefix(directory)?.strip_prefix('/').map(str::to_owned),
    };
    let mut paths: Vec<Option<String>> = candidates.iter().map(|candidate| inside(candidate.path)).collect();
    let at = |paths: &[Option<String>], wanted: &str| paths.iter().position(|path| path.as_deref() == Some(wanted));
    let unfit = |path: &str, why| Misplaced::Unfit { address: address.to_owned(), path: path.to_owned(), why };
    if subdirectory.is_some() {
        check_links(candidates, &paths).map_err(|(path, why)| unfit(&path, why))?;
    }
    let is_elsewhere = wanted.inside.is_some_and(|inside| inside != program);
    if is_elsewhere && at(&paths, program).is_some() {
        return Err(unfit(program, "it lies where the program belongs, which is said to be another file"));
    }
    if at(&paths, program).is_none() {
        let root = at(&paths, name).ok_or_else(|| {
            let (address, program) = (address.to_owned(), program.to_owned());
            Misplaced::NoProgram { address, program, name: name.to_owned() }
        })?;
        if *candidates[root].shape != Shape::File {
            return Err(unfit(name, "it is not a regular file"));
        }
        for above in Path::new(program).ancestors().skip(1) {
            let taken = at(&paths, &above.to_string_lossy());
            if taken.is_some_and(|taken| *candidates[taken].shape != Shape::Directory) {
                return Err(unfit(&above.to_string_lossy(), "the program should lie in it, and it is no directory"));
            }
        }
        paths[root] = Some(program.to_owned());
    }
    let end = follow(candidates, &paths, program).ok_or_else(|| unfit(program, "it is not a regular file"))?;
    Ok(Placement { paths, program: end })
}

/// Where a program that may be a link leads to, if that is a file of the release.
fn follow(candidates: &[Candidate<'_>], paths: &[Option<String>], program: &str) -> Option<String> {
    const LINKS_MAX: usize = 40;
    let mut path = program.to_owned();
    for _ in 0..LINKS_MAX {
        let at = paths.iter().position(|found| found.as_deref() == Some(path.as_str()))?;
        match candidates[at].shape {
            Shape::File => return Some(path),
            Shape::Directory => return None,
            Shape::Link { to } => path = joined(&path, to)?,
        }
    }
    None
}

/// Where a link at `path` leads to; names on the way that are links themselves are not followed.
fn joined(path: &str, to: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in to.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop()?;
        } else {
            parts.push(part);
        }
    }
    Some(parts.join("/"))
}

/// A link that stays in the archive may lead out of the directory that is meant.
fn check_links(candidates: &[Candidate<'_>], paths: &[Option<String>]) -> Result<(), (String, &'static str)> {
    for (candidate, path) in candidates.iter().zip(paths) {
        if let (Shape::Link { to }, Some(path)) = (candidate.shape, path)
            && !crate::tree::text_stays_inside(Path::new(to), path.matches('/').count())
        {
            return Err((path.clone(), "it is a link that may lead out of the release"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "https://a.example/node.zip";

    fn try_place(
        candidates: &[(&str, Shape)],
        is_archive: bool,
        subdirectory: Option<&str>,
    ) -> Result<(Vec<Option<String>>, String), String> {
        let candidates: Vec<_> = candidates.iter().map(|(path, shape)| Candidate { path, shape }).collect();
        place(&candidates, is_archive, subdirectory, Wanted { program: "bin/node", inside: None }, ADDRESS)
            .map(|placement| (placement.paths, placement.program))
            .map_err(|error| error.to_string())
    }

    fn places(candidates: &[(&str, Shape)]) -> Vec<Option<String>> {
        try_place(candidates, true, None).unwrap().0
    }

    fn some(paths: &[&str]) -> Vec<Option<String>> {
        paths.iter().map(|path| Some((*path).to_owned())).collect()
    }

    fn link(to: &str) -> Shape {
        Shape::Link { to: to.to_owned() }
    }

    #[test]
    fn the_only_file_of_an_archive_is_the_program_whatever_its_name() {
        for name in ["node", "a/b/c", "bin/node", "README"] {
            assert_eq!(places(&[(name, Shape::File)]), some(&["bin/node"]));
        }
        let error = try_place(&[("README", Shape::File)], false, None).unwrap_err();
        assert_eq!(error, format!("url \"{ADDRESS}\" result does not contain a bin/node or node file"));
    }

    #[test]
    fn of_several_files_the_program_is_found_by_its_name() {
        let inside = [("bin", Shape::Directory), ("bin/node", Shape::File), ("node", Shape::File)];
        assert_eq!(places(&inside), some(&["bin", "bin/node", "node"]));
        assert_eq!(places(&[("README", Shape::File), ("node", Shape::File)]), some(&["README", "bin/node"]));
        for wrong in [
            &[("README", Shape::File), ("other", Shape::File)][..],
            &[("v2", Shape::Directory), ("v2/node", Shape::File)],
            &[("bin", Shape::Directory)],
        ] {
            assert!(try_place(wrong, true, None).unwrap_err().contains("does not contain a bin/node or node file"));
        }
    }

    #[test]
    fn the_program_is_a_file_that_lies_where_it_can() {
        for wrong in [
            &[("bin/node", Shape::Directory), ("a", Shape::File)][..],
            &[("bin/node", link("other")), ("a", Shape::File)],
            &[("bin/node", link("node")), ("a", Shape::File)],
            &[("node", link("a")), ("a", Shape::File)],
            &[("node", Shape::File), ("bin", Shape::File)],
        ] {
            let error = try_place(wrong, true, None).unwrap_err();
            assert!(error.starts_with("use "), "{error}");
        }
        let linked = [("bin/node", link("../lib/v2")), ("lib/v2", link("./node")), ("lib/node", Shape::File)];
        assert_eq!(try_place(&linked, true, None).unwrap().1, "lib/node");
    }

    #[test]
    fn the_program_may_lie_where_it_was_said_to() {
        let placed = |files: &[&str], inside| {
            let candidates: Vec<_> = files.iter().map(|path| Candidate { path, shape: &Shape::File }).collect();
            let wanted = Wanted { program: "bin/node", inside: Some(inside) };
            place(&candidates, true, None, wanted, ADDRESS).map(|it| it.paths).map_err(|error| error.to_string())
        };
        assert_eq!(placed(&["v2/README", "v2/noded"], "v2/noded"), Ok(some(&["v2/README", "bin/node"])));
        assert_eq!(placed(&["node", "bin/node"], "bin/node"), Ok(some(&["node", "bin/node"])));
        assert_eq!(placed(&["any"], "v2/noded"), Ok(some(&["bin/node"])), "there is no other");
        assert!(placed(&["noded", "bin/node"], "noded").unwrap_err().starts_with("use bin/node of "));
        assert!(
            placed(&["node", "README"], "noded").unwrap_err().contains("does not contain a bin/node or noded file")
        );
    }

    #[test]
    fn a_directory_of_an_archive_can_be_meant() {
        let all = [("doc", Shape::File), ("v2/bin/node", Shape::File), ("v2x", Shape::File)];
        let (paths, _) = try_place(&all, true, Some("v2")).unwrap();
        assert_eq!(paths, [None, Some("bin/node".to_owned()), None]);
        let out = [("v2/bin/node", Shape::File), ("v2/up", link("../doc"))];
        assert!(try_place(&out, true, Some("v2")).unwrap_err().contains("may lead out"));
    }
}
