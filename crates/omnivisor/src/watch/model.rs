//! What the live view knows, and how it changes. Pure.

use std::collections::VecDeque;

use ov_types::api::Status;
use ov_types::{Event, EventKind};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::failure::Failure;
use crate::feed::News;
use crate::output::Clock;

/// Events that can be scrolled back to.
const EVENTS_MAX: usize = 1_000;
/// Rows that page up and page down move by.
const PAGE: isize = 10;

/// Something that changes the view.
#[derive(Debug)]
pub(super) enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size.
    Resized,
    /// A signal asks the program to end.
    Ended,
    /// News from the daemon.
    News(News),
    /// The daemon was asked how the node is.
    Status(Result<Box<Status>, Failure>),
}

impl From<News> for Input {
    fn from(news: News) -> Self {
        Input::News(news)
    }
}

/// What is to be done after an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reaction {
    /// Draw again.
    Draw,
    /// Draw again, and ask the daemon.
    Ask,
    /// Leave.
    Leave,
}

/// What the arrow keys move.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Pane {
    /// The events, newest last.
    #[default]
    Events,
    /// The units, if there are more than fit.
    Units,
}

/// Everything the view shows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) clock: Clock,
    pub(super) colours: bool,
    pub(super) status: Status,
    /// When the status was learned.
    pub(super) status_ms: i64,
    /// Why the daemon does not answer.
    pub(super) lost: Option<String>,
    pub(super) events: VecDeque<Event>,
    /// How far something is that takes its time.
    pub(super) progress: Option<EventKind>,
    pub(super) pane: Pane,
    /// Rows scrolled up from the newest event.
    pub(super) events_back: usize,
    /// Rows scrolled down from the first unit.
    pub(super) units_down: usize,
    pub(super) help: bool,
}

impl Model {
    pub(super) fn new(status: Status, clock: Clock, colours: bool) -> Self {
        Self {
            status_ms: clock.now_ms,
            clock,
            colours,
            status,
            lost: None,
            events: VecDeque::new(),
            progress: None,
            pane: Pane::default(),
            events_back: 0,
            units_down: 0,
            help: false,
        }
    }

    /// Takes an input in.
    pub(super) fn take(&mut self, input: Input) -> Reaction {
        match input {
            Input::Resized => Reaction::Draw,
            Input::Ended => Reaction::Leave,
            Input::Key(key) => self.press(key),
            Input::Status(Ok(status)) => {
                self.status = *status;
                self.status_ms = self.clock.now_ms;
                self.lost = None;
                Reaction::Draw
            }
            Input::Status(Err(failure)) | Input::News(News::Lost(failure)) => {
                self.lost = Some(failure.to_string());
                Reaction::Draw
            }
            Input::News(News::Connected) => Reaction::Ask,
            Input::News(News::Progress(event)) => {
                self.progress = Some(event.kind);
                Reaction::Draw
            }
            Input::News(News::Event(event)) => {
                // Whatever it was about has most likely ended; if not, the next one is there in a moment.
                self.progress = None;
                self.events.push_back(*event);
                if self.events.len() > EVENTS_MAX {
                    self.events.pop_front();
                }
                // Whoever scrolled back goes on seeing the same events.
                if self.events_back > 0 {
                    self.scroll_events(1);
                }
                Reaction::Ask
            }
        }
    }

    fn press(&mut self, key: KeyEvent) -> Reaction {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if control => return Reaction::Leave,
            KeyCode::Esc if self.help => self.help = false,
            KeyCode::Char('q') | KeyCode::Esc => return Reaction::Leave,
            KeyCode::Char('?' | 'h') => self.help = !self.help,
            KeyCode::Char('l') if control => return Reaction::Ask,
            KeyCode::Tab | KeyCode::BackTab => {
                self.pane = if self.pane == Pane::Events { Pane::Units } else { Pane::Events };
            }
            KeyCode::Up | KeyCode::Char('k') => self.scroll(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll(-1),
            KeyCode::PageUp => self.scroll(PAGE),
            KeyCode::PageDown => self.scroll(-PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.scroll(isize::MAX),
            KeyCode::End | KeyCode::Char('G') => self.scroll(-isize::MAX),
            _ => {}
        }
        Reaction::Draw
    }

    /// Scrolls the pane that has the keys, upwards if positive.
    fn scroll(&mut self, rows: isize) {
        match self.pane {
            Pane::Events => self.scroll_events(rows),
            Pane::Units => {
                let last = self.status.units.len().saturating_sub(1);
                self.units_down = self.units_down.saturating_add_signed(rows.saturating_neg()).min(last);
            }
        }
    }

    fn scroll_events(&mut self, rows: isize) {
        let last = self.events.len().saturating_sub(1);
        self.events_back = self.events_back.saturating_add_signed(rows).min(last);
    }

    /// How old what is shown is, once it is too old to be taken for the present.
    pub(super) fn stale_ms(&self) -> Option<u64> {
        let age = self.clock.now_ms.saturating_sub(self.status_ms).max(0).unsigned_abs();
        self.lost.is_some().then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;
    use std::path::Path;

    fn model() -> Model {
        Model::new(sample::status(), sample::clock(), false)
    }

    fn key(code: KeyCode) -> Input {
        Input::Key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn keys_do_what_the_help_says() {
        let mut model = model();
        for event in sample::events() {
            assert_eq!(model.take(Input::News(News::Event(Box::new(event)))), Reaction::Ask);
        }
        model.take(key(KeyCode::Up));
        model.take(key(KeyCode::Up));
        assert_eq!(model.events_back, 2);
        model.take(key(KeyCode::Home));
        assert_eq!(model.events_back, 4, "the oldest event stays in sight");
        model.take(key(KeyCode::End));
        assert_eq!(model.events_back, 0);
        model.take(key(KeyCode::Tab));
        model.take(key(KeyCode::Down));
        assert_eq!((model.units_down, model.events_back), (1, 0));
        model.take(key(KeyCode::PageDown));
        assert_eq!(model.units_down, 2, "the last unit stays in sight");
        model.take(key(KeyCode::Char('?')));
        assert!(model.help);
        assert_eq!(model.take(key(KeyCode::Esc)), Reaction::Draw);
        assert!(!model.help);
        assert_eq!(model.take(key(KeyCode::Char('q'))), Reaction::Leave);
        let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(model.take(Input::Key(control_c)), Reaction::Leave);
    }

    #[test]
    fn whoever_scrolled_back_goes_on_seeing_the_same_events() {
        let mut model = model();
        let event = sample::events().remove(0);
        for _ in 0..EVENTS_MAX + 5 {
            model.take(Input::News(News::Event(Box::new(event.clone()))));
        }
        assert_eq!((model.events.len(), model.events_back), (EVENTS_MAX, 0));
        model.take(key(KeyCode::Up));
        model.take(Input::News(News::Event(Box::new(event))));
        assert_eq!(model.events_back, 2);
    }

    #[test]
    fn a_lost_daemon_is_told_until_it_answers() {
        let mut model = model();
        model.clock.now_ms += 5_000;
        assert_eq!(model.stale_ms(), None);
        model.take(Input::News(News::Lost(Failure::not_running(Path::new("/srv/alpha")))));
        assert_eq!(model.stale_ms(), Some(5_000));
        assert_eq!(model.take(Input::News(News::Connected)), Reaction::Ask);
        model.take(Input::Status(Ok(Box::new(sample::status()))));
        assert_eq!(model.stale_ms(), None);
    }
}
