//! The last look at a validator before it is launched: its key, and what it has signed.
//!
//! Every doubt is a refusal: a node that waits loses little, a double signature loses the stake. The lease on the key is
//! only named here; the shim takes it, and holds it until nothing of the unit is left, whatever becomes of us.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use ov_chains::NodeShape;
use ov_chains::shape::SignerShape;
use ov_sys::Disk;
use ov_sys::disk::Facts;
use ov_sys::durable::followed;
use ov_types::Problem;
use ov_vault::{OnDisk, SignState, SignStateProblem, VaultError, check_monotone};

/// Where locks that hold for a whole host are kept, the first that is there.
const LEASE_DIRECTORIES: [&str; 3] = ["/run/lock", "/var/lock", "/tmp"];

const KEY_BYTES_MAX: u64 = 1 << 20;

/// Whether a validator may be launched as the user `uid`; if so, the leases that its shim has to hold.
pub(super) fn guard(
    disk: &dyn Disk,
    shape: &NodeShape,
    signed: Option<SignState>,
    uid: u32,
) -> Result<Vec<PathBuf>, Problem> {
    let Some(SignerShape { key: Some(key), identity, .. }) = &shape.signer else {
        return what_is_signed(disk, shape, signed).map(|_| Vec::new());
    };
    what_is_signed(disk, shape, signed)?;
    let facts = followed(disk, key).map_err(|error| key_unreadable().because(&error))?;
    let Some(facts) = facts else { return Ok(Vec::new()) };
    if let Some(exposure) = exposure(&facts, uid).filter(|exposure| exposure.is_grave) {
        let problem = Problem::permanent("OV-SGN-003", format!("use the signing key {}", key.display()));
        let hint = format!("{} {}, then `omnivisor unit start main`", exposure.fix, key.display());
        return Err(held(problem.cause(exposure.message)).hint(hint));
    }
    let bytes = disk.read(key, KEY_BYTES_MAX).map_err(|error| key_unreadable().because(&error))?;
    Ok(vec![lease(disk, &fingerprint(&bytes, identity.as_deref()))])
}

/// What the validator has signed, if that and its key are as they should be.
pub(crate) fn what_is_signed(
    disk: &dyn Disk,
    shape: &NodeShape,
    signed: Option<SignState>,
) -> Result<Option<SignState>, Problem> {
    let Some(signer) = &shape.signer else { return Ok(None) };
    let SignerShape { key, sign_state, is_declared, .. } = signer;
    let has_key = match key {
        Some(path) => followed(disk, path).map_err(|error| key_unreadable().because(&error))?.is_some(),
        None => true,
    };
    let on_disk = match sign_state {
        Some(path) => ov_vault::sign_state::read(disk, path).map_err(|error| state_unreadable(&error))?,
        None => OnDisk::Missing,
    };
    let is_known = signed.is_some() || on_disk != OnDisk::Missing;
    let never_signed = matches!(on_disk, OnDisk::Missing | OnDisk::State(..))
        && signed.max(on_disk.state()).is_none_or(|state| state == SignState::default());
    let verdict = match (sign_state, has_key) {
        // A new key is in nobody's place.
        (_, false) if !is_declared && never_signed => Ok(()),
        // Whoever has data and no key would make itself a new one, and nobody would notice that the validator is gone.
        (_, false) if !is_known && has_data(disk, &shape.layout.data) => Err(SignStateProblem::KeyMissing),
        (None, _) => Ok(()),
        // A home that never ran: the node makes the state, and maybe the key, at its first start. A key that is held
        // elsewhere is present only once it has signed.
        (Some(path), true) if !is_known && (key.is_none() || never_ran(disk, path)) => Ok(()),
        (Some(_), _) => check_monotone(signed, &on_disk, has_key),
    };
    verdict.map_err(|problem| refusal(&problem, signer))?;
    Ok(on_disk.state())
}

/// Why a validator may not be launched now, if so: its key, and what it has signed, are not as they should be.
pub fn doubt_about_signing(disk: &dyn Disk, shape: &NodeShape, signed: Option<SignState>) -> Option<String> {
    what_is_signed(disk, shape, signed).err().map(|problem| told(&problem))
}

/// What to tell when the lease on the key could not be had.
pub(crate) fn key_in_use(why: &str) -> String {
    let problem =
        Problem::permanent("OV-SGN-009", "be the only one on this machine who uses the signing key").cause(why);
    told(&held(problem).hint(
        "find out which other node has this key: one of the two must lose it for good; then `omnivisor unit start main`",
    ))
}

/// A refusal as one sentence: it is kept as the reason for which a unit is parked.
pub(crate) fn told(problem: &Problem) -> String {
    let Problem { code, state, hint, .. } = problem;
    format!("failed to {problem} ({code}); {state}; {hint}")
}

/// Who else may use a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exposure {
    pub(crate) message: String,
    pub(crate) fix: String,
    /// Anybody may have it, or may have put another in its place.
    pub(crate) is_grave: bool,
}

/// Whether somebody but root and the user who signs may use the key. A group that may read it is borne: that is how
/// keys are handed to containers.
pub(crate) fn exposure(facts: &Facts, uid: u32) -> Option<Exposure> {
    let mode = facts.mode & 0o7777;
    let exposed = |message, fix: &str, is_grave| Some(Exposure { message, fix: fix.to_owned(), is_grave });
    if facts.uid != uid && facts.uid != 0 {
        let message = format!("it belongs to user {}, and the validator runs as user {uid}", facts.uid);
        return exposed(message, &format!("chown {uid}"), true);
    }
    match mode {
        _ if mode & 0o027 != 0 => exposed(format!("others may use it (mode {mode:04o})"), "chmod 600", true),
        _ if mode & 0o050 != 0 => exposed(format!("its group may read it (mode {mode:04o})"), "chmod 600", false),
        _ => None,
    }
}

fn refusal(problem: &SignStateProblem, signer: &SignerShape) -> Problem {
    let name = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    match problem {
        SignStateProblem::KeyMissing => {
            let for_good = if signer.is_declared {
                "if it was moved away for good, take `[validator]` out of the configuration"
            } else {
                "if another signs now, configure that signer"
            };
            let hint = format!("put the key back to {}; {for_good}", name(&signer.key));
            held(Problem::permanent("OV-SGN-002", problem.to_string())).hint(hint)
        }
        _ => held(Problem::permanent("OV-SGN-001", problem.to_string())).hint(format!(
            "put the newest sign state of this key to {}, then `omnivisor unit start main`",
            name(&signer.sign_state)
        )),
    }
}

fn held(problem: Problem) -> Problem {
    problem.state("main was not launched, since it might sign twice")
}

fn key_unreadable() -> Problem {
    held(Problem::permanent("OV-SGN-003", "read the signing key")).hint("see who may read it, and its disk")
}

fn state_unreadable(error: &VaultError) -> Problem {
    held(Problem::permanent("OV-SGN-001", "read the sign state").because(error))
        .hint("see who may read it, and its disk")
}

/// Whether the directory around the sign state is still empty: a fresh node with a key that was put there.
fn never_ran(disk: &dyn Disk, sign_state: &Path) -> bool {
    sign_state.parent().is_none_or(|data| !has_data(disk, data))
}

fn has_data(disk: &dyn Disk, data: &Path) -> bool {
    disk.list(data).is_ok_and(|names| !names.is_empty())
}

/// What tells this key from others, however its file is written.
fn fingerprint(key: &[u8], identity: Option<&str>) -> Vec<u8> {
    let document = serde_json::from_slice::<serde_json::Value>(key).ok();
    let identity = document.as_ref().zip(identity).and_then(|(document, place)| document.pointer(place)?.as_str());
    identity.map_or(key.trim_ascii(), str::as_bytes).to_vec()
}

/// The lock that one process of this host at a time may hold for this key.
fn lease(disk: &dyn Disk, fingerprint: &[u8]) -> PathBuf {
    let there = |place: &&&str| disk.facts(Path::new(place)).ok().flatten().is_some();
    let directory = LEASE_DIRECTORIES.iter().find(there).copied().unwrap_or("/tmp");
    let name = format!("omnivisor-signer-{}", ov_release::Digest::of(fingerprint));
    debug_assert!(name.as_bytes().is_ascii() && Path::new(&name).as_os_str().as_bytes().len() < 128);
    Path::new(directory).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_itself_however_its_file_is_written() {
        let tight = br#"{"pub_key":{"value":"AAA="},"priv_key":{"value":"secret"}}"#;
        let loose = b"{\n  \"priv_key\": {\"value\": \"secret\"},\n  \"pub_key\": {\"value\": \"AAA=\"}\n}\n";
        let place = Some("/pub_key/value");
        assert_eq!(fingerprint(tight, place), fingerprint(loose, place));
        assert_ne!(fingerprint(tight, place), fingerprint(&tight.map(|byte| byte.to_ascii_lowercase()), place));
        assert_ne!(fingerprint(tight, None), fingerprint(loose, None));
        assert_eq!(fingerprint(b"not JSON\n", place), b"not JSON");
        assert_eq!(fingerprint(b"{}", place), b"{}");
    }
}
