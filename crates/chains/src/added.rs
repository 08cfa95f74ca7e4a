//! Arguments that a unit is given on certain occasions only, and which of them it is given at a launch.
//!
//! Rules as data, and the pure function behind them. Asking programs is the daemon's business.

use ov_types::{Height, Occasion};

use crate::printed::value_within;
use crate::template::Template;

/// Arguments that are added on a certain occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedArguments {
    /// On which.
    pub when: When,
    /// Not where another argument contains this text already.
    pub unless_given: String,
    /// Only for a program of these versions, if that matters.
    pub versions: Option<Versions>,
    /// What is added.
    pub arguments: Vec<Added>,
}

/// An occasion that arguments depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// A unit of the node ended by itself, or could not be launched, and this makes it good.
    AfterFailure,
    /// Another release became current, and main was not ready since.
    AfterUpgrade,
    /// Main is to halt before the block of a height. It is told so only if the engine's `halts_when_told` says that it can be.
    Halting,
}

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// A text.
    Text(String),
    /// The height of the upgrade, or of the block before which main is to halt. An occasion that has none does not apply.
    Height,
    /// The one before that.
    HeightBefore,
    /// A value that a program tells.
    Answer(Answer),
}

/// A program that is run, to its end, before the launch. It acts for the unit: in its environment and its working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The program.
    pub program: Template,
    /// Its arguments.
    pub args: Vec<Template>,
    /// How long it may take.
    pub timeout_ms: u64,
}

/// A value in what a program answers. If it is not told, the launch has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The program.
    pub question: Question,
    /// The place of the value in the JSON that it prints (RFC 6901).
    pub pointer: String,
    /// A text that means, anywhere in what it prints, that there is no such value: nothing is added then.
    pub none: Option<String>,
    /// The values that can be used, if not all can.
    pub among: Option<Among>,
}

/// Numbers of which the greatest is meant that is not above a value. Where they are not told, or none of them is so small,
/// the value itself is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Among {
    /// The program that tells them.
    pub question: Question,
    /// The place of the list in the JSON that it prints (RFC 6901).
    pub list: String,
    /// The place of the number in each of the list.
    pub number: String,
}

/// Versions of something that a program tells of itself. Without an answer it is of none of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The program.
    pub question: Question,
    /// How the line with the version begins.
    pub line: String,
    /// The first of them.
    pub from: Version,
    /// The first that is none of them any more.
    pub to: Version,
}

/// The numbers of a version.
pub type Version = [u64; 3];

/// What a program printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// Whether it ended with 0.
    pub success: bool,
    /// To its standard output.
    pub out: String,
    /// To its standard error.
    pub err: String,
}

/// The arguments to be added to `given` on this occasion: those of the first rule that applies. The error says why the
/// launch has failed.
pub fn added(
    rules: &[AddedArguments],
    occasion: &Occasion,
    given: &[String],
    ask: &mut dyn FnMut(&Question) -> Result<Printed, String>,
) -> Result<Vec<String>, String> {
    for rule in rules {
        if !rule.applies(occasion) {
            continue;
        }
        let is_meant = match &rule.versions {
            None => true,
            Some(versions) => ask(&versions.question).is_ok_and(|printed| versions.contain(&printed)),
        };
        if is_meant {
            let is_given = given.iter().any(|argument| argument.contains(&rule.unless_given));
            return if is_given { Ok(Vec::new()) } else { rule.fill(rule.height(occasion), ask) };
        }
    }
    Ok(Vec::new())
}

impl AddedArguments {
    /// Whether this is its occasion.
    fn applies(&self, occasion: &Occasion) -> bool {
        let names_height = self.arguments.iter().any(|it| matches!(it, Added::Height | Added::HeightBefore));
        let is_it = match self.when {
            When::AfterFailure => occasion.after_failure,
            When::AfterUpgrade => occasion.after_upgrade.is_some(),
            When::Halting => occasion.halt_at.is_some(),
        };
        is_it && (self.height(occasion).is_some() || !names_height)
    }

    fn height(&self, occasion: &Occasion) -> Option<Height> {
        match self.when {
            When::AfterFailure => None,
            When::AfterUpgrade => occasion.after_upgrade.and_then(|upgrade| upgrade.height),
            When::Halting => occasion.halt_at,
        }
    }

    fn fill(
        &self,
        height: Option<Height>,
        ask: &mut dyn FnMut(&Question) -> Result<Printed, String>,
    ) -> Result<Vec<String>, String> {
        let Height(height) = height.unwrap_or_default();
        let mut filled = Vec::new();
        for argument in &self.arguments {
            match argument {
                Added::Text(text) => filled.push(text.clone()),
                Added::Height => filled.push(height.to_string()),
                Added::HeightBefore => filled.push(height.saturating_sub(1).to_string()),
                Added::Answer(answer) => match answer.value(&ask(&answer.question)?)? {
                    Some(value) => {
                        let usable = answer.among.as_ref().and_then(|among| {
                            let printed = ask(&among.question).ok()?;
                            among.greatest_up_to(value.parse().ok()?, &printed)
                        });
                        filled.push(usable.map_or(value, |usable| usable.to_string()));
                    }
                    None => return Ok(Vec::new()),
                },
            }
        }
        Ok(filled)
    }
}

impl Answer {
    /// The value; `None` where there is none.
    fn value(&self, printed: &Printed) -> Result<Option<String>, String> {
        let Printed { success, out, err } = printed;
        if self.none.as_ref().is_some_and(|none| out.contains(none) || err.contains(none)) {
            return Ok(None);
        }
        let last = || [err, out].into_iter().find_map(|text| text.lines().rfind(|line| !line.trim().is_empty()));
        let says = || last().map(|line| line.chars().filter(|c| !c.is_control()).take(200).collect::<String>());
        if !success {
            return Err(format!("it failed: {}", says().unwrap_or_default()));
        }
        match value_within(out, &self.pointer) {
            Some(serde_json::Value::Number(number)) => Ok(Some(number.to_string())),
            Some(serde_json::Value::String(text)) if !text.is_empty() => Ok(Some(text)),
            _ => {
                let says = says().unwrap_or_default();
                Err(format!("there is no value at {} in what it prints: {says}", self.pointer))
            }
        }
    }
}

impl Among {
    fn greatest_up_to(&self, value: u64, printed: &Printed) -> Option<u64> {
        let list = value_within(&printed.out, &self.list).filter(|_| printed.success)?;
        let numbers = list.as_array()?.iter().filter_map(|entry| entry.pointer(&self.number)?.as_u64());
        numbers.filter(|number| *number <= value).max()
    }
}

impl Versions {
    fn contain(&self, printed: &Printed) -> bool {
        let lines = [&printed.out, &printed.err].into_iter().flat_map(|text| text.lines());
        let said = lines.filter_map(|line| line.trim_start().strip_prefix(self.line.as_str())).find_map(version);
        printed.success && said.is_some_and(|said| self.from <= said && said < self.to)
    }
}

/// The numbers at the beginning of a version such as `v0.50.9-rc1`; a release candidate counts as the release.
fn version(text: &str) -> Option<Version> {
    let digits = text.trim().trim_matches(['"', '\'']).trim_start_matches('v');
    let number = digits.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    let mut parts = number.split('.').map(str::parse::<u64>);
    let mut next = || parts.next()?.ok();
    Some([next()?, next()?, next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_types::AfterUpgrade;

    const HISTORY: &str = "history";

    fn question(name: &str) -> Question {
        Question { program: Template::literal(name), args: Vec::new(), timeout_ms: 1_000 }
    }

    fn text(text: &str) -> Added {
        Added::Text(text.to_owned())
    }

    fn rule(when: When, value: Added) -> AddedArguments {
        AddedArguments {
            when,
            unless_given: "--load".to_owned(),
            versions: None,
            arguments: vec![text("--load"), value],
        }
    }

    /// A pin to what a program tells after a failure, else to the height of an upgrade.
    fn pins() -> Vec<AddedArguments> {
        let none = Some("no segments".to_owned());
        let answer = Answer { question: question(HISTORY), pointer: "/last/height".to_owned(), none, among: None };
        vec![rule(When::AfterFailure, Added::Answer(answer)), rule(When::AfterUpgrade, Added::Height)]
    }

    fn halts(bounds: &[(Version, Version, Added)]) -> Vec<AddedArguments> {
        let of = |(from, to, value): &(Version, Version, Added)| {
            let versions = Versions { question: question("node"), line: "sdk:".to_owned(), from: *from, to: *to };
            AddedArguments { versions: Some(versions), ..rule(When::Halting, value.clone()) }
        };
        bounds.iter().map(of).collect()
    }

    fn printed(success: bool, out: &str, err: &str) -> Printed {
        Printed { success, out: out.to_owned(), err: err.to_owned() }
    }

    fn given(
        rules: &[AddedArguments],
        occasion: Occasion,
        own: &str,
        answer: Result<Printed, &str>,
    ) -> Result<String, String> {
        let own: Vec<String> = own.split_whitespace().map(str::to_owned).collect();
        let answer = answer.map_err(str::to_owned);
        added(rules, &occasion, &own, &mut |_| answer.clone()).map(|added| added.join(" "))
    }

    fn upgraded(height: Option<u64>) -> Occasion {
        Occasion { after_upgrade: Some(AfterUpgrade { height: height.map(Height) }), ..Occasion::default() }
    }

    #[test]
    fn the_first_rule_that_applies_counts_and_no_other() {
        let unasked = || Err("nobody was to be asked");
        let failed = Occasion { after_failure: true, ..upgraded(Some(90)) };
        assert_eq!(given(&pins(), Occasion::default(), "", unasked()).as_deref(), Ok(""));
        assert_eq!(given(&pins(), upgraded(Some(90)), "", unasked()).as_deref(), Ok("--load 90"));
        assert_eq!(given(&pins(), upgraded(None), "", unasked()).as_deref(), Ok(""), "it has no height");
        assert_eq!(given(&pins(), failed, "run --x=--load-y", unasked()).as_deref(), Ok(""), "it is given already");
        for (answer, expected) in [
            (Ok(printed(true, r#"{"last": {"height": 77}}"#, "noise")), Ok("--load 77")),
            (Ok(printed(true, r#"{"last": {"height": "78"}}"#, "")), Ok("--load 78")),
            (Ok(printed(false, r#"{"error":"no segments found"}"#, "")), Ok("")),
            (Ok(printed(false, "", "x\nno segments")), Ok("")),
            (Ok(printed(false, "", "boom\n")), Err("it failed: boom")),
            (Ok(printed(true, "note\n{\"last\":{\"height\":79}}\nbye", "")), Ok("--load 79")),
            (Ok(printed(true, "77", "")), Err("there is no value at /last/height in what it prints: 77")),
            (Err("it took too long"), Err("it took too long")),
        ] {
            let got = given(&pins(), failed, "", answer);
            assert_eq!(got.as_deref().map_err(String::as_str), expected);
        }
    }

    #[test]
    fn of_values_that_can_be_used_the_greatest_is_meant_that_is_not_above() {
        let among = Among { question: question("list"), list: "/all".to_owned(), number: "/at".to_owned() };
        let answer =
            Answer { question: question(HISTORY), pointer: "/last".to_owned(), none: None, among: Some(among) };
        let rules = [rule(When::AfterFailure, Added::Answer(answer))];
        let failed = Occasion { after_failure: true, ..Occasion::default() };
        for (list, expected) in [
            (Ok(printed(true, r#"{"all":[{"at":90},{"at":70},{"at":60}]}"#, "")), "--load 70"),
            (Ok(printed(true, r#"{"all":[{"at":77}]}"#, "")), "--load 77"),
            // Nothing better is known.
            (Ok(printed(true, r#"{"all":[{"at":90},{}]}"#, "")), "--load 77"),
            (Ok(printed(true, r#"{"all":[]}"#, "")), "--load 77"),
            (Ok(printed(false, r#"{"all":[{"at":70}]}"#, "")), "--load 77"),
            (Err("gone".to_owned()), "--load 77"),
        ] {
            let mut ask = |asked: &Question| {
                if asked.program == Template::literal("list") {
                    list.clone()
                } else {
                    Ok(printed(true, r#"{"last":77}"#, ""))
                }
            };
            assert_eq!(
                added(&rules, &failed, &[], &mut ask).map(|added| added.join(" ")).as_deref(),
                Ok(expected),
                "{list:?}"
            );
        }
    }

    #[test]
    fn a_rule_for_versions_applies_to_those_and_to_nothing_that_is_silent() {
        let rules = halts(&[([0, 38, 0], [0, 50, 10], Added::HeightBefore), ([0, 50, 10], [0, 52, 0], Added::Height)]);
        let halting = Occasion { halt_at: Some(Height(100)), ..Occasion::default() };
        for (says, expected) in [
            ("sdk: v0.47.5-fork-22", "--load 99"),
            ("name: x\n  sdk: \"v0.50.9\"\n", "--load 99"),
            ("sdk: v0.50.10", "--load 100"),
            ("sdk: 0.51.99", "--load 100"),
            ("sdk: v0.52.0", ""),
            ("sdk: v0.37.4", ""),
            ("sdk: (devel)", ""),
            ("sdk: v0.50", ""),
            ("version: v0.50.1", ""),
        ] {
            assert_eq!(given(&rules, halting, "", Ok(printed(true, says, ""))).as_deref(), Ok(expected), "{says}");
            assert_eq!(given(&rules, halting, "", Ok(printed(true, "", says))).as_deref(), Ok(expected), "{says}");
            assert_eq!(given(&rules, halting, "", Ok(printed(false, says, ""))).as_deref(), Ok(""), "{says}");
        }
        assert_eq!(given(&rules, halting, "", Err("gone")).as_deref(), Ok(""), "the launch does not fail");
        assert_eq!(given(&rules, upgraded(Some(100)), "", Ok(printed(true, "sdk: v0.50.1", ""))).as_deref(), Ok(""));
    }
}
