//! Whether the program of a hook has its command at all: found out while the old release runs, so that it is not started
//! for nothing while the node is down.
//!
//! Only a clear no counts, and only for the very file that said so: in doubt the hook is run.

use std::io::Read as _;
use std::time::SystemTime;

use ov_chains::shape::Hook;
use ov_engine::StepCall;
use ov_release::Digest;
use ov_sys::disk::Kind;
use ov_sys::durable;
use ov_sys::process::Ending;
use ov_types::UnitName;

use super::Workshop;
use super::hook::says;
use crate::asking::{COMMANDS, Question, is_of_another_user};

/// How programs begin that are started as they are. What a script starts may be replaced without the script.
const PROGRAM_MAGIC: [u8; 4] = *b"\x7fELF";

/// Asks the program of the new release; what it was, if it has no such command.
pub(super) fn missing(shop: &Workshop, call: &StepCall, hook: &Hook) -> Option<String> {
    let arguments = hook.question.as_ref()?;
    let (code, words) = hook.codes.no_such_command.as_ref()?;
    let launch = &shop.shape.units.get(&UnitName::main())?.launch;
    let variables = &shop.shape.release_check.as_ref()?.home_variables;
    if is_of_another_user(launch) {
        return None;
    }
    let asked = identity(shop, call, hook)?;
    let release = &shop.release_directory(&call.plan.release);
    let program = &hook.program.fill_path(release);
    let question = Question { release, program, launch, variables, arguments };
    let output = COMMANDS.ask(&*shop.disk, &shop.shape, &question).ok()?;
    let has_none = output.ending == Ending::Exited(*code) && says(&output, words);
    // It may have been replaced while it was asked.
    Some(asked).filter(|asked| has_none && identity(shop, call, hook).as_ref() == Some(asked))
}

/// Whether it is known that there is nothing to run. A try that died may have left something running, and is repeated.
pub(super) fn is_known_to_be_missing(shop: &Workshop, call: &StepCall, hook: &Hook) -> bool {
    let known = call.facts.no_command.as_ref().filter(|_| call.attempt == 1);
    known.is_some_and(|known| identity(shop, call, hook).as_ref() == Some(known))
}

/// What the program is: the release as it was staged, the file as it lies there now, and what it is told.
fn identity(shop: &Workshop, call: &StepCall, hook: &Hook) -> Option<String> {
    let release = &call.plan.release;
    let staged = ov_release::state(&*shop.disk, &shop.layout(), release).ok()?.complete()?;
    let path = hook.program.fill_path(&shop.release_directory(release));
    let facts = durable::followed(&*shop.disk, &path).ok()??;
    let mut magic = [0; 4];
    shop.disk.open(&path).ok()?.read_exact(&mut magic).ok()?;
    if facts.kind != Kind::File || magic != PROGRAM_MAGIC {
        return None;
    }
    let written_ns = facts.modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_nanos();
    let file = (facts.device, facts.inode, facts.len, facts.mode, written_ns);
    Some(Digest::of(format!("{} {} {file:?} {hook:?}", staged.tree, path.display()).as_bytes()).to_string())
}
