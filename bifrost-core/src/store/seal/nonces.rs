//! Numbers used once.

use std::sync::atomic::{AtomicU64, Ordering};

use super::NONCE_LEN;
use crate::entropy::Entropy;

const COUNTER_LEN: usize = 8;
const PREFIX_LEN: usize = NONCE_LEN - COUNTER_LEN;

/// Nonces that never repeat: a random prefix of 128 bits, drawn once, and a counter. A system call for every record
/// would cost more than sealing it.
#[derive(Debug)]
pub(super) struct Nonces {
    prefix: [u8; PREFIX_LEN],
    next: AtomicU64,
}

impl Nonces {
    /// Nonces with a prefix of their own.
    pub(super) fn draw(entropy: &dyn Entropy) -> Self {
        let mut prefix = [0; PREFIX_LEN];
        entropy.fill(&mut prefix);
        Self { prefix, next: AtomicU64::new(0) }
    }

    /// One that was not given out before.
    pub(super) fn next(&self) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        nonce[..PREFIX_LEN].copy_from_slice(&self.prefix);
        nonce[PREFIX_LEN..].copy_from_slice(&self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemEntropy;
    use std::collections::HashSet;

    #[test]
    fn no_nonce_comes_twice() {
        let (one, other) = (Nonces::draw(&SystemEntropy), Nonces::draw(&SystemEntropy));
        let drawn: HashSet<_> = (0..1_000).flat_map(|_| [one.next(), other.next()]).collect();
        assert_eq!(drawn.len(), 2_000);
    }
}
