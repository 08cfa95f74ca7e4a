//! The drop-in's own lines, in the original's form: time, level, message, `key=value`.
//!
//! They go to standard output, as the original's, or where a variable of ours says. A line that cannot be written is
//! lost, since nothing may fail for it.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ov_chains::cosmos::{LogTo, Settings, TimeFormat};
use ov_sys::{Clock as _, Disk as _, RealClock, RealDisk};

use crate::drop_in;
use crate::output::Console;

/// The level of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Info,
    Warning,
}

/// Our own voice.
#[derive(Debug, Clone)]
pub(super) struct Log {
    is_off: bool,
    to: LogTo,
    has_colors: bool,
    time: TimeFormat,
    zone: TimeZone,
}

impl Log {
    /// The voice that the settings want.
    pub(super) fn of(settings: &Settings, to: LogTo) -> Self {
        Self {
            is_off: settings.disable_logs,
            to,
            has_colors: settings.color_logs,
            time: settings.time_format,
            zone: TimeZone::system(),
        }
    }

    /// Tells what is done.
    pub(super) fn info(&self, message: &str) {
        self.say(Level::Info, message);
    }

    /// Tells what somebody should look at.
    pub(super) fn warn(&self, message: &str) {
        self.say(Level::Warning, message);
    }

    /// Tells what is done, and with what; the names in alphabetical order.
    pub(super) fn info_with(&self, message: &str, fields: &[(&str, String)]) {
        self.say_with(Level::Info, message, fields);
    }

    fn say(&self, level: Level, message: &str) {
        self.say_with(level, message, &[]);
    }

    fn say_with(&self, level: Level, message: &str, fields: &[(&str, String)]) {
        if self.is_off {
            return;
        }
        let line = self.line(level, message, fields, RealClock.now().wall_ms);
        match &self.to {
            // Nobody may be there to read it.
            LogTo::Stdout => drop(drop_in::write(line.as_bytes())),
            LogTo::Stderr => Console::tell(&line),
            LogTo::File(path) => drop(RealDisk.append(path).and_then(|mut file| file.append(line.as_bytes()))),
        }
    }

    fn line(&self, level: Level, message: &str, fields: &[(&str, String)], wall_ms: i64) -> String {
        let (word, color) = match level {
            Level::Info => ("INF", 32),
            Level::Warning => ("WRN", 31),
        };
        let mut line = String::new();
        let time = self.clock(wall_ms);
        if !time.is_empty() {
            line.push_str(&self.painted(&time, 90));
            line.push(' ');
        }
        // Writing to a text cannot fail.
        let _ = write!(line, "{} {message}", self.painted(word, color));
        let own = [("module", "cosmovisor".to_owned())];
        let before = fields.iter().filter(|(name, _)| *name < "module");
        let after = fields.iter().filter(|(name, _)| *name > "module");
        for (name, value) in before.chain(&own).chain(after) {
            let _ = write!(line, " {}{value}", self.painted(&format!("{name}="), 36));
        }
        line.push('\n');
        line
    }

    fn painted(&self, text: &str, color: u8) -> String {
        if self.has_colors { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    fn clock(&self, wall_ms: i64) -> String {
        let Ok(time) = Timestamp::from_millisecond(wall_ms) else { return String::new() };
        let time = time.to_zoned(self.zone.clone()).strftime(self.time.directives).to_string();
        // The two forms of RFC 3339 write UTC as a letter.
        match time.strip_suffix("+00:00") {
            Some(time) => format!("{time}Z"),
            None => time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2025-01-07 15:04:05.120 UTC.
    const MOMENT: i64 = 1_736_262_245_120;

    fn log(time: &str) -> Log {
        Log {
            is_off: false,
            to: LogTo::Stdout,
            has_colors: false,
            time: TimeFormat::of(time).unwrap(),
            zone: TimeZone::UTC,
        }
    }

    #[test]
    fn lines_look_as_there() {
        let mut log = log("kitchen");
        assert_eq!(log.line(Level::Info, "running app", &[], MOMENT), "3:04PM INF running app module=cosmovisor\n");
        let fields = [("args", "[\"start\"]".to_owned()), ("path", "/x".to_owned())];
        assert_eq!(
            log.line(Level::Info, "running app", &fields, MOMENT),
            "3:04PM INF running app args=[\"start\"] module=cosmovisor path=/x\n"
        );
        log.has_colors = true;
        assert_eq!(
            log.line(Level::Info, "x", &[], MOMENT),
            "\u{1b}[90m3:04PM\u{1b}[0m \u{1b}[32mINF\u{1b}[0m x \u{1b}[36mmodule=\u{1b}[0mcosmovisor\n"
        );
    }

    #[test]
    fn the_time_is_told_in_every_form() {
        for (word, expected) in [
            ("layout", "01/07 03:04:05PM '25 +0000"),
            ("ansic", "Tue Jan  7 15:04:05 2025"),
            ("unixdate", "Tue Jan  7 15:04:05 UTC 2025"),
            ("rubydate", "Tue Jan 07 15:04:05 +0000 2025"),
            ("rfc822", "07 Jan 25 15:04 UTC"),
            ("rfc822z", "07 Jan 25 15:04 +0000"),
            ("rfc850", "Tuesday, 07-Jan-25 15:04:05 UTC"),
            ("rfc1123", "Tue, 07 Jan 2025 15:04:05 UTC"),
            ("rfc1123z", "Tue, 07 Jan 2025 15:04:05 +0000"),
            ("rfc3339", "2025-01-07T15:04:05Z"),
            ("rfc3339nano", "2025-01-07T15:04:05.12Z"),
            ("kitchen", "3:04PM"),
            ("", ""),
        ] {
            assert_eq!(log(word).clock(MOMENT), expected, "{word}");
        }
        assert_eq!(log("").line(Level::Warning, "x", &[], MOMENT), "WRN x module=cosmovisor\n");
    }
}
