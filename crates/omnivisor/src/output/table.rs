//! Columns of text, as wide as their widest cell, two spaces apart.
//!
//! In a terminal that is too narrow for that, the last column goes on below itself; where there is no room for that
//! either, each row becomes lines of a heading and its cell. Nothing is ever cut off.

use super::{Look, Tone, hanging};

/// What the last column needs at least, to go on below itself.
const LAST_COLUMNS_MIN: usize = 24;

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
    pub(crate) fn render(&self, look: &Look) -> String {
        let shown: Vec<usize> =
            (0..COLUMNS).filter(|column| self.rows.iter().any(|row| !row[*column].text.is_empty())).collect();
        let widths: Vec<usize> = shown.iter().map(|column| self.width(*column)).collect();
        let Some((last, others)) = widths.split_last() else { return String::new() };
        let before: usize = others.iter().map(|width| width + 2).sum();
        match look.columns {
            Some(columns) if before + last > columns && before + LAST_COLUMNS_MIN > columns => self.stacked(look),
            _ => self.aligned(&shown, &widths, before, look),
        }
    }

    fn aligned(&self, shown: &[usize], widths: &[usize], before: usize, look: &Look) -> String {
        let mut text = String::new();
        let headings = self.headings.map(|heading| Cell::new(Tone::Faint, heading));
        for row in std::iter::once(&headings).chain(&self.rows) {
            for (position, column) in shown.iter().enumerate() {
                let cell = &row[*column];
                let words = if cell.text.is_empty() { "-" } else { &cell.text };
                if position + 1 < shown.len() {
                    text.push_str(&look.style.paint(cell.tone, words));
                    let padding = widths[position].saturating_sub(words.chars().count());
                    text.extend(std::iter::repeat_n(' ', padding + 2));
                } else {
                    text.push_str(&look.style.paint(cell.tone, hanging(words, before, before, look)));
                }
            }
            text.push('\n');
        }
        text
    }

    fn stacked(&self, look: &Look) -> String {
        let width = self.headings.iter().map(|heading| heading.len()).max().unwrap_or_default();
        let row = |row: &[Cell; COLUMNS]| -> String {
            let cells = self.headings.iter().zip(row).filter(|(_, cell)| !cell.text.is_empty());
            let line = |(heading, cell): (&&str, &Cell)| {
                let heading = look.style.paint(Tone::Faint, format!("{:<width$}", heading.to_lowercase()));
                format!("{heading}  {}\n", look.style.paint(cell.tone, hanging(&cell.text, width + 2, width + 2, look)))
            };
            cells.map(line).collect()
        };
        self.rows.iter().map(row).collect::<Vec<String>>().join("\n")
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().map(|row| row[column].text.chars().count());
        cells.max().unwrap_or_default().max(self.headings[column].len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Style;
    use crate::tests::sample;

    #[test]
    fn columns_are_aligned_and_empty_ones_left_out() {
        let mut table = Table::new(["NAME", "NEVER", "STATE", "NOTE"]);
        table.row(["main".into(), "".into(), Cell::new(Tone::Good, "ready"), "".into()]);
        table.row(["a-long-name".into(), "".into(), "up".into(), "two\nlines".into()]);
        let expected = "NAME         STATE  NOTE\nmain         ready  -\na-long-name  up     two lines\n";
        assert_eq!(table.render(&sample::look()), expected);
    }

    #[test]
    fn colours_do_not_move_columns() {
        let mut table = Table::new(["A", "B"]);
        table.row([Cell::new(Tone::Bad, "x"), "y".into()]);
        let plain = table.render(&sample::look());
        let coloured = table.render(&Look { style: Style::new(true), ..sample::look() });
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
        assert_eq!(Table::new(["A"]).render(&sample::look()), "");
    }

    #[test]
    fn a_narrow_terminal_gets_lines_that_fit_and_all_that_there_is() {
        let mut table = Table::new(["NAME", "STATE", "NOTE"]);
        table.row(["main".into(), "ready".into(), "".into()]);
        table.row(["backup".into(), "parked".into(), "ended five times within a minute".into()]);
        let render = |columns| table.render(&Look { columns: Some(columns), ..sample::look() });
        let wide = "NAME    STATE   NOTE\nmain    ready   -\nbackup  parked  ended five times within a minute\n";
        assert_eq!(render(48), wide);
        let hung = "NAME    STATE   NOTE\nmain    ready   -\nbackup  parked  ended five times within a\n                \
                    minute\n";
        assert_eq!(render(47), hung);
        let stacked = "name   main\nstate  ready\n\nname   backup\nstate  parked\nnote   ended five times within a\n       \
                       minute\n";
        assert_eq!(render(34), stacked);
    }
}
