//! The shim: the tiny parent of one unit, which outlives the daemon.
//!
//! One shim belongs to one unit directory, and holds a lock in it for as long as it lives. It
//! launches the unit when told, reaps its whole tree, keeps its exit status durable, pumps its
//! output, and hands on its notifications. It decides nothing: when to launch, whether to launch
//! again and what an exit code means is the daemon's business. When nothing runs and no daemon
//! comes, it ends by itself.
//!
//! This crate is also what the daemon knows of shims: the protocol ([`Request`], [`Message`]), the
//! durable record of the last run ([`read_record`]), how a shim is started ([`ShimProgram`]), and
//! what is to be done about processes whose shim was killed ([`orphans`]). It must stay small: std,
//! system calls and nothing else, because its memory is paid once per unit.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

mod clock;
mod connection;
mod crash;
mod descriptors;
mod keeper;
mod launch;
mod memory;
mod notify;
pub mod orphans;
mod protocol;
mod pump;
mod record;
mod rotation;
mod run;
mod spec;
mod start;
mod status;
mod tree;
mod unit_dir;
mod wire;

pub use crash::{CRASH_VARIABLE, CrashPoint};
pub use launch::{Stage, UNIT_VARIABLE};
pub use memory::give_back_program;
pub use protocol::{Command, Event, Message, PROTOCOL_VERSION, Phase, Request, Scope, State};
pub use record::{RECORD_FILE, RunRecord, read_record, settle_record};
pub use rotation::Rotation;
pub use spec::{LogSettings, Output, RESOURCES, ResourceLimit, Spec};
pub use start::ShimProgram;
pub use status::ExitStatus;
pub use unit_dir::{LOCK_FILE, SOCKET_FILE, UnitDir};
pub use wire::{FRAME_BYTES_MAX, WireError, split_frame};

/// The exit code of a shim that found another one in its place.
pub const EXIT_TAKEN: u8 = 3;
/// The exit code of a shim that was called wrongly.
pub const EXIT_USAGE: u8 = 64;

/// The shim program: `shim --dir <unit directory>`, without the name before it.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let [option, directory] = arguments.as_slice() else {
        return fail(EXIT_USAGE, "usage: shim --dir <unit directory>");
    };
    if option != "--dir" {
        return fail(EXIT_USAGE, "usage: shim --dir <unit directory>");
    }
    descriptors::close_foreign();
    // It fails for the leader of a group, which is detached enough.
    let _ = rustix::process::setsid();
    let directory = Path::new(directory);
    let shown = directory.display();
    match keeper::Keeper::open(directory) {
        Ok(Some(keeper)) => match keeper.run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(1, &format!("the shim of `{shown}` failed to go on: {error}")),
        },
        Ok(None) => fail(EXIT_TAKEN, &format!("another shim lives in `{shown}`")),
        Err(error) => fail(1, &format!("the shim failed to take over `{shown}`: {error}")),
    }
}

fn fail(code: u8, message: &str) -> ExitCode {
    // Standard error may be gone; the code still tells.
    let _ = writeln!(std::io::stderr(), "{message}");
    ExitCode::from(code)
}
