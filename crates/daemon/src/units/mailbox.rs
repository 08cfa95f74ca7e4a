//! What a unit's task still has to do: one command of each kind, since a newer one takes the place of an older one. So
//! nothing is ever dropped, nobody waits to put something in, and nothing grows.
//!
//! Owns what waits, and knows of commands only which of them make others void. Does nothing of it.

use std::sync::{Arc, Mutex, PoisonError};

use ov_types::StopRule;
use tokio::sync::Notify;

use super::Command;

/// In the order in which they are taken: what concerns the last launch, then the next launch, then its end.
#[derive(Debug, Default)]
struct Waiting {
    acknowledge: Option<Command>,
    log: Option<Command>,
    launch: Option<Command>,
    end: Option<Command>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

/// Where commands are put. When it is gone, the task ends behind the last of them.
#[derive(Debug)]
pub(super) struct Mailbox(Arc<Shared>);

/// Where the one task takes them from.
#[derive(Debug)]
pub(super) struct Inbox(Arc<Shared>);

/// Makes a mailbox.
pub(super) fn mailbox() -> (Mailbox, Inbox) {
    let shared = Arc::<Shared>::default();
    (Mailbox(Arc::clone(&shared)), Inbox(shared))
}

impl Waiting {
    fn put(&mut self, command: Command) {
        let slot = match &command {
            Command::Acknowledge { .. } => &mut self.acknowledge,
            Command::Log(_) => &mut self.log,
            Command::Launch { .. } => {
                // Launched is only what is down: whatever was to be ended has ended.
                self.end = None;
                &mut self.launch
            }
            Command::Stop { .. } => &mut self.end,
            Command::EndOrphans { .. } => {
                // Nobody waits any more for what comes of the launch of a unit that is lost.
                self.launch = None;
                &mut self.end
            }
        };
        *slot = Some(command);
    }

    fn next(&mut self) -> Option<Command> {
        [&mut self.acknowledge, &mut self.log, &mut self.launch, &mut self.end].into_iter().find_map(Option::take)
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Mailbox {
    pub(super) fn put(&self, command: Command) {
        self.0.with(|waiting| waiting.put(command));
        self.0.changed.notify_one();
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        self.0.with(|waiting| waiting.is_closed = true);
        self.0.changed.notify_one();
    }
}

impl Inbox {
    /// The next command; none when no other will come.
    pub(super) async fn next(&mut self) -> Option<Command> {
        loop {
            let (next, is_closed) = self.0.with(|waiting| (waiting.next(), waiting.is_closed));
            if next.is_some() || is_closed {
                return next;
            }
            self.0.changed.notified().await;
        }
    }

    /// The next order to end something, ahead of everything else. Whoever stops waiting misses nothing.
    pub(super) async fn next_end(&mut self) -> StopRule {
        loop {
            if let Some(Command::Stop { rule } | Command::EndOrphans { rule }) =
                self.0.with(|waiting| waiting.end.take())
            {
                return rule;
            }
            self.0.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use ov_supervise::LogSettings;
    use ov_sys::SimDisk;
    use ov_sys::durable::{make_directories, replace};
    use ov_types::{Occasion, RunId};

    use super::*;

    fn launch(run: u64) -> Command {
        let disk = SimDisk::new(1);
        make_directories(&disk, Path::new("/n"), 0o755).unwrap();
        replace(&disk, Path::new("/n/omnivisor.toml"), b"[unit.main]\nprogram = \"/bin/node\"\n", 0o644).unwrap();
        let shape = Arc::new(ov_chains::load(&disk, Path::new("/n"), None).unwrap());
        Command::Launch { run: RunId(run), occasion: Occasion::default(), shape, signed: None }
    }

    fn rule(grace_ms: u64) -> StopRule {
        StopRule::fixed(15, grace_ms)
    }

    fn stop(grace_ms: u64) -> Command {
        Command::Stop { rule: rule(grace_ms) }
    }

    fn log() -> Command {
        Command::Log(LogSettings::default())
    }

    fn word(command: &Command) -> String {
        match command {
            Command::Acknowledge { run } => format!("acknowledge {}", run.0),
            Command::Launch { run, .. } => format!("launch {}", run.0),
            Command::Stop { rule } => format!("stop {}", rule.grace_ms),
            Command::EndOrphans { rule } => format!("orphans {}", rule.grace_ms),
            Command::Log(_) => "log".to_owned(),
        }
    }

    /// What is left to do of these commands, in order.
    fn left_of(commands: impl IntoIterator<Item = Command>) -> Vec<String> {
        let mut waiting = Waiting::default();
        commands.into_iter().for_each(|command| waiting.put(command));
        std::iter::from_fn(|| waiting.next()).map(|command| word(&command)).collect()
    }

    #[test]
    fn a_newer_command_takes_the_place_of_what_it_makes_void_and_of_nothing_else() {
        let orphans = || Command::EndOrphans { rule: rule(1) };
        let acknowledge = || Command::Acknowledge { run: RunId(6) };
        assert_eq!(left_of([launch(7), stop(9), stop(0)]), ["launch 7", "stop 0"]);
        assert_eq!(left_of([stop(9), acknowledge(), launch(7)]), ["acknowledge 6", "launch 7"]);
        assert_eq!(left_of([launch(7), orphans()]), ["orphans 1"]);
        assert_eq!(left_of([stop(9), orphans()]), ["orphans 1"]);
        assert_eq!(left_of(std::iter::repeat_with(log).take(1_000)), ["log"]);
        let everything = [stop(9), launch(7), log(), acknowledge(), stop(3)];
        assert_eq!(left_of(everything), ["acknowledge 6", "log", "launch 7", "stop 3"]);
    }

    #[tokio::test]
    async fn what_was_put_in_before_the_end_is_still_taken() {
        let (mailbox, mut inbox) = mailbox();
        mailbox.put(launch(7));
        mailbox.put(stop(1));
        drop(mailbox);
        assert_eq!(inbox.next().await.as_ref().map(word).as_deref(), Some("launch 7"));
        assert_eq!(inbox.next_end().await, rule(1));
        assert!(inbox.next().await.is_none());
    }
}
