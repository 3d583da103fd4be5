//! The state as it will be once the group at hand is applied: what the next batch of the group is checked against.

use std::cell::RefCell;
use std::collections::HashMap;

use bytes::Bytes;

use super::super::key::{Key, Prefix};
use super::super::resolve::{View, Writes};
use super::super::{CommitSeq, Scan};
use super::state::{self, Change, Changes, State};
use crate::error::Result;

/// Changes over a state.
pub(super) struct Overlay<'a> {
    state: &'a State,
    changes: Changes,
    /// Where logs end in the state, of those that were asked for: most batches of a group append to the same few.
    ends: RefCell<HashMap<Prefix, Option<(Key, Bytes)>>>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(state: &'a State) -> Self {
        Self { state, changes: Changes::new(), ends: RefCell::default() }
    }

    pub(super) fn add(&mut self, writes: Writes, version: CommitSeq) {
        state::add(&mut self.changes, writes, version);
    }

    pub(super) fn into_changes(self) -> Changes {
        self.changes
    }

    fn last_changed(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let scan = Scan { after: before.cloned(), ..Scan::prefix(prefix.clone()).reverse() };
        let mut under = self.changes.range(scan.bounds()?).rev();
        Ok(under.find_map(|(key, change)| Some((key.clone(), change.value.clone()?))))
    }

    fn last_unchanged(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let mut found = match before {
            Some(_) => self.state.last_under(prefix, before)?,
            None => self.end_of(prefix)?,
        };
        while let Some((key, _)) = &found {
            if !matches!(self.changes.get(key), Some(Change { value: None, .. })) {
                break;
            }
            let key = key.clone();
            found = self.state.last_under(prefix, Some(&key))?;
        }
        Ok(found)
    }

    /// The last record in the state, which stays as it is for as long as the group is put together.
    fn end_of(&self, prefix: &Prefix) -> Result<Option<(Key, Bytes)>> {
        if let Some(found) = self.ends.borrow().get(prefix) {
            return Ok(found.clone());
        }
        let found = self.state.last_under(prefix, None)?;
        self.ends.borrow_mut().insert(prefix.clone(), found.clone());
        Ok(found)
    }
}

impl View for Overlay<'_> {
    fn version(&self, key: &Key) -> Result<Option<CommitSeq>> {
        match self.changes.get(key) {
            Some(change) => Ok(change.value.as_ref().map(|_| change.version)),
            None => self.state.version(key),
        }
    }

    fn last_under(&self, prefix: &Prefix, before: Option<&Key>) -> Result<Option<(Key, Bytes)>> {
        let changed = self.last_changed(prefix, before)?;
        let unchanged = self.last_unchanged(prefix, before)?;
        Ok(match (changed, unchanged) {
            // Of the same key the changed value counts.
            (Some(changed), Some(unchanged)) if changed.0 < unchanged.0 => Some(unchanged),
            (changed, unchanged) => changed.or(unchanged),
        })
    }
}
