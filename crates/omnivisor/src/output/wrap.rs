//! Text that fits the terminal: lines broken between words, with what hangs below indented. Pure.

use super::Look;

/// Fewer columns than this are not worth breaking lines for: the terminal does it as well.
const COLUMNS_MIN: usize = 20;

/// Words in lines of at most so many columns; a word that is longer has a line of its own.
pub(crate) fn wrap(text: &str, columns: usize) -> Vec<String> {
    wrap_after(text, columns, columns)
}

/// As [`wrap`], with another width for the first line.
fn wrap_after(text: &str, first_columns: usize, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let room = if lines.len() == 1 { first_columns } else { columns };
        let fits = |line: &&mut String| line.chars().count() + 1 + word.chars().count() <= room;
        match lines.last_mut().filter(|line| line.is_empty() || fits(line)) {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Text that begins in column `start` of a line; what does not fit goes on below, from column `indent` on.
pub(crate) fn hanging(text: &str, start: usize, indent: usize, look: &Look) -> String {
    match look.columns {
        Some(columns) if columns >= start.max(indent) + COLUMNS_MIN && start + text.chars().count() > columns => {
            wrap_after(text, columns - start, columns - indent).join(&format!("\n{}", " ".repeat(indent)))
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::sample;

    #[test]
    fn words_are_wrapped() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a very-long-word b", 5), ["a", "very-long-word", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn what_does_not_fit_hangs_below() {
        let look = |columns| Look { columns, ..sample::look() };
        let text = "a text of several words that does not fit";
        assert_eq!(hanging(text, 10, 4, &look(None)), text);
        assert_eq!(hanging(text, 10, 4, &look(Some(80))), text);
        assert_eq!(hanging(text, 10, 4, &look(Some(30))), "a text of several\n    words that does not fit");
        assert_eq!(hanging(text, 10, 4, &look(Some(29))), text, "there is no room to speak of");
    }
}
