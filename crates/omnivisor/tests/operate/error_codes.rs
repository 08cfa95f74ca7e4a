//! Every code that the programs can tell stands in `docs/errors/`, and none that they cannot.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The codes of a kind in a text: `OV-`, capitals, a dash, three digits.
fn codes_in(text: &str) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (start, _) in text.match_indices("OV-") {
        let rest = &text[start..];
        let area = rest[3..].bytes().take_while(u8::is_ascii_uppercase).count();
        let Some(code) = rest.get(..3 + area + 4) else { continue };
        let (head, digits) = code.split_at(3 + area);
        let is_number = digits.strip_prefix('-').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        if area > 0 && is_number && !head.is_empty() {
            codes.insert(code.to_owned());
        }
    }
    codes
}

/// The sources of programs, without their tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if path.is_dir() && name != "tests" && name != "target" {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && name != "tests.rs" {
            found.push(path);
        }
    }
}

#[test]
fn every_code_is_explained_and_every_explanation_is_of_use() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/errors/README.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| OV-")).collect();
    for row in &rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 4, "code, meaning, state and what to do: {row}");
        assert!(cells.iter().all(|cell| !cell.is_empty()), "{row}");
    }
    let named: Vec<String> = rows.iter().flat_map(|row| codes_in(&row[..row.len().min(14)])).collect();
    let explained: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(named.len(), explained.len(), "a code is explained twice");
    let mut files = Vec::new();
    for krate in std::fs::read_dir(root.join("crates")).unwrap().flatten() {
        let source = krate.path().join("src");
        if source.is_dir() && krate.file_name() != "xtask" && krate.file_name() != "testkit" {
            sources(&source, &mut files);
        }
    }
    let told: BTreeSet<String> = files
        .iter()
        .flat_map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
            codes_in(code)
        })
        .collect();
    let missing: Vec<&String> = told.difference(&explained).collect();
    assert!(missing.is_empty(), "told by the programs, but not in docs/errors/README.md: {missing:?}");
    let idle: Vec<&String> = explained.difference(&told).collect();
    assert!(idle.is_empty(), "in docs/errors/README.md, but told by no program: {idle:?}");
}
