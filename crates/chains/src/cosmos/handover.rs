//! From the settings of the drop-in to those of native use: what became of each, so that an operator knows what holds
//! from now on and what does not.
//!
//! Pure: one row for each setting that somebody changed. A setting at its default needs no key and no word.

use ov_types::RestartPolicy;
use toml::Value;

use super::duration::GoDuration;
use super::extras::{ExitCodes, Extras, LogTo};
use super::services::GRPC_DEFAULT;
use super::settings::Settings;

/// What native use takes over of the drop-in's settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Handover {
    /// Keys of `omnivisor.toml` with their values.
    pub keys: Vec<(&'static str, Value)>,
    /// What was taken over: the setting, and what it became.
    pub taken: Vec<(&'static str, String)>,
    /// What is different from now on: the setting, and how it is.
    pub left: Vec<(&'static str, &'static str)>,
}

impl Handover {
    fn take(&mut self, setting: &'static str, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        self.taken.push((setting, format!("{key} = {value}")));
        self.keys.push((key, value));
    }

    fn leave(&mut self, is_set: bool, setting: &'static str, why: &'static str) {
        if is_set {
            self.left.push((setting, why));
        }
    }
}

/// What becomes of settings that were read for the home of this name.
pub fn handover(settings: &Settings, extras: &Extras, home_name: &str) -> Handover {
    let mut over = Handover::default();
    if settings.shutdown_grace.ms() > 0 {
        over.take("DAEMON_SHUTDOWN_GRACE", "unit.main.stop.grace", span(settings.shutdown_grace));
    }
    if settings.restart_delay.ms() > 0 {
        over.take("DAEMON_RESTART_DELAY", "upgrade.rest", span(settings.restart_delay));
    }
    if settings.skip_backup {
        over.take("UNSAFE_SKIP_BACKUP", "upgrade.keep.method", "off");
    }
    if !settings.backup_dir.is_empty() && settings.backup_dir != settings.home {
        let folder = format!("{}/{home_name}-snapshots", settings.backup_dir.trim_end_matches('/'));
        over.take("DAEMON_DATA_BACKUP_DIR", "paths.snapshots", folder);
    }
    if !settings.custom_pre_upgrade.is_empty() {
        let script = format!("cosmovisor/{}", settings.custom_pre_upgrade);
        over.take("COSMOVISOR_CUSTOM_PREUPGRADE", "upgrade.before-switch.program", script);
    }
    if settings.pre_upgrade_retries > 0 {
        let retries = settings.pre_upgrade_retries.min(1000);
        over.take("DAEMON_PREUPGRADE_MAX_RETRIES", "cosmos.pre-upgrade-retries", retries);
    }
    if ![GRPC_DEFAULT, ""].contains(&settings.grpc_address.as_str()) {
        over.take("DAEMON_GRPC_ADDRESS", "cosmos.grpc-address", settings.grpc_address.clone());
    }
    if extras.ask_every != Extras::default().ask_every {
        over.take("OMNIVISOR_ASK_INTERVAL", "cosmos.ask-every", span(extras.ask_every));
    }
    if settings.allow_download {
        over.take("DAEMON_ALLOW_DOWNLOAD_BINARIES", "fetch.by-plan", true);
    }
    if settings.must_have_checksum {
        over.take("DAEMON_DOWNLOAD_MUST_HAVE_CHECKSUM", "fetch.must-have-checksum", true);
    }
    if settings.disable_recase {
        over.take("COSMOVISOR_DISABLE_RECASE", "cosmos.lower-names", false);
    }
    if extras.restart != RestartPolicy::Never {
        let word = if extras.restart == RestartPolicy::Always { "always" } else { "on-failure" };
        over.take("OMNIVISOR_RESTART", "unit.main.restart", word);
    }
    leave(&mut over, settings, extras);
    over
}

/// What native use does in its own way.
fn leave(over: &mut Handover, settings: &Settings, extras: &Extras) {
    let rows = [
        (
            extras.restart == RestartPolicy::Never,
            "OMNIVISOR_RESTART",
            "a node that fails is launched again, with growing pauses; `[unit.main] restart = \"never\"` leaves it down",
        ),
        (
            !settings.restart_after_upgrade,
            "DAEMON_RESTART_AFTER_UPGRADE",
            "the node is always launched after an upgrade",
        ),
        (
            settings.poll_interval != GoDuration::from_ms(300),
            "DAEMON_POLL_INTERVAL",
            "files are heeded as the kernel tells of them, and looked at every 300ms besides",
        ),
        (
            settings.disable_logs || !settings.color_logs || extras.log_to != LogTo::Stdout,
            "COSMOVISOR_… and OMNIVISOR_LOG_TO",
            "our own lines go to standard error; `--quiet` and `--color` say how many and how",
        ),
        (
            extras.exit_codes != ExitCodes::Original,
            "OMNIVISOR_EXIT_CODES",
            "`omnivisor run` outlives the node, and ends with its own codes",
        ),
    ];
    for (is_set, setting, why) in rows {
        over.leave(is_set, setting, why);
    }
}

/// A length of time as `omnivisor.toml` has it.
fn span(length: GoDuration) -> String {
    ov_types::Span::from_ms(length.ms()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cosmos::{from_environment, from_file};
    use crate::generic::{Init, init_template, read};
    use std::path::Path;

    fn native(text: &str, extras: &Extras) -> (Handover, crate::NodeShape) {
        let reading = from_file(text, &|_| None);
        assert_eq!(reading.problems, [""; 0]);
        let over = handover(&reading.settings, extras, "node");
        let init = Init {
            chain: "cosmos".to_owned(),
            program: "simd".to_owned(),
            args: vec!["start".to_owned()],
            settings: over.keys.clone(),
            ..Init::default()
        };
        let text = init_template(&init);
        let home = Path::new("/home/node");
        let node = read(&ov_sys::RealDisk, text.as_bytes(), home, &home.join("omnivisor.toml"));
        (over, node.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}")))
    }

    #[test]
    fn what_nobody_changed_needs_no_key() {
        let reading = from_environment(&|name| (name == "DAEMON_HOME").then(|| "/home/node".to_owned()));
        let over = handover(&reading.settings, &Extras::default(), "node");
        assert_eq!((over.keys, over.taken.len()), (Vec::new(), 0));
        assert_eq!(over.left.iter().map(|(setting, _)| *setting).collect::<Vec<_>>(), ["OMNIVISOR_RESTART"]);
    }

    #[test]
    fn what_can_be_taken_over_holds_natively() {
        let text = "daemon_home = '/home/node'\ndaemon_shutdown_grace = '90s'\ndaemon_restart_delay = \
                    '1500ms'\nunsafe_skip_backup = true\ndaemon_data_backup_dir = \
                    '/backup/'\ncosmovisor_custom_preupgrade = 'before.sh'\ndaemon_preupgrade_max_retries = \
                    3\ncosmovisor_disable_recase = true\ndaemon_allow_download_binaries = \
                    true\ndaemon_download_must_have_checksum = true\ndaemon_grpc_address = 'node:9191'\n";
        let ask_every = GoDuration::from_ms(300);
        let extras = Extras { restart: RestartPolicy::Always, ask_every, ..Extras::default() };
        let (over, node) = native(text, &extras);
        assert_eq!((over.taken.len(), over.left.len()), (12, 0), "{over:?}");
        let rules = &node.engine.units[&ov_types::UnitName::main()];
        assert_eq!((rules.stop.grace_ms, rules.restart), (90_000, RestartPolicy::Always));
        assert_eq!((node.engine.upgrade.rest_ms, node.engine.upgrade.keep), (1_500, false));
        assert_eq!(node.layout.snapshots, Path::new("/backup/node-snapshots"));
        let before = node.before_switch.unwrap().program.fill_path(Path::new(""));
        assert_eq!(before, Path::new("/home/node/cosmovisor/before.sh"));
        assert!(node.fetch.by_plan && node.fetch.policy.must_have_checksum);
        assert_eq!(node.migrate.unwrap().codes.again, Some((31, 3)));
        assert_eq!(node.scouts[0].rules().names, crate::plans::PlanNames::Escaped { lowered: false });
    }

    #[test]
    fn what_cannot_be_taken_over_is_told() {
        let text = "daemon_home = '/home/node'\ndaemon_restart_after_upgrade = false\n\
                    daemon_poll_interval = '1s'\ncosmovisor_disable_logs = true\n";
        let extras = Extras { exit_codes: ExitCodes::Truthful, ..Extras::default() };
        let (over, _) = native(text, &extras);
        assert_eq!((over.keys.len(), over.left.len()), (0, 5), "{over:?}");
    }
}
