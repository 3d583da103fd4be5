//! Checks a chain of audit entries and names the first thing that is wrong with it.

use std::fmt;

use serde::Serialize;

use super::{decode_payload, log_of};
use crate::store::chain::{Entry, Hash, Head};
use crate::store::key::{Prefix, Scope};

/// What is wrong with a trail, at the first place where something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// Entries are missing before `found`.
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// An entry comes after one that is younger, or twice.
    Reordered {
        /// The entry that is out of place.
        number: u64,
    },
    /// An entry is not as it was written.
    Changed {
        /// The changed entry.
        number: u64,
    },
    /// The trail ends before the head that was expected.
    CutTail {
        /// The first entry that is not there.
        first_missing: u64,
    },
    /// An entry, or (number 0) the whole trail, belongs to another tenant.
    Foreign {
        /// The foreign entry.
        number: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => write!(f, "record {expected} is missing; the next one is {found}"),
            Self::Reordered { number } => write!(f, "record {number} is out of order"),
            Self::Changed { number } => write!(f, "record {number} was changed"),
            Self::CutTail { first_missing } => write!(f, "the trail was cut: record {first_missing} is missing"),
            Self::Foreign { number: 0 } => f.write_str("the trail belongs to another tenant"),
            Self::Foreign { number } => write!(f, "record {number} belongs to another tenant"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// How many entries were in order.
    pub checked: u64,
    /// The last entry that was in order.
    pub head: Head,
    /// The first thing that is wrong; `None` when nothing is.
    pub fault: Option<Fault>,
}

impl Verdict {
    /// True when nothing is wrong.
    pub fn is_intact(&self) -> bool {
        self.fault.is_none()
    }
}

/// Checks entries one by one, in the order they are stored in.
#[derive(Debug)]
pub struct Verifier {
    scope: Scope,
    log: Prefix,
    expected: Option<Head>,
    head: Head,
    /// The head before the last entry: an entry is proven only by the one after it.
    before: Head,
    checked: u64,
    fault: Option<Fault>,
}

impl Verifier {
    /// Checks the trail of `scope` from its first entry on, up to `expected` if a head is known from elsewhere.
    pub fn new(scope: &Scope, expected: Option<Head>) -> Self {
        Self {
            scope: scope.clone(),
            log: log_of(scope),
            expected,
            head: Head::EMPTY,
            before: Head::EMPTY,
            checked: 0,
            fault: None,
        }
    }

    /// Checks the next entry; does nothing more after the first fault.
    pub fn check(&mut self, entry: &Entry) {
        if self.fault.is_some() {
            return;
        }
        let next = Head { number: entry.number, hash: entry.hash(&self.log) };
        self.fault = self.fault_of(entry, &next);
        match self.fault {
            // The entry before is the one that was changed, so it was not in order either.
            Some(Fault::Changed { number }) if number == self.head.number && number > 0 => {
                self.checked -= 1;
                self.head = self.before;
            }
            Some(_) => {}
            None => {
                self.before = self.head;
                self.head = next;
                self.checked += 1;
            }
        }
    }

    /// The same for an entry whose hash was written beside it: a change shows at once, not only at the next entry.
    pub(super) fn check_claimed(&mut self, entry: &Entry, hash: &Hash) {
        let intact = self.fault.is_none();
        self.check(entry);
        if intact && self.fault.is_none() && self.head.hash != *hash {
            self.fault = Some(Fault::Changed { number: entry.number });
            self.checked -= 1;
            self.head = self.before;
        }
    }

    fn fault_of(&self, entry: &Entry, next: &Head) -> Option<Fault> {
        let (expected, found) = (self.head.number + 1, entry.number);
        if found > expected {
            return Some(Fault::Gap { expected, found });
        }
        if found < expected {
            return Some(Fault::Reordered { number: found });
        }
        if entry.previous != self.head.hash {
            // The first entry has nobody before it who could have been changed.
            return Some(Fault::Changed { number: self.head.number.max(1) });
        }
        match decode_payload(&entry.payload) {
            None => return Some(Fault::Changed { number: found }),
            Some(payload) if payload.tenant != self.scope.as_str() => return Some(Fault::Foreign { number: found }),
            Some(_) => {}
        }
        match self.expected {
            Some(head) if head.number == found && head.hash != next.hash => Some(Fault::Changed { number: found }),
            _ => None,
        }
    }

    /// What was found, now that there are no more entries.
    pub fn finish(mut self) -> Verdict {
        if self.fault.is_none() && self.expected.is_some_and(|head| head.number > self.head.number) {
            self.fault = Some(Fault::CutTail { first_missing: self.head.number + 1 });
        }
        Verdict { checked: self.checked, head: self.head, fault: self.fault }
    }

    /// Notes a fault that was found outside the entries.
    pub(super) fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }

    /// Holds what was checked against the head that the trail says it ends at: it must not end earlier, nor go on.
    pub(super) fn end_at(&mut self, head: Head) {
        if self.expected.is_none_or(|expected| expected.number < head.number) {
            self.expected = Some(head);
        }
        if head.number <= self.head.number && head != self.head {
            self.fail(Fault::Changed { number: (head.number + 1).min(self.head.number).max(1) });
        }
    }
}

/// Checks a whole trail of `scope`, in the order it is stored in, against `expected` if a head is known from elsewhere.
pub fn verify<'a>(scope: &Scope, entries: impl IntoIterator<Item = &'a Entry>, expected: Option<Head>) -> Verdict {
    let mut verifier = Verifier::new(scope, expected);
    for entry in entries {
        verifier.check(entry);
    }
    verifier.finish()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tests::record;
    use super::super::{AuditRecord, Payload};
    use super::*;
    use crate::id::TenantId;

    fn scope(name: &str) -> Scope {
        Scope::tenant(TenantId::new(name).unwrap())
    }

    fn trail(name: &str, count: usize) -> (Vec<Entry>, Head) {
        let (scope, mut head, mut entries) = (scope(name), Head::EMPTY, Vec::new());
        for number in 1..=count {
            let payload: Payload<AuditRecord> = Payload { tenant: name.to_owned(), record: record(number) };
            let (key, value, next) = head.append(&log_of(&scope), &serde_json::to_vec(&payload).unwrap()).unwrap();
            entries.push(Entry::decode(&log_of(&scope), &key, &value).unwrap());
            head = next;
        }
        (entries, head)
    }

    fn fault(entries: &[Entry], expected: Option<Head>) -> Option<Fault> {
        verify(&scope("contoso"), entries, expected).fault
    }

    #[test]
    fn an_untouched_trail_is_intact() {
        let (entries, head) = trail("contoso", 4);
        let verdict = verify(&scope("contoso"), &entries, Some(head));
        assert_eq!((verdict.checked, verdict.head, verdict.fault), (4, head, None));
        assert!(verify(&scope("contoso"), &[], None).is_intact());
        // More may have been recorded since the head was noted.
        let (longer, _) = trail("contoso", 6);
        assert_eq!(fault(&longer, Some(head)), None);
    }

    #[test]
    fn the_first_fault_is_named_with_its_place() {
        let (entries, head) = trail("contoso", 5);
        let mut gap = entries.clone();
        gap.remove(1);
        assert_eq!(fault(&gap, None), Some(Fault::Gap { expected: 2, found: 3 }));
        let mut swapped = entries.clone();
        swapped.swap(1, 2);
        assert_eq!(fault(&swapped, None), Some(Fault::Gap { expected: 2, found: 3 }));
        let mut twice = entries.clone();
        twice.insert(3, entries[1].clone());
        assert_eq!(fault(&twice, None), Some(Fault::Reordered { number: 2 }));
        let headless = &entries[1..];
        assert_eq!(fault(headless, None), Some(Fault::Gap { expected: 1, found: 2 }));
        assert_eq!(fault(&entries[..3], Some(head)), Some(Fault::CutTail { first_missing: 4 }));
        assert_eq!(fault(&[], Some(head)), Some(Fault::CutTail { first_missing: 1 }));
    }

    #[test]
    fn a_changed_record_is_named_wherever_it_is() {
        let (entries, head) = trail("contoso", 5);
        for at in 0..5 {
            let mut changed = entries.clone();
            let text = String::from_utf8(changed[at].payload.to_vec()).unwrap();
            changed[at].payload = Bytes::from(text.replace("ada", "eve"));
            let verdict = verify(&scope("contoso"), &changed, Some(head));
            assert_eq!(verdict.fault, Some(Fault::Changed { number: at as u64 + 1 }));
            assert_eq!((verdict.checked, verdict.head.number), (at as u64, at as u64));
        }
    }

    #[test]
    fn another_tenant_s_records_are_told_apart() {
        let (foreign, _) = trail("fabrikam", 3);
        assert_eq!(fault(&foreign, None), Some(Fault::Foreign { number: 1 }));
        let (mut mixed, _) = trail("contoso", 2);
        let last = mixed.pop().unwrap();
        mixed.push(Entry { previous: last.previous, ..foreign[1].clone() });
        assert_eq!(fault(&mixed, None), Some(Fault::Foreign { number: 2 }));
    }
}
