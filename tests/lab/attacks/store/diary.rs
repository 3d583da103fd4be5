//! A diary of random batches: what a store must hold after each of them.

use std::collections::BTreeMap;

use bifrost::store::embedded::EmbeddedStore;
use bifrost::store::key::{Key, Kind, Scope};
use bifrost::store::{Batch, CommitSeq, Scan, Store, Versioned};
use bifrost::{Result, TenantId};

use crate::dice::Dice;

/// Every record with its version.
pub(super) type Contents = BTreeMap<Key, Versioned>;

/// The batches in the order of their numbers, the first of which is 1.
#[derive(Debug, Default, Clone)]
pub(super) struct Diary {
    batches: Vec<Entry>,
    /// How many were ever written down.
    written: u64,
}

/// A batch, and what tells its values from all others.
#[derive(Debug, Clone)]
struct Entry {
    stamp: u64,
    changes: Vec<Change>,
}

/// A record's value: how long it is, all of it made of the batch's stamp; or that it is removed.
#[derive(Debug, Clone, Copy)]
struct Change {
    record: u64,
    length: Option<usize>,
}

fn scope() -> Scope {
    Scope::tenant(TenantId::new("contoso").unwrap())
}

fn key(record: u64) -> Key {
    scope().key(Kind::Config, &[format!("{record:06}").as_bytes()]).unwrap()
}

/// Differs from batch to batch and from record to record, in every stretch of eight bytes.
fn value(stamp: u64, record: u64, length: usize) -> Vec<u8> {
    let word = (stamp << 20 | record).to_le_bytes();
    word.iter().copied().cycle().take(length).collect()
}

impl Diary {
    pub(super) fn len(&self) -> u64 {
        self.batches.len() as u64
    }

    /// Forgets what came after batch `last`, as the store did.
    pub(super) fn forget_after(&mut self, last: u64) {
        self.batches.truncate(usize::try_from(last).unwrap());
    }

    /// Strikes out those of the last batches that were not kept.
    pub(super) fn keep(&mut self, kept: &[bool]) {
        let last = self.batches.split_off(self.batches.len() - kept.len());
        self.batches.extend(last.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(entry, _)| entry));
    }

    /// Writes down the next batch: over a few records, some removed, every now and then a value long enough to be split.
    pub(super) fn next(&mut self, dice: &Dice, records: u64) -> Batch {
        let change = |_| Change {
            record: dice.below(records),
            length: (!dice.chance(1, 8)).then(|| {
                let longest = if dice.chance(1, 10) { 9_000 } else { 400 };
                dice.below(longest) as usize + 1
            }),
        };
        let changes = (0..1 + dice.below(4)).map(change).collect();
        self.push(changes)
    }

    /// Writes down a batch that adds `length` bytes under a key of its own.
    pub(super) fn next_new(&mut self, length: usize) -> Batch {
        let record = 100_000 + self.written;
        self.push(vec![Change { record, length: Some(length) }])
    }

    fn push(&mut self, changes: Vec<Change>) -> Batch {
        self.written += 1;
        let (stamp, mut batch) = (self.written, Batch::new());
        for change in &changes {
            match change.length {
                Some(length) => batch.put(key(change.record), value(stamp, change.record, length)),
                None => batch.delete(key(change.record)),
            };
        }
        self.batches.push(Entry { stamp, changes });
        batch
    }

    /// What a store holds after batch `last`.
    pub(super) fn after(&self, last: u64) -> Contents {
        let mut contents = Contents::new();
        for (number, Entry { stamp, changes }) in (1..=last).zip(&self.batches) {
            for Change { record, length } in changes {
                match length {
                    Some(length) => {
                        let value = value(*stamp, *record, *length).into();
                        contents.insert(key(*record), Versioned { value, version: CommitSeq(number) });
                    }
                    None => drop(contents.remove(&key(*record))),
                }
            }
        }
        contents
    }

    /// What is wrong with an opened store that ought to stand between batches `first` and `last`, if anything.
    pub(super) async fn compare(
        &self,
        store: &EmbeddedStore,
        first: u64,
        last: u64,
    ) -> std::result::Result<u64, String> {
        let at = store.health().last_commit.0;
        if !(first..=last).contains(&at) {
            return Err(format!("it stands at {at}, not between {first} and {last}"));
        }
        let found = contents(store).await.map_err(|error| format!("reading failed: {error:?}"))?;
        if found == self.after(at) { Ok(at) } else { Err(format!("its records are not those after batch {at}")) }
    }
}

/// Everything a store holds.
pub(super) async fn contents(store: &EmbeddedStore) -> Result<Contents> {
    let mut contents = Contents::new();
    let mut scan = Scan::prefix(scope().all()).limit(200);
    loop {
        let page = store.scan(scan).await?;
        contents.extend(page.entries);
        match contents.last_key_value() {
            Some((last, _)) if page.more => scan = Scan::prefix(scope().all()).limit(200).after(last.clone()),
            _ => return Ok(contents),
        }
    }
}
