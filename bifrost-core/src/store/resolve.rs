//! From a batch to the writes it stands for: preconditions checked, chained entries numbered.
//!
//! Engines differ in where their state lies, not in what a batch means, so the meaning lives here alone.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;

use super::chain::Head;
use super::key::{Key, Prefix};
use super::{Batch, CommitSeq, Op, Precondition};
use crate::error::{Error, ErrorKind, Result};

/// What a batch does to the map: a value to store or `None` to remove, one per key, in key order.
pub(crate) type Writes = BTreeMap<Key, Option<Bytes>>;

/// The state a batch is checked against.
pub(crate) trait View {
    /// The commit that last wrote `key`.
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>>;

    /// The last entry under `prefix`, before `before` if given.
    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>>;
}

/// Checks the preconditions of `batch` against `view` and works out its writes.
pub(crate) fn resolve(view: &dyn View, batch: &Batch) -> Result<Writes> {
    for precondition in batch.preconditions() {
        check(view, precondition)?;
    }
    let mut heads = HashMap::new();
    let mut writes = Writes::new();
    for op in batch.ops() {
        match op {
            Op::Put(key, value) => drop(writes.insert(key.clone(), Some(value.clone()))),
            Op::Delete(key) => drop(writes.insert(key.clone(), None)),
            Op::Append(log, payload) => {
                let (key, value) = append(view, &mut heads, log, payload)?;
                writes.insert(key, Some(value));
            }
        }
    }
    Ok(writes)
}

fn check(view: &dyn View, precondition: &Precondition) -> Result<()> {
    let found = view.version(precondition.key())?;
    let wanted = match precondition {
        Precondition::Absent(_) => None,
        Precondition::At(_, version) => Some(*version),
    };
    if found == wanted {
        return Ok(());
    }
    let text = |version: Option<CommitSeq>| version.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    Err(Error::new(ErrorKind::Conflict, "commit batch", "the record changed since it was read")
        .with("key", format!("{:?}", precondition.key()))
        .with("expected", text(wanted))
        .with("found", text(found)))
}

/// The head is that of the state before the batch: an entry deleted by the batch itself does not free its number.
fn append(view: &dyn View, heads: &mut HashMap<Prefix, Head>, log: &Prefix, payload: &[u8]) -> Result<(Key, Bytes)> {
    let head = match heads.get(log) {
        Some(head) => *head,
        None => match view.last_under(log, None)? {
            Some((key, value)) => Head::of_last(log, &key, &value)?,
            None => Head::EMPTY,
        },
    };
    let (key, value, next) = head.append(log, payload)?;
    heads.insert(log.clone(), next);
    Ok((key, value))
}
