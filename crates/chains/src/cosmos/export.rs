//! Writes settings down: as `config` shows them, and as the file that `init` leaves.
//!
//! Both go by the table of [`super::settings`]; nothing here knows a setting by name, except for what is derived.

use std::fmt::Write as _;

use super::settings::{Settings, Slot, TABLE};

/// What `config` prints. Unlike the original it does not forget the gRPC address.
pub fn shown(settings: &Settings) -> String {
    let mut text = "Configurable Values:\n".to_owned();
    // The slots are places to write to, so they are taken from a copy.
    let mut copy = settings.clone();
    for row in &TABLE {
        // Writing to a text cannot fail.
        let _ = writeln!(text, "  {}: {}", row.name, value((row.slot)(&mut copy)));
    }
    text.push_str("Derived Values:\n");
    let derived = [
        ("Root Dir", settings.root()),
        ("Upgrade Dir", settings.upgrades()),
        ("Genesis Bin", settings.genesis_program()),
        ("Monitored File", settings.plan_file()),
        ("Data Backup Dir", settings.backup_dir.clone().into()),
    ];
    let width = derived.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, path) in &derived {
        let _ = writeln!(text, "  {name:>width$}: {}", path.display());
    }
    text
}

fn value(slot: Slot<'_>) -> String {
    match slot {
        Slot::Text(text) => text.clone(),
        Slot::Switch(on) => on.to_string(),
        Slot::Length(length, _) => length.to_string(),
        Slot::Number(number) => number.to_string(),
        Slot::Time(format) => format.layout.to_owned(),
    }
}

/// The text of `config.toml`: every key, lengths as nanoseconds.
pub fn exported(settings: &Settings) -> String {
    let mut text = String::new();
    let mut copy = settings.clone();
    for row in &TABLE {
        let value = match (row.slot)(&mut copy) {
            Slot::Text(text) => quoted(text),
            Slot::Switch(on) => on.to_string(),
            Slot::Length(length, _) => length.nanoseconds().to_string(),
            Slot::Number(number) => number.to_string(),
            Slot::Time(format) => quoted(format.word),
        };
        let _ = writeln!(text, "{} = {value}", row.key());
    }
    text
}

/// A text in the form that the original prefers: as it is, unless something in it has to be escaped.
fn quoted(text: &str) -> String {
    if text.contains(['\'', '\u{7f}']) || text.chars().any(|c| c.is_control() && c != '\t') {
        return toml::Value::String(text.to_owned()).to_string();
    }
    format!("'{text}'")
}
