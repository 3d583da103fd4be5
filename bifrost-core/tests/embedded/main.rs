//! The embedded store as a whole: the behaviour suite, and what it makes of damage, full disks and failing ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "these are tests")]

mod damage;
mod failing;
mod opening;
mod suite;
mod support;
