//! Whether somebody elsewhere who signs for the node is there: connected to the port on which the node waits for it.
//!
//! Looks at the machine's sockets, and sends nothing: a signer that is asked anything may take that for its node.

use std::collections::BTreeSet;

use ov_chains::shape::RemoteSignerShape;
use ov_sys::Disk;

use crate::sockets::{Doing, answers_for, sockets, sockets_of};

/// What is seen of a remote signer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is connected to the node.
    Connected,
    /// The node waits for it in vain.
    Missing,
    /// The node does not wait for it: it does not run, or not yet.
    NotAwaited,
    /// It does not come by a port that could be looked at.
    Unknown,
}

/// Looks for it among the sockets of these processes.
pub(crate) fn look(disk: &dyn Disk, remote: &RemoteSignerShape, family: &BTreeSet<u32>) -> Seen {
    let Some(door) = remote.listens else { return Seen::Unknown };
    let ours = sockets_of(disk, family);
    let is_there = |doing| {
        let mut all = sockets(disk, doing).into_iter();
        all.any(|(address, inode)| {
            let is_that =
                if door.ip().is_unspecified() { address.port() == door.port() } else { answers_for(address, door) };
            is_that && ours.contains(&inode)
        })
    };
    match (is_there(Doing::Connected), is_there(Doing::Listening)) {
        (true, _) => Seen::Connected,
        (false, true) => Seen::Missing,
        (false, false) => Seen::NotAwaited,
    }
}
