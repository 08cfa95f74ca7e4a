//! One block as bytes: its content follows from its height, so that any reader can prove it whole.

/// Size of a block, in the log and in segments.
pub(crate) const BLOCK_BYTES: usize = 128;
const VERSION_BYTES: usize = 16;
const CHECKED_BYTES: usize = BLOCK_BYTES - 4;

/// What a block says besides its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) height: u64,
    pub(crate) format: u64,
    /// Which version made it, cut to 16 bytes.
    pub(crate) version: String,
}

impl Block {
    pub(crate) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [0; BLOCK_BYTES];
        bytes[0..8].copy_from_slice(&self.height.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.format.to_le_bytes());
        let version = self.version.as_bytes();
        let length = version.len().min(VERSION_BYTES);
        bytes[16..16 + length].copy_from_slice(&version[..length]);
        fill_payload(self.height, &mut bytes[32..CHECKED_BYTES]);
        let checksum = crc32c::crc32c(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The block, or `None` if any byte is not as it was written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; BLOCK_BYTES] = bytes.try_into().ok()?;
        let number = |at: usize| bytes[at..at + 8].try_into().ok().map(u64::from_le_bytes);
        let version = bytes[16..32].split(|byte| *byte == 0).next()?;
        let block =
            Self { height: number(0)?, format: number(8)?, version: String::from_utf8_lossy(version).into_owned() };
        (block.encode() == *bytes).then_some(block)
    }
}

/// The pseudo-random stream of SplitMix64, seeded by the height.
fn fill_payload(height: u64, payload: &mut [u8]) {
    let mut state = height;
    for chunk in payload.chunks_mut(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        chunk.copy_from_slice(&mixed.to_le_bytes()[..chunk.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_byte_is_noticed() {
        let block = Block { height: 77, format: 2, version: "v1.2.3".to_owned() };
        let bytes = block.encode();
        assert_eq!(Block::decode(&bytes), Some(block));
        for at in 0..BLOCK_BYTES {
            let mut damaged = bytes;
            damaged[at] ^= 1;
            assert_eq!(Block::decode(&damaged), None, "byte {at}");
        }
        assert_eq!(Block::decode(&bytes[1..]), None);
    }
}
