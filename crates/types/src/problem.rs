//! An error as an operator sees it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whether trying again can help without a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lasting {
    /// It may pass: trying again is worth it.
    Transient,
    /// It will not pass by itself.
    Permanent,
}

/// An error as an operator sees it: what failed, why, in what state the node is, and what to do next.
///
/// It is written into the journal and read back by later versions, hence plain data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Stable code, such as `OV-UPG-012`; see `docs/errors/`.
    pub code: String,
    /// What failed, as a fragment that fits "failed to …".
    pub summary: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// The state of the node: what runs, what was not changed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
    /// What to do next.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Whether trying again can help.
    pub lasting: Lasting,
    /// How long it lasts at least, in milliseconds, where somebody said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts_ms: Option<u64>,
}

impl Problem {
    /// A problem that may pass.
    pub fn transient(code: &str, summary: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            summary: summary.into(),
            causes: Vec::new(),
            state: String::new(),
            hint: String::new(),
            lasting: Lasting::Transient,
            lasts_ms: None,
        }
    }

    /// A problem that will not pass by itself.
    pub fn permanent(code: &str, summary: impl Into<String>) -> Self {
        Self { lasting: Lasting::Permanent, ..Self::transient(code, summary) }
    }

    /// Adds an error and everything beneath it as causes.
    #[must_use]
    pub fn because(mut self, error: &(dyn std::error::Error + 'static)) -> Self {
        self.causes.push(error.to_string());
        let mut source = error.source();
        while let Some(error) = source {
            self.causes.push(error.to_string());
            source = error.source();
        }
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Says in what state the node is.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.summary)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}
