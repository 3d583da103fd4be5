//! What the state says about itself: where it stands, how many records there are, their sum, and what is about to be
//! done to them.

use super::frame::{Point, u64_at};
use super::plan::{self, Planned};
use super::record::Head;

/// What it is long without a plan.
const META_LEN: usize = 65;
const META_FORM: u8 = 3;

/// Stored beside the records. Counts and sums what is there before its plan is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) at: Point,
    /// The last batch of which something may be there already.
    pub(super) reach: u64,
    pub(super) count: u64,
    pub(super) sum: u64,
}

impl Meta {
    pub(super) const EMPTY: Self = Self { at: Point::GENESIS, reach: 0, count: 0, sum: 0 };

    /// The same once this is done.
    pub(super) fn after(mut self, Planned { key, old, new }: &Planned) -> Self {
        let digest = |head: &Option<Head>| head.map_or(0, |head| head.digest(key.as_bytes()));
        self.count = self.count.wrapping_add(u64::from(new.is_some())).wrapping_sub(u64::from(old.is_some()));
        self.sum = self.sum.wrapping_add(digest(new)).wrapping_sub(digest(old));
        self
    }

    pub(super) fn encode(&self, plan: &[Planned]) -> Vec<u8> {
        let mut out =
            Vec::with_capacity(META_LEN + plan.iter().map(|planned| Planned::longest(&planned.key)).sum::<usize>() + 4);
        out.push(META_FORM);
        out.extend_from_slice(&self.at.seq.to_le_bytes());
        out.extend_from_slice(&self.at.hash);
        out.extend_from_slice(&self.reach.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.sum.to_le_bytes());
        plan::encode(plan, &mut out);
        let checksum = crc32c::crc32c(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    pub(super) fn decode(stored: &[u8]) -> Option<(Self, Vec<Planned>)> {
        let (body, checksum) = stored.split_last_chunk::<4>()?;
        if body.first() != Some(&META_FORM) || u32::from_le_bytes(*checksum) != crc32c::crc32c(body) {
            return None;
        }
        let (meta, plan) = body.split_at_checked(META_LEN)?;
        let mut hash = [0; 32];
        hash.copy_from_slice(&meta[9..41]);
        let at = Point { seq: u64_at(meta, 1), hash };
        let (reach, count, sum) = (u64_at(meta, 41), u64_at(meta, 49), u64_at(meta, 57));
        Some((Self { at, reach, count, sum }, plan::decode(plan)?))
    }
}
