//! Randomness, passed in so that a seed can replay a run.

use std::fmt;

/// Where identifiers, nonces and jitter come from.
pub trait Entropy: Send + Sync + fmt::Debug + 'static {
    /// Fills `bytes` with random bytes.
    fn fill(&self, bytes: &mut [u8]);

    /// A random number in `0.0..1.0`.
    fn fraction(&self) -> f64 {
        let mut bytes = [0_u8; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // Without randomness there are no nonces: going on would reuse one and reveal sealed data.
        #[allow(clippy::expect_used)]
        getrandom::fill(bytes).expect("the operating system provides randomness");
    }
}
