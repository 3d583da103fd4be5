//! What is about to be done to the state's engine, written down before it is done.
//!
//! The engine's own atomic batches make every reader of the process wait for as long as one goes in, readers of other
//! stores among them. So records are changed one by one, a few at a time, and beforehand the meta says which. The engine
//! keeps what it is given in that order: a crash leaves the first part of it. The plan tells how much that is, and with it
//! what the sum over all records must be.

use bytes::Bytes;

use super::super::key::Key;
use super::record::{HEAD_LEN, Head, MAX_PIECE};

/// As many bytes of a plan as fit beside the meta into one piece.
pub(super) const MAX_PLAN: usize = MAX_PIECE - 128;

const HAS_OLD: u8 = 1;
const HAS_NEW: u8 = 2;

/// A record's change: what lies under its key, and what shall.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    pub(super) key: Key,
    pub(super) old: Option<Head>,
    pub(super) new: Option<Head>,
}

impl Planned {
    /// The most that one takes up, encoded.
    pub(super) fn longest(key: &Key) -> usize {
        3 + key.as_bytes().len() + 2 * HEAD_LEN
    }

    /// The keys of pieces that nothing refers to, once the change is made or, if it never was, undone.
    pub(super) fn left_over(&self, made: bool) -> impl Iterator<Item = [u8; 17]> + use<> {
        let gone = if made { self.old } else { self.new };
        gone.into_iter().flat_map(|head| head.chunk_keys())
    }
}

pub(super) fn encode(plan: &[Planned], out: &mut Vec<u8>) {
    for Planned { key, old, new } in plan {
        let key = key.as_bytes();
        // Keys are bounded far below u16.
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(key);
        out.push(if old.is_some() { HAS_OLD } else { 0 } | if new.is_some() { HAS_NEW } else { 0 });
        for head in [old, new].into_iter().flatten() {
            out.extend_from_slice(&head.encode(&[]));
        }
    }
}

/// The plan that makes up all of `bytes`.
pub(super) fn decode(mut bytes: &[u8]) -> Option<Vec<Planned>> {
    let mut plan = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
        let (flags, mut rest) = rest.split_first().filter(|(flags, _)| **flags <= HAS_OLD | HAS_NEW)?;
        let mut head = |flag| {
            if flags & flag == 0 {
                return Some(None);
            }
            let (head, after) = rest.split_at_checked(HEAD_LEN)?;
            rest = after;
            Head::decode(key, head).ok().map(Some)
        };
        let (old, new) = (head(HAS_OLD)?, head(HAS_NEW)?);
        plan.push(Planned { key: Key::from_stored(Bytes::copy_from_slice(key)), old, new });
        bytes = rest;
    }
    Some(plan)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(length: usize) -> impl Strategy<Value = Option<Head>> {
        proptest::option::of(
            (any::<u64>(), any::<u32>(), 0..length)
                .prop_map(|(version, ordinal, length)| Head::of(b"key", version, ordinal, &vec![b'x'; length])),
        )
    }

    fn planned() -> impl Strategy<Value = Planned> {
        (proptest::collection::vec(any::<u8>(), 0..256), head(20_000), head(20_000))
            .prop_map(|(key, old, new)| Planned { key: Key::from_stored(key), old, new })
    }

    proptest! {
        #[test]
        fn plans_come_back_and_are_no_longer_than_announced(plan in proptest::collection::vec(planned(), 0..10)) {
            let mut encoded = Vec::new();
            encode(&plan, &mut encoded);
            prop_assert!(encoded.len() <= plan.iter().map(|planned| Planned::longest(&planned.key)).sum());
            prop_assert_eq!(decode(&encoded), Some(plan));
        }

        #[test]
        fn noise_is_no_plan_or_one_of_the_same_length(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(plan) = decode(&noise) {
                let longest = plan.iter().map(|planned| Planned::longest(&planned.key)).sum();
                prop_assert!(noise.len() <= longest);
            }
        }
    }
}
