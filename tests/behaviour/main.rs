//! The whole hub, one file per promise.
//!
//! Most run on the memory store in virtual time: `start_paused` runtimes with a clock that follows tokio's, so hours
//! of deadlines pass in an instant and every run takes the same course.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods)]

mod admission;
mod children;
mod clocks;
mod connections;
#[cfg(feature = "embedded")]
mod crash;
mod dying;
mod effects;
#[cfg(feature = "embedded")]
mod embedded;
mod executions;
mod fairness;
mod far;
mod lifecycle;
mod onboarding;
mod others;
mod provider;
mod refusing;
mod supervision;
mod taped;
mod tenancy;
mod unpolled;
mod watched;
mod world;
