//! Columns of text, as wide as their widest cell, two spaces apart.

use super::{Style, Tone};

/// One cell.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    pub(crate) fn new(tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text: super::one_line(&text), tone }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Cell::new(Tone::Plain, text)
    }
}

/// Rows under headings. An empty cell is shown as `-`; columns in which every cell is empty are left out.
#[derive(Debug)]
pub(crate) struct Table<const COLUMNS: usize> {
    headings: [&'static str; COLUMNS],
    rows: Vec<[Cell; COLUMNS]>,
}

impl<const COLUMNS: usize> Table<COLUMNS> {
    pub(crate) fn new(headings: [&'static str; COLUMNS]) -> Self {
        Self { headings, rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: [Cell; COLUMNS]) {
        self.rows.push(cells);
    }

    /// The table as lines, each with its line end; nothing when there is no row.
    pub(crate) fn render(&self, style: Style) -> String {
        let shown: Vec<usize> =
            (0..COLUMNS).filter(|column| self.rows.iter().any(|row| !row[*column].text.is_empty())).collect();
        let mut text = String::new();
        if shown.is_empty() {
            return text;
        }
        let widths: Vec<usize> = shown.iter().map(|column| self.width(*column)).collect();
        let headings = self.headings.map(|heading| Cell::new(Tone::Faint, heading));
        for row in std::iter::once(&headings).chain(&self.rows) {
            for (position, column) in shown.iter().enumerate() {
                let cell = &row[*column];
                let words = if cell.text.is_empty() { "-" } else { &cell.text };
                text.push_str(&style.paint(cell.tone, words));
                if position + 1 < shown.len() {
                    let padding = widths[position].saturating_sub(words.chars().count());
                    text.extend(std::iter::repeat_n(' ', padding + 2));
                }
            }
            text.push('\n');
        }
        text
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].text.chars().count());
        cells.max().unwrap_or_default().max(self.headings[column].len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(["NAME", "NEVER", "STATE", "NOTE"]);
        table.row(["main".into(), "".into(), Cell::new(Tone::Good, "ready"), "".into()]);
        table.row(["a-long-name".into(), "".into(), "up".into(), "two\nlines".into()]);
        let expected = "NAME         STATE  NOTE\nmain         ready  -\na-long-name  up     two lines\n";
        assert_eq!(table.render(Style::new(false)), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::new(Tone::Bad, "x"), "y".into()]);
        let plain = table.render(Style::new(false));
        let coloured = table.render(Style::new(true));
        let mut stripped = String::new();
        let mut inside = false;
        for character in coloured.chars() {
            match (inside, character) {
                (_, '\u{1b}') => inside = true,
                (true, 'm') => inside = false,
                (false, character) => stripped.push(character),
                (true, _) => {}
            }
        }
        assert_eq!(stripped, plain);
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        assert_eq!(Table::new(["A"]).render(Style::new(false)), "");
    }
}
