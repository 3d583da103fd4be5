//! What the state says about itself: where it stands, how many records there are, and their sum.

use super::frame::{Point, u64_at};

const META_LEN: usize = 69;
const META_FORM: u8 = 2;

/// Stored beside the records, and replaced in the same atomic batch as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) at: Point,
    /// The last batch of which something may be there already.
    pub(super) reach: u64,
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Meta {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(META_LEN);
        out.push(META_FORM);
        out.extend_from_slice(&self.at.seq.to_le_bytes());
        out.extend_from_slice(&self.at.hash);
        out.extend_from_slice(&self.reach.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(super) fn decode(stored: &[u8]) -> Option<Self> {
        let (body, checksum) = stored.split_last_chunk::<4>()?;
        if stored.len() != META_LEN || body[0] != META_FORM || u32::from_le_bytes(*checksum) != crc32c::crc32c(body) {
            return None;
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&body[9..41]);
        let at = Point { seq: u64_at(body, 1), hash };
        Some(Self { at, reach: u64_at(body, 41), count: u64_at(body, 49), sum: u64_at(body, 57) })
    }
}
