//! Few colours, each with one meaning.

use ov_types::{Importance, Severity, UnitState};
use owo_colors::OwoColorize as _;

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing special.
    Plain,
    /// Of little interest.
    Faint,
    /// A heading or the thing looked for.
    Strong,
    /// In order.
    Good,
    /// On its way, or worth a look.
    Notice,
    /// Wrong.
    Bad,
}

/// Puts tones into colours, or leaves text as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colours: bool,
}

impl Style {
    pub(crate) fn new(colours: bool) -> Self {
        Self { colours }
    }

    pub(crate) fn has_colours(self) -> bool {
        self.colours
    }

    pub(crate) fn paint(self, tone: Tone, text: impl AsRef<str>) -> String {
        let text = text.as_ref();
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        match tone {
            Tone::Plain => text.to_owned(),
            Tone::Faint => text.dimmed().to_string(),
            Tone::Strong => text.bold().to_string(),
            Tone::Good => text.green().to_string(),
            Tone::Notice => text.yellow().to_string(),
            Tone::Bad => text.red().to_string(),
        }
    }
}

/// How the state of a unit is told.
pub(crate) fn unit_tone(state: UnitState) -> Tone {
    match state {
        UnitState::Ready | UnitState::Up => Tone::Good,
        UnitState::Starting | UnitState::Stopping | UnitState::Waiting | UnitState::BackingOff => Tone::Notice,
        UnitState::Parked => Tone::Bad,
        UnitState::Down | UnitState::Unknown => Tone::Faint,
    }
}

/// How a finding is told.
pub(crate) fn severity_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Ok => Tone::Good,
        Severity::Unknown => Tone::Faint,
        Severity::Warning => Tone::Notice,
        Severity::Error => Tone::Bad,
    }
}

/// How an event is told.
pub(crate) fn importance_tone(importance: Importance) -> Tone {
    match importance {
        Importance::Routine => Tone::Plain,
        Importance::Notice => Tone::Strong,
        Importance::Trouble => Tone::Notice,
        Importance::Alarm => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colours_there_are_no_escapes() {
        for tone in [Tone::Plain, Tone::Faint, Tone::Strong, Tone::Good, Tone::Notice, Tone::Bad] {
            assert_eq!(Style::new(false).paint(tone, "x"), "x");
            assert_eq!(Style::new(true).paint(tone, "x").contains('\u{1b}'), tone != Tone::Plain, "{tone:?}");
        }
    }
}
