//! What other nodes of the network run, as far as the node's own configuration names some that can be asked.
//!
//! One bounded question to each, all at once, before a plan is armed or by hand; never at the trigger.

use std::time::Duration;

use ov_chains::{shape::ReleaseCheck, shown_address};
use ov_types::{ReleaseName, counted};
use tokio::task::JoinSet;

use super::binary::says;
use super::{DoctorInput, Verdict};
use crate::probe::text_at;

/// How long one of them may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// More of them are not asked.
const PEERS_MAX: usize = 5;

pub(super) fn version(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(check) = input.shape.release_check.as_ref().filter(|check| !check.peers.is_empty()) else {
        return Vec::new();
    };
    let Some(target) = input.target() else { return Vec::new() };
    let Some(ours) = says(input, &target) else { return Vec::new() };
    let asked = counted(check.peers.len().min(PEERS_MAX), "other node");
    let (told, silent) = ask(check);
    if told.is_empty() {
        return vec![Verdict::unknown(target, format!("{asked} told nothing: {}", silent.join("; ")))];
    }
    vec![judge(&target, &ours, input.current().and_then(|current| says(input, &current)), &told)]
}

/// A new release that nobody runs yet is as it should be; but then the others run what runs here.
fn judge(target: &ReleaseName, ours: &str, current: Option<String>, told: &[String]) -> Verdict {
    let run = |version: &str| told.iter().filter(|told| bare(told) == bare(version)).count();
    let all = told.len();
    let of_current = current.as_deref().map_or(0, run);
    match run(ours) {
        0 if of_current == 0 => {
            let here = current.unwrap_or_else(|| "nothing".to_owned());
            let message =
                format!("other nodes say that they run {}; here runs `{here}`, and this is `{ours}`", told.join(", "));
            Verdict::warning(target, message, "make sure that both are the builds which the network runs")
        }
        0 => Verdict::good(target, format!("{of_current} of {} run what runs here now", counted(all, "other node"))),
        count => Verdict::good(target, format!("{count} of {} run it already", counted(all, "other node"))),
    }
}

fn bare(version: &str) -> &str {
    version.trim().trim_start_matches(['v', 'V'])
}

/// What they say, and why the others say nothing.
fn ask(check: &ReleaseCheck) -> (Vec<String>, Vec<String>) {
    let peers: Vec<String> = check.peers.iter().take(PEERS_MAX).cloned().collect();
    let pointer = check.peer_version.clone();
    // A thread of its own: the doctor is called with and without a runtime around it.
    let asking = std::thread::Builder::new().name("ask-peers".to_owned()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| vec![format!("cannot ask: {error}")])?;
        Ok(runtime.block_on(async move {
            let mut answers = JoinSet::new();
            for peer in peers {
                let pointer = pointer.clone();
                answers.spawn(async move {
                    let answer = tokio::time::timeout(ANSWER_TIMEOUT, text_at(&peer, &pointer)).await;
                    answer.unwrap_or_else(|_| Err(format!("{} does not answer", shown_address(&peer))))
                });
            }
            answers.join_all().await
        }))
    });
    let failed = |why: Vec<String>| (Vec::new(), why);
    let answers = match asking.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(answers))) => answers,
        Ok(Ok(Err(why))) => return failed(why),
        _ => return failed(vec!["nobody could be asked".to_owned()]),
    };
    let (told, silent): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    let mut told: Vec<String> = told.into_iter().flatten().collect();
    told.sort();
    (told, silent.into_iter().filter_map(Result::err).collect())
}
