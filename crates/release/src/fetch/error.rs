//! Why a release was not fetched.

use std::fmt;
use std::io;

use ov_types::{Lasting, ReleaseName};

use super::address::InvalidAddress;
use super::archive::ArchiveError;
use super::catalog::CatalogError;
use super::download::DownloadError;
use super::layout_rules::Misplaced;
use super::plan_info::InvalidPlanInfo;
use super::signature::SignatureError;
use super::transport::TransportError;
use crate::error::ReleaseError;

/// Why a release was not fetched. There is no part of it that anybody could take for a release.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address was given.
    #[error("fetch release `{0}`: it has no address")]
    NoAddress(ReleaseName),
    /// An address cannot be used.
    #[error(transparent)]
    Address(#[from] InvalidAddress),
    /// What the plan says of its release cannot be used.
    #[error(transparent)]
    Info(#[from] InvalidPlanInfo),
    /// What the plan's information is said to be at did not come.
    #[error("could not download url \"{address}\"")]
    Reference {
        /// Where it should be.
        address: String,
        /// Why not.
        source: DownloadError,
    },
    /// The policy wants a checksum, and there is none.
    #[error("fetch {0}: it has no checksum, and the policy wants one")]
    NoChecksum(String),
    /// Two checksums were given that cannot both be right.
    #[error("fetch {0}: its two checksums do not agree")]
    Contradiction(String),
    /// A directory cannot be compared with a checksum or a signature.
    #[error("fetch {0}: checksum cannot be specified for directory download, nor a signature asked for")]
    Directory(String),
    /// The list of checksums did not come.
    #[error("fetch the list of checksums {address}")]
    List {
        /// Where it should be.
        address: String,
        /// Why not.
        source: DownloadError,
    },
    /// The list of checksums does not know the file.
    #[error("no checksum found in: {list}, for {address}")]
    NotInList {
        /// The list.
        list: String,
        /// What was looked for.
        address: String,
    },
    /// The bytes are not the expected ones.
    #[error("Checksums did not match for {address}. Expected: {expected} Got: {found}")]
    Mismatch {
        /// Where they came from.
        address: String,
        /// What was expected.
        expected: String,
        /// What came.
        found: String,
    },
    /// The signature did not come.
    #[error("fetch the signature {address}")]
    NoSignature {
        /// Where it should be.
        address: String,
        /// Why not.
        source: DownloadError,
    },
    /// The signature does not count.
    #[error("accept {address}")]
    Signature {
        /// Where it lies.
        address: String,
        /// Why not.
        source: SignatureError,
    },
    /// The bytes did not come.
    #[error("fetch {address}")]
    Download {
        /// Where they should be.
        address: String,
        /// Why not.
        source: DownloadError,
    },
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// What came is not a release.
    #[error(transparent)]
    Misplaced(#[from] Misplaced),
    /// No catalog tells where it is.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Staging failed, or the disk.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// None of several addresses served.
    #[error("fetch release `{name}` from any of its addresses: {failures}")]
    Everywhere {
        /// The release.
        name: ReleaseName,
        /// What each of them failed of.
        failures: Failures,
    },
}

/// What each of several addresses failed of.
#[derive(Debug)]
pub struct Failures(pub Vec<FetchError>);

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{}", with_causes(failure))?;
        }
        Ok(())
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl FetchError {
    /// Whether trying again may help without a person.
    pub fn lasting(&self) -> Lasting {
        let passes = match self {
            Self::Reference { source, .. }
            | Self::List { source, .. }
            | Self::NoSignature { source, .. }
            | Self::Download { source, .. } => source.may_pass_later(),
            Self::Release(error) => {
                matches!(error, ReleaseError::Disk { .. } | ReleaseError::Room { .. } | ReleaseError::ReadBack { .. })
            }
            Self::Everywhere { failures, .. } => {
                failures.0.iter().any(|failure| failure.lasting() == Lasting::Transient)
            }
            Self::Archive(error) => matches!(error, ArchiveError::Cancelled | ArchiveError::Disk(_)),
            Self::Catalog(error) => error.lasting() == Lasting::Transient,
            _ => false,
        };
        if passes { Lasting::Transient } else { Lasting::Permanent }
    }

    /// Whether somebody called the fetch off.
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Reference { source, .. }
            | Self::List { source, .. }
            | Self::NoSignature { source, .. }
            | Self::Catalog(CatalogError::Asked { source, .. })
            | Self::Download { source, .. } => {
                matches!(source, DownloadError::Transport(TransportError::Cancelled))
            }
            Self::Archive(error) => matches!(error, ArchiveError::Cancelled),
            _ => false,
        }
    }

    /// Until when there is no use in trying again, if a server said so; in milliseconds since 1970 in UTC.
    pub fn until_ms(&self) -> Option<i64> {
        match self {
            Self::Reference { source, .. }
            | Self::List { source, .. }
            | Self::NoSignature { source, .. }
            | Self::Catalog(CatalogError::Asked { source, .. })
            | Self::Download { source, .. } => match source {
                DownloadError::Limited { until_ms } => Some(*until_ms),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether another address may serve where this one did not: not if it is this machine that failed.
    pub(super) fn is_of_the_address(&self) -> bool {
        let of_this_machine = match self {
            Self::Release(_) | Self::Archive(ArchiveError::Disk(_)) => true,
            Self::Download { source, .. } => matches!(source, DownloadError::Disk(_) | DownloadError::Room { .. }),
            _ => false,
        };
        !of_this_machine && !self.is_cancelled()
    }

    /// Whether the bytes that came are to be thrown away: they are wrong, or hold the room that is missing.
    pub(super) fn spoils_what_came(&self) -> bool {
        let is_full = |error: &ReleaseError| match error {
            ReleaseError::Disk { source, .. } => source.kind() == io::ErrorKind::StorageFull,
            _ => false,
        };
        match self {
            Self::Mismatch { .. } | Self::Signature { .. } | Self::Misplaced(_) => true,
            Self::Archive(error) => !matches!(error, ArchiveError::Cancelled | ArchiveError::Disk(_)),
            Self::Release(error) | Self::Download { source: DownloadError::Disk(error), .. } => is_full(error),
            Self::Download { source, .. } => matches!(source, DownloadError::Large { .. }),
            _ => false,
        }
    }
}
