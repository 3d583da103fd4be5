//! Whether somebody uses a tenant, and whether anybody still may.

use crate::sync::atomic::{AtomicU64, Ordering};

/// Counts users; closes only when there are none and there were none of late.
///
/// One number says all of it, so that nobody can come or go between two looks at it: whoever goes may leave work behind
/// that the one who closes has looked for before.
#[derive(Debug, Default)]
pub(super) struct Gate(AtomicU64);

impl Gate {
    const CLOSED: u64 = 1 << 63;
    const TOUCHED: u64 = 1 << 62;

    pub(super) fn enter(&self) -> bool {
        self.change(|state| (state & Self::CLOSED == 0).then_some((state | Self::TOUCHED) + 1)).is_ok()
    }

    pub(super) fn leave(&self) {
        let left = self.change(|state| Some((state - 1) | Self::TOUCHED));
        debug_assert!(left.is_ok_and(|before| before & Self::CLOSED == 0), "a gate closed over somebody");
    }

    /// Whether somebody is inside.
    pub(super) fn is_in_use(&self) -> bool {
        self.0.load(Ordering::Acquire) & !(Self::CLOSED | Self::TOUCHED) > 0
    }

    /// Closes if nobody is inside and nobody was since the last time this was asked.
    pub(super) fn close(&self) -> bool {
        let before = self.change(|state| match state {
            0 => Some(Self::CLOSED),
            state => Some(state & !Self::TOUCHED),
        });
        before == Ok(0)
    }

    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> Result<u64, u64> {
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, change)
    }
}

#[cfg(all(test, shuttle))]
mod races;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gate_closes_only_when_nobody_is_inside() {
        let gate = Gate::default();
        assert!(gate.enter());
        assert!(!gate.close());
        gate.leave();
        assert!(!gate.close(), "somebody was inside when it was asked last");
        assert!(gate.close());
        assert!(!gate.enter() && !gate.enter() && !gate.close());
    }

    #[test]
    fn whoever_came_and_went_keeps_it_open_once() {
        let gate = Gate::default();
        assert!(gate.enter());
        gate.leave();
        assert!(!gate.close());
        assert!(gate.close());
    }
}
