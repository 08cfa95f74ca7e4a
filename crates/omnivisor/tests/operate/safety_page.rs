//! `docs/safety.md` promises nothing that no test shows.

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

#[test]
fn every_rule_is_on_the_page_and_every_test_that_it_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/safety.md")).unwrap();
    let mut known = BTreeSet::new();
    for krate in std::fs::read_dir(root.join("crates")).unwrap().flatten() {
        functions(krate.path(), &mut known);
    }
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| ") && line.as_bytes()[2].is_ascii_digit())
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    let numbers: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(numbers, (1..=20).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    for row in rows {
        let [number, .., promise, tests] = row[..] else { panic!("{row:?}") };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        let is_yet_to_come =
            ["there is no", "there are no", "needs an adapter"].iter().any(|word| promise.contains(word));
        assert!(!named.is_empty() || is_yet_to_come, "rule {number} is promised and not shown");
        for name in named {
            assert!(known.contains(name), "rule {number}: there is no test `{name}`");
        }
    }
}
