//! Signatures as policy: what is fetched must be signed by one of these people, beside every checksum.

use std::io;

use minisign_verify::{PublicKey, Signature};
use ov_sys::disk::Reader;

use super::openpgp::OpenPgpKey;

/// The longest signature that is read.
pub(super) const LEN_MAX: u64 = 64 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Somebody whose signature counts.
#[derive(Clone)]
pub struct Signer(Key);

#[derive(Clone)]
enum Key {
    Minisign {
        key: PublicKey,
        /// As people know it.
        text: String,
    },
    OpenPgp(OpenPgpKey),
}

/// Why there is no signature that counts.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The key is none.
    #[error("read the key `{shown}`: {why}")]
    Key {
        /// Its beginning.
        shown: String,
        /// What is wrong.
        why: String,
    },
    /// What lies there is not a signature.
    #[error("read the signature: it is of no form that the keys which count would have made")]
    Format,
    /// It was made with an old tool.
    #[error("check the signature: it is of minisign's legacy form; sign again with a current minisign")]
    Legacy,
    /// Nobody who counts made it.
    #[error("find a key for the signature: none of the {0} that count made it")]
    Stranger(String),
    /// The bytes are not those that were signed.
    #[error("check the signature of `{0}`: the bytes are not those that were signed")]
    Wrong(String),
    /// The bytes could not be read.
    #[error("read what was signed")]
    Read(#[from] io::Error),
}

/// Opens what was signed, from its beginning.
pub(super) type Open<'a> = &'a dyn Fn() -> io::Result<Box<dyn Reader>>;

/// The same person is known by the same key.
impl PartialEq for Signer {
    fn eq(&self, other: &Self) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for Signer {}

impl Signer {
    /// Somebody by their minisign public key: the line that begins with `RW`, or the whole file.
    pub fn minisign(text: &str) -> Result<Self, SignatureError> {
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let why = || "it is not a minisign public key".to_owned();
        let key =
            PublicKey::from_base64(line).map_err(|_| SignatureError::Key { shown: beginning(text), why: why() })?;
        Ok(Self(Key::Minisign { key, text: line.to_owned() }))
    }

    /// Somebody by their OpenPGP certificate, in armour. Needs the feature `openpgp`.
    pub fn openpgp(text: &str) -> Result<Self, SignatureError> {
        let key = OpenPgpKey::parse(text).map_err(|why| SignatureError::Key { shown: beginning(text), why })?;
        Ok(Self(Key::OpenPgp(key)))
    }

    /// Ends of names by which signatures of this kind lie beside what they sign.
    fn suffixes(&self) -> &'static [&'static str] {
        match &self.0 {
            Key::Minisign { .. } => &[".minisig"],
            Key::OpenPgp(_) => &[".asc", ".sig"],
        }
    }

    fn judge(&self, signature: &[u8], open: Open<'_>) -> Result<Verdict, SignatureError> {
        match &self.0 {
            Key::Minisign { key, .. } => judge_minisign(key, signature, open),
            Key::OpenPgp(key) => key.judge(signature, open),
        }
    }
}

/// What a signature is to one of those who count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not a signature of this kind.
    Unreadable,
    /// Somebody else's.
    Strange,
    /// Theirs, of other bytes.
    Wrong,
    /// Theirs, of these bytes.
    Good,
}

fn beginning(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}

impl std::fmt::Display for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Key::Minisign { text, .. } => write!(f, "minisign {text}"),
            Key::OpenPgp(key) => write!(f, "openpgp {}", key.fingerprint()),
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// Where signatures of these people may lie, the likeliest first.
pub(super) fn suffixes(signers: &[Signer]) -> Vec<&'static str> {
    let mut suffixes: Vec<_> = signers.iter().flat_map(Signer::suffixes).copied().collect();
    suffixes.dedup();
    suffixes
}

/// Checks that one of `signers` signed these bytes; says who.
pub(super) fn check(signers: &[Signer], signature: &[u8], open: Open<'_>) -> Result<String, SignatureError> {
    let mut is_readable = false;
    for signer in signers {
        match signer.judge(signature, open)? {
            Verdict::Unreadable => {}
            Verdict::Strange => is_readable = true,
            Verdict::Wrong => return Err(SignatureError::Wrong(signer.to_string())),
            Verdict::Good => return Ok(signer.to_string()),
        }
    }
    let count = ov_types::counted(signers.len(), "key");
    Err(if is_readable { SignatureError::Stranger(count) } else { SignatureError::Format })
}

fn judge_minisign(key: &PublicKey, signature: &[u8], open: Open<'_>) -> Result<Verdict, SignatureError> {
    let decoded = std::str::from_utf8(signature).ok().and_then(|text| Signature::decode(text).ok());
    let Some(signature) = decoded else { return Ok(Verdict::Unreadable) };
    let mut verifier = match key.verify_stream(&signature) {
        Ok(verifier) => verifier,
        Err(minisign_verify::Error::UnsupportedLegacyMode) => return Err(SignatureError::Legacy),
        Err(_) => return Ok(Verdict::Strange),
    };
    each_piece(open, |bytes| verifier.update(bytes))?;
    Ok(if verifier.finalize().is_ok() { Verdict::Good } else { Verdict::Wrong })
}

fn each_piece(open: Open<'_>, mut take: impl FnMut(&[u8])) -> Result<(), SignatureError> {
    let mut reader = open()?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => take(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
