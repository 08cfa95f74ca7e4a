//! News from the daemon: its events, in order, over however many daemons come and go.
//!
//! One thread reads the stream and reconnects; whoever listens takes the news from a bounded queue, with a bound on
//! the wait. Dropping the feed ends the thread at its next piece of news.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ov_client::Since;
use ov_types::Event;

use crate::failure::Failure;
use crate::pause::pause;
use crate::session;

/// News that wait to be taken; then the stream waits too.
const NEWS_MAX: usize = 256;
/// How long to wait before the daemon is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(300);

/// A piece of news.
#[derive(Debug)]
pub(crate) enum News {
    /// The daemon answers (again).
    Connected,
    /// Something happened.
    Event(Box<Event>),
    /// Something is further than before: no loss if it is not taken.
    Progress(Box<Event>),
    /// The daemon cannot be reached; it is tried again. Told once until it answers.
    Lost(Failure),
}

/// A running feed.
#[derive(Debug)]
pub(crate) struct Feed {
    receiver: Receiver<News>,
}

impl Feed {
    /// Listens to what happens from `since` on.
    pub(crate) fn open(home: PathBuf, since: Since) -> Self {
        let (sender, receiver) = sync_channel(NEWS_MAX);
        std::thread::spawn(move || {
            forward(&home, since, &|news| sender.send(news).is_ok());
        });
        Self { receiver }
    }

    /// The next piece of news within this time.
    pub(crate) fn next(&self, within: Duration) -> Option<News> {
        match self.receiver.recv_timeout(within) {
            Ok(news) => Some(news),
            Err(RecvTimeoutError::Timeout) => None,
            // The thread only ends when nobody listens; if it died, waiting must still take its time.
            Err(RecvTimeoutError::Disconnected) => {
                pause(within);
                None
            }
        }
    }
}

/// Forwards news for ever, or until `tell` says that nobody listens.
fn forward(home: &Path, mut since: Since, tell: &dyn Fn(News) -> bool) {
    let mut is_lost = false;
    loop {
        let failure = match session::ask(home, |client| client.follow(since)) {
            Ok(stream) => {
                is_lost = false;
                if !tell(News::Connected) {
                    return;
                }
                let mut ending = None;
                for item in stream {
                    match item {
                        Ok(event) => {
                            since = Since::After(event.index);
                            let (is_progress, event) = (event.kind.is_droppable(), Box::new(event));
                            if !tell(if is_progress { News::Progress(event) } else { News::Event(event) }) {
                                return;
                            }
                        }
                        Err(error) => {
                            ending = Some(session::failure(home, error));
                            break;
                        }
                    }
                }
                ending.unwrap_or_else(|| Failure::not_running(home))
            }
            Err(failure) => failure,
        };
        if !is_lost && !tell(News::Lost(failure)) {
            return;
        }
        is_lost = true;
        pause(RETRY_AFTER);
    }
}

/// The sending end, for whoever mixes news with other things.
pub(crate) fn forward_into<T: From<News> + Send + 'static>(home: PathBuf, since: Since, sender: SyncSender<T>) {
    std::thread::spawn(move || forward(&home, since, &|news| sender.send(news.into()).is_ok()));
}
