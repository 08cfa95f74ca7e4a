//! How bytes come over the network, as the rest of fetching sees it: one question, one answer in pieces, and pauses.
//!
//! A trait, so that every way of failing can be acted out in tests. Whoever implements it bounds each wait.

use std::fmt::Debug;

use ov_types::Span;
use tokio::sync::watch;

/// A way to ask web servers.
pub trait Transport: Debug + Send + Sync {
    /// Asks for what is at an address; returns with the head of the answer.
    fn get(&self, ask: &Ask<'_>, cancel: &Cancel) -> Result<Answer, TransportError>;

    /// Lets time pass, or returns early when the fetch is cancelled.
    fn pause(&self, pause_ms: u64, cancel: &Cancel);
}

/// A question.
#[derive(Clone, Copy)]
pub struct Ask<'a> {
    /// The address. It may hold a password.
    pub url: &'a str,
    /// Headers beside those of HTTP itself. They may hold secrets.
    pub headers: &'a [(&'static str, String)],
}

impl Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ask")
    }
}

/// The head of an answer, and its body.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers that matter for downloads, by their names in lower case.
    pub headers: Vec<(String, String)>,
    /// What is to be read.
    pub body: Box<dyn Body>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header_of(&self.headers, name)
    }
}

/// A header by its name in lower case.
pub(super) fn header_of<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
}

impl Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// A body that comes in pieces.
pub trait Body {
    /// The next piece; `None` at the end that the server announced.
    fn next(&mut self, cancel: &Cancel) -> Result<Option<Vec<u8>>, TransportError>;
}

/// Why no answer, or not all of it, came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Somebody called it off.
    #[error("go on: it was cancelled")]
    Cancelled,
    /// Nothing came for too long.
    #[error("hear more: nothing came within {within}")]
    Stalled {
        /// How long was waited.
        within: Span,
    },
    /// No answer came.
    #[error("reach the server: {why}")]
    Unreachable {
        /// What went wrong.
        why: String,
    },
    /// The answer broke off.
    #[error("read the answer: {why}")]
    Broken {
        /// What went wrong.
        why: String,
    },
    /// What was asked for will not be done, however often it is tried.
    #[error("follow the server: {why}")]
    Refused {
        /// What went wrong.
        why: String,
    },
}

impl TransportError {
    /// Whether trying again may help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Stalled { .. } | Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Cancelled | Self::Refused { .. } => false,
        }
    }
}

/// Calls a fetch off, from any thread. Clones are the same.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Self(watch::Sender::new(false))
    }
}

impl Cancel {
    /// Calls it off, for good.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was called off.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns when it is called off.
    pub(super) async fn cancelled(&self) {
        let mut seen = self.0.subscribe();
        // The sender lives as long as `self` does.
        let _ = seen.wait_for(|cancelled| *cancelled).await;
    }
}
