//! The process that is looked after while something is measured: it says when it began, then waits or pours.
//!
//! It runs instead of the command line's parser, so that what is measured is the supervisor and not its own start.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::time::{ClockId, clock_gettime};

use super::pattern;

/// The first argument of a child.
pub(crate) const NAME: &str = "bench-child";

/// A line in the file of marks: somebody began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) unit: String,
    pub(super) pid: i32,
    pub(super) at_ns: u64,
}

/// `bench-child mark <file> <unit>` waits for ever; `bench-child pour <file> <unit> <bytes> stay|end` pours first.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let at_ns = now_ns();
    let ([what, file, unit], rest) = arguments.split_at(arguments.len().min(3)) else {
        bail!("understand what the child is to do");
    };
    // One write on a file opened for appending: marks of many children never mix.
    let line = format!("{unit} {} {at_ns}\n", std::process::id());
    let file = File::options().append(true).create(true).open(file);
    file.and_then(|mut file| file.write_all(line.as_bytes())).context("write the mark")?;
    let stays = match (what.as_str(), rest) {
        ("mark", []) => true,
        ("pour", [bytes, ending]) => {
            pattern::pour(&mut io::stdout().lock(), bytes.parse().context("read the number of bytes")?)?;
            ending == "stay"
        }
        _ => bail!("understand what the child is to do"),
    };
    if !stays {
        return Ok(());
    }
    loop {
        std::thread::park();
    }
}

/// All marks in a file so far.
pub(super) fn marks(file: &Path) -> Vec<Mark> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mark = |line: &str| {
        let mut fields = line.split(' ');
        let (unit, pid, at_ns) = (fields.next()?, fields.next()?, fields.next()?);
        Some(Mark { unit: unit.to_owned(), pid: pid.parse().ok()?, at_ns: at_ns.parse().ok()? })
    };
    whole.lines().filter_map(mark).collect()
}

/// The monotonic clock, which all processes of the machine share.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_mark_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("marks");
        std::fs::write(&file, "main 12 345\nother 13 3").unwrap();
        assert_eq!(marks(&file), [Mark { unit: "main".into(), pid: 12, at_ns: 345 }]);
        assert!(marks(&folder.path().join("none")).is_empty());
    }
}
