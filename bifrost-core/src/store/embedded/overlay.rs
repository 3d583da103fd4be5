//! The state as it will be once the group at hand is applied: what the next batch of the group is checked against.

use bytes::Bytes;

use super::super::key::{Key, Prefix};
use super::super::resolve::{View, Writes};
use super::super::{CommitSeq, Versioned};
use super::state::{Changes, State};
use crate::error::Result;

/// Changes over a state.
pub(super) struct Overlay<'a> {
    state: &'a State,
    changes: Changes,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state, changes: Changes::new() }
    }

    pub(super) fn add(&mut self, writes: Writes, version: CommitSeq) {
        for (key, value) in writes {
            let change = value.map(|value| Versioned { value, version });
            self.changes.insert(key, change);
        }
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }

    fn last_changed(&self, prefix: &Prefix, before: Option<&Key>) -> Option<(Key, Bytes)> {
        let start = Key::from_stored(prefix.as_bytes().to_vec());
        let under = self.changes.range(start..).take_while(|(key, _)| key.starts_with(prefix));
        let there = under.filter(|(key, _)| before.is_none_or(|before| *key < before));
        // Few keys of one group lie under one log, so walking them forward costs less than it seems.
        there.filter_map(|(key, change)| change.as_ref().map(|found| (key.clone(), found.value.clone()))).last()
    }

    fn last_unchanged(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let mut found = self.state.last_under(prefix, before)?;
        while let Some((key, _)) = &found {
            if !matches!(self.changes.get(key), Some(None)) {
                break;
            }
            let key = key.clone();
            found = self.state.last_under(prefix, Some(&key))?;
        }
        Ok(found)
    }
}

impl View for Overlay<'_> {
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>> {
        match self.changes.get(key) {
            Some(change) => Ok(change.as_ref().map(|found| found.version)),
            None => self.state.version(key),
        }
    }

    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let changed = self.last_changed(prefix, before);
        let unchanged = self.last_unchanged(prefix, before)?;
        Ok(match (changed, unchanged) {
            // Of the same key the changed value counts.
            (Some(changed), Some(unchanged)) if changed.0 < unchanged.0 => Some(unchanged),
            (changed, unchanged) => changed.or(unchanged),
        })
    }
}
