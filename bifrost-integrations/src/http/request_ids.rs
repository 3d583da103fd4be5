//! Ids of single requests: UUIDs of version 4, such as `client-request-id` wants with each attempt.

use std::sync::{Arc, Mutex, PoisonError};

use bifrost_core::Entropy;
use uuid::Uuid;

/// How many ids are drawn at once: the operating system is asked in a system call.
const AT_ONCE: usize = 64;
const BYTES: usize = size_of::<Uuid>();

/// Where the ids of one stack come from.
pub(super) struct RequestIds {
    entropy: Arc<dyn Entropy>,
    drawn: Mutex<Vec<Uuid>>,
}

impl RequestIds {
    pub(super) fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, drawn: Mutex::default() }
    }

    /// An id that was never given before.
    pub(super) fn next(&self) -> Uuid {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = drawn.pop() {
            return id;
        }
        let mut random = [0_u8; BYTES * AT_ONCE];
        self.entropy.fill(&mut random);
        let ids = random.chunks_exact(BYTES).filter_map(|bytes| bytes.try_into().ok());
        drawn.extend(ids.map(|bytes| uuid::Builder::from_random_bytes(bytes).into_uuid()));
        drawn.pop().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use bifrost_core::testing::SeededEntropy;

    use super::*;

    #[test]
    fn no_id_is_given_twice() {
        let ids = RequestIds::new(Arc::new(SeededEntropy::new(1)));
        let given: HashSet<Uuid> = (0..AT_ONCE * 3).map(|_| ids.next()).collect();
        assert_eq!(given.len(), AT_ONCE * 3);
        assert!(given.iter().all(|id| id.get_version_num() == 4));
    }
}
