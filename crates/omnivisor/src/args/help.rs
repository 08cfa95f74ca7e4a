//! The texts of `--help` that clap does not make by itself: commands under headings, and examples.

use std::fmt::Write as _;

use clap::CommandFactory as _;

/// The commands by what they are for. Every visible command stands in exactly one group.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Set up and run", &["init", "run", "stop", "reload", "self-upgrade"]),
    ("Look", &["status", "watch", "events", "logs", "doctor"]),
    ("Upgrade", &["plan", "upgrade", "release"]),
    ("Care", &["unit", "snapshot", "confirm"]),
    ("Program", &["demo", "completions", "man", "schema"]),
];

pub(super) const AFTER: &str = "\
Examples:
  omnivisor init --home /srv/node --release v1 --from ./node
  omnivisor run --home /srv/node
  omnivisor plan add --release v2 --from ./node-v2 --height 1200000

`omnivisor COMMAND --help` has more, with examples.";

pub(super) const INIT: &str = "\
Examples:
  omnivisor init                                        in this folder
  omnivisor init --home /srv/node --release v1 --from ./node -- start --home {home}
  omnivisor init --program bin/node --release v1 --from ./unpacked-v1/
  omnivisor init --chain cosmos --home ~/.simapp --release genesis --from ./simd
  omnivisor init --chain cosmos --home ~/.simapp --program simd --version-map chain.json
  omnivisor init --chain cosmos --from-cosmovisor ~/.simapp -- start --trace";

pub(super) const RUN: &str = "\
Examples:
  omnivisor run --home /srv/node
  systemd: ExecStart=/usr/bin/omnivisor run --home /srv/node, with Type=notify

SIGTERM and SIGINT stop the node and then the daemon, SIGHUP reads the configuration again.";

pub(super) const STOP: &str = "\
Examples:
  omnivisor stop                    units first, then the daemon; returns when both are down
  omnivisor stop --leave-units      the node goes on; the next `omnivisor run` adopts it";

pub(super) const SELF_UPGRADE: &str = "\
Examples:
  omnivisor self-upgrade            after the program file was replaced
  omnivisor self-upgrade /opt/omnivisor-2/omnivisor

The daemon keeps its process id, so that systemd and containers see no restart.";

pub(super) const EVENTS: &str = "\
Examples:
  omnivisor events -n 20
  omnivisor events --follow --json | jq 'select(.event == \"upgrade-ended\")'
  omnivisor events --since 4711     everything after event 4711";

pub(super) const LOGS: &str = "\
Examples:
  omnivisor logs                    everything that is kept of unit main, rotated files included
  omnivisor logs -n 100 -f          the last 100 lines, and what comes
  omnivisor logs uploader | grep -a error

The bytes are printed as the unit wrote them.";

pub(super) const DOCTOR: &str = "\
Examples:
  omnivisor doctor
  omnivisor doctor --release v2 --json

Works with and without a daemon. The exit code is 6 if an error is found, 0 otherwise.";

pub(super) const PLAN: &str = "\
Examples:
  omnivisor plan add --release v2 --from ./node-v2 --height 1200000
  omnivisor plan list
  omnivisor plan cancel 3";

pub(super) const PLAN_ADD: &str = "\
Examples:
  omnivisor plan add --release v2 --from ./node-v2 --height 1200000
  omnivisor plan add --release v2 --time 2026-11-20T16:00:00Z --on-failure rollback
  omnivisor plan add --release v2 --time +2h --no-keep
  omnivisor plan add --release v2 --from ./node-v2 --now --wait=15m

With --wait the exit code is 0 if the upgrade is committed, 1 if it is rolled back,
withdrawn or superseded, 8 if it needs an operator, and 10 if it is not over in time
(it goes on). An upgrade that is held, or needs an operator, gives way to a plan that is
added while it stands: that plan takes its place, and is itself never rolled back.";

pub(super) const UPGRADE: &str = "\
Examples:
  omnivisor upgrade prepare v2 --from ./node-v2
  omnivisor upgrade apply 3 --wait
  omnivisor upgrade rollback
  omnivisor upgrade history --json";

pub(super) const UNIT: &str = "\
Examples:
  omnivisor unit restart main --wait
  omnivisor unit suspend main       a running main goes on, but is not launched again
  omnivisor unit resume main";

pub(super) const CONFIRM: &str = "\
Examples:
  omnivisor confirm machine NODE    where NODE is the name that `omnivisor status` shows

A validator whose home was brought to another machine, or whose clock was set, is held down: the
other machine may sign too. Make sure that it cannot, for good, before you say so.";

pub(super) const SNAPSHOT: &str = "\
Examples:
  omnivisor snapshot create --reason 'before the migration'
  omnivisor snapshot list
  omnivisor snapshot restore ID --confirm NODE
  omnivisor snapshot restore ID --confirm NODE --height 1200000     for a validator";

pub(super) const DEMO: &str = "\
Examples:
  omnivisor demo
  omnivisor demo --keep             leaves its home, to be looked at

It takes half a minute, in a temporary home of its own. The exit code is 0 only if everything
that it tells has happened, as read back from the node's own notes.";

pub(super) const COMPLETIONS: &str = "\
Examples:
  omnivisor completions bash > /etc/bash_completion.d/omnivisor
  omnivisor completions zsh > ~/.zfunc/_omnivisor
  omnivisor completions fish > ~/.config/fish/completions/omnivisor.fish";

/// The whole command line, with its commands listed under headings.
pub(crate) fn command() -> clap::Command {
    let command = super::Arguments::command();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}Global options:\n{{options}}{{after-help}}",
        groups(&command)
    );
    command.help_template(template)
}

fn groups(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let _ = writeln!(text, "{heading}:");
        for name in names {
            let about = command.find_subcommand(name).and_then(clap::Command::get_about);
            let _ = writeln!(text, "  {name:<13} {}", about.map(ToString::to_string).unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_visible_command_stands_in_exactly_one_group() {
        for shown in command().get_subcommands().filter(|command| !command.is_hide_set()) {
            let count = GROUPS.iter().flat_map(|(_, names)| *names).filter(|name| **name == shown.get_name()).count();
            assert_eq!(count, 1, "{}", shown.get_name());
        }
        let known = command();
        for name in GROUPS.iter().flat_map(|(_, names)| *names) {
            assert!(known.find_subcommand(name).is_some(), "{name} is listed but unknown");
        }
    }

    #[test]
    fn the_examples_in_the_help_are_accepted() {
        let texts = [
            AFTER,
            INIT,
            STOP,
            SELF_UPGRADE,
            EVENTS,
            LOGS,
            DOCTOR,
            PLAN,
            PLAN_ADD,
            UPGRADE,
            UNIT,
            CONFIRM,
            SNAPSHOT,
            DEMO,
            COMPLETIONS,
        ];
        let mut count = 0;
        for line in texts.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("  ")) {
            let Some(line) = line.strip_prefix("omnivisor") else { continue };
            let line = line.split(['|', '>']).next().unwrap_or_default();
            let (line, _) = line.split_once("    ").unwrap_or((line, ""));
            let words = line.replace('\'', "").replace("before the migration", "why");
            let words = std::iter::once("omnivisor").chain(words.split_whitespace());
            command().try_get_matches_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            count += 1;
        }
        assert!(count > 25, "only {count} examples were found");
    }
}
