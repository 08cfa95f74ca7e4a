//! Dependencies from outside: named once for the whole workspace, each with its reason, all from the
//! public registry.

use super::Finding;
use super::tree::Tree;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending("Cargo.toml") {
        // Fuzzing has its own workspace, as its tool wants it.
        if path == "Cargo.toml" {
            check_reasons(path, text, &mut findings);
        } else if path.starts_with("crates/") {
            check_inherited(path, text, &mut findings);
        }
    }
    for (path, text) in tree.ending("Cargo.lock") {
        check_sources(path, text, &mut findings);
    }
    findings
}

/// The lines of a section of a manifest with their numbers: `matches` chooses sections by name.
fn section(text: &str, matches: fn(&str) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        if let Some(name) = line.trim().strip_prefix('[') {
            inside = matches(name.trim_end_matches(']'));
            return None;
        }
        inside.then_some((index + 1, line.trim()))
    })
}

/// A crate takes every dependency from the workspace.
fn check_inherited(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        if line.starts_with('[') && line.contains("dependencies.") {
            findings.push(Finding::new(path, index + 1, "write a dependency on one line"));
        }
    }
    for (number, line) in section(text, |name| name.ends_with("dependencies")) {
        let entry = line.split('#').next().unwrap_or("");
        let inherited = entry.contains(".workspace = true") || entry.contains("workspace = true");
        if entry.contains('=') && !inherited && !is_continuation(entry) {
            findings.push(Finding::new(path, number, "take this dependency from the workspace"));
        }
    }
}

/// A line inside a list of features that spans lines.
fn is_continuation(line: &str) -> bool {
    line.starts_with(['"', ']', '}'])
}

/// Each dependency of the workspace has a comment above it or above its group.
fn check_reasons(path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut reason = false;
    for (number, line) in section(text, |name| name == "workspace.dependencies") {
        if line.starts_with('#') {
            reason = true;
        } else if line.is_empty() {
            reason = false;
        } else if !reason && !is_continuation(line) {
            findings.push(Finding::new(path, number, "say in a comment above why this dependency is here"));
        }
    }
}

fn check_sources(path: &str, text: &str, findings: &mut Vec<Finding>) {
    for (index, line) in text.lines().enumerate() {
        let source = line.strip_prefix("source = ").map(|source| source.trim_matches('"'));
        if source.is_some_and(|source| source != REGISTRY) {
            findings.push(Finding::new(path, index + 1, "only the public registry is a source"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [usize; 0] = [];

    fn lines(files: &[(&str, &str)]) -> Vec<usize> {
        check(&Tree::of(files)).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn crates_inherit_their_dependencies() {
        let good = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = { workspace = true, features = [\"x\"] }\n";
        assert_eq!(lines(&[("crates/a/Cargo.toml", good)]), NOTHING);
        let bad = "[dependencies]\na = \"1\"\n[dev-dependencies]\n\nb = { version = \"2\" }\n[dependencies.c]\nversion = \"3\"\n";
        assert_eq!(lines(&[("crates/a/Cargo.toml", bad)]), [6, 2, 5]);
    }

    #[test]
    fn the_workspace_gives_reasons() {
        let good = "[workspace.dependencies]\n# --- data ---\na = \"1\"\nb = { version = \"2\", features = [\n  \"x\",\n] }\n[profile.dev]\nc = 1\n";
        assert_eq!(lines(&[("Cargo.toml", good)]), NOTHING);
        let bad = "[workspace.dependencies]\na = \"1\"\n# why\nb = \"2\"\n\nc = \"3\"\n";
        assert_eq!(lines(&[("Cargo.toml", bad)]), [2, 6]);
    }

    #[test]
    fn only_the_public_registry() {
        let good = format!("[[package]]\nsource = \"{REGISTRY}\"\n");
        assert_eq!(lines(&[("Cargo.lock", &good)]), NOTHING);
        let bad = "[[package]]\nsource = \"git+https://example.org/a\"\n";
        assert_eq!(lines(&[("Cargo.lock", bad)]), [2]);
    }
}
