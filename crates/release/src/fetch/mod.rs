//! Fetching: from an address in a plan to a release in its place, or to nothing at all.
//!
//! The order that makes it so: bytes come into a side directory beside the releases, where a later try goes on with
//! them; they are compared with their checksum and their signature; only then are they looked into, and only when
//! nothing in them is hostile unpacked into the hidden tree that staging renames into place.
//!
//! What is async is inside [`HttpTransport`]; everything here runs on a plain thread, which may be stopped through
//! [`Cancel`]. Time, chance and the network come in through [`World`]. Rooms: `address` and `plan_info` read what
//! plans say, `catalog` looks a release up by its name, `checksum` and `signature` say what is believed, `download` brings bytes by a `transport`, `archive`
//! and `layout_rules` judge what they hold, `release` does it all in its order.

mod address;
mod archive;
mod catalog;
mod checksum;
mod checksum_list;
mod directory;
mod download;
mod error;
mod expected;
mod github;
mod http;
mod kind;
mod layout_rules;
mod naming;
mod object_store;
mod openpgp;
mod partial;
mod plan_info;
mod progress;
mod release;
mod signature;
mod transport;
mod tries;
mod unpack;

pub use address::{Address, InvalidAddress};
pub use archive::{ArchiveError, Limits, Source, examine_archive};
pub use catalog::{Catalog, CatalogError, Found};
pub use checksum::{Algorithm, Checksum, Clause, InvalidChecksum};
pub use checksum_list::find_checksum;
pub use download::DownloadError;
pub use error::FetchError;
pub use github::GitHub;
pub use http::{HttpTransport, Silence};
pub use kind::Kind;
pub use layout_rules::Misplaced;
pub use naming::{Naming, UnknownPlaceholder};
pub use object_store::Credentials;
pub use partial::discard;
pub use plan_info::{InvalidPlanInfo, PlanInfo, Written, own_platform};
pub use progress::{Phase, Progress};
pub use release::{Brought, Fetch, FetchRequest, Policy, World, fetch, forget, read_plan_info};
pub use signature::{SignatureError, Signer};
pub use transport::{Answer, Ask, Body, Cancel, Transport, TransportError};
pub use tries::Patience;

ov_sys::crash_points! {
    /// Where the crash matrix kills the program while it fetches.
    pub enum CrashPoint {
        /// A part of the bytes is durable, and noted.
        Kept = "fetch.kept",
        /// All bytes are durable, and compared with nothing.
        Downloaded = "fetch.downloaded",
        /// They are what they should be, and not looked into.
        Verified = "fetch.verified",
        /// The tree is built under its hidden name, and has no provenance.
        Unpacked = "fetch.unpacked",
        /// The release is in its place, and what it was made of is still beside it.
        Placed = "fetch.placed",
    }
}
