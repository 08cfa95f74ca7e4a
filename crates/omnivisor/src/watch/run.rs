//! The live view's terminal: what is pressed, what comes from the daemon, and when to draw.
//!
//! Three threads feed one bounded queue: the keys, the events, and the answers to "how is the node". The view asks
//! when something happened and every second, but never more often than [`ASK_PAUSE`] allows.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use ov_client::{Client, Since};
use ov_types::api::Status;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event as TerminalEvent, KeyEventKind};

use super::draw::draw;
use super::model::{Input, Model, Reaction};
use crate::failure::Failure;
use crate::feed;
use crate::output::Console;
use crate::pause::pause;
use crate::session::{self, Session};
use crate::signals;

/// Inputs that wait to be taken.
const INPUTS_MAX: usize = 256;
/// How long the daemon is left alone between two questions.
const ASK_PAUSE: Duration = Duration::from_millis(250);
/// How often to draw when nothing happens: ages and estimates go on.
const DRAW_EVERY: Duration = Duration::from_secs(1);
/// How long to collect what happens at once before drawing.
const SETTLE: Duration = Duration::from_millis(30);

/// Shows the node until the person leaves.
pub(super) fn run(session: &Session, status: Status) -> Result<(), Failure> {
    let look = session.console.look();
    let mut model = Model::new(status, look.clock, look.style.has_colours());
    let (sender, inputs) = sync_channel(INPUTS_MAX);
    feed::forward_into(session.home.clone(), Since::Oldest, sender.clone());
    let questions = answer_questions(session.home.clone(), sender.clone());
    // Whoever ends us finds the terminal as it was; `try_init` sees to the same when the program panics.
    let ended = sender.clone();
    signals::hear(move || drop(ended.try_send(Input::Ended))).map_err(|error| Failure::output(&error))?;
    let mut terminal = ratatui::try_init().map_err(|error| Failure::output(&error))?;
    read_keys(sender);
    let end = show(&mut terminal, &mut model, &inputs, &questions);
    let restored = ratatui::try_restore();
    end.and(restored).map_err(|error| Failure::output(&error))
}

fn show(
    terminal: &mut DefaultTerminal,
    model: &mut Model,
    inputs: &Receiver<Input>,
    questions: &SyncSender<()>,
) -> io::Result<()> {
    loop {
        model.clock.now_ms = Console::now_ms();
        terminal.draw(|frame| draw(frame, model))?;
        let mut wait = DRAW_EVERY;
        let mut is_to_ask = true;
        while let Ok(input) = inputs.recv_timeout(wait) {
            // Seen in one go: a burst of events is drawn once.
            if wait == DRAW_EVERY {
                is_to_ask = false;
                wait = SETTLE;
            }
            let is_key = matches!(input, Input::Key(_));
            match model.take(input) {
                Reaction::Leave => return Ok(()),
                Reaction::Ask => is_to_ask = true,
                Reaction::Draw => {}
            }
            if is_key {
                break;
            }
        }
        if is_to_ask {
            // When one question waits already, its answer will do.
            let _ = questions.try_send(());
        }
    }
}

/// Asks the daemon how the node is, whenever told to.
fn answer_questions(home: PathBuf, sender: SyncSender<Input>) -> SyncSender<()> {
    let (questions, asked) = sync_channel(1);
    std::thread::spawn(move || {
        while asked.recv().is_ok() {
            let answer = session::ask(&home, Client::status).map(Box::new);
            if sender.send(Input::Status(answer)).is_err() {
                return;
            }
            pause(ASK_PAUSE);
        }
    });
    questions
}

fn read_keys(sender: SyncSender<Input>) {
    std::thread::spawn(move || {
        while let Ok(event) = event::read() {
            let input = match event {
                TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => Input::Key(key),
                TerminalEvent::Resize(..) => Input::Resized,
                _ => continue,
            };
            if sender.send(input).is_err() {
                return;
            }
        }
    });
}
