//! How a data node is asked, while it does not run, up to which height it has the history: the core must not begin above
//! that, and can only begin where it has a snapshot.

use super::run_config::{DATA_NODE_COMMAND, Launch};
use crate::added::{Among, Answer, Question};
use crate::template::Template;

/// The place of the height in its answer (RFC 6901).
const TO_HEIGHT: &str = "/LatestSegment/to_height";
/// What it says while it has none.
const NONE_YET: &str = "no history segments found";
/// How long it may take: it reads an index, and asks nobody.
const ANSWER_MS_MAX: u64 = 60_000;

/// The height of the core's last snapshot up to which a data node has the history.
pub(super) fn history_height(core: &Launch, data_node: &Launch) -> Answer {
    let question = |launch: &Launch, args: Vec<String>| Question {
        program: launch.program(),
        args: args.into_iter().map(Template::literal).collect(),
        timeout_ms: ANSWER_MS_MAX,
    };
    Answer {
        question: question(data_node, history_args(data_node)),
        pointer: TO_HEIGHT.to_owned(),
        none: Some(NONE_YET.to_owned()),
        among: Some(Among {
            question: question(core, snapshots_args(core)),
            list: "/snapshots".to_owned(),
            number: "/height".to_owned(),
        }),
    }
}

/// The arguments with which the core's program lists its snapshots, while no core runs.
fn snapshots_args(core: &Launch) -> Vec<String> {
    let list = ["tools", "snapshot", "--output", "json"].map(str::to_owned);
    list.into_iter().chain(home_pair(core.args())).collect()
}

/// Which home a program is told to have, in whichever form that is written.
fn home_pair(args: &[String]) -> impl Iterator<Item = String> {
    let is_home = |word: &String| word == "--home" || word.starts_with("--home=");
    let given = |at: usize| if args[at] == "--home" { args.get(at..at + 2) } else { args.get(at..=at) };
    args.iter().position(is_home).and_then(given).unwrap_or_default().iter().cloned()
}

/// The arguments that the data node's program is asked with.
///
/// The program is told to be a data node where the word is among its arguments, and which home it has, in whichever form
/// that was written. Unlike in the original, a path in which the word stands is not taken for the word.
pub fn history_args(data_node: &Launch) -> Vec<String> {
    let args = data_node.args();
    let is_value_of_home = |index: usize| index > 0 && args[index - 1] == "--home";
    let is_command = |(index, word): (usize, &String)| word == DATA_NODE_COMMAND && !is_value_of_home(index);
    let command = args.iter().enumerate().any(is_command).then(|| DATA_NODE_COMMAND.to_owned());
    let question = ["network-history", "latest-history-segment", "--output=json"].map(str::to_owned);
    let output = ["--output", "json"].map(str::to_owned);
    command.into_iter().chain(question).chain(home_pair(args)).chain(output).collect()
}
