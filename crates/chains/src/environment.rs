//! The environment of a unit: what is inherited, what stands in files, what is set; the later wins.
//!
//! Errors name the file and line and never a value, which may be a secret.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ov_sys::Disk;

use crate::shape::LaunchShape;

/// The longest file of variables.
const FILE_LEN_MAX: u64 = 1024 * 1024;

/// Why an environment cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A file cannot be read.
    #[error("read the variables in {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is wrong.
    #[error("read the variables in {}:{line}: {why}", path.display())]
    Line {
        /// In which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// Why.
        why: &'static str,
    },
}

impl LaunchShape {
    /// The whole environment, sorted by name. `inherited` is the daemon's own; it counts only if the unit inherits.
    pub fn environment(
        &self,
        disk: &dyn Disk,
        release: &Path,
        inherited: impl Iterator<Item = (String, String)>,
    ) -> Result<Vec<(String, String)>, EnvironmentError> {
        let mut variables: BTreeMap<String, String> = inherited.filter(|_| self.inherit_env).collect();
        for path in &self.env_files {
            let unreadable = |source| EnvironmentError::Unreadable { path: path.clone(), source };
            let bytes = disk.read(path, FILE_LEN_MAX).map_err(unreadable)?;
            let read = read_variables(&bytes);
            let wrong = |WrongLine { line, why }| EnvironmentError::Line { path: path.clone(), line, why };
            variables.extend(read.map_err(wrong)?);
        }
        variables.extend(self.env.iter().map(|(name, value)| (name.clone(), value.fill(release))));
        Ok(variables.into_iter().collect())
    }
}

/// A line that is wrong, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongLine {
    /// Which line, counted from 1.
    pub line: usize,
    /// Why.
    pub why: &'static str,
}

/// Reads lines of `NAME=VALUE`, with what shells and systemd allow in common: blank lines, comments, `export`, quotes.
/// The value of a line without quotes is everything after the `=`, without the white space around it.
pub fn read_variables(bytes: &[u8]) -> Result<Vec<(String, String)>, WrongLine> {
    let mut variables = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let fail = |why| WrongLine { line: index + 1, why };
        let line = std::str::from_utf8(line).map_err(|_| fail("this is not UTF-8"))?.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.contains('\0') {
            return Err(fail("a variable may not contain the character NUL"));
        }
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        let (name, value) = line.split_once('=').ok_or_else(|| fail("this is not `NAME=VALUE`"))?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\'') {
            return Err(fail("what stands before `=` is not the name of a variable"));
        }
        variables.push((name.to_owned(), value_of(value.trim()).map_err(fail)?));
    }
    Ok(variables)
}

fn value_of(text: &str) -> Result<String, &'static str> {
    let mut characters = text.chars();
    let (quote, escapes) = match characters.next() {
        Some('\'') => ('\'', false),
        Some('"') => ('"', true),
        _ => return Ok(text.to_owned()),
    };
    let mut value = String::new();
    loop {
        match characters.next() {
            None => return Err("the quote is not closed on this line"),
            Some(character) if character == quote => break,
            Some('\\') if escapes => match characters.next() {
                Some('n') => value.push('\n'),
                Some('t') => value.push('\t'),
                Some(escaped @ ('"' | '\\' | '$' | '`')) => value.push(escaped),
                _ => return Err("in double quotes, only `\\n \\t \\\" \\\\ \\$ \\`` are known"),
            },
            Some(character) => value.push(character),
        }
    }
    let rest = characters.as_str().trim_start();
    if rest.is_empty() || rest.starts_with('#') { Ok(value) } else { Err("something follows the closing quote") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ov_sys::RealDisk;
    use proptest::prelude::*;

    fn one(line: &str) -> Result<String, &'static str> {
        let variables = read_variables(line.as_bytes()).map_err(|wrong| wrong.why)?;
        Ok(variables.iter().fold(String::new(), |told, (name, value)| told + name + ":" + value + ";"))
    }

    #[test]
    fn lines_are_read_as_shells_and_systemd_both_would() {
        for (line, expected) in [
            ("", ""),
            ("  # A=1", ""),
            ("A=1", "A:1;"),
            ("export A=1\r\nB=", "A:1;B:;"),
            ("A=x # y", "A:x # y;"),
            ("A=b=c", "A:b=c;"),
            ("A='x \"$y\\n'", "A:x \"$y\\n;"),
            (r#"A="x \"y\" \$z\\ \n" # why"#, "A:x \"y\" $z\\ \n;"),
        ] {
            assert_eq!(one(line).as_deref(), Ok(expected), "{line}");
        }
        for line in ["A", "=1", "A B=1", "export A = 1", "A=\"x", "A='x", "A=\"x\" y", "A=\"\\x\"", "A=\0"] {
            assert!(one(line).is_err(), "{line:?} was accepted");
        }
    }

    fn launch(text: &str) -> LaunchShape {
        let text = format!("[unit.main]\nprogram = \"x\"\n{text}");
        let file = Path::new("/n/omnivisor.toml");
        let mut node = crate::generic::read(&ov_sys::RealDisk, text.as_bytes(), Path::new("/n"), file).unwrap();
        node.units.remove(&ov_types::UnitName::main()).unwrap().launch
    }

    #[test]
    fn what_is_set_wins_over_files_and_files_over_what_is_inherited() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, "B=file\nC=file\n").unwrap();
        let inherited = || ["A", "B", "C"].into_iter().map(|name| (name.to_owned(), "inherited".to_owned()));
        let environment = |more: &str| {
            let launch =
                launch(&format!("env-file = [{path:?}]\nenv = {{ C = \"{{release}}\", D = \"{{unit}}\" }}\n{more}"));
            launch.environment(&RealDisk, Path::new("/n/releases/v1"), inherited()).unwrap()
        };
        let told = |environment: Vec<(String, String)>| -> Vec<String> {
            environment.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
        };
        assert_eq!(told(environment("")), ["A=inherited", "B=file", "C=/n/releases/v1", "D=main"]);
        assert_eq!(told(environment("inherit-env = false")), ["B=file", "C=/n/releases/v1", "D=main"]);
    }

    #[test]
    fn an_error_names_the_line_and_no_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, "A=1\nTOKEN=\"hunter2\n").unwrap();
        let launch = launch(&format!("env-file = [{path:?}]"));
        let error = launch.environment(&RealDisk, Path::new("/r"), std::iter::empty()).unwrap_err();
        let expected = format!("read the variables in {}:2: the quote is not closed on this line", path.display());
        assert_eq!(error.to_string(), expected);
        std::fs::remove_file(&path).unwrap();
        let error = launch.environment(&RealDisk, Path::new("/r"), std::iter::empty()).unwrap_err();
        assert_eq!(error.to_string(), format!("read the variables in {}", path.display()));
    }

    proptest! {
        #[test]
        fn no_bytes_make_reading_panic(bytes: Vec<u8>) {
            let _ = read_variables(&bytes);
        }

        #[test]
        fn a_value_in_single_quotes_means_itself(value in "[^'\n\r\0]{0,30}") {
            prop_assert_eq!(one(&format!("A='{value}'")), Ok(format!("A:{value};")));
        }
    }
}
