//! What every drop-in that runs the daemon needs around it: our environment, what the daemon says, how it hands over.

use std::fmt::{self, Write as _};
use std::path::Path;

use ov_types::Problem;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::complaint::Complaint;

/// Our environment, as far as it is text.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// A signal in the words that operators know from the original.
pub(crate) fn signal_name(signal: i32) -> String {
    let known = [
        (1, "hangup"),
        (2, "interrupt"),
        (3, "quit"),
        (6, "aborted"),
        (9, "killed"),
        (11, "segmentation fault"),
        (15, "terminated"),
    ];
    known
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or_else(|| signal.to_string(), |(_, name)| (*name).to_owned())
}

/// A problem in one piece of text.
pub(crate) fn told(problem: &Problem) -> String {
    let mut text = problem.summary.clone();
    for part in problem.causes.iter().chain([&problem.state, &problem.hint]).filter(|part| !part.is_empty()) {
        text.push_str(": ");
        text.push_str(part);
    }
    text
}

/// Another program file takes over, as the drop-in that is called so. Returns when it cannot.
pub(crate) fn replace(program: &Path, called: &'static str, names: &[&str]) -> Complaint {
    // Its name is not ours, so it has to be told which program it is.
    let words = std::env::args_os().skip(1);
    let words = words.filter(|word| !word.to_str().is_some_and(|word| names.contains(&word)));
    let error = ov_sys::process::become_program(program, std::iter::once(called.into()).chain(words));
    Complaint::new(format!("fork/exec {}: {error}; the app goes on running", program.display()))
}

/// Has everything said in these lines that somebody should look at.
pub(crate) fn speak(warn: impl Fn(&str) + Send + Sync + 'static) {
    // A second subscriber in one process would be a fault of ours, and no reason not to look after the node.
    let _ = tracing_subscriber::registry().with(Warnings(warn)).try_init();
}

struct Warnings<W>(W);

impl<S: tracing::Subscriber, W: Fn(&str) + Send + Sync + 'static> Layer<S> for Warnings<W> {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if *event.metadata().level() > tracing::Level::WARN {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        (self.0)(&message.0);
    }
}

/// The text of an event, and its values behind.
struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        // Writing to a text cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
