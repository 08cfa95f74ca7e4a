//! Questions to a unit and to the node.

use std::ops::RangeInclusive;

use super::Builder;
use crate::generic::file::{
    Health, HeightQuestion, Probes, Question, Ready, StatusValue, VersionQuestion, parse_status,
};
use crate::generic::problem::Key;
use crate::shape::{Comparison, Expect, HeightProbe, NodeProbes, Probe, VersionProbe};
use crate::template::Template;

/// Which of these keys were given, in words.
fn given<'k>(choices: &[(&'k str, bool)]) -> Vec<&'k str> {
    choices.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect()
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("`{only}`"),
        [first @ .., last] => {
            let first = first.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            format!("{first} and `{last}`")
        }
    }
}

impl Builder<'_, '_> {
    /// Tells unless exactly one of these keys was given.
    pub(super) fn exactly_one(&mut self, key: &Key, choices: &[(&str, bool)]) -> bool {
        let all: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        match given(choices).as_slice() {
            [_] => true,
            [] => {
                self.document.tell(key, format!("exactly one of {} is needed", listed(&all)));
                false
            }
            several => {
                let message = format!("{} exclude each other: give exactly one", listed(several));
                self.document.tell(key, message);
                false
            }
        }
    }

    /// Tells about keys that mean nothing because the one they belong to is missing.
    fn belongs(&mut self, key: &Key, owner: (&str, bool), guests: &[(&str, bool)]) {
        for name in given(guests).into_iter().filter(|_| !owner.1) {
            self.document.tell(&key.name(name), format!("this means nothing without `{}`", owner.0));
        }
    }

    pub(super) fn readiness_probe(&mut self, key: &Key, ready: &Ready, unit: &str) -> Probe {
        let question = &ready.question;
        let choices = [
            ("process", ready.process),
            ("tcp", question.tcp.is_some()),
            ("http", question.http.is_some()),
            ("program", question.program.is_some()),
            ("log-line", ready.log_line.is_some()),
            ("notify", ready.notify),
        ];
        self.exactly_one(key, &choices);
        if let Some(contains) = &ready.log_line {
            if contains.is_empty() || contains.contains('\n') {
                self.document.tell(&key.name("log-line"), "this must be a part of one line, and not empty");
            }
            return Probe::LogLine { contains: contains.clone() };
        }
        match self.question(key, question, unit) {
            Some(probe) => probe,
            None if ready.notify => Probe::Notify,
            None => Probe::Process,
        }
    }

    pub(super) fn health_probe(&mut self, key: &Key, health: &Health, unit: &str) -> Probe {
        let question = &health.question;
        let choices = [
            ("tcp", question.tcp.is_some()),
            ("http", question.http.is_some()),
            ("program", question.program.is_some()),
            ("notify", health.notify),
        ];
        self.exactly_one(key, &choices);
        self.question(key, question, unit).unwrap_or(Probe::Notify)
    }

    fn question(&mut self, key: &Key, question: &Question, unit: &str) -> Option<Probe> {
        let comparisons = [
            ("is", question.is.is_some()),
            ("is-not", question.is_not.is_some()),
            ("at-least", question.at_least.is_some()),
            ("at-most", question.at_most.is_some()),
        ];
        let http = ("http", question.http.is_some());
        self.belongs(key, http, &[("status", !question.status.is_empty()), ("pointer", question.pointer.is_some())]);
        self.belongs(key, ("pointer", question.pointer.is_some()), &comparisons);
        self.belongs(key, ("program", question.program.is_some()), &[("args", !question.args.is_empty())]);
        if given(&comparisons).len() > 1 {
            self.exactly_one(key, &comparisons);
        }
        if let Some(address) = &question.tcp {
            return Some(Probe::Tcp { address: address.clone() });
        }
        if let Some(url) = &question.http {
            return Some(Probe::Http {
                url: url.clone(),
                status: statuses(&question.status),
                pointer: question.pointer.clone(),
                expect: comparison(question),
            });
        }
        let program = question.program.as_deref()?;
        let program = self.program(&key.name("program"), Some(program), Some(unit));
        let args = self.templates(&key.name("args"), &question.args, Some(unit));
        Some(Probe::Exec { program, args })
    }

    pub(super) fn node_probes(&mut self, probes: &Probes) -> NodeProbes {
        let every_ms = probes.height.as_ref().map_or(HeightQuestion::default().every, |height| height.every).ms();
        NodeProbes {
            height: probes.height.as_ref().and_then(|height| self.height(height)).into_iter().collect(),
            height_every_ms: every_ms,
            version: probes.version.as_ref().map(|version| self.version(version)),
            timeout_ms: probes.timeout.ms(),
        }
    }

    fn height(&mut self, height: &HeightQuestion) -> Option<HeightProbe> {
        let key = Key::of("probe.height");
        let http = ("http", height.http.is_some());
        let choices = [http, ("program", height.program.is_some()), ("file", height.file.is_some())];
        self.exactly_one(&key, &choices);
        self.belongs(&key, ("program", height.program.is_some()), &[("args", !height.args.is_empty())]);
        let pointer = height.pointer.clone();
        if let Some(url) = &height.http {
            if pointer.is_none() {
                let message = "`http` needs it: where does the height stand in the JSON of the answer?";
                self.document.tell(&key.name("pointer"), message);
            }
            return Some(HeightProbe::Http { url: url.clone(), pointer: pointer.unwrap_or_default() });
        }
        if let Some(file) = &height.file {
            return Some(HeightProbe::File { path: self.path(&key.name("file"), file, None), pointer });
        }
        let program = self.program(&key.name("program"), Some(height.program.as_deref()?), None);
        let args = self.templates(&key.name("args"), &height.args, None);
        Some(HeightProbe::Exec { program, args, pointer })
    }

    fn version(&mut self, version: &VersionQuestion) -> VersionProbe {
        let key = Key::of("probe.version");
        let program = self.release_program(&key.name("program"), version.program.as_deref());
        let args = self.templates(&key.name("args"), &version.args, None);
        let mut texts = std::collections::BTreeMap::new();
        for (name, text) in &version.expect {
            if text.is_empty() {
                self.document.tell(&key.name("expect").name(name), "every answer contains an empty text");
            }
            // The document was checked: a name that is none was told already.
            texts.extend(ov_types::ReleaseName::new(name.as_str()).ok().map(|name| (name, text.clone())));
        }
        let expect = if texts.is_empty() { Expect::ReleaseName } else { Expect::Texts(texts) };
        VersionProbe { program, args, pointer: version.pointer.clone(), expect }
    }

    /// A program of the release that is asked about: any other would answer for the wrong one.
    fn release_program(&mut self, key: &Key, text: Option<&str>) -> Template {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
            return self.program(key, None, None);
        };
        let relative = !text.starts_with(['/', '{']);
        let text = if relative { format!("{{release}}/{text}") } else { text.to_owned() };
        let program = self.template(key, &text, None);
        if !program.names_release() {
            let message = "this asks the same program whatever the release; give a path within the release, such as \
                           `bin/node`";
            self.document.tell(key, message);
        }
        program
    }
}

fn statuses(values: &[StatusValue]) -> Vec<RangeInclusive<u16>> {
    if values.is_empty() {
        return vec![200..=299];
    }
    let range = |value: &StatusValue| match value {
        StatusValue::Number(status) => Some(*status..=*status),
        StatusValue::Text(text) => parse_status(text).map(|(first, last)| first..=last),
    };
    values.iter().filter_map(range).collect()
}

fn comparison(question: &Question) -> Option<Comparison> {
    let is = question.is.clone().map(Comparison::Is);
    let is_not = question.is_not.clone().map(Comparison::IsNot);
    let at_least = question.at_least.map(Comparison::AtLeast);
    is.or(is_not).or(at_least).or(question.at_most.map(Comparison::AtMost))
}
