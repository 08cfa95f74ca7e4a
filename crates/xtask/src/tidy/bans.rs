//! What the product's code may not say: calls that only `sys` and `shim` may make, silenced lints,
//! modules that do not say what they are for.

use super::tree::Tree;
use super::{Finding, crate_of, is_development, rust};

/// Crates that are the way to files, clocks and processes for all others.
const GATEWAYS: &[&str] = &["sys", "shim"];

/// Text and what to do instead. Outside of the gateways, tests and development crates.
const BANNED: &[(&str, &str)] = &[
    ("std::fs", "go through `ov_sys`, which is durable and simulated"),
    ("tokio::fs", "go through `ov_sys`, which is durable and simulated"),
    ("unix::fs::symlink", "go through `ov_sys`, which is durable and simulated"),
    ("unix::fs::chown", "go through `ov_sys`, which is durable and simulated"),
    ("rustix::fs", "go through `ov_sys`, which is durable and simulated"),
    ("fs::", "go through `ov_sys`, which is durable and simulated"),
    ("process::Command", "go through `ov_sys` or the shim"),
    ("tokio::process", "go through `ov_sys` or the shim"),
    ("Command::new", "go through `ov_sys` or the shim"),
    ("Instant::now", "take the time from `ov_sys`, so that tests can set it"),
    ("SystemTime::now", "take the time from `ov_sys`, so that tests can set it"),
    ("thread::sleep", "wait on the clock of `ov_sys`, or for an event"),
];

/// File, banned text, and why it may stand there all the same.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    ("crates/client/src/transport.rs", "rustix::fs", "a handle of the folder, for sockets with long paths"),
    ("crates/daemon/src/api/socket.rs", "rustix::fs", "a handle of the folder, for sockets with long paths"),
    ("crates/daemon/src/watch.rs", "rustix::fs", "inotify, which only wakes the daemon up"),
];

/// What comes before a banned text and makes it another thing.
const OTHER_THINGS: &[&str] =
    &["clap::", "unix::", "rustix::", "ov_sys::", "tokio::time::", "crate::", "self::", "super::"];

/// Banned text that means another thing in a file which imports its name from there.
const OTHER_IMPORTS: &[(&str, &str)] = &[
    // The runtime's clock, which tests can stop and move.
    ("Instant::now", "use tokio::time::"),
];

pub(crate) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.ending(".rs") {
        let masked = rust::mask(text);
        check_purpose(path, text, &mut findings);
        check_silenced(path, &masked, &mut findings);
        let gateway = crate_of(path).is_none_or(|name| GATEWAYS.contains(&name));
        if !gateway && !is_development(path) && !is_test(path, tree) {
            check_calls(path, &rust::without_tests(&masked), &mut findings);
        }
    }
    findings
}

/// Whether a whole file is test code: by its place, or because its parent declares it so.
fn is_test(path: &str, tree: &Tree) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let by_place = parts.iter().any(|part| ["tests", "benches", "examples", "tests.rs"].contains(part));
    by_place || declared_for_tests(path, tree)
}

fn declared_for_tests(path: &str, tree: &Tree) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return false };
    let name = file.trim_end_matches(".rs");
    let parents =
        [format!("{folder}.rs"), format!("{folder}/mod.rs"), format!("{folder}/lib.rs"), format!("{folder}/main.rs")];
    let declarations = ["", "pub(crate) ", "pub(super) "].map(|seen| format!("#[cfg(test)] {seen}mod {name};"));
    parents.iter().filter_map(|parent| tree.files().get(parent)).any(|text| {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        declarations.iter().any(|declaration| text.contains(declaration))
    })
}

fn check_calls(path: &str, code: &str, findings: &mut Vec<Finding>) {
    let called = BANNED.iter().filter(|(text, _)| !is_imported(code, text)).flat_map(|(text, instead)| {
        let places = code.match_indices(text).filter(|(at, _)| is_meant(code, *at, text));
        places.map(move |(at, _)| (rust::line_of(code, at), *text, *instead))
    });
    let (file_text, file_instead) = BANNED[0];
    let imported = code.match_indices("use std::{").filter(|(at, _)| {
        let names = code[*at..].split(';').next().unwrap_or("");
        names.split([',', '{', '}', ' ', '\n']).any(|name| name == "fs")
    });
    let imported = imported.map(|(at, _)| (rust::line_of(code, at), file_text, file_instead));
    let mut lines: Vec<_> = called.chain(imported).collect();
    lines.sort_unstable();
    lines.dedup_by_key(|(line, ..)| *line);
    for (exception, text, _reason) in EXCEPTIONS.iter().filter(|(exception, ..)| *exception == path) {
        let count = lines.len();
        lines.retain(|(_, found, _)| found != text);
        if lines.len() == count {
            findings.push(Finding::new(exception, 0, format!("`{text}` needs no exception any more")));
        }
    }
    findings.extend(
        lines.into_iter().map(|(line, text, instead)| {
            Finding::new(path, line, format!("`{text}` is not for this crate: {instead}"))
        }),
    );
}

/// Whether the type that a banned text begins with is imported from where it is another thing.
fn is_imported(code: &str, text: &str) -> bool {
    let name = text.split("::").next().unwrap_or("");
    OTHER_IMPORTS.iter().filter(|(banned, _)| *banned == text).any(|(_, import)| {
        let mut imports = code.match_indices(import).map(|(at, _)| code[at + import.len()..].split(';').next());
        imports.any(|names| {
            names.is_some_and(|names| names.split(|c: char| !c.is_alphanumeric()).any(|word| word == name))
        })
    })
}

/// Whether the text at `at` is a whole path of its own, and not part of another name.
fn is_meant(code: &str, at: usize, text: &str) -> bool {
    let (before, after) = (&code[..at], &code[at + text.len()..]);
    let inside_word = before.bytes().next_back().is_some_and(rust::is_word)
        || text.bytes().next_back().is_some_and(rust::is_word) && after.bytes().next().is_some_and(rust::is_word);
    !inside_word && !OTHER_THINGS.iter().any(|other| before.ends_with(other))
}

/// A module says first what it is for.
fn check_purpose(path: &str, text: &str, findings: &mut Vec<Finding>) {
    if !text.starts_with("//!") {
        findings.push(Finding::new(path, 1, "a module begins with `//!` and its purpose"));
    }
}

/// Lints are expected with a reason, never silenced. What several test programs share may be unused in
/// one of them, so that nothing certain can be expected there: a reason is enough.
fn check_silenced(path: &str, masked: &str, findings: &mut Vec<Finding>) {
    let shared_by_tests = path.contains("/tests/");
    for (marker, silences) in [("[allow(", true), ("[expect(", false)] {
        for (at, _) in masked.match_indices(marker) {
            let attribute = masked[at..].split(")]").next().unwrap_or("");
            let has_reason = attribute.contains("reason");
            let objection = if silences && !shared_by_tests {
                Some("use `#[expect(…, reason = \"…\")]`, which ends when it is needless")
            } else {
                (!has_reason).then_some("say the `reason` why this lint does not apply")
            };
            let line = rust::line_of(masked, at);
            findings.extend(objection.map(|objection| Finding::new(path, line, objection)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let text = format!("//! Why.\n{text}");
        check(&Tree::of(&[(path, &text)])).into_iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn banned_calls_are_found() {
        for text in [
            "use std::fs;",
            "use std::fs::File;",
            "use std::{env, fs};",
            "use std::{\n    fs::File,\n    io,\n};",
            "fs::read(path)",
            "std::process::Command::new(program)",
            "use std::process::Command;",
            "use std::os::unix::fs::symlink;",
            "let now = std::time::Instant::now();",
            "SystemTime::now()",
            "use tokio::time::sleep;\nlet now = Instant::now();",
            "tokio::fs::read(path)",
            "tokio::process::Command",
            "std::thread::sleep(pause)",
            "rustix::fs::open(path)",
        ] {
            assert_eq!(lines("crates/daemon/src/a.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn what_looks_alike_passes() {
        for text in [
            "// std::fs\n/* Command::new */ let a = \"Instant::now\";",
            "clap::Command::new(name)",
            "crate::fs::read(path)",
            "ov_sys::fs::read(path)",
            "use std::{io, time::Duration};",
            "use std::os::unix::fs::PermissionsExt;",
            "MyCommand::new()",
            "std::process::exit(1)",
            "Instant::nowhere()",
            "let now = tokio::time::Instant::now();",
            "use tokio::time::{Instant, sleep_until};\nlet now = Instant::now();",
            "#[cfg(test)]\nmod tests {\n    use std::fs;\n}",
        ] {
            assert_eq!(lines("crates/daemon/src/a.rs", text), NOTHING, "{text}");
        }
    }

    #[test]
    fn gateways_tests_and_development_crates_may_call() {
        for path in [
            "crates/sys/src/a.rs",
            "crates/shim/src/a.rs",
            "crates/fakenode/src/a.rs",
            "crates/daemon/tests/a.rs",
            "crates/daemon/src/a/tests.rs",
            "crates/daemon/examples/measure.rs",
            "fuzz/fuzz_targets/a.rs",
        ] {
            assert_eq!(lines(path, "use std::fs;"), NOTHING, "{path}");
        }
    }

    #[test]
    fn exceptions_are_for_one_text_and_end_when_needless() {
        for (path, banned, reason) in EXCEPTIONS {
            assert!(!reason.is_empty());
            assert_eq!(lines(path, &format!("{banned}::open(path)")), NOTHING, "{path}");
            assert_eq!(lines(path, &format!("{banned}::open(path)\nSystemTime::now()")), [3], "{path}");
            assert_eq!(lines(path, ""), [0], "{path}");
        }
    }

    #[test]
    fn a_module_declared_for_tests_is_test_code() {
        let parent = "//! Why.\n#[cfg(test)]\nmod fixture;\nmod real;\n";
        let child = "//! Why.\nuse std::fs;\n";
        let tree = Tree::of(&[
            ("crates/daemon/src/lib.rs", parent),
            ("crates/daemon/src/fixture.rs", child),
            ("crates/daemon/src/real.rs", child),
        ]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["crates/daemon/src/real.rs"]);
    }

    #[test]
    fn lints_are_not_silenced() {
        let silenced = "#[allow(dead_code, reason = \"later\")]\nfn a() {}";
        for (path, text, found) in [
            ("crates/fakenode/src/a.rs", silenced, true),
            ("crates/fakenode/src/a.rs", "#![allow(dead_code)]", true),
            ("crates/fakenode/src/a.rs", "#[expect(dead_code)]\nfn a() {}", true),
            ("crates/fakenode/src/a.rs", "#[expect(dead_code, reason = \"later\")]\nfn a() {}", false),
            ("crates/fakenode/tests/common/mod.rs", "#[allow(dead_code)]", true),
            ("crates/fakenode/tests/common/mod.rs", silenced, false),
        ] {
            assert_eq!(!lines(path, text).is_empty(), found, "{path}: {text}");
        }
    }

    #[test]
    fn a_module_says_why_it_is_there() {
        let tree = Tree::of(&[("crates/daemon/src/a.rs", "use std::io;\n//! Late.\n")]);
        assert_eq!(check(&tree)[0].message, "a module begins with `//!` and its purpose");
    }
}
