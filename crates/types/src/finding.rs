//! What the doctor found.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Checked, and in order.
    Ok,
    /// Could not be checked here; the message says why.
    Unknown,
    /// Works today; may hurt later.
    Warning,
    /// An upgrade must not go on.
    Error,
}

/// One thing the doctor looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// Stable name of the check, such as `binary.glibc`.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What was looked at: a path, a unit, a release.
    pub subject: String,
    /// What was found.
    pub message: String,
    /// What to do about it; empty when nothing is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fix: String,
}

impl Finding {
    /// A check that passed.
    pub fn ok(id: &str, subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Ok, id, subject, message, "")
    }

    /// A check that could not be made.
    pub fn unknown(id: &str, subject: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Severity::Unknown, id, subject, message, "")
    }

    /// A check that found something that may hurt later.
    pub fn warning(id: &str, subject: impl fmt::Display, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Warning, id, subject, message, fix)
    }

    /// A check that found something that must stop an upgrade.
    pub fn error(id: &str, subject: impl fmt::Display, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Severity::Error, id, subject, message, fix)
    }

    fn new(
        severity: Severity,
        id: &str,
        subject: impl fmt::Display,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { id: id.to_owned(), severity, subject: subject.to_string(), message: message.into(), fix: fix.into() }
    }
}

/// The worst severity among findings.
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}
