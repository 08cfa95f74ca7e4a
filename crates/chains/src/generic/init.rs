//! A first `omnivisor.toml`, commented, for somebody who has never seen one.

use std::fmt::Write as _;

use toml::{Table, Value};

use crate::family::{Family, GENERIC};

/// What is known about the node; the rest stands in the file as a comment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Init {
    /// The family, by its word; `generic` if empty.
    pub chain: String,
    /// The node's name; the home folder's if not given.
    pub name: Option<String>,
    /// The program, such as `current/bin/node`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The data directory, if it is not `data`.
    pub data: Option<String>,
    /// Where the height is learned: an address, and a place in its JSON.
    pub height: Option<(String, String)>,
    /// The program within a release and its arguments that say the version.
    pub version: Option<(String, Vec<String>)>,
    /// The file that the node writes when it stops itself for an upgrade.
    pub plan_file: Option<String>,
    /// The validator's key and sign state.
    pub validator: Option<(String, String)>,
    /// Other keys and their values, for a node whose family supplies the rest.
    pub settings: Vec<(&'static str, Value)>,
}

const HEAD: &str = "\
# How omnivisor looks after this node. Every key has a sensible default: what is not here is as
# docs/configuration.md says, and so does `omnivisor schema`. Changes are heeded as soon as the
# file is saved.

";

/// The text of a configuration file that says what `init` says, and shows what else could be said.
pub fn init_template(init: &Init) -> String {
    if ![GENERIC, ""].contains(&init.chain.as_str()) {
        return of_family(init);
    }
    let mut text = String::from(HEAD);
    let name = init.name.as_deref();
    line(&mut text, name.is_some(), "name", &quoted(name.unwrap_or("my-node")));
    let data = init.data.as_deref();
    section(&mut text, data.is_some(), "paths", "Where things lie, from the node's home on.");
    line(&mut text, data.is_some(), "data", &quoted(data.unwrap_or("data")));
    unit(&mut text, init);
    node(&mut text, init);
    text
}

/// The file of a node whose family supplies what is not said: only what is known, and what people add most.
fn of_family(init: &Init) -> String {
    let mut table = Table::new();
    set(&mut table, "chain", init.chain.clone().into());
    if let Some(name) = &init.name {
        set(&mut table, "name", name.clone().into());
    }
    let family = Family::of(&init.chain);
    let own = [("program", Value::from(init.program.clone())), ("args", Value::from(init.args.clone()))];
    for (key, value) in own {
        set(&mut table, &format!("{}.{key}", family.name), value);
    }
    for (key, value) in &init.settings {
        set(&mut table, key, value.clone());
    }
    // A table of texts, numbers and lists always serialises.
    let mut text = format!("{HEAD}{}", toml::to_string(&table).unwrap_or_default());
    section(&mut text, false, "[webhook]", "Who is told. The address stands in a file, so that nobody sees it here.");
    line(&mut text, false, "url-file", &quoted("webhook-url"));
    line(&mut text, false, "events", &list(&["upgrade-armed".to_owned(), "needs-operator".to_owned()]));
    section(&mut text, false, "unit.price-feed", "Another process of the node.");
    line(&mut text, false, "program", &quoted("bin/price-feed"));
    line(&mut text, false, "with", "{ main = \"ready\" }");
    text
}

/// Sets the key of this path, whose names contain no dots.
fn set(table: &mut Table, path: &str, value: Value) {
    match path.split_once('.') {
        None => drop(table.insert(path.to_owned(), value)),
        Some((first, rest)) => {
            let below = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(below) = below {
                set(below, rest, value);
            }
        }
    }
}

fn unit(text: &mut String, init: &Init) {
    section(text, true, "unit.main", "The node itself. `current` is a link to the release that runs.");
    line(text, true, "program", &quoted(&init.program));
    let args = list(&init.args);
    line(text, true, "args", &args);
    section(text, false, "unit.main.stop", "How it is stopped. What is left after the grace is killed.");
    line(text, false, "signal", &quoted("TERM"));
    line(text, false, "grace", &quoted("90s"));
    section(text, false, "unit.main.ready", "What tells that it is ready; without this, ready when it runs.");
    line(text, false, "tcp", &quoted("127.0.0.1:26657"));
    section(text, false, "unit.backup", "Another process of the node.");
    line(text, false, "program", &quoted("bin/backup"));
    line(text, false, "after", "{ main = \"ready\" }");
}

fn node(text: &mut String, init: &Init) {
    let given = init.height.is_some();
    let (url, pointer) = init.height.clone().unwrap_or_else(|| {
        ("http://127.0.0.1:26657/status".to_owned(), "/result/sync_info/latest_block_height".to_owned())
    });
    section(text, given, "probe.height", "How to learn the height: for plans at a height, and to notice a stuck node.");
    line(text, given, "http", &quoted(&url));
    line(text, given, "pointer", &quoted(&pointer));

    let given = init.version.is_some();
    let (program, args) = init.version.clone().unwrap_or_else(|| ("bin/node".to_owned(), vec!["version".to_owned()]));
    section(text, given, "probe.version", "How a release says its version: an upgrade is proven by it.");
    line(text, given, "program", &quoted(&program));
    line(text, given, "args", &list(&args));

    let given = init.plan_file.is_some();
    section(text, given, "scout.plan-file", "The file that the node writes when it stops itself for an upgrade.");
    line(text, given, "path", &quoted(init.plan_file.as_deref().unwrap_or("data/upgrade-info.json")));

    let given = init.validator.is_some();
    let (key, state) = init
        .validator
        .clone()
        .unwrap_or_else(|| ("config/priv_validator_key.json".to_owned(), "data/priv_validator_state.json".to_owned()));
    section(text, given, "validator", "For a node that signs: what must never be copied, and never go backwards.");
    line(text, given, "key", &quoted(&key));
    line(text, given, "sign-state", &quoted(&state));

    section(text, false, "upgrade.keep", "The snapshot before each upgrade; these files may be linked, not copied.");
    line(text, false, "write-once", &list(&["*.sst".to_owned()]));
    section(text, false, "[webhook]", "Who is told. The address stands in a file, so that nobody sees it here.");
    line(text, false, "url-file", &quoted("webhook-url"));
    line(text, false, "events", &list(&["upgrade-armed".to_owned(), "needs-operator".to_owned()]));
}

fn section(text: &mut String, given: bool, name: &str, what: &str) {
    let mark = mark(given);
    // Writing to a text cannot fail.
    let _ = write!(text, "\n# {what}\n{mark}[{name}]\n");
}

fn line(text: &mut String, given: bool, key: &str, value: &str) {
    let mark = mark(given);
    let _ = writeln!(text, "{mark}{key} = {value}");
}

fn mark(given: bool) -> &'static str {
    if given { "" } else { "#" }
}

/// A text in the form of TOML, whatever stands in it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    format!("[{}]", quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generic::read;
    use crate::shape::{HeightProbe, NodeShape};
    use proptest::prelude::*;
    use std::path::Path;

    fn shape(text: &str) -> NodeShape {
        let read = read(&ov_sys::RealDisk, text.as_bytes(), Path::new("/home/node"), Path::new("omnivisor.toml"));
        read.unwrap_or_else(|problems| panic!("{problems:#?}\n{text}"))
    }

    fn full() -> Init {
        Init {
            name: Some("val-1".to_owned()),
            program: "current/bin/x".to_owned(),
            args: vec!["start".to_owned(), "--home".to_owned(), "{home}".to_owned()],
            data: Some("chain-data".to_owned()),
            height: Some(("http://127.0.0.1:1/h".to_owned(), "/height".to_owned())),
            version: Some(("bin/x".to_owned(), vec!["version".to_owned()])),
            plan_file: Some("data/plan.json".to_owned()),
            validator: Some(("key.json".to_owned(), "state.json".to_owned())),
            ..Init::default()
        }
    }

    #[test]
    fn the_file_says_what_was_given() {
        let node = shape(&init_template(&full()));
        assert_eq!(node.name, "val-1");
        assert_eq!(node.layout.data, Path::new("/home/node/chain-data"));
        let main = &node.units[&ov_types::UnitName::main()].launch;
        assert_eq!(main.program.to_string(), "/home/node/current/bin/x");
        assert_eq!(main.args.len(), 3);
        assert!(matches!(node.probes.height[..], [HeightProbe::Http { .. }]));
        assert!(node.probes.version.is_some() && node.signer.is_some());
        assert_eq!(node.scouts.len(), 1);
    }

    #[test]
    fn what_is_only_shown_changes_nothing_and_would_be_right() {
        let init = Init { program: "x".to_owned(), ..Init::default() };
        let text = init_template(&init);
        let plain = shape("[unit.main]\nprogram = \"x\"\n");
        assert!(crate::diff(&plain, &shape(&text)).is_empty());
        // A line that begins with `#` and no blank is an example.
        let uncomment =
            |line: &str| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line).to_owned();
        let shown = shape(&text.lines().map(uncomment).collect::<Vec<_>>().join("\n"));
        assert!(shown.signer.is_some() && shown.webhooks.len() == 1 && shown.units.len() == 2);
    }

    #[test]
    fn the_file_of_a_family_says_what_is_known_and_shows_what_could_be_said() {
        let init = Init {
            chain: "cosmos".to_owned(),
            name: Some("val-1".to_owned()),
            program: "simd".to_owned(),
            args: vec!["start".to_owned()],
            settings: vec![("unit.main.stop.grace", "2m".into()), ("cosmos.lower-names", false.into())],
            ..Init::default()
        };
        let text = init_template(&init);
        let node = shape(&text);
        assert_eq!((node.name.as_str(), node.chain.as_str(), node.units.len()), ("val-1", "cosmos", 1));
        assert_eq!(node.engine.units[&ov_types::UnitName::main()].stop.grace_ms, 120_000);
        let shown: Vec<&str> = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
        let shown: Vec<&str> = shown.into_iter().filter(|line| !line.starts_with(' ')).collect();
        let shown = shape(&shown.join("\n"));
        assert_eq!((shown.webhooks.len(), shown.units.len()), (1, 2));
    }

    proptest! {
        #[test]
        fn whatever_is_given_comes_back(name in "[^\\p{Cc}\\s]{1,20}", arg in "[^\0{}]{0,20}") {
            let init = Init { name: Some(name.clone()), program: "x".to_owned(), args: vec![arg.clone()], ..full() };
            let node = shape(&init_template(&init));
            prop_assert_eq!(&node.name, &name);
            prop_assert_eq!(node.units[&ov_types::UnitName::main()].launch.args[0].to_string(), arg);
        }
    }
}
