//! How a node of the family is told, at its launch, to make no block that the next release is to make.
//!
//! `--halt-height` has had three meanings. Before 0.50 of the SDK the block of that height is still carried out, and the node
//! ends in order; in 0.50.0 to 0.50.9 it is carried out too, and the next one refused; from 0.50.10 on the block itself is
//! refused. Who refuses a block stands still with an error, or ends if it was catching up. So the number depends on the
//! SDK that a release was built from, which the release itself tells. Where it does not, it is not told to halt.

use toml::Table;

use super::arguments::command;
use super::node_config::NodeLaunch;
use crate::added::{Added, AddedArguments, Question, Version, Versions, When};
use crate::template::Template;

const FLAG: &str = "--halt-height";
/// How the line begins in which a program tells from which SDK it was built.
const SDK_LINE: &str = "cosmos_sdk_version:";
/// How long a program may take to tell its version.
const ANSWER_MS_MAX: u64 = 10_000;
/// Databases in which the height of a node can be read that does not run. Without it nobody could tell a halt from a failure.
const READABLE: [&str; 2] = ["goleveldb", "pebbledb"];

/// From which version of the SDK to which the flag takes which number, to make no block of the height. Those in between have
/// another server, which knows no such flag.
const MEANINGS: [(Version, Version, Added); 3] = [
    ([0, 38, 0], [0, 50, 10], Added::HeightBefore),
    ([0, 50, 10], [0, 52, 0], Added::Height),
    ([0, 53, 0], [1, 0, 0], Added::Height),
];

/// What is added to the arguments of a node with this program in its releases, and this home.
pub(super) fn halts(program: &str, node_home: &str) -> Vec<AddedArguments> {
    let words = ["version", "--long", "--home", node_home];
    let question = Question {
        program: Template::in_release(&format!("bin/{program}")),
        args: words.map(Template::literal).into(),
        timeout_ms: ANSWER_MS_MAX,
    };
    let rule = |(from, to, value)| AddedArguments {
        when: When::Halting,
        unless_given: FLAG.to_owned(),
        versions: Some(Versions { question: question.clone(), line: SDK_LINE.to_owned(), from, to }),
        arguments: vec![Added::Text(FLAG.to_owned()), value],
    };
    MEANINGS.map(rule).into()
}

/// Whether a node that is launched so can be told to halt: it is the usual command, nobody else has told it a height, and its
/// data tells how far it came.
pub(super) fn can_be_told(node: NodeLaunch<'_>, config: &str, app_config: &str) -> bool {
    let table = |text: &str| text.parse::<Table>().unwrap_or_default();
    let backend = table(config).get("db_backend").and_then(toml::Value::as_str).map(str::to_owned);
    let backend = node.given("db_backend").or(backend);
    let written = table(app_config).get("halt-height").map(|height| height.to_string().replace('"', ""));
    let told = node.given("halt-height").or(written);
    let is_readable = backend.is_none_or(|backend| READABLE.contains(&backend.trim()));
    let is_free = told.is_none_or(|told| told.trim() == "0");
    command(node.arguments) == Some("start") && is_readable && is_free
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_node_that_nobody_told_and_whose_height_can_be_read_is_told() {
        let told = |line: &str, variable: &str, config: &str, app: &str| {
            let arguments: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            let environment = |name: &str| {
                let (key, value) = variable.split_once('=')?;
                (key == name).then(|| value.to_owned())
            };
            can_be_told(NodeLaunch { program: "simd", arguments: &arguments, environment: &environment }, config, app)
        };
        for (line, variable, config, app, expected) in [
            ("start", "", "", "", true),
            ("start --home /x", "", "db_backend = \"goleveldb\"", "halt-height = 0", true),
            ("start", "", "db_backend = \"pebbledb\"", "halt-height = \"0\"", true),
            ("start", "", "db_backend = \"rocksdb\"", "", false),
            ("start --db_backend=rocksdb", "", "db_backend = \"goleveldb\"", "", false),
            ("start", "SIMD_DB_BACKEND=pebbledb", "db_backend = \"rocksdb\"", "", true),
            ("start --halt-height 100", "", "", "", false),
            ("start --halt-height=100", "", "", "", false),
            ("start --halt-height=0", "", "", "halt-height = 100", true),
            ("start", "SIMD_HALT_HEIGHT=100", "", "", false),
            ("start", "", "", "halt-height = 100", false),
            ("in-place-fork", "", "", "", false),
            ("start", "", "not toml", "not toml", true),
        ] {
            assert_eq!(told(line, variable, config, app), expected, "{line} {variable} {config} {app}");
        }
    }
}
