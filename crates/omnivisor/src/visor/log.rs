//! The drop-in's own lines, in the original's form: time, level, name, place, message and values, with tabs between.
//!
//! They go to standard output, as the original's. A line that cannot be written is lost, since nothing may fail for it.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ov_sys::{Clock as _, RealClock};
use serde_json::Value;

use crate::drop_in;

/// The place in the program that a line comes from. The original tells file and line; the column has to stay.
const PLACE: &str = "omnivisor";

/// Our own voice.
#[derive(Debug, Clone)]
pub(super) struct Log {
    name: &'static str,
    zone: TimeZone,
}

/// A value beside a message.
pub(super) type Field<'a> = (&'a str, Value);

impl Log {
    /// A voice of this name.
    pub(super) fn named(name: &'static str) -> Self {
        Self { name, zone: TimeZone::system() }
    }

    /// Tells what is done.
    pub(super) fn info(&self, message: &str) {
        self.say("INFO", message, &[]);
    }

    /// Tells something, at this level, with these values.
    pub(super) fn say(&self, level: &str, message: &str, fields: &[Field<'_>]) {
        // Nobody may be there to read it.
        drop(drop_in::write(self.line(level, message, fields, RealClock.now().wall_ms).as_bytes()));
    }

    fn line(&self, level: &str, message: &str, fields: &[Field<'_>], wall_ms: i64) -> String {
        let mut line = format!("{}\t{level}\t{}\t{PLACE}\t{message}", self.clock(wall_ms), self.name);
        for (place, (name, value)) in fields.iter().enumerate() {
            // Writing to a text cannot fail.
            let _ = write!(line, "{}{}: {}", if place == 0 { "\t{" } else { ", " }, Value::from(*name), spaced(value));
        }
        line.push_str(if fields.is_empty() { "\n" } else { "}\n" });
        line
    }

    fn clock(&self, wall_ms: i64) -> String {
        let Ok(time) = Timestamp::from_millisecond(wall_ms) else { return String::new() };
        let time = time.to_zoned(self.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%.3f%z").to_string();
        // The original writes UTC as a letter.
        match time.strip_suffix("+0000") {
            Some(time) => format!("{time}Z"),
            None => time,
        }
    }
}

/// A value with a blank behind each comma, as there.
fn spaced(value: &Value) -> String {
    let Value::Array(values) = value else { return value.to_string() };
    let values: Vec<String> = values.iter().map(spaced).collect();
    format!("[{}]", values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 2025-01-07 15:04:05.120 UTC.
    const MOMENT: i64 = 1_736_262_245_120;

    #[test]
    fn lines_look_as_there() {
        let log = Log { name: "visor", zone: TimeZone::UTC };
        let line = |fields: &[Field<'_>]| log.line("INFO", "Starting binaries", fields, MOMENT);
        assert_eq!(line(&[]), "2025-01-07T15:04:05.120Z\tINFO\tvisor\tomnivisor\tStarting binaries\n");
        let fields = [("binaryPath", json!("/h/\"x")), ("args", json!(["a", "b"])), ("left", json!(3))];
        let expected = "\t{\"binaryPath\": \"/h/\\\"x\", \"args\": [\"a\", \"b\"], \"left\": 3}\n";
        assert!(line(&fields).ends_with(expected), "{}", line(&fields));
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let there = Log { zone, ..log.clone() }.line("DEBUG", "x", &[], MOMENT);
        assert_eq!(there, "2025-01-07T17:04:05.120+0200\tDEBUG\tvisor\tomnivisor\tx\n");
    }
}
