//! One unit: how it is launched, asked and stopped, and its rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ov_types::{GroupName, Span, StartAfter, StartWhen, StopRule, UnitName, UnitRules, WhenLooping, WhenUnhealthy};

use super::Builder;
use crate::generic::file::{HealthAction, LimitValue, LoopAction, OutputWord, StdinWord, Stop, Unit, parse_limit};
use crate::generic::problem::Key;
use crate::shape::{Health, HomeLayout, LaunchShape, LimitShape, LogShape, Output, Probe, Readiness, Stdin, UnitShape};
use crate::words;

/// So many failures are a crash loop.
const FAILURES: u32 = 5;
/// A validator that dies again and again may be doing harm.
const FAILURES_OF_A_SIGNER: u32 = 3;

impl Builder<'_, '_> {
    pub(super) fn unit(&mut self, name: &UnitName, unit: &Unit) -> UnitShape {
        let key = Key::of("unit").name(name.as_str());
        let readiness = unit.ready.as_ref().map(|ready| {
            let key = key.name("ready");
            let probe = self.readiness_probe(&key, ready, name.as_str());
            if matches!(probe, Probe::LogLine { .. }) && unit.output != OutputWord::Pump {
                self.document.tell(&key.name("log-line"), "the output is only seen with `output = \"pump\"`");
            }
            Readiness { probe, every_ms: ready.every.ms(), timeout_ms: ready.timeout.ms() }
        });
        let health = unit.health.as_ref().map(|health| Health {
            probe: self.health_probe(&key.name("health"), health, name.as_str()),
            every_ms: health.every.ms(),
            timeout_ms: health.timeout.ms(),
            failures: health.failures,
            failures_of_relaunch: health.failures_of_relaunch.unwrap_or(health.failures),
        });
        let mut probes = readiness.iter().map(|it| &it.probe).chain(health.iter().map(|it| &it.probe));
        let notify = probes.any(|probe| *probe == Probe::Notify);
        let suspend_file =
            unit.suspend_file.as_ref().map(|path| self.path(&key.name("suspend-file"), path, Some(name.as_str())));
        let only_when =
            unit.only_when.as_ref().map(|path| self.path(&key.name("only-when"), path, Some(name.as_str())));
        let danger_marks = self.danger_marks(&key, unit);
        let launch = self.launch(&key, name, unit, notify);
        UnitShape { launch, readiness, health, suspend_file, only_when, danger_marks }
    }

    fn launch(&mut self, key: &Key, name: &UnitName, unit: &Unit, notify: bool) -> LaunchShape {
        let of = Some(name.as_str());
        let env = unit.env.iter();
        let env =
            env.map(|(name, text)| (name.clone(), self.template(&key.name("env").name(name), text, of))).collect();
        let files = unit.env_file.iter().enumerate();
        let env_files = files.map(|(index, path)| self.path(&key.name("env-file").index(index), path, of)).collect();
        LaunchShape {
            program: self.program(&key.name("program"), unit.program.as_deref(), of),
            args: self.templates(&key.name("args"), &unit.args, of),
            added: Vec::new(),
            env,
            env_files,
            inherit_env: unit.inherit_env,
            cwd: self.template(&key.name("cwd"), &unit.cwd, of).below(&self.home),
            user: self.account(&key.name("user"), unit.user.as_deref()),
            group: self.account(&key.name("group"), unit.group.as_deref()),
            umask: unit.umask.as_deref().and_then(|mask| u32::from_str_radix(mask, 8).ok()),
            limits: unit.limits.iter().filter_map(|(resource, value)| limit(resource, value)).collect(),
            stdin: match unit.stdin {
                StdinWord::Null => Stdin::Null,
                StdinWord::Inherit => Stdin::Inherit,
            },
            output: self.output(key, name, unit),
            nice: unit.nice,
            oom_score_adjust: unit.oom_score_adjust,
            notify,
        }
    }

    fn account(&mut self, key: &Key, name: Option<&str>) -> Option<String> {
        let name = name?;
        if name.is_empty() || name.contains([':', '/']) || name.contains(char::is_whitespace) {
            self.document.tell(key, format!("`{name}` is not the name or number of a user or group"));
        }
        Some(name.to_owned())
    }

    fn output(&mut self, key: &Key, name: &UnitName, unit: &Unit) -> Output {
        let key = key.name("log");
        if unit.output == OutputWord::Inherit {
            if self.document.has(&key) {
                self.document.tell(&key, "with `output = \"inherit\"` there is no log file");
            }
            return Output::Inherit;
        }
        let rotate_every_seconds = unit.log.rotate.ms() / 1000;
        if unit.log.rotate != Span::from_seconds(rotate_every_seconds) {
            self.document.tell(&key.name("rotate"), "this must be a whole number of seconds");
        }
        Output::Pump(LogShape {
            path: self.path(&key.name("path"), &unit.log.path, Some(name.as_str())),
            max_bytes: unit.log.max_size.0,
            keep: unit.log.keep,
            rotate_every_seconds,
            compress: unit.log.compress,
        })
    }

    fn danger_marks(&mut self, key: &Key, unit: &Unit) -> Vec<String> {
        let key = key.name("danger-marks");
        if unit.output == OutputWord::Inherit && self.document.has(&key) {
            self.document.tell(&key, "with `output = \"inherit\"` nobody sees what the unit writes");
        }
        if unit.danger_marks.iter().any(|mark| mark.trim().is_empty()) {
            self.document.tell(&key, "an empty text stands in every output");
        }
        unit.danger_marks.clone()
    }

    pub(super) fn rules(&mut self, name: &UnitName, unit: &Unit, is_signer: bool) -> UnitRules {
        let key = Key::of("unit").name(name.as_str());
        if unit.back_off.first > unit.back_off.max {
            let message = format!("the first wait may not be longer than the longest, {}", unit.back_off.max);
            self.document.tell(&key.name("back-off").name("first"), message);
        }
        let then = unit.crash_loop.then.unwrap_or(if is_signer { LoopAction::Park } else { LoopAction::Retry });
        UnitRules {
            restart: unit.restart,
            forbidden_exits: unit.never_restart.clone(),
            back_off: ov_types::BackOff {
                at_once: unit.back_off.at_once,
                first_ms: unit.back_off.first.ms(),
                max_ms: unit.back_off.max.ms(),
                jitter_percent: unit.back_off.jitter,
                reset_after_ms: Some(unit.back_off.reset.ms()).filter(|reset_ms| *reset_ms > 0),
            },
            crash_loop: ov_types::CrashLoop {
                count: unit.crash_loop.count.unwrap_or(if is_signer { FAILURES_OF_A_SIGNER } else { FAILURES }),
                within_ms: Some(unit.crash_loop.within.ms()).filter(|within_ms| *within_ms > 0),
                then: match then {
                    LoopAction::Park => WhenLooping::Park,
                    LoopAction::Retry => WhenLooping::Retry { every_ms: unit.crash_loop.every.ms() },
                    LoopAction::End => WhenLooping::End,
                },
            },
            after: conditions(unit),
            together: unit.together.as_ref().and_then(|group| GroupName::new(group.as_str()).ok()),
            stop: self.stop_rule(&key.name("stop"), &unit.stop),
            has_readiness: unit.ready.is_some(),
            ready_within_ms: unit.ready.as_ref().and_then(|ready| ready.within).map(Span::ms),
            when_unhealthy: match unit.health.as_ref().map(|health| health.then) {
                None | Some(HealthAction::Tell) => WhenUnhealthy::Tell,
                Some(HealthAction::Restart) => WhenUnhealthy::Restart,
                Some(HealthAction::End) => WhenUnhealthy::End,
            },
        }
    }

    fn stop_rule(&mut self, key: &Key, stop: &Stop) -> StopRule {
        // The document was checked: a signal that is none was told already.
        let signal = words::signal_number(&stop.signal).unwrap_or_default();
        let grace_ms = stop.grace.ms();
        let grace_ms_max = match stop.grace_max {
            Some(most) if most < stop.grace => {
                let message = format!("the grace cannot grow to less than it is, {}", stop.grace);
                self.document.tell(&key.name("grace-max"), message);
                grace_ms
            }
            Some(most) => most.ms(),
            None if self.document.has(&key.name("grace")) => grace_ms,
            None => words::GRACE_MS_MAX.max(grace_ms),
        };
        StopRule { signal, grace_ms, grace_ms_max }
    }

    /// Two units that write into one file would rotate it under each other, and what lies in the data goes back with
    /// them in a rollback.
    pub(super) fn check_logs(&mut self, units: &BTreeMap<UnitName, UnitShape>, layout: &HomeLayout) {
        let mut taken: Vec<(&UnitName, &Path)> = Vec::new();
        for (name, unit) in units {
            let Output::Pump(log) = &unit.launch.output else { continue };
            let key = Key::of("unit").name(name.as_str()).name("log").name("path");
            if let Some((other, _)) = taken.iter().find(|(_, path)| *path == log.path) {
                self.document.tell(&key, format!("unit `{other}` already writes to {}", log.path.display()));
            }
            let mut folders = [&layout.data, &layout.releases, &layout.snapshots].into_iter();
            let holds_log = |folder: &&PathBuf| log.path.starts_with(folder) && !layout.home.starts_with(folder);
            if let Some(folder) = folders.find(holds_log) {
                let message =
                    format!("a log may not lie in {}: what is there is replaced as a whole", folder.display());
                self.document.tell(&key, message);
            }
            taken.push((name, &log.path));
        }
    }
}

fn limit(resource: &str, value: &LimitValue) -> Option<LimitShape> {
    let (soft, hard) = match value {
        LimitValue::Number(number) => (Some(*number), Some(*number)),
        LimitValue::Text(text) => parse_limit(text)?,
    };
    Some(LimitShape { resource: resource.to_owned(), soft, hard })
}

fn conditions(unit: &Unit) -> Vec<StartAfter> {
    let of = |list: &BTreeMap<String, StartWhen>, bound: bool| -> Vec<StartAfter> {
        let name = |name: &String| UnitName::new(name.as_str()).ok();
        list.iter()
            .filter_map(|(unit, when)| Some(StartAfter { unit: name(unit)?, when: *when, bound, down_first: true }))
            .collect()
    };
    [of(&unit.after, false), of(&unit.with, true)].concat()
}
