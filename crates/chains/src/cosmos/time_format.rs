//! The forms in which the original can print the time of a log line.
//!
//! Data only: the word that chooses a form, how the original describes it, and how we print it.

/// One form, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeFormat {
    /// The word that chooses it.
    pub word: &'static str,
    /// How `config` shows it: the moment "2006-01-02 15:04:05 -0700", written in this form.
    pub layout: &'static str,
    /// The same as directives of `strftime`.
    pub directives: &'static str,
}

const fn format(word: &'static str, layout: &'static str, directives: &'static str) -> TimeFormat {
    TimeFormat { word, layout, directives }
}

/// All forms, in the order in which the original lists them.
const ALL: [TimeFormat; 12] = [
    format("layout", "01/02 03:04:05PM '06 -0700", "%m/%d %I:%M:%S%p '%y %z"),
    format("ansic", "Mon Jan _2 15:04:05 2006", "%a %b %e %H:%M:%S %Y"),
    format("unixdate", "Mon Jan _2 15:04:05 MST 2006", "%a %b %e %H:%M:%S %Z %Y"),
    format("rubydate", "Mon Jan 02 15:04:05 -0700 2006", "%a %b %d %H:%M:%S %z %Y"),
    format("rfc822", "02 Jan 06 15:04 MST", "%d %b %y %H:%M %Z"),
    format("rfc822z", "02 Jan 06 15:04 -0700", "%d %b %y %H:%M %z"),
    format("rfc850", "Monday, 02-Jan-06 15:04:05 MST", "%A, %d-%b-%y %H:%M:%S %Z"),
    format("rfc1123", "Mon, 02 Jan 2006 15:04:05 MST", "%a, %d %b %Y %H:%M:%S %Z"),
    format("rfc1123z", "Mon, 02 Jan 2006 15:04:05 -0700", "%a, %d %b %Y %H:%M:%S %z"),
    format("rfc3339", "2006-01-02T15:04:05Z07:00", "%Y-%m-%dT%H:%M:%S%:z"),
    format("rfc3339nano", "2006-01-02T15:04:05.999999999Z07:00", "%Y-%m-%dT%H:%M:%S%.f%:z"),
    KITCHEN,
];

const KITCHEN: TimeFormat = format("kitchen", "3:04PM", "%-I:%M%p");

impl Default for TimeFormat {
    fn default() -> Self {
        KITCHEN
    }
}

impl TimeFormat {
    /// No time at all.
    pub const NONE: Self = format("", "", "");

    /// The form that a word chooses.
    pub fn of(word: &str) -> Option<Self> {
        ALL.into_iter().chain([Self::NONE]).find(|format| format.word == word)
    }

    /// All words, as messages list them.
    pub fn words() -> String {
        ALL.map(|format| format.word).join("|")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_chooses_its_form() {
        for format in ALL {
            assert_eq!(TimeFormat::of(format.word), Some(format));
        }
        assert_eq!(TimeFormat::of(""), Some(TimeFormat::NONE));
        assert_eq!(TimeFormat::of("Kitchen"), None);
        assert_eq!(TimeFormat::default().layout, "3:04PM");
        assert_eq!(
            TimeFormat::words(),
            "layout|ansic|unixdate|rubydate|rfc822|rfc822z|rfc850|rfc1123|rfc1123z|rfc3339|rfc3339nano|kitchen"
        );
    }
}
