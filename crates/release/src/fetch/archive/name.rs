//! Names of members: what a path in an archive may be.

/// Bytes in a path, and in one part of it, that file systems take.
const PATH_BYTES_MAX: usize = 4000;
const PART_BYTES_MAX: usize = 255;
/// How deep a release may be nested.
const DEPTH_MAX: usize = 64;

/// The path that a name means: relative, without `.`; empty for the root. Total over all bytes.
pub(super) fn accept(name: &[u8]) -> Result<String, &'static str> {
    if name.is_empty() {
        return Err("its name is empty");
    }
    if name.len() > PATH_BYTES_MAX {
        return Err("its name is longer than paths can be");
    }
    let name = std::str::from_utf8(name).map_err(|_| "its name is not UTF-8")?;
    if name.chars().any(char::is_control) {
        return Err("its name holds control characters");
    }
    if name.contains('\\') {
        return Err("its name holds a backslash, which some take for a separator");
    }
    if name.starts_with('/') {
        return Err("its path is absolute");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("its path leads upwards");
    }
    if parts.iter().any(|part| part.len() > PART_BYTES_MAX) {
        return Err("a part of its path is longer than names can be");
    }
    if parts.len() > DEPTH_MAX {
        return Err("it is nested too deep");
    }
    Ok(parts.join("/"))
}

/// A name that may be anything, for a message.
pub(super) fn shown(name: &[u8]) -> String {
    const SHOWN_MAX: usize = 120;
    let text = String::from_utf8_lossy(&name[..name.len().min(SHOWN_MAX)]);
    let more = if name.len() > SHOWN_MAX { "…" } else { "" };
    format!("{text:?}{more}")
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn honest_names_are_taken_and_others_are_not() {
        for (name, path) in [("node", "node"), ("./bin//node", "bin/node"), ("bin/", "bin"), ("./", ""), ("...", "...")]
        {
            assert_eq!(accept(name.as_bytes()), Ok(path.to_owned()));
        }
        for name in ["", "/etc/passwd", "../a", "a/../b", "a/..", "a\\b", "a\nb", "a\0", "\u{1b}[31m"] {
            assert!(accept(name.as_bytes()).is_err(), "{name:?}");
        }
        for name in [vec![0xff], vec![b'a'; 256], b"a/".repeat(65), b"ab/".repeat(2_000)] {
            assert!(accept(&name).is_err());
        }
        assert_eq!(shown(b"\x1b[31m"), "\"\\u{1b}[31m\"");
    }

    proptest! {
        #[test]
        fn whatever_is_taken_stays_inside(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = accept(&name) {
                prop_assert!(Path::new(&path).components().all(|part| matches!(part, Component::Normal(_))));
                prop_assert_eq!(accept(path.as_bytes()).unwrap_or_default(), path);
            }
        }
    }
}
