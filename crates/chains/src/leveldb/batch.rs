//! Batches: what a record of a database's log holds.

use super::bytes::Bytes;
use super::{Newest, Unreadable};

/// Kinds of writing, in logs and in tables.
pub(super) const DELETE: u8 = 0;
pub(super) const SET: u8 = 1;
const LOG_DATA: u8 = 3;
pub(super) const SINGLE_DELETE: u8 = 7;
pub(super) const SET_WITH_DELETE: u8 = 18;
pub(super) const DELETE_SIZED: u8 = 23;

/// Looks for a key in a batch.
pub(super) fn look(batch: &[u8], key: &[u8], newest: &mut Newest) -> Result<(), Unreadable> {
    let mut bytes = Bytes(batch);
    let begun = bytes.fixed64().zip(bytes.fixed32());
    let (mut sequence, _count) = begun.ok_or(Unreadable::Damaged("a batch without its head"))?;
    while !bytes.is_empty() {
        let kind = bytes.byte();
        let written = bytes.text().ok_or(Unreadable::Damaged("a batch that breaks off"))?;
        let is_it = written == key;
        let value = match kind {
            Some(SET) => Some(bytes.text().ok_or(Unreadable::Damaged("a batch that breaks off"))?),
            Some(DELETE | SINGLE_DELETE) => None,
            Some(DELETE_SIZED) => {
                bytes.text().ok_or(Unreadable::Damaged("a batch that breaks off"))?;
                None
            }
            // A remark, which is no writing.
            Some(LOG_DATA) => continue,
            _ => return Err(Unreadable::Unknown("a batch does what only other dialects do")),
        };
        if is_it {
            newest.offer(sequence, value);
        }
        sequence = sequence.saturating_add(1);
    }
    Ok(())
}
