//! Checksums as addresses carry them, and digests on their way to be compared with one.

use std::fmt;

use md5::Digest as _;

use crate::digest::Digest;

/// How a checksum is calculated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// MD5, which proves nothing against an attacker.
    Md5,
    /// SHA-1, likewise.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The algorithms, their names and how many bytes they give.
const ALGORITHMS: [(Algorithm, &str, usize); 4] = [
    (Algorithm::Md5, "md5", 16),
    (Algorithm::Sha1, "sha1", 20),
    (Algorithm::Sha256, "sha256", 32),
    (Algorithm::Sha512, "sha512", 64),
];

impl Algorithm {
    /// Its name.
    pub fn name(self) -> &'static str {
        ALGORITHMS.iter().find(|(algorithm, ..)| *algorithm == self).map_or("", |(_, name, _)| name)
    }
}

/// What bytes must come to.
#[derive(Clone, PartialEq, Eq)]
pub struct Checksum {
    algorithm: Algorithm,
    bytes: Vec<u8>,
}

/// Why a text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChecksum {
    /// Nobody knows how to calculate that.
    #[error("understand checksum type `{0}`: md5, sha1, sha256, sha512 and file are known")]
    Algorithm(String),
    /// Not hexadecimal.
    #[error("read a checksum: it is not hexadecimal")]
    Digits,
    /// Not as long as any, or as long as it should be.
    #[error("read a checksum: {found} bytes are no {expected}")]
    Length {
        /// How long it is.
        found: usize,
        /// What was expected.
        expected: &'static str,
    },
}

impl Checksum {
    /// A SHA-256.
    pub fn sha256(digest: Digest) -> Self {
        Self { algorithm: Algorithm::Sha256, bytes: digest.bytes().to_vec() }
    }

    /// How it is calculated.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Reads hexadecimal digits whose number tells the algorithm.
    pub(super) fn by_length(digits: &str) -> Result<Self, InvalidChecksum> {
        let bytes = from_hexadecimal(digits)?;
        let found = bytes.len();
        let algorithm = ALGORITHMS.iter().find(|(.., len)| *len == found).map(|(algorithm, ..)| *algorithm);
        let expected = "md5, sha1, sha256 or sha512";
        Ok(Self { algorithm: algorithm.ok_or(InvalidChecksum::Length { found, expected })?, bytes })
    }

    /// Reads hexadecimal digits of a named algorithm.
    pub(super) fn by_name(name: &str, digits: &str) -> Result<Self, InvalidChecksum> {
        let known = ALGORITHMS.iter().find(|(_, known, _)| name.eq_ignore_ascii_case(known));
        let (algorithm, expected, len) = *known.ok_or_else(|| InvalidChecksum::Algorithm(short(name)))?;
        let bytes = from_hexadecimal(digits)?;
        if bytes.len() == len {
            Ok(Self { algorithm, bytes })
        } else {
            Err(InvalidChecksum::Length { found: bytes.len(), expected })
        }
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn from_hexadecimal(digits: &str) -> Result<Vec<u8>, InvalidChecksum> {
    let digits = digits.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 128 {
        return Err(InvalidChecksum::Digits);
    }
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?));
    bytes.collect::<Option<Vec<u8>>>().ok_or(InvalidChecksum::Digits)
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.algorithm.name())?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What `?checksum=` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clause {
    /// The checksum itself.
    Value(Checksum),
    /// The address of a list that holds it.
    List(String),
}

impl Clause {
    /// Reads `type:hex`, `hex` or `file:address`.
    pub fn parse(text: &str) -> Result<Self, InvalidChecksum> {
        match text.split_once(':') {
            None => Checksum::by_length(text).map(Clause::Value),
            Some(("file", address)) => Ok(Clause::List(address.to_owned())),
            Some((name, digits)) => Checksum::by_name(name, digits).map(Clause::Value),
        }
    }
}

/// Digests of bytes that come in pieces: SHA-256 always, and what a checksum asks for.
#[derive(Clone)]
pub(super) struct Digesters {
    sha256: sha2::Sha256,
    other: Option<Other>,
}

#[derive(Clone)]
enum Other {
    Md5(md5::Md5),
    Sha1(sha1::Sha1),
    Sha512(sha2::Sha512),
}

impl Digesters {
    pub(super) fn new(wanted: Option<Algorithm>) -> Self {
        let other = match wanted {
            None | Some(Algorithm::Sha256) => None,
            Some(Algorithm::Md5) => Some(Other::Md5(md5::Md5::new())),
            Some(Algorithm::Sha1) => Some(Other::Sha1(sha1::Sha1::new())),
            Some(Algorithm::Sha512) => Some(Other::Sha512(sha2::Sha512::new())),
        };
        Self { sha256: sha2::Sha256::new(), other }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        match &mut self.other {
            None => {}
            Some(Other::Md5(hasher)) => hasher.update(bytes),
            Some(Other::Sha1(hasher)) => hasher.update(bytes),
            Some(Other::Sha512(hasher)) => hasher.update(bytes),
        }
    }

    /// The SHA-256, and the checksum by the algorithm that was wanted.
    pub(super) fn finish(self) -> (Digest, Checksum) {
        let sha256 = Digest::from_bytes(self.sha256.finalize().into());
        let checksum = match self.other {
            None => Checksum::sha256(sha256),
            Some(Other::Md5(hasher)) => Checksum { algorithm: Algorithm::Md5, bytes: hasher.finalize().to_vec() },
            Some(Other::Sha1(hasher)) => Checksum { algorithm: Algorithm::Sha1, bytes: hasher.finalize().to_vec() },
            Some(Other::Sha512(hasher)) => Checksum { algorithm: Algorithm::Sha512, bytes: hasher.finalize().to_vec() },
        };
        (sha256, checksum)
    }
}

impl fmt::Debug for Digesters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digesters")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: [(&str, &str); 4] = [
        ("md5", "900150983cd24fb0d6963f7d28e17f72"),
        ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        ("sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ),
    ];

    #[test]
    fn every_form_comes_to_the_same_digest() {
        for (name, digits) in ABC {
            let forms = [format!("{name}:{digits}"), digits.to_owned(), format!("{name}:{}", digits.to_uppercase())];
            for form in forms {
                let Clause::Value(expected) = Clause::parse(&form).unwrap() else { panic!("{form} is a value") };
                let mut digesters = Digesters::new(Some(expected.algorithm()));
                digesters.update(b"a");
                digesters.update(b"bc");
                let (sha256, found) = digesters.finish();
                assert_eq!(found, expected);
                assert_eq!(found.to_string(), format!("{name}:{digits}"));
                assert_eq!(sha256, Digest::of(b"abc"));
            }
        }
        let list = "https://example.com/SHA256SUMS?a=b:c";
        assert_eq!(Clause::parse(&format!("file:{list}")), Ok(Clause::List(list.to_owned())));
    }

    #[test]
    fn what_is_no_checksum_is_refused_with_the_reason() {
        let why = |text: &str| Clause::parse(text).unwrap_err().to_string();
        assert_eq!(why("ab"), "read a checksum: 1 bytes are no md5, sha1, sha256 or sha512");
        assert_eq!(why(&format!("sha256:{}", ABC[0].1)), "read a checksum: 16 bytes are no sha256");
        assert_eq!(why("sha256:xy"), "read a checksum: it is not hexadecimal");
        assert_eq!(why("abc"), "read a checksum: it is not hexadecimal");
        assert!(why("crc32:00000000").starts_with("understand checksum type `crc32`"));
        assert!(why(&"ä".repeat(16)).ends_with("not hexadecimal"));
    }
}
