//! The names of rotated logs: `<log>.<stamp>-<counter>`, and the same with an ending once somebody packed it.
//!
//! The one place that knows them: the pump gives them, the daemon compresses by them, the command line reads by them.
//! Names only; no file is touched.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What the name of a rotated log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// When it was rotated, as `20261120T061500Z`.
    pub stamp: String,
    /// Rises with every rotation of the log, and alone decides the order.
    pub counter: u64,
    /// What the name ends with beyond that: `gz` once it is compressed.
    pub ending: Option<String>,
}

impl Rotation {
    /// Understands the name of a file that lies beside `log`; `None` if it is something else.
    pub fn of(log: &Path, name: &OsStr) -> Option<Self> {
        let suffix = name.to_str()?.strip_prefix(log.file_name()?.to_str()?)?.strip_prefix('.')?;
        let (stamp, rest) = suffix.split_once('-')?;
        let (counter, ending) = rest.split_once('.').map_or((rest, None), |(counter, ending)| (counter, Some(ending)));
        let is_stamp = stamp.ends_with('Z') && stamp.bytes().all(|byte| byte.is_ascii_digit() || b"TZ".contains(&byte));
        let is_counter = counter.bytes().all(|byte| byte.is_ascii_digit());
        let counter = counter.parse().ok().filter(|_| is_stamp && is_counter)?;
        Some(Self { stamp: stamp.to_owned(), counter, ending: ending.map(str::to_owned) })
    }

    /// The path under which `log` is kept when it is rotated.
    pub fn path(log: &Path, stamp: &str, counter: u64) -> PathBuf {
        let mut path = log.as_os_str().to_owned();
        path.push(format!(".{stamp}-{counter:06}"));
        path.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_is_understood() {
        let log = Path::new("/var/log/main.log");
        let path = Rotation::path(log, "20261120T061500Z", 17);
        assert_eq!(path, Path::new("/var/log/main.log.20261120T061500Z-000017"));
        let rotation = Rotation { stamp: "20261120T061500Z".to_owned(), counter: 17, ending: None };
        assert_eq!(Rotation::of(log, path.file_name().unwrap()), Some(rotation.clone()));
        let packed = Rotation { ending: Some("gz".to_owned()), ..rotation };
        assert_eq!(Rotation::of(log, OsStr::new("main.log.20261120T061500Z-000017.gz")), Some(packed));
    }

    #[test]
    fn names_that_only_look_alike_are_not_taken() {
        for name in [
            "main.log",
            "main.log.txt",
            "main.log.2026-old",
            "main.log.20261120T061500Z",
            "main.log.20261120T061500Z-",
            "main.log.20261120T061500Z-+1",
            "main.log.20261120T061500Z-x.gz",
            "other.log.20261120T061500Z-000017",
            ".compressing-main.log.20261120T061500Z-000017",
        ] {
            assert_eq!(Rotation::of(Path::new("main.log"), OsStr::new(name)), None, "{name}");
        }
    }
}
