//! How long files and functions may be.
//!
//! What is too long today stands in a ratchet file with its length. Lines there may only shrink or
//! go; a new line is written by hand, in a change that says why.

use super::tree::Tree;
use super::{Finding, rust};
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::path::Path;

const RATCHET: &str = "crates/xtask/tidy-ratchet.txt";
/// A longer file needs a reason.
const FILE_LINES_MAX: usize = 800;
/// No reason is good enough for a longer file.
const FILE_LINES_LIMIT: usize = 1500;
/// A longer function needs a reason.
const FUNCTION_LINES_MAX: usize = 70;

/// What is measured, as one line of the ratchet file names it: `file PATH` or `function PATH NAME`.
type Lengths = BTreeMap<String, Measured>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Measured {
    path: String,
    line: usize,
    lines: usize,
}

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let known = known(tree, &mut findings);
    let found = too_long(tree);
    for (name, measured) in &found {
        let Measured { path, line, lines } = measured;
        let objection = match known.get(name.as_str()) {
            _ if name.starts_with("file ") && *lines > FILE_LINES_LIMIT => {
                format!("{lines} lines are more than a file may ever have ({FILE_LINES_LIMIT})")
            }
            Some(allowed) if lines <= allowed => continue,
            Some(allowed) => format!("grew from {allowed} to {lines} lines; make it shorter than it was"),
            None => format!("{lines} lines: split it, or add `{name} {lines}` to {RATCHET} and say why in the commit"),
        };
        findings.push(Finding::new(path, *line, objection));
    }
    for (name, allowed) in &known {
        let now = found.get(*name).map_or(0, |measured| measured.lines);
        if now < *allowed {
            let message = format!("`{name}` is shorter now; run `cargo xtask tidy --bless`");
            findings.push(Finding::new(RATCHET, 0, message));
        }
    }
    findings
}

/// Lowers the lengths in the ratchet file to those of today, and drops what is short enough.
pub(crate) fn bless(root: &Path, tree: &Tree) -> Result<()> {
    let text = blessed(tree);
    std::fs::write(root.join(RATCHET), text).with_context(|| format!("write `{RATCHET}`"))
}

fn blessed(tree: &Tree) -> String {
    let found = too_long(tree);
    let text = tree.files().get(RATCHET).map_or("", String::as_str);
    let kept = text.lines().filter_map(|line| match parse(line) {
        Some((name, allowed)) => Some(format!("{name} {}\n", allowed.min(found.get(name)?.lines))),
        None => Some(format!("{line}\n")),
    });
    kept.collect::<Vec<_>>().concat()
}

fn parse(line: &str) -> Option<(&str, usize)> {
    let (name, lines) = line.rsplit_once(' ').filter(|_| !line.starts_with('#'))?;
    Some((name, lines.parse().ok()?))
}

fn known<'a>(tree: &'a Tree, findings: &mut Vec<Finding>) -> BTreeMap<&'a str, usize> {
    let mut known = BTreeMap::new();
    let text = tree.files().get(RATCHET).map_or("", String::as_str);
    for (index, line) in text.lines().enumerate() {
        match parse(line) {
            Some((name, lines)) => drop(known.insert(name, lines)),
            None if line.is_empty() || line.starts_with('#') => {}
            None => findings.push(Finding::new(RATCHET, index + 1, "not a name and a number of lines")),
        }
    }
    known
}

fn too_long(tree: &Tree) -> Lengths {
    let mut lengths = Lengths::new();
    let mut note = |name: String, path: &str, line: usize, lines: usize| {
        let measured = Measured { path: path.to_owned(), line, lines };
        // Functions of the same name in one file share a line of the ratchet: the longest counts.
        let longest = lengths.entry(name).or_insert_with(|| measured.clone());
        if longest.lines < lines {
            *longest = measured;
        }
    };
    for (path, text) in tree.ending(".rs") {
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX {
            note(format!("file {path}"), path, 0, lines);
        }
        for function in rust::functions(&rust::mask(text)) {
            if function.lines > FUNCTION_LINES_MAX {
                note(format!("function {path} {}", function.name), path, function.line, function.lines);
            }
        }
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "crates/a/src/b.rs";

    fn file(lines: usize) -> String {
        "//\n".repeat(lines)
    }

    fn function(lines: usize) -> String {
        format!("fn long() {{\n{}}}\n", "    a();\n".repeat(lines - 2))
    }

    fn messages(text: &str, ratchet: &str) -> Vec<String> {
        let tree = Tree::of(&[(PATH, text), (RATCHET, ratchet)]);
        check(&tree).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn what_is_short_enough_passes() {
        assert_eq!(messages(&file(FILE_LINES_MAX), ""), Vec::<String>::new());
        assert_eq!(messages(&function(FUNCTION_LINES_MAX), "# nothing\n"), Vec::<String>::new());
    }

    #[test]
    fn what_is_too_long_needs_a_line() {
        assert!(messages(&file(801), "")[0].contains("`file crates/a/src/b.rs 801`"));
        assert!(messages(&function(71), "")[0].contains("`function crates/a/src/b.rs long 71`"));
        assert_eq!(messages(&file(801), &format!("file {PATH} 801\n")), Vec::<String>::new());
        assert_eq!(messages(&function(80), &format!("function {PATH} long 80\n")), Vec::<String>::new());
    }

    #[test]
    fn what_stands_in_the_ratchet_may_not_grow() {
        assert!(messages(&file(810), &format!("file {PATH} 805\n"))[0].contains("grew from 805 to 810"));
        assert!(messages(&file(1501), &format!("file {PATH} 1501\n"))[0].contains("may ever have"));
    }

    #[test]
    fn what_shrank_is_written_down_and_nothing_is_added() {
        let ratchet = format!("# why\nfile {PATH} 900\nfunction {PATH} gone 99\n");
        let text = format!("{}{}", file(840), function(75));
        assert!(messages(&text, &ratchet).iter().any(|message| message.contains("shorter now")));
        let tree = Tree::of(&[(PATH, text.as_str()), (RATCHET, &ratchet)]);
        assert_eq!(blessed(&tree), format!("# why\nfile {PATH} 900\n"));
        let tree = Tree::of(&[(PATH, file(840).as_str()), (RATCHET, &ratchet)]);
        assert_eq!(blessed(&tree), format!("# why\nfile {PATH} 840\n"));
    }

    #[test]
    fn nonsense_in_the_ratchet_is_found() {
        assert!(messages("", "nonsense\n")[0].contains("not a name"));
    }
}
