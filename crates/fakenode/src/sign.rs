//! A validator's signer, and a witness that remembers every broken rule.
//!
//! The signer is guarded like CometBFT's: the state in the data directory is durable before each
//! signature, and it refuses what is not above its state. The witness (`sign.log`, `sign.lock`,
//! `violations.log`) lies outside the data directory and is never restored, so it notices when a
//! restore lowered the state, or when two processes sign with one key.

use crate::error::Error;
use crate::files;
use crate::switches::Switches;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The step of a precommit, the last thing that is signed at a height.
const STEP_PRECOMMIT: u8 = 3;

/// A rule that must never break, and did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// `double-sign`, `two-signers` or `two-processes`.
    pub kind: String,
    /// The height it is about, 0 if about none.
    pub height: u64,
    /// The version that did it.
    pub version: String,
    /// The process that did it.
    pub pid: u32,
}

/// What CometBFT keeps in `priv_validator_state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    #[serde(with = "height_as_text")]
    height: u64,
    round: i32,
    step: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct Signature {
    height: u64,
    version: String,
    pid: u32,
}

/// What came of the wish to sign a height.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Signed,
    /// The state says that this height was signed before.
    Refused,
}

/// The right to sign, held for as long as the value lives.
#[derive(Debug)]
pub(crate) struct Signer {
    state_path: PathBuf,
    witness: Witness,
    height: u64,
    signed_height: u64,
    _lock: File,
}

/// Where the files lie and who speaks.
#[derive(Debug, Clone)]
pub(crate) struct Witness {
    directory: PathBuf,
    version: String,
}

impl Witness {
    pub(crate) fn new(directory: &Path, version: &str) -> Self {
        Self { directory: directory.to_owned(), version: version.to_owned() }
    }

    pub(crate) fn record(&self, kind: &str, height: u64) -> Result<(), Error> {
        let violation =
            Violation { kind: kind.to_owned(), height, version: self.version.clone(), pid: std::process::id() };
        self.append("violations.log", &violation)
    }

    fn append(&self, name: &str, value: &impl Serialize) -> Result<(), Error> {
        let path = self.directory.join(name);
        let line = serde_json::to_string(value).map_err(Error::json(&path))?;
        files::append_line(&path, &line)
    }
}

impl Signer {
    /// Takes the key, or records that another process already signs with it.
    pub(crate) fn open(home: &Path, witness: Witness, switches: &Switches) -> Result<Self, Error> {
        files::make_directory(&witness.directory)?;
        let Some(lock) = files::try_lock(&witness.directory.join("sign.lock"))? else {
            witness.record("two-signers", 0)?;
            return Err(Error::KeyInUse);
        };
        make_key(home, &home.join(&switches.key_file), switches.exit_without_key)?;
        let state_path = home.join(&switches.state_file);
        let height = read_state_height(&state_path)?.unwrap_or(0);
        let signed_height = read_signed_heights(&witness.directory)?.into_iter().max().unwrap_or(0);
        Ok(Self { state_path, witness, height, signed_height, _lock: lock })
    }

    /// Signs a height unless the state forbids it, and records a height that was signed before.
    pub(crate) fn sign(&mut self, height: u64) -> Result<Outcome, Error> {
        if height <= self.height {
            return Ok(Outcome::Refused);
        }
        files::replace_json(&self.state_path, &State { height, round: 0, step: STEP_PRECOMMIT })?;
        self.height = height;
        if height <= self.signed_height {
            self.witness.record("double-sign", height)?;
        }
        let signature = Signature { height, version: self.witness.version.clone(), pid: std::process::id() };
        self.witness.append("sign.log", &signature)?;
        self.signed_height = self.signed_height.max(height);
        Ok(Outcome::Signed)
    }
}

/// What every validator has beside its data; made up, since nothing here is worth stealing.
fn make_key(home: &Path, path: &Path, exit_without_key: bool) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    if exit_without_key {
        return Err(Error::KeyMissing(path.to_owned()));
    }
    if let Some(folder) = path.parent() {
        files::make_directory(folder)?;
    }
    let seed = format!("{:08x}", crc32c::crc32c(home.as_os_str().as_encoded_bytes()));
    let key = serde_json::json!({
        "address": seed.repeat(5).to_uppercase(),
        "pub_key": { "type": "fakenode/PubKey", "value": seed },
        "priv_key": { "type": "fakenode/PrivKey", "value": seed.repeat(2) },
    });
    files::replace_json(path, &key)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(Error::io("set mode of", path))
}

/// The height in a sign state, if it is there.
pub(crate) fn read_state_height(path: &Path) -> Result<Option<u64>, Error> {
    let Some(text) = files::read_if_there(path)? else { return Ok(None) };
    serde_json::from_str::<State>(&text).map(|state| Some(state.height)).map_err(Error::json(path))
}

pub(crate) fn read_signed_heights(directory: &Path) -> Result<Vec<u64>, Error> {
    let signatures = read_lines::<Signature>(&directory.join("sign.log"))?;
    Ok(signatures.into_iter().map(|signature| signature.height).collect())
}

pub(crate) fn read_violations(directory: &Path) -> Result<Vec<Violation>, Error> {
    read_lines(&directory.join("violations.log"))
}

fn read_lines<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Vec<T>, Error> {
    let text = files::read_if_there(path)?.unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).map_err(Error::json(path))).collect()
}

/// CometBFT writes 64-bit numbers as text.
mod height_as_text {
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(height: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&height.to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(home: &Path) -> Signer {
        std::fs::create_dir_all(home.join("data")).unwrap();
        Signer::open(home, Witness::new(home, "v1"), &Switches::default()).unwrap()
    }

    #[test]
    fn a_height_is_signed_once() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let mut signer = open(home);
        assert_eq!(signer.sign(5).unwrap(), Outcome::Signed);
        assert_eq!(signer.sign(5).unwrap(), Outcome::Refused);
        assert_eq!(signer.sign(4).unwrap(), Outcome::Refused);
        drop(signer);
        assert_eq!(open(home).sign(5).unwrap(), Outcome::Refused);
        assert_eq!(open(home).sign(6).unwrap(), Outcome::Signed);
        assert_eq!(read_signed_heights(home).unwrap(), [5, 6]);
        assert_eq!(read_violations(home).unwrap(), []);
    }

    #[test]
    fn a_lowered_state_is_a_violation() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        open(home).sign(5).unwrap();
        std::fs::remove_file(home.join("data/priv_validator_state.json")).unwrap();
        assert_eq!(open(home).sign(5).unwrap(), Outcome::Signed);
        let violations = read_violations(home).unwrap();
        assert_eq!((violations[0].kind.as_str(), violations[0].height), ("double-sign", 5));
    }

    #[test]
    fn a_second_signer_is_refused_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let _first = open(home);
        assert!(matches!(Signer::open(home, Witness::new(home, "v1"), &Switches::default()), Err(Error::KeyInUse)));
        assert_eq!(read_violations(home).unwrap()[0].kind, "two-signers");
    }

    #[test]
    fn a_missing_key_is_made_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let switches = Switches { exit_without_key: true, ..Switches::default() };
        let refused = Signer::open(home, Witness::new(home, "v1"), &switches);
        assert!(matches!(refused, Err(Error::KeyMissing(_))));
        drop(open(home));
        assert!(Signer::open(home, Witness::new(home, "v1"), &switches).is_ok());
    }
}
