//! What was measured, as a table for people and as JSON for programs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One thing that was measured, for everybody who takes part.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) what: String,
    pub(super) unit: &'static str,
    /// Decimals worth showing.
    pub(super) decimals: usize,
    pub(super) aim: Option<Aim>,
    pub(super) cells: Vec<Cell>,
}

/// What omnivisor's value should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aim {
    AtMost(f64),
    AtLeast(f64),
    /// So many times less than each of the others.
    TimesLess(f64),
}

/// What one of them did.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) who: &'static str,
    /// The value, or why there is none.
    pub(super) value: Result<f64, String>,
    /// The share of the processors that others used around it.
    pub(super) others: f64,
}

/// The one all others are compared with.
pub(super) const OURS: &str = "omnivisor";

impl Row {
    fn ours(&self) -> Option<f64> {
        self.cells.iter().find(|cell| cell.who == OURS).and_then(|cell| cell.value.clone().ok())
    }

    fn is_met(&self) -> Option<bool> {
        let ours = self.ours()?;
        Some(match self.aim? {
            Aim::AtMost(bound) => ours <= bound,
            Aim::AtLeast(bound) => ours >= bound,
            Aim::TimesLess(times) => {
                let others: Vec<f64> = self
                    .cells
                    .iter()
                    .filter(|cell| cell.who != OURS)
                    .map(|cell| cell.value.clone().ok())
                    .collect::<Option<_>>()?;
                !others.is_empty() && others.iter().all(|value| ours * times <= *value)
            }
        })
    }

    fn text(&self, who: &str) -> String {
        let Some(cell) = self.cells.iter().find(|cell| cell.who == who) else { return String::new() };
        let Ok(value) = &cell.value else { return "–".to_owned() };
        let ratio = self.ours().filter(|ours| *ours > 0.0 && who != OURS).map(|ours| value / ours);
        let ratio = ratio.map_or_else(String::new, |ratio| format!(" ({ratio:.2}×)"));
        format!("{value:.*}{ratio}", self.decimals)
    }

    fn aim_text(&self) -> String {
        let Some(aim) = self.aim else { return String::new() };
        let verdict = match self.is_met() {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "not measured",
        };
        match aim {
            Aim::AtMost(bound) => format!("≤ {bound}: {verdict}"),
            Aim::AtLeast(bound) => format!("≥ {bound}: {verdict}"),
            Aim::TimesLess(times) => format!("{times}× less: {verdict}"),
        }
    }
}

/// Rows as a table in Markdown, with a column for everybody in them, and why cells are empty below.
pub(super) fn table(rows: &[Row]) -> String {
    let mut everybody: Vec<&str> = Vec::new();
    for cell in rows.iter().flat_map(|row| &row.cells) {
        if !everybody.contains(&cell.who) {
            everybody.push(cell.who);
        }
    }
    let mut text = format!("| | unit | {} | aim |\n", everybody.join(" | "));
    let _ = writeln!(text, "|---|---|{}---|", "---:|".repeat(everybody.len()));
    for row in rows {
        let cells: Vec<String> = everybody.iter().map(|who| row.text(who)).collect();
        let _ = writeln!(text, "| {} | {} | {} | {} |", row.what, row.unit, cells.join(" | "), row.aim_text());
    }
    // Each reason once, with everything that it is the reason for.
    let mut gaps: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for (row, cell) in rows.iter().flat_map(|row| row.cells.iter().map(move |cell| (row, cell))) {
        let Err(why) = &cell.value else { continue };
        match gaps.iter_mut().find(|(who, reason, _)| (*who, *reason) == (cell.who, why)) {
            Some((_, _, what)) => what.push(&row.what),
            None => gaps.push((cell.who, why, vec![&row.what])),
        }
    }
    for (who, why, what) in &gaps {
        let _ = write!(text, "\n- {who}, {}: failed to {why}", what.join("; "));
    }
    text + if gaps.is_empty() { "" } else { "\n" }
}

/// The same for programs.
pub(super) fn to_json(rows: &[Row]) -> Value {
    let cell = |cell: &Cell| {
        json!({
            "who": cell.who, "value": cell.value.as_ref().ok(), "why_none": cell.value.as_ref().err(),
            "others_share": cell.others,
        })
    };
    let row = |row: &Row| {
        json!({
            "what": row.what, "unit": row.unit, "aim_met": row.is_met(),
            "cells": row.cells.iter().map(cell).collect::<Vec<_>>(),
        })
    };
    rows.iter().map(row).collect()
}

/// The value below which so much of a sorted or unsorted set lies.
pub(super) fn percentile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ours: f64, aim: Aim) -> Row {
        let cell = |who, value| Cell { who, value, others: 0.0 };
        let cells = vec![cell(OURS, Ok(ours)), cell("s6", Ok(1000.0)), cell("runit", Err("find it".to_owned()))];
        Row { what: "relaunch".into(), unit: "ms", decimals: 1, aim: Some(aim), cells }
    }

    #[test]
    fn a_row_shows_ratios_verdict_and_what_is_missing() {
        let text = table(&[row(4.0, Aim::AtMost(5.0))]);
        assert!(text.contains("| relaunch | ms | 4.0 | 1000.0 (250.00×) | – | ≤ 5: met |"), "{text}");
        assert!(text.contains("runit, relaunch: failed to find it"), "{text}");
        assert!(table(&[row(6.0, Aim::AtMost(5.0))]).contains("missed"));
        assert!(table(&[row(6.0, Aim::AtLeast(5.0))]).contains("≥ 5: met"));
        let mut pair = row(10.0, Aim::TimesLess(100.0));
        assert!(table(&[pair.clone()]).contains("100× less: not measured"));
        pair.cells.pop();
        assert!(table(&[pair.clone()]).contains("100× less: met"));
        pair.aim = Some(Aim::TimesLess(101.0));
        assert!(table(&[pair]).contains("missed"));
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert_eq!(percentile(&values, 50), Some(100.0));
        assert_eq!(percentile(&values, 99), Some(198.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
        assert_eq!(percentile(&[], 50), None);
    }
}
