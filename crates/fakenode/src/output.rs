//! Standard output without a buffer of its own: what was written left the process.

use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

/// 128 + SIGPIPE: how a shell shows the end of a Go program whose output nobody reads any more.
const EXIT_BROKEN_PIPE: i32 = 141;

static STDOUT: OnceLock<Option<File>> = OnceLock::new();
static QUIET: AtomicBool = AtomicBool::new(false);

/// Silences [`say`].
pub(crate) fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Writes one log line, whole.
pub(crate) fn say(line: &str) {
    if !QUIET.load(Ordering::Relaxed) {
        write(format!("{line}\n").as_bytes());
    }
}

/// Writes bytes. A reader that went away ends the process, as it ends the nodes that this one plays;
/// any other failure, such as a full disk behind a log file, does not.
pub(crate) fn write(bytes: &[u8]) {
    let stdout = STDOUT.get_or_init(|| {
        let descriptor = io::stdout().as_fd().try_clone_to_owned();
        descriptor.ok().map(File::from)
    });
    let Some(mut stdout) = stdout.as_ref() else { return };
    if let Err(error) = stdout.write_all(bytes)
        && error.kind() == ErrorKind::BrokenPipe
    {
        std::process::exit(EXIT_BROKEN_PIPE);
    }
}
