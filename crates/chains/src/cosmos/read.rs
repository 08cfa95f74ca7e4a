//! Reads the settings: from the environment, or from a file that the environment wins over.
//!
//! Every problem is found and told at once, in the original's words. A value that is wrong leaves the default behind, so
//! that everything else is still looked at; settings with problems are thrown away.

use toml::{Table, Value};

use super::duration::GoDuration;
use super::settings::{BACKUP_DIR, Row, Settings, Slot, TABLE, Zero};
use super::time_format::TimeFormat;

/// The environment: what a variable is set to, if it is.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Settings, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What could be read.
    pub settings: Settings,
    /// One text for each thing that is wrong.
    pub problems: Vec<String>,
}

/// Reads the environment. An empty variable is one that is not set, except for the form of the time, which may be
/// empty.
pub fn from_environment(environment: Environment<'_>) -> Reading {
    let mut reading = Reading { settings: Settings::default(), problems: Vec::new() };
    for row in &TABLE {
        let given = environment(row.name).filter(|text| may_be_empty(row) || !text.is_empty());
        set(&mut reading, row, given.as_deref());
    }
    let settings = &mut reading.settings;
    if settings.backup_dir.is_empty() {
        settings.backup_dir.clone_from(&settings.home);
    }
    reading
}

/// Reads a file, over which variables win that are set and not empty. What neither gives has its default.
pub fn from_file(text: &str, environment: Environment<'_>) -> Reading {
    let mut reading = Reading { settings: Settings::default(), problems: Vec::new() };
    let table = text.parse::<Table>().unwrap_or_else(|error| {
        reading.problems.push(format!("failed to read config file: {}", error.message()));
        Table::new()
    });
    // The original does not mind the case of keys.
    let table: Table = table.into_iter().map(|(key, value)| (key.to_lowercase(), value)).collect();
    for row in &TABLE {
        let variable = environment(row.name).filter(|text| !text.is_empty());
        match (variable, table.get(&row.key())) {
            (None, Some(value)) => set_from_file(&mut reading, row, value),
            (variable, _) => set(&mut reading, row, variable.as_deref()),
        }
    }
    let settings = &mut reading.settings;
    if settings.backup_dir.is_empty() && !table.contains_key(&BACKUP_DIR.to_lowercase()) {
        settings.backup_dir.clone_from(&settings.home);
    }
    reading
}

fn may_be_empty(row: &Row) -> bool {
    matches!((row.slot)(&mut Settings::default()), Slot::Time(_))
}

/// Puts the default into its place, and then what was given.
fn set(reading: &mut Reading, row: &Row, given: Option<&str>) {
    let default = assign(row, (row.slot)(&mut reading.settings), row.default, Zero::None);
    // A default that is wrong would be a fault of the table, which a test looks through.
    debug_assert_eq!(default, Ok(()));
    let Some(given) = given else { return };
    if let Err(problem) = assign(row, (row.slot)(&mut reading.settings), given, Zero::Wrong) {
        reading.problems.push(problem);
    }
}

/// Reads the text of a setting.
fn assign(row: &Row, slot: Slot<'_>, text: &str, zero: Zero) -> Result<(), String> {
    let name = row.name;
    match slot {
        Slot::Text(place) => text.clone_into(place),
        Slot::Switch(place) => *place = switch(name, text)?,
        Slot::Length(place, _) => *place = length(text, zero).map_err(|why| format!("invalid: {name}: {why}"))?,
        Slot::Number(place) => *place = number(name, text)?,
        Slot::Time(place) => *place = time(name, text)?,
    }
    Ok(())
}

/// Reads the value of a setting in a file: of its own type, or as the text that a variable would hold. Lengths are
/// written as nanoseconds, and zero where there is none.
fn set_from_file(reading: &mut Reading, row: &Row, value: &Value) {
    set(reading, row, None);
    let slot = (row.slot)(&mut reading.settings);
    let zero = if let Slot::Length(_, zero) = &slot { *zero } else { Zero::None };
    let wrong = |expected: &str| {
        let (key, found) = (row.key(), value.type_str());
        Err(format!("failed to unmarshal configuration: {key} must be {expected}, and not {found}"))
    };
    let set = match (slot, value) {
        (Slot::Switch(place), Value::Boolean(given)) => {
            *place = *given;
            Ok(())
        }
        (Slot::Number(place), Value::Integer(given)) => {
            *place = *given;
            Ok(())
        }
        (Slot::Length(place, zero), Value::Integer(given)) => {
            let given = GoDuration::from_nanoseconds(*given);
            positive(given, zero).map(|given| *place = given).map_err(|why| format!("invalid: {}: {why}", row.name))
        }
        (slot, Value::String(text)) => assign(row, slot, text, zero),
        (Slot::Text(_) | Slot::Time(_), _) => wrong("a text"),
        (Slot::Switch(_), _) => wrong("true or false"),
        (Slot::Length(..), _) => wrong("nanoseconds, or a text such as \"30s\""),
        (Slot::Number(_), _) => wrong("a whole number"),
    };
    reading.problems.extend(set.err());
}

fn switch(name: &str, text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(format!("env variable {name:?} must have a boolean value (\"true\" or \"false\"), got {other:?}")),
    }
}

fn length(text: &str, zero: Zero) -> Result<GoDuration, String> {
    let read = text.parse().map_err(|error| format!("could not parse '{text}' into a duration: {error}"))?;
    positive(read, zero)
}

fn positive(length: GoDuration, zero: Zero) -> Result<GoDuration, String> {
    let least = if zero == Zero::None { GoDuration::default() } else { GoDuration::from_nanoseconds(1) };
    if length < least { Err("must be greater than 0".to_owned()) } else { Ok(length) }
}

fn number(name: &str, text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("{name} could not be parsed to int: strconv.Atoi: parsing {text:?}: {why}")
    })
}

fn time(name: &str, text: &str) -> Result<TimeFormat, String> {
    TimeFormat::of(text).ok_or_else(|| {
        let words = TimeFormat::words();
        format!("env variable {name:?} must have a timeformat value (\"{words}\"), got {text:?}")
    })
}
