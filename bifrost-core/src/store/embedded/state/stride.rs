//! A stride: a few changes on their way into the engine, and the moves they are made of.

use std::iter::{self, Peekable};

use bytes::Bytes;

use super::super::super::key::Key;
use super::super::plan::{MAX_PLAN, Planned};
use super::super::record::{MAX_PIECE, record_key};
use super::memtable::Change;
use crate::error::Result;

/// Values of more bytes are not written between two looks at the room there is.
const STRIDE_BYTES: usize = 256 * 1024;

/// Changes that are written down together, and then made.
#[derive(Default)]
pub(super) struct Stride<'a> {
    pub(super) plan: Vec<Planned>,
    values: Vec<Option<&'a Bytes>>,
    /// How long the plan is at most, encoded.
    planned: usize,
    /// How long keys and values are.
    pub(super) bytes: usize,
}

/// What is put under a key of the engine; `None` where it is removed.
pub(super) type Move = (Vec<u8>, Option<Vec<u8>>);

impl<'a> Stride<'a> {
    /// The next few of `changes`: as many as one plan holds. What is as it shall be already is passed over.
    pub(super) fn gather(
        changes: &mut Peekable<impl Iterator<Item = (&'a Key, &'a Change)>>,
        plan: impl Fn(&Key, &Change) -> Result<Planned>,
    ) -> Result<Self> {
        let mut stride = Self::default();
        while let Some((key, change)) = changes.next_if(|(key, _)| stride.has_place_for(key)) {
            let planned = plan(key, change)?;
            if planned.old != planned.new {
                stride.add(planned, change.value.as_ref());
            }
        }
        Ok(stride)
    }

    fn has_place_for(&self, key: &Key) -> bool {
        self.planned + Planned::longest(key) <= MAX_PLAN && self.bytes < STRIDE_BYTES
    }

    fn add(&mut self, planned: Planned, value: Option<&'a Bytes>) {
        self.planned += Planned::longest(&planned.key);
        self.bytes += planned.key.as_bytes().len() + value.map_or(0, Bytes::len);
        self.plan.push(planned);
        self.values.push(value);
    }

    pub(super) fn moves(&self) -> impl Iterator<Item = Move> {
        self.plan.iter().zip(&self.values).flat_map(|(planned, value)| moves_of(planned, *value))
    }
}

/// What makes a change, in an order in which the record is whole at every moment.
pub(super) fn moves_of(planned: &Planned, value: Option<&Bytes>) -> impl Iterator<Item = Move> {
    let chunks = planned.new.iter().zip(value).flat_map(|(head, value)| {
        let pieces = value.chunks(MAX_PIECE).map(|piece| Some(piece.to_vec()));
        head.chunk_keys().map(|key| key.to_vec()).zip(pieces)
    });
    let head = planned.new.zip(value).map(|(head, value)| head.encode(value));
    let gone = planned.left_over(true).map(|key| (key.to_vec(), None));
    chunks.chain(iter::once((record_key(planned.key.as_bytes()), head))).chain(gone)
}
