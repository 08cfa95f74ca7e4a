//! `cargo xtask tidy`: the rules of the house that compilers do not know.
//!
//! Each check is a pure function from the source tree, or from `cargo metadata`, to findings, and
//! each has a fixture that shows it fail. Rules are tables at the top of their module.

mod arrows;
mod bans;
mod dependencies;
mod documents;
mod lengths;
mod rust;
mod tree;

use crate::report;
use anyhow::Result;
use std::path::Path;
use tree::Tree;

/// Crates for development only. They may do what the product may not.
const DEVELOPMENT_CRATES: &[&str] = &["testkit", "fakenode", "sim", "xtask"];

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1; 0 if it is about the whole file.
    line: usize,
    message: String,
}

impl Finding {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { path, line, message } = self;
        match line {
            0 => write!(formatter, "{path}: {message}"),
            line => write!(formatter, "{path}:{line}: {message}"),
        }
    }
}

/// Checks everything below `root`. Returns whether nothing was found.
pub(crate) fn run(root: &Path, bless: bool) -> Result<bool> {
    let tree = Tree::read(root)?;
    if bless {
        lengths::bless(root, &tree)?;
    }
    let tree = if bless { Tree::read(root)? } else { tree };
    let mut findings = arrows::check(&arrows::read(root)?);
    for check in [dependencies::check, bans::check, lengths::check, documents::check] {
        findings.extend(check(&tree));
    }
    findings.sort();
    for finding in &findings {
        report(&finding.to_string());
    }
    report(&match findings.len() {
        0 => format!("tidy: {} files, nothing to say", tree.files().len()),
        count => format!("tidy: {count} findings in {} files", tree.files().len()),
    });
    Ok(findings.is_empty())
}

/// The folder name of the crate that a file belongs to, if it belongs to one.
fn crate_of(path: &str) -> Option<&str> {
    path.strip_prefix("crates/")?.split('/').next()
}

fn is_development(path: &str) -> bool {
    crate_of(path).is_some_and(|name| DEVELOPMENT_CRATES.contains(&name))
}
