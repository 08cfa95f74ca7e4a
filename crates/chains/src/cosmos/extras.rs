//! What our drop-in can do and the original cannot: variables of our own, all of them off unless set.
//!
//! They stand in the environment only. The original's file keeps its keys, so that it can be given back to it.

use std::path::{Path, PathBuf};

use ov_types::RestartPolicy;

use super::duration::GoDuration;
use super::read::Environment;

/// Choices beyond the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extras {
    /// When a node that ended by itself is launched again; the original leaves that to systemd.
    pub restart: RestartPolicy,
    /// How our own exit code tells of the node's.
    pub exit_codes: ExitCodes,
    /// Where our own lines go.
    pub log_to: LogTo,
    /// How often the node is asked which upgrade is planned.
    pub ask_every: GoDuration,
}

/// Where our own lines go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output, among the node's.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// The end of this file.
    File(PathBuf),
}

/// How our own exit code tells of the node's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ExitCodes {
    /// 0 for 0, and 1 for anything else.
    #[default]
    Original,
    /// The node's own code, and 128 with the signal's number for a signal.
    Truthful,
}

impl Default for Extras {
    fn default() -> Self {
        Self {
            restart: RestartPolicy::Never,
            exit_codes: ExitCodes::Original,
            log_to: LogTo::Stdout,
            ask_every: ASK_EVERY,
        }
    }
}

/// A plan is decided on days ahead.
const ASK_EVERY: GoDuration = GoDuration::from_ms(10_000);

const RESTART: &str = "OMNIVISOR_RESTART";
const EXIT_CODES: &str = "OMNIVISOR_EXIT_CODES";
const LOG_TO: &str = "OMNIVISOR_LOG_TO";
const ASK_INTERVAL: &str = "OMNIVISOR_ASK_INTERVAL";

/// Reads the variables, and tells what is wrong with them.
pub fn extras(environment: Environment<'_>) -> (Extras, Vec<String>) {
    let mut problems = Vec::new();
    let restart = choose(
        RESTART,
        environment,
        &mut problems,
        &[("never", RestartPolicy::Never), ("on-failure", RestartPolicy::OnFailure), ("always", RestartPolicy::Always)],
    );
    let exit_codes = choose(
        EXIT_CODES,
        environment,
        &mut problems,
        &[("original", ExitCodes::Original), ("truthful", ExitCodes::Truthful)],
    );
    let default = Extras::default();
    let extras = Extras {
        restart: restart.unwrap_or(default.restart),
        exit_codes: exit_codes.unwrap_or(default.exit_codes),
        log_to: log_to(environment, &mut problems),
        ask_every: ask_every(environment, &mut problems),
    };
    (extras, problems)
}

fn log_to(environment: Environment<'_>, problems: &mut Vec<String>) -> LogTo {
    match environment(LOG_TO).unwrap_or_default().as_str() {
        "" | "stdout" => LogTo::Stdout,
        "stderr" => LogTo::Stderr,
        path if Path::new(path).is_absolute() => LogTo::File(PathBuf::from(path)),
        other => {
            problems.push(format!("{LOG_TO} must be stdout, stderr, or the absolute path of a file, got {other:?}"));
            LogTo::Stdout
        }
    }
}

fn ask_every(environment: Environment<'_>, problems: &mut Vec<String>) -> GoDuration {
    let text = environment(ASK_INTERVAL).unwrap_or_default();
    match text.parse::<GoDuration>() {
        _ if text.is_empty() => ASK_EVERY,
        Ok(every) if every.ms() > 0 => every,
        _ => {
            problems.push(format!("{ASK_INTERVAL} must be a length of time above 0, such as 10s, got {text:?}"));
            ASK_EVERY
        }
    }
}

fn choose<T: Copy>(
    name: &str,
    environment: Environment<'_>,
    problems: &mut Vec<String>,
    words: &[(&str, T)],
) -> Option<T> {
    let text = environment(name).filter(|text| !text.is_empty())?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        problems.push(format!("{name} must be one of {}, got {text:?}", known.join(", ")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> (Extras, Vec<String>) {
        extras(&|name| pairs.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn everything_is_off_unless_it_is_set() {
        assert_eq!(read(&[]), (Extras::default(), Vec::new()));
        assert_eq!(read(&[(RESTART, ""), (EXIT_CODES, "")]), (Extras::default(), Vec::new()));
        let log_to = LogTo::File(PathBuf::from("/var/log/c"));
        let ask_every = GoDuration::from_ms(300);
        let set = Extras { restart: RestartPolicy::OnFailure, exit_codes: ExitCodes::Truthful, log_to, ask_every };
        let given =
            [(RESTART, "on-failure"), (EXIT_CODES, "truthful"), (LOG_TO, "/var/log/c"), (ASK_INTERVAL, "300ms")];
        assert_eq!(read(&given), (set, Vec::new()));
        assert_eq!(read(&[(LOG_TO, "stderr")]).0.log_to, LogTo::Stderr);
    }

    #[test]
    fn all_wrong_words_are_told_with_the_right_ones() {
        let (_, problems) = read(&[(RESTART, "sometimes"), (EXIT_CODES, "yes"), (LOG_TO, "x"), (ASK_INTERVAL, "0s")]);
        assert_eq!(
            problems,
            [
                "OMNIVISOR_RESTART must be one of never, on-failure, always, got \"sometimes\"",
                "OMNIVISOR_EXIT_CODES must be one of original, truthful, got \"yes\"",
                "OMNIVISOR_LOG_TO must be stdout, stderr, or the absolute path of a file, got \"x\"",
                "OMNIVISOR_ASK_INTERVAL must be a length of time above 0, such as 10s, got \"0s\"",
            ]
        );
    }
}
