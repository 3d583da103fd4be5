//! For tests, ours and yours: a clock that moves when told, randomness that repeats, a behaviour suite for stores.

#[doc(hidden)]
pub mod fuzz;
pub mod manual_clock;
pub mod seeded;
pub mod store_suite;

pub use manual_clock::{ManualClock, TokioClock};
pub use seeded::SeededEntropy;
