//! Signatures as policy: what is fetched must be signed by one of these people, beside every checksum.

use std::io::{self, Read};

use minisign_verify::{PublicKey, Signature};

/// The longest signature that is read.
pub(super) const LEN_MAX: u64 = 64 * 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// Somebody whose signature counts.
#[derive(Clone)]
pub struct Signer {
    key: PublicKey,
    /// The key as people know it.
    text: String,
}

/// Why there is no signature that counts.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The key is none.
    #[error("read the key `{0}`: it is not a minisign public key")]
    Key(String),
    /// What lies there is not a signature.
    #[error("read the signature: {0}")]
    Format(String),
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

impl Signer {
    /// Somebody by their minisign public key: the line that begins with `RW`, or the whole file.
    pub fn minisign(text: &str) -> Result<Self, SignatureError> {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        let key = PublicKey::from_base64(line).map_err(|_| SignatureError::Key(shown))?;
        Ok(Self { key, text: line.to_owned() })
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "minisign {}", self.text)
    }
}

/// Checks that one of `signers` signed these bytes; says who.
pub(super) fn check(signers: &[Signer], signature: &[u8], bytes: &mut dyn Read) -> Result<String, SignatureError> {
    let format = |why: &str| SignatureError::Format(why.to_owned());
    let text = std::str::from_utf8(signature).map_err(|_| format("it is not text"))?;
    let signature = Signature::decode(text).map_err(|_| format("it is not a minisign signature"))?;
    let mut legacy = false;
    for signer in signers {
        let mut verifier = match signer.key.verify_stream(&signature) {
            Ok(verifier) => verifier,
            Err(minisign_verify::Error::UnsupportedLegacyMode) => {
                legacy = true;
                continue;
            }
            Err(_) => continue,
        };
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            match bytes.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => verifier.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        let shown = format!("minisign {}", signer.text);
        return verifier.finalize().map(|()| shown).map_err(|_| SignatureError::Wrong(signer.text.clone()));
    }
    if legacy {
        Err(SignatureError::Legacy)
    } else {
        Err(SignatureError::Stranger(ov_types::counted(signers.len(), "key")))
    }
}
