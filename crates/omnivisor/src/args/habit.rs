//! Words that people bring along from other tools, and what they mean here.

use std::ffi::{OsStr, OsString};

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

/// What somebody types elsewhere, and the tip for here.
const HABITS: [(&str, &str); 13] = [
    ("start", "`omnivisor run` starts the daemon and the node, `omnivisor unit start main` a node that is kept down"),
    ("restart", "`omnivisor unit restart main`"),
    ("ps", "`omnivisor status`"),
    ("top", "`omnivisor watch`"),
    ("version", "`omnivisor --version`"),
    ("config", "`omnivisor doctor` checks the configuration, `omnivisor schema` describes it"),
    ("delete", "a plan is taken back with `cancel`; snapshots and releases go with `remove`"),
    ("rm", "a plan is taken back with `cancel`; snapshots and releases go with `remove`"),
    ("show", "`omnivisor plan list --all`, `omnivisor upgrade history PLAN`"),
    ("--tail", "`--lines COUNT`, or `-n COUNT`"),
    ("--limit", "`--lines COUNT`, or `-n COUNT`"),
    ("--watch", "`omnivisor watch` shows it live"),
    ("--daemon", "`omnivisor run` stays in the foreground; a service manager puts it into the background"),
];

/// `help plan add` is `plan add --help`.
pub(crate) fn without_help_command(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Adds a tip to what clap says of a word that means something elsewhere.
pub(crate) fn with_tip(mut error: clap::Error) -> clap::Error {
    let said = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg].map(|kind| match error.get(kind) {
        Some(ContextValue::String(word)) => word.clone(),
        _ => String::new(),
    });
    if let Some((_, tip)) = HABITS.iter().find(|(word, _)| said.iter().any(|said| said == word)) {
        // In the place of words that merely look alike.
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(*tip)]));
    }
    error
}

/// Whether JSON is wanted, told apart by hand, since the words may be such that nothing can be read from them.
pub(crate) fn wants_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != OsStr::new("--")).any(|word| word == "--json")
}
