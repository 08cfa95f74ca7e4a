//! What a comparison leaves in `docs/bench`: a page for people, whose end they write, and the numbers for programs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::report::{self, Row};
use crate::report as say;

/// What stands below this line in a page was written by people, and stays.
const BY_HAND: &str = "<!-- Written by hand from here on. -->";

/// One comparison's page.
#[derive(Debug)]
pub(super) struct Document {
    /// The subcommand, and the name of the files.
    pub(super) name: &'static str,
    pub(super) title: &'static str,
}

impl Document {
    /// Writes both files.
    pub(super) fn write(&self, root: &Path, facts: &[(String, String)], rows: &[Row]) -> Result<()> {
        let Self { name, title } = self;
        let folder = root.join("docs/bench");
        fs::create_dir_all(&folder).context("make docs/bench")?;
        let page = folder.join(format!("{name}.md"));
        let before = fs::read_to_string(&page).unwrap_or_default();
        let by_hand = before.split_once(BY_HAND).map_or("\n", |(_, rest)| rest);
        let facts_text: Vec<String> = facts.iter().map(|(name, value)| format!("- {name}: {value}\n")).collect();
        let text = format!(
            "# {title}\n\n\
             Written by `cargo xtask bench {name}`, all in one run. In brackets: how many times omnivisor's value.\n\n\
             {}\n{}\n{BY_HAND}{by_hand}",
            facts_text.concat(),
            report::table(rows)
        );
        fs::write(&page, text).with_context(|| format!("write docs/bench/{name}.md"))?;
        let facts = facts.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let facts: serde_json::Map<String, serde_json::Value> = facts.collect();
        let json = serde_json::json!({ "version": "1.0", "machine": facts, "rows": report::to_json(rows) });
        let json = format!("{}\n", serde_json::to_string_pretty(&json)?);
        fs::write(folder.join(format!("{name}.json")), json)
            .with_context(|| format!("write docs/bench/{name}.json"))?;
        say(&format!("written to docs/bench/{name}.md"));
        Ok(())
    }
}
