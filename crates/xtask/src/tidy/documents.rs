//! Documents: their links lead somewhere, they use one word per thing, and no text of the project
//! knows the machine that it was written on.

use super::Finding;
use super::tree::Tree;

/// Pieces of paths that exist on one machine only. Split, so that this table does not find itself.
const MACHINE_PATHS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/tmp", "/ov"), concat!("/home", "/user")];

/// Where dependencies come from is `Cargo.lock`'s matter alone.
const REGISTRY_SETTINGS: &[&str] = &["[source.", "[registries", "[registry", "replace-with"];

/// Ends of files in which people write.
const PROSE: &[&str] = &["md", "rs"];

/// Words that stand for a thing which has another name; see `docs/GLOSSARY.md`.
const WORDS: &[(&str, &str)] = &[
    (concat!("white", "list"), "allow list"),
    (concat!("black", "list"), "deny list"),
    (concat!("health", "check"), "probe"),
    (concat!("write-ahead", " log"), "journal"),
    (concat!("sub-", "process"), "unit, or process"),
    (concat!("priv", "val state"), "sign state"),
    (concat!("roll", "forward"), "hold"),
    (concat!("self-", "update"), "self-upgrade"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".md") {
        check_links(tree, path, text, &mut findings);
    }
    for (path, text) in tree.files() {
        let prose = path.rsplit('.').next().is_some_and(|end| PROSE.contains(&end));
        let settings = path.starts_with(".cargo/");
        for (index, line) in text.lines().enumerate() {
            let mut found = |message: String| findings.push(Finding::new(path, index + 1, message));
            if let Some(piece) = MACHINE_PATHS.iter().find(|piece| begins_a_path(line, piece)) {
                found(format!("`{piece}` exists on one machine only"));
            }
            if let Some(piece) = first_in(line, REGISTRY_SETTINGS).filter(|_| settings) {
                found(format!("`{piece}` would change where dependencies come from"));
            }
            let lower = line.to_lowercase();
            if let Some((word, instead)) = WORDS.iter().find(|(word, _)| prose && lower.contains(word)) {
                found(format!("`{word}`: our word is {instead}"));
            }
        }
    }
    findings
}

/// Whether a path begins with `piece`, which may well be the middle of a longer one.
fn begins_a_path(line: &str, piece: &str) -> bool {
    let mut places = line.match_indices(piece);
    places.any(|(at, _)| !line[..at].ends_with(|before: char| before.is_alphanumeric() || "._-*$}".contains(before)))
}

fn first_in<'a>(line: &str, pieces: &[&'a str]) -> Option<&'a str> {
    pieces.iter().copied().find(|piece| line.contains(piece))
}

/// Every relative link of a document leads to a file or folder of the project.
fn check_links(tree: &Tree, path: &str, text: &str, findings: &mut Vec<Finding>) {
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(line) {
            if !leads_somewhere(tree, path, target) {
                findings.push(Finding::new(path, index + 1, format!("`{target}` leads nowhere")));
            }
        }
    }
}

/// What stands in the round brackets of the links of a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let starts = line.match_indices("](").map(|(at, text)| &line[at + text.len()..]);
    starts.filter_map(|rest| rest.split(')').next()?.split_whitespace().next())
}

fn leads_somewhere(tree: &Tree, path: &str, target: &str) -> bool {
    let file = target.split('#').next().unwrap_or("");
    if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return true;
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let start = if file.starts_with('/') { "" } else { folder };
    resolve(start, file).is_some_and(|path| tree.has(&path))
}

/// Joins two relative paths; `None` if that leads out of the project.
fn resolve(folder: &str, file: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let text = "[a](../README.md) [b](formats/a.md#part) [c](https://example.org) [d](#here) [e](./formats) [f](/README.md)\n```\n[g](nowhere.md)\n```\n";
        let files = [("docs/a.md", text), ("README.md", ""), ("docs/formats/a.md", "")];
        assert_eq!(messages(&files), Vec::<String>::new());
        for target in ["nowhere.md", "../../out.md", "formats/b.md#part", "/docs/b.md"] {
            let text = format!("see [this]({target}) and more");
            assert_eq!(messages(&[("docs/a.md", &text)]), [format!("`{target}` leads nowhere")]);
        }
    }

    #[test]
    fn no_text_knows_its_machine() {
        for piece in MACHINE_PATHS {
            let longer = format!("cd build{piece}main $HOME{piece}\n");
            assert_eq!(messages(&[("run.sh", &longer)]), Vec::<String>::new());
            let text = format!("cd {piece}main\n");
            assert_eq!(messages(&[("run.sh", &text)]), [format!("`{piece}` exists on one machine only")]);
        }
    }

    #[test]
    fn dependencies_come_from_one_place() {
        let text = "[alias]\nxtask = \"run\"\n[source.crates-io]\nreplace-with = \"mirror\"\n";
        assert_eq!(messages(&[(".cargo/config.toml", text)]).len(), 2);
        assert_eq!(messages(&[("docs/a.toml", text)]), Vec::<String>::new());
    }

    #[test]
    fn one_word_per_thing() {
        for (word, _) in WORDS {
            let text = format!("//! The {}.\n", word.to_uppercase());
            assert_eq!(messages(&[("crates/a/src/lib.rs", &text)]).len(), 1, "{word}");
            assert_eq!(messages(&[("Cargo.lock", &text)]), Vec::<String>::new());
        }
    }
}
