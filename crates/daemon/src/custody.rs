//! Whether the key of this node's validator may be used here and now, as far as the machine and its clocks tell.
//!
//! Owns the note of where the key was last used. Decides nothing: the node task holds main down, the doctor warns.

use ov_chains::NodeShape;
use ov_sys::{Clock, Disk};
use ov_types::{Moment, Problem};
use ov_vault::custody::{self, Custody, CustodyProblem, Machine};
use ov_vault::{SignState, VaultError};

/// So old a note may become while the key is in use.
const NOTE_AGE_MS_MAX: u64 = 60_000;

/// Looks at the note, and only then at the clock: another thread may write the note meanwhile. `Ok(true)`: it is time to
/// write a new one. Nothing is in doubt for a node without a key of its own, nor for a key that has not signed anything yet:
/// many a node has one and is no validator.
pub(crate) fn check(
    disk: &dyn Disk,
    shape: &NodeShape,
    here: &Machine,
    signed: Option<SignState>,
    clock: &dyn Clock,
) -> Result<bool, Problem> {
    let read = || custody::read(disk, &shape.layout.custody()).map_err(|error| unreadable(shape, &error));
    let Some(signer) = &shape.signer else {
        let is_noted = || read().map(|noted| noted.is_some_and(|noted| noted.elsewhere));
        return if shape.remote_signer.is_some() { Ok(!is_noted()?) } else { Ok(false) };
    };
    let has_signed = signer.sign_state.as_ref().is_none_or(|path| {
        let on_disk = ov_vault::sign_state::read(disk, path).ok().and_then(|found| found.state());
        signed.max(on_disk) > Some(SignState::default())
    });
    let noted = read()?;
    let now = clock.now();
    match noted {
        None if signed > Some(SignState::default()) => Err(doubt(shape, &CustodyProblem::Lost)),
        None => Ok(true),
        Some(noted) if !has_signed => Ok(noted.machine != *here || now.since_ms(noted.at) >= NOTE_AGE_MS_MAX),
        Some(noted) => {
            noted.check(here, now).map_err(|problem| doubt(shape, &problem))?;
            let is_of_this_boot = noted.machine == *here;
            Ok(!is_of_this_boot || now.since_ms(noted.at) >= NOTE_AGE_MS_MAX)
        }
    }
}

/// Writes down that the key is used here and now, or that somebody elsewhere signs.
pub(crate) fn note(disk: &dyn Disk, shape: &NodeShape, here: &Machine, now: Moment) -> Result<(), VaultError> {
    let of = if shape.remote_signer.is_some() { Custody::of_somebody_elsewhere } else { Custody::of };
    custody::write(disk, &shape.layout.custody(), &of(here, now))
}

fn doubt(shape: &NodeShape, problem: &CustodyProblem) -> Problem {
    let code = match problem {
        CustodyProblem::Machine => "OV-SGN-004",
        CustodyProblem::SetBack { .. } | CustodyProblem::SetForward { .. } | CustodyProblem::Younger => "OV-SGN-005",
        CustodyProblem::Lost => "OV-SGN-006",
        CustodyProblem::Elsewhere => "OV-SGN-011",
    };
    held(shape, Problem::permanent(code, problem.to_string()))
}

fn unreadable(shape: &NodeShape, error: &VaultError) -> Problem {
    held(shape, Problem::permanent("OV-SGN-006", "find out where the key was last used").because(error))
}

fn held(shape: &NodeShape, problem: Problem) -> Problem {
    problem.state("main is held down, since the key might sign twice").hint(format!(
        "make sure that no other machine signs with this key, then `omnivisor confirm machine {}`",
        shape.name
    ))
}
