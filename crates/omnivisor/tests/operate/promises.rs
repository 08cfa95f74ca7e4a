//! Pages that promise something name the tests that show it, and nothing that no test shows.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Names of functions in Rust files below a folder.
fn functions(folder: PathBuf, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            functions(path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let names =
                text.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
            found.extend(names.filter_map(|rest| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}

/// The numbered rows of a table on a page, cell by cell; every test that is named in the last cell exists.
fn rows(page: &str) -> Vec<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join(page)).unwrap();
    let mut known = BTreeSet::new();
    for krate in std::fs::read_dir(root.join("crates")).unwrap().flatten() {
        functions(krate.path(), &mut known);
    }
    let is_row = |line: &&str| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit();
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = text.lines().filter(is_row).map(cells).collect();
    for row in &rows {
        for name in named(row) {
            assert!(known.contains(name), "{page}, {}: there is no test `{name}`", row[0]);
        }
    }
    rows
}

fn named(row: &[String]) -> Vec<&str> {
    row.last().unwrap().split('`').skip(1).step_by(2).collect()
}

fn numbers(rows: &[Vec<String>]) -> Vec<usize> {
    rows.iter().map(|row| row[0].parse().unwrap()).collect()
}

#[test]
fn every_rule_of_safety_is_shown_by_a_test_or_said_to_be_still_to_come() {
    let rows = rows("docs/safety.md");
    // Once for every node, and once for a family.
    assert_eq!(numbers(&rows), (1..=20).chain(1..=20).collect::<Vec<_>>());
    for row in rows {
        let promise = &row[row.len() - 2];
        let is_yet_to_come =
            ["there is no", "there are no", "needs an adapter"].iter().any(|word| promise.contains(word));
        assert!(!named(&row).is_empty() || is_yet_to_come, "rule {} is promised and not shown", row[0]);
    }
}

#[test]
fn every_fault_of_cosmovisor_is_shown_right_by_a_test() {
    let rows = rows("docs/guides/cosmos-faults.md");
    assert_eq!(numbers(&rows), (1..=33).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| !named(row).is_empty()), "a fault has no test");
}

#[test]
fn every_fault_of_visor_is_shown_right_by_a_test() {
    let rows = rows("docs/guides/vega-faults.md");
    assert_eq!(numbers(&rows), (1..=12).collect::<Vec<_>>());
    assert!(rows.iter().all(|row| !named(row).is_empty()), "a fault has no test");
}
