//! What bytes must come to, and whether they do.

use super::address::Address;
use super::checksum::{Algorithm, Checksum, Clause, Digesters};
use super::checksum_list;
use super::download::Line;
use super::error::FetchError;
use crate::digest::Digest;

/// The digests of what came: SHA-256, and by another algorithm if one is expected.
pub(super) struct Digested {
    pub(super) sha256: Digest,
    pub(super) other: Checksum,
}

impl Digested {
    pub(super) fn of(bytes: &[u8], expected: &[Checksum]) -> Self {
        let mut digesters = Digesters::new(wanted(expected));
        digesters.update(bytes);
        let (sha256, other) = digesters.finish();
        Self { sha256, other }
    }
}

/// The algorithm beside SHA-256 that is needed; SHA-256 itself if that alone is.
pub(super) fn wanted(expected: &[Checksum]) -> Option<Algorithm> {
    let algorithms = expected.iter().map(Checksum::algorithm);
    algorithms.clone().find(|algorithm| *algorithm != Algorithm::Sha256).or_else(|| algorithms.clone().next())
}

/// Refuses bytes that are not the expected ones.
pub(super) fn compare(address: &Address, expected: &[Checksum], found: &Digested) -> Result<(), FetchError> {
    for expected in expected {
        let sha256 = Checksum::sha256(found.sha256);
        let found = if expected.algorithm() == Algorithm::Sha256 { &sha256 } else { &found.other };
        if found != expected {
            let (expected, found) = (expected.to_string(), found.to_string());
            return Err(FetchError::Mismatch { address: address.to_string(), expected, found });
        }
    }
    Ok(())
}

impl Line<'_> {
    /// What the bytes at an address must come to. Lists are fetched.
    pub(super) fn expected(&mut self, address: &Address, also: Option<&Checksum>) -> Result<Vec<Checksum>, FetchError> {
        let mut expected: Vec<Checksum> = also.into_iter().cloned().collect();
        match address.checksum() {
            None => {}
            Some(Clause::Value(checksum)) => expected.push(checksum.clone()),
            Some(Clause::List(list)) => expected.push(self.listed(address, list)?),
        }
        expected.dedup();
        let mut others = expected.iter().filter(|checksum| checksum.algorithm() != Algorithm::Sha256);
        let is_one = expected.len() < 2 || expected[0].algorithm() != expected[1].algorithm();
        if !is_one || others.by_ref().count() > 1 {
            return Err(FetchError::Contradiction(address.to_string()));
        }
        Ok(expected)
    }

    fn listed(&mut self, address: &Address, list: &str) -> Result<Checksum, FetchError> {
        let list = Address::parse(list)?;
        let text = self.text(&list, checksum_list::LEN_MAX);
        let text = text.map_err(|source| FetchError::List { address: list.to_string(), source })?;
        let names = checksum_list::names_in_list(&address.path(), &list.path());
        let found = checksum_list::find_checksum(&String::from_utf8_lossy(&text), &names);
        found.ok_or_else(|| FetchError::NotInList { list: list.to_string(), address: address.to_string() })
    }
}
