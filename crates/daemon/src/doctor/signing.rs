//! Who signs: the node with its own key, or somebody elsewhere; and what stands in the way of either.

use std::path::Path;

use ov_chains::shape::SignerShape;
use ov_sys::durable::followed;
use ov_types::counted;
use ov_vault::SignState;

use super::processes::family_of;
use super::{DoctorInput, Verdict};
use crate::remote_signer::{Seen, look};

/// Without its signer a node that is upgraded signs nothing, and some end at once.
pub(super) fn remote(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(remote) = &input.shape.remote_signer else { return Vec::new() };
    let subject = &remote.address;
    vec![match look(input.disk, remote, &family_of(input)) {
        Seen::Connected => {
            Verdict::good(subject, "somebody is connected, and what was signed is that signer's business")
        }
        Seen::Missing => Verdict::error(
            subject,
            "the node waits there, and no signer is connected",
            "see that the signer runs and reaches the node; an upgrade waits for it",
        ),
        Seen::NotAwaited => {
            Verdict::unknown(subject, "the node does not wait there now, so no signer can be connected")
        }
        Seen::Unknown => Verdict::unknown(subject, "it is no port of this machine: who is connected cannot be told"),
    }]
}

/// A key that has signed beside a signer elsewhere: one line of configuration from signing twice.
pub(super) fn left_key(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(remote) = &input.shape.remote_signer else { return Vec::new() };
    let SignerShape { key: Some(key), sign_state, .. } = &remote.left else { return Vec::new() };
    if !followed(input.disk, key).is_ok_and(|found| found.is_some()) {
        return vec![Verdict::good(key.display(), "there is no key beside that of the remote signer")];
    }
    vec![if has_signed(input, sign_state.as_deref()) {
        let message = "this key has signed, and another signs now: without that other's address in the configuration \
                       the node would sign with this one again";
        Verdict::warning(key.display(), message, "move the key, and what it has signed, away from this machine")
    } else {
        Verdict::good(key.display(), "it has signed nothing, and is not used")
    }]
}

fn has_signed(input: &DoctorInput<'_>, sign_state: Option<&Path>) -> bool {
    let on_disk = sign_state.and_then(|path| ov_vault::sign_state::read(input.disk, path).ok()?.state());
    input.recorded_sign_state.max(on_disk) > Some(SignState::default())
}

/// A node that looks for its own signature before it starts finds the one that it gave just before its upgrade.
pub(super) fn silence(input: &DoctorInput<'_>) -> Vec<Verdict> {
    let Some(SignerShape { silent_blocks: Some(blocks), key: Some(key), sign_state, .. }) = &input.shape.signer else {
        return Vec::new();
    };
    if !has_signed(input, sign_state.as_deref()) {
        return Vec::new();
    }
    let blocks = usize::try_from(*blocks).unwrap_or(usize::MAX);
    vec![if blocks == 0 {
        Verdict::good(
            key.display(),
            "the node does not look whether it has signed in the last blocks: its sign state guards it",
        )
    } else {
        let message = format!(
            "the node does not start before its key was silent for {}: at an upgrade, and at each restart, it is held",
            counted(blocks, "block")
        );
        let fix = "set the node's check to 0 before an upgrade, or be there to start it again";
        Verdict::warning(key.display(), message, fix)
    }]
}
