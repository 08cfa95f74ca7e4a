//! Tests of the program as a whole that need no process of their own.

mod data;

use std::ffi::{OsStr, OsString};

use crate::args;

/// A node as tests see it, and how it is shown to them.
pub(crate) mod sample {
    pub(crate) use super::data::*;
    use crate::output::{Clock, Look, Style};

    pub(crate) fn look() -> Look {
        Look { style: Style::new(false), columns: None, clock: clock() }
    }

    pub(crate) fn clock() -> Clock {
        Clock { now_ms: NOON_MS, zone: jiff::tz::TimeZone::UTC }
    }
}

fn accepts(line: &str) -> bool {
    let words = line.split_whitespace();
    args::command().try_get_matches_from(words).is_ok()
}

#[test]
fn the_command_line_is_sound() {
    args::command().debug_assert();
}

#[test]
fn arguments_that_make_sense_are_accepted_and_others_refused() {
    let digest = "a".repeat(64);
    for (line, expected) in [
        ("omnivisor status", true),
        ("omnivisor status --home /srv/n --json --color never -q", true),
        ("omnivisor --home /srv/n status", true),
        ("omnivisor", false),
        ("omnivisor frobnicate", false),
        ("omnivisor status extra", false),
        ("omnivisor plan add --release v2 --now", true),
        ("omnivisor plan add --release v2 --height 12 --wait", true),
        ("omnivisor plan add --release v2 --height 12 --wait=5m", true),
        ("omnivisor plan add --release v2 --height 12 --wait=5", false),
        ("omnivisor plan add --release v2 --time +2h --on-failure hold --no-keep", true),
        (&format!("omnivisor plan add --release v2 --now --sha256 {digest}"), true),
        ("omnivisor plan add --release v2 --now --sha256 abc", false),
        ("omnivisor plan add --release v2", false),
        ("omnivisor plan add --now", false),
        ("omnivisor plan add --release v2 --now --height 3", false),
        ("omnivisor plan add --release ../v2 --now", false),
        ("omnivisor plan add --release v2 --height -3", false),
        ("omnivisor plan add --release v2 --time 12:00", false),
        ("omnivisor plan add --release v2 --now --on-failure panic", false),
        ("omnivisor plan replace 3 --release v3 --now", true),
        ("omnivisor plan replace --release v3 --now", false),
        ("omnivisor plan cancel 3", true),
        ("omnivisor plan cancel three", false),
        ("omnivisor upgrade rollback", true),
        ("omnivisor upgrade rollback 3 --wait=1m30s", true),
        ("omnivisor upgrade apply", false),
        ("omnivisor unit restart main --wait", true),
        ("omnivisor unit suspend main --wait", false),
        ("omnivisor unit restart", false),
        ("omnivisor snapshot restore s1 --confirm node", true),
        ("omnivisor snapshot restore a/b", false),
        ("omnivisor stop --no-wait --within 5s", false),
        ("omnivisor init --release v1", false),
        ("omnivisor init --release v1 --from ./node", true),
        ("omnivisor completions tcsh", false),
        ("omnivisor completions zsh", true),
    ] {
        assert_eq!(accepts(line), expected, "{line}");
    }
}

#[test]
fn the_program_is_found_by_its_name_whatever_the_folder() {
    let command_line = crate::program(OsStr::new("omnivisor")) as usize;
    for name in ["/usr/local/bin/omnivisor", "./omnivisor", "ov", "", "/"] {
        assert_eq!(crate::program(&OsString::from(name)) as usize, command_line, "{name}");
    }
}
