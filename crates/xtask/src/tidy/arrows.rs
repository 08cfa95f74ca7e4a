//! The walls: which crate may depend on which. The picture is in `ARCHITECTURE.md`, the law is here.

use super::{DEVELOPMENT_CRATES, Finding};
use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};
use std::path::Path;

/// Crate, and the crates of ours it may depend on. A crate that is not here may not exist.
const ARROWS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("sys", &["types"]),
    ("journal", &["types", "sys"]),
    ("engine", &["types"]),
    ("shim", &[]),
    ("supervise", &["types", "sys", "shim"]),
    ("release", &["types", "sys"]),
    ("vault", &["types", "sys"]),
    ("gate", &["types", "sys"]),
    ("chains", &["types", "sys", "release", "vault"]),
    ("daemon", &["types", "sys", "journal", "engine", "shim", "supervise", "release", "vault", "gate", "chains"]),
    ("client", &["types"]),
    // What works without a daemon, and the demo's node: docs/adr/0001 and 0003.
    ("omnivisor", &["client", "daemon", "shim", "types", "chains", "release", "sys", "fakenode"]),
    ("operator", &["types", "client", "vault"]),
    ("shardnet", &["types"]),
    // A witness depends on nothing that it bears witness of.
    ("fakenode", &[]),
    ("testkit", ANYTHING),
    ("sim", ANYTHING),
    ("xtask", ANYTHING),
];

/// For crates that drive the others.
const ANYTHING: &[&str] = &["*"];

/// Crates that are kept small by naming all that they may take from outside.
const OUTSIDE: &[(&str, &[&str])] = &[
    // Lives as long as the node and beside it: its memory is the node's.
    ("shim", &["rustix", "nix"]),
    // Pure: no clock, no files, no threads.
    ("engine", &["serde"]),
    // Depended on by everyone; schemars is for those who ask for schemas.
    ("types", &["serde", "schemars"]),
];

/// One dependency of one crate, by folder name or, from outside, by package name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Edge {
    from: String,
    to: String,
    ours: bool,
    for_tests: bool,
}

/// All dependencies of all crates of ours.
pub(crate) fn read(root: &Path) -> Result<Vec<Edge>> {
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .no_deps()
        .exec()
        .context("read cargo metadata")?;
    let mut edges = Vec::new();
    for package in &metadata.packages {
        let from = package.manifest_path.parent().and_then(|folder| folder.file_name());
        let from = from.context("read the folder of a crate")?.to_owned();
        // An edge to itself, so that a crate without dependencies is seen too.
        edges.push(Edge { from: from.clone(), to: from.clone(), ours: true, for_tests: false });
        edges.extend(package.dependencies.iter().map(|dependency| {
            let folder = dependency.path.as_ref().and_then(|path| path.file_name());
            Edge {
                from: from.clone(),
                to: folder.unwrap_or(&dependency.name).to_owned(),
                ours: folder.is_some(),
                for_tests: dependency.kind == DependencyKind::Development,
            }
        }));
    }
    Ok(edges)
}

/// Every edge that no arrow allows.
pub(crate) fn check(edges: &[Edge]) -> Vec<Finding> {
    edges.iter().filter_map(|edge| Some((edge, objection(edge)?))).map(finding).collect()
}

fn finding((edge, message): (&Edge, String)) -> Finding {
    Finding::new(&format!("crates/{}/Cargo.toml", edge.from), 0, message)
}

fn objection(edge: &Edge) -> Option<String> {
    let Edge { from, to, ours, for_tests } = edge;
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == from) else {
        return Some(format!("`{from}` is not in the table of arrows; draw it there first"));
    };
    let development = |name: &String| DEVELOPMENT_CRATES.contains(&name.as_str());
    if *ours {
        if to == from || *for_tests || *allowed == ANYTHING || allowed.contains(&to.as_str()) {
            return None;
        }
        if development(to) {
            return Some(format!("`{from}` may depend on `{to}` only for its tests"));
        }
        return Some(format!("no arrow from `{from}` to `{to}`"));
    }
    let (_, outside) = OUTSIDE.iter().find(|(name, _)| name == from).filter(|_| !for_tests)?;
    (!outside.contains(&to.as_str()))
        .then(|| format!("`{from}` takes only {} from outside, not `{to}`", outside.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(from: &str, to: &str, ours: bool, for_tests: bool) -> Edge {
        Edge { from: from.to_owned(), to: to.to_owned(), ours, for_tests }
    }

    #[test]
    fn drawn_arrows_pass() {
        let good = [
            edge("daemon", "engine", true, false),
            edge("omnivisor", "fakenode", true, false),
            edge("engine", "testkit", true, true),
            edge("xtask", "engine", true, false),
            edge("shim", "rustix", false, false),
            edge("shim", "proptest", false, true),
            edge("daemon", "tokio", false, false),
        ];
        assert_eq!(check(&good), []);
    }

    #[test]
    fn arrows_that_nobody_drew_fail() {
        let bad = [
            (edge("engine", "sys", true, false), "no arrow from `engine` to `sys`"),
            (edge("types", "daemon", true, false), "no arrow from `types` to `daemon`"),
            (edge("daemon", "fakenode", true, false), "only for its tests"),
            (edge("shim", "serde", false, false), "takes only rustix, nix"),
            (edge("kitchen", "types", true, false), "draw it there first"),
        ];
        for (edge, message) in bad {
            let findings = check(std::slice::from_ref(&edge));
            assert!(findings.iter().any(|finding| finding.message.contains(message)), "{edge:?}: {findings:?}");
        }
    }

    #[test]
    fn the_table_has_no_circle() {
        let mut settled: Vec<&str> = Vec::new();
        let mut waiting: Vec<_> = ARROWS.iter().filter(|(_, to)| *to != ANYTHING).collect();
        while !waiting.is_empty() {
            let count = waiting.len();
            waiting.retain(|(name, to)| {
                let ready = to.iter().all(|to| settled.contains(to));
                if ready {
                    settled.push(name);
                }
                !ready
            });
            assert!(waiting.len() < count, "a circle among {waiting:?}");
        }
    }

    #[test]
    fn the_workspace_is_read() {
        let edges = read(&crate::workspace_root().unwrap()).unwrap();
        assert!(edges.contains(&edge("sys", "types", true, false)));
        assert!(edges.contains(&edge("xtask", "anyhow", false, false)));
    }
}
