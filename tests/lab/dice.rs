//! Chance that repeats.

use bifrost::testing::SeededEntropy;

/// Chance from a seed: the same seed gives the same throws.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    pub(crate) fn next(&self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, which is not zero.
    pub(crate) fn below(&self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True `parts` times in `of`.
    pub(crate) fn chance(&self, parts: u64, of: u64) -> bool {
        self.below(of) < parts
    }

    /// One of `choices`, which are not empty.
    pub(crate) fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}
