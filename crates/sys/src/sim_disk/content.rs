//! The bytes of one simulated file: as programs see them, and as the device has them.

use std::ops::Range;

use crate::random::Random;

const SECTOR_BYTES: usize = 512;

/// Both states of a file's bytes.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    /// What a read returns.
    seen: Vec<u8>,
    /// What the device holds.
    kept: Vec<u8>,
    /// Which bytes of `seen` a sync would bring to the device. Bytes that a failed sync gave up are in
    /// neither `kept` nor here: no later sync saves them.
    dirty: Vec<Range<usize>>,
}

impl Content {
    /// Contents already on the device.
    pub(super) fn settled(bytes: Vec<u8>) -> Self {
        Self { kept: bytes.clone(), seen: bytes, dirty: Vec::new() }
    }

    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Writes at `offset`, or at the end; a gap before it is filled with zeros.
    pub(super) fn write(&mut self, offset: Option<usize>, bytes: &[u8]) {
        let offset = offset.unwrap_or(self.seen.len());
        if bytes.is_empty() {
            return;
        }
        if offset > self.seen.len() {
            self.set_len(offset);
        }
        let end = offset + bytes.len();
        if end > self.seen.len() {
            self.seen.resize(end, 0);
        }
        self.seen[offset..end].copy_from_slice(bytes);
        self.mark(offset..end);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let before = self.seen.len();
        self.seen.resize(len, 0);
        for range in &mut self.dirty {
            range.end = range.end.min(len);
        }
        self.dirty.retain(|range| !range.is_empty());
        if len > before {
            self.mark(before..len);
        }
    }

    fn mark(&mut self, range: Range<usize>) {
        match self.dirty.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.dirty.push(range),
        }
    }

    /// A sync that works: the length and all dirty bytes reach the device.
    pub(super) fn sync(&mut self) {
        self.kept.resize(self.seen.len(), 0);
        for range in self.dirty.drain(..) {
            self.kept[range.clone()].copy_from_slice(&self.seen[range]);
        }
    }

    /// A sync that fails: some of the bytes may have reached the device, and the rest is given up, though
    /// reads may go on returning it.
    pub(super) fn fail_sync(&mut self, random: &mut Random) {
        let lost = std::mem::take(&mut self.dirty);
        self.kept = self.partly_written(&lost, random);
        if random.chance(1, 2) {
            // The cache is dropped and what is read now comes from the device.
            for range in lost {
                for at in range {
                    self.seen[at] = self.kept.get(at).copied().unwrap_or(0);
                }
            }
        }
    }

    /// The power goes: decides what the device holds from now on.
    pub(super) fn lose_power(&mut self, random: &mut Random) {
        let unsynced = !self.dirty.is_empty() || self.seen.len() != self.kept.len();
        if unsynced {
            let dirty = std::mem::take(&mut self.dirty);
            self.kept = self.partly_written(&dirty, random);
        }
        self.seen.clone_from(&self.kept);
    }

    /// Turns over bits, on the device and in what is read.
    pub(super) fn damage(&mut self, offset: usize, mask: u8) {
        for bytes in [&mut self.seen, &mut self.kept] {
            if let Some(byte) = bytes.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }

    /// What the device may hold when it stopped in the middle of bringing `dirty` to it.
    fn partly_written(&self, dirty: &[Range<usize>], random: &mut Random) -> Vec<u8> {
        match random.below(4) {
            0 => self.kept.clone(),
            1 => {
                let mut whole = self.clone();
                whole.dirty = dirty.to_vec();
                whole.sync();
                whole.kept
            }
            2 => self.written_up_to_a_byte(dirty, random),
            _ => self.written_in_some_sectors(dirty, random),
        }
    }

    fn written_up_to_a_byte(&self, dirty: &[Range<usize>], random: &mut Random) -> Vec<u8> {
        let mut kept = self.kept.clone();
        if random.chance(1, 2) {
            kept.truncate(self.seen.len());
        }
        let total: usize = dirty.iter().map(ExactSizeIterator::len).sum();
        let mut left = index_below(random, total + 1);
        for range in dirty {
            let end = range.end.min(range.start + left);
            if end > range.start {
                kept.resize(kept.len().max(end), 0);
                kept[range.start..end].copy_from_slice(&self.seen[range.start..end]);
            }
            left -= end - range.start;
        }
        kept
    }

    fn written_in_some_sectors(&self, dirty: &[Range<usize>], random: &mut Random) -> Vec<u8> {
        let (shorter, longer) = (self.seen.len().min(self.kept.len()), self.seen.len().max(self.kept.len()));
        let len = match random.below(3) {
            0 => self.kept.len(),
            1 => self.seen.len(),
            _ => shorter + index_below(random, longer - shorter + 1),
        };
        let mut kept = self.kept.clone();
        // Room that was given to the file but not written to reads as zeros.
        kept.resize(len, 0);
        for range in dirty {
            let end = range.end.min(len);
            let mut at = range.start;
            while at < end {
                let sector_end = end.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if random.chance(1, 2) {
                    kept[at..sector_end].copy_from_slice(&self.seen[at..sector_end]);
                }
                at = sector_end;
            }
        }
        kept
    }
}

fn index_below(random: &mut Random, limit: usize) -> usize {
    usize::try_from(random.below(limit as u64)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn after_power_loss(content: &Content) -> BTreeSet<Vec<u8>> {
        (0..400)
            .map(|seed| {
                let mut copy = content.clone();
                copy.lose_power(&mut Random::new(seed));
                copy.seen
            })
            .collect()
    }

    #[test]
    fn synced_bytes_stay_whatever_happens_to_the_rest() {
        let mut content = Content::default();
        content.write(None, b"kept.");
        content.sync();
        content.write(None, &[7; 1500]);
        let outcomes = after_power_loss(&content);
        assert!(outcomes.iter().all(|bytes| bytes.starts_with(b"kept.")));
        assert!(outcomes.contains(b"kept.".as_slice()), "nothing of the rest may survive");
        assert!(outcomes.contains(content.seen()), "all of it may survive");
        let torn = outcomes.iter().filter(|bytes| bytes.contains(&7) && *bytes != content.seen());
        assert!(torn.count() > 20, "it may tear in many ways");
        assert!(outcomes.iter().any(|bytes| bytes.len() > 5 && bytes[5..].iter().all(|&byte| byte == 0)));
    }

    #[test]
    fn without_unsynced_bytes_nothing_changes() {
        let mut content = Content::default();
        content.write(None, b"abc");
        content.sync();
        assert_eq!(after_power_loss(&content), BTreeSet::from([b"abc".to_vec()]));
    }

    #[test]
    fn a_sync_after_a_failed_sync_saves_nothing_of_the_first() {
        let lost = (0..100).any(|seed| {
            let mut content = Content::default();
            content.write(None, b"first");
            content.fail_sync(&mut Random::new(seed));
            content.write(None, b"second");
            content.sync();
            content.lose_power(&mut Random::new(seed));
            assert!(content.seen().ends_with(b"second"));
            content.seen() != b"firstsecond"
        });
        assert!(lost);
    }

    #[test]
    fn a_cut_and_a_new_end_do_not_bring_old_bytes_back() {
        let mut content = Content::default();
        content.write(None, b"abcdef");
        content.sync();
        content.set_len(2);
        content.set_len(4);
        content.sync();
        assert_eq!(after_power_loss(&content), BTreeSet::from([b"ab\0\0".to_vec()]));
    }
}
