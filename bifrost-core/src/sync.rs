//! Locks and threads, from one place: those of the standard library, or, where `shuttle` is set, those of a model checker.
//!
//! What takes its locks from here has models beside it, in modules called `races`: they run the very code under many
//! schedules of its threads, and fail when one of them ends in a dead end or breaks a promise.
//!
//! ```text
//! cargo rustc -p bifrost-core --lib --profile test --all-features -- --cfg shuttle
//! cargo xtask soak --only races
//! ```

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockWriteGuard, atomic, mpsc};
#[cfg(shuttle)]
pub(crate) use shuttle::thread;
#[cfg(not(shuttle))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockWriteGuard, atomic, mpsc};
#[cfg(not(shuttle))]
pub(crate) use std::thread;

/// Runs `model` under as many schedules as `BIFROST_SCHEDULES` says, drawn from `BIFROST_SEED`. When one fails, the
/// same two run it again.
#[cfg(all(test, shuttle))]
pub(crate) fn explore(model: impl Fn() + Send + Sync + 'static) {
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let schedules = number("BIFROST_SCHEDULES", 300);
    let mut config = shuttle::Config::new();
    config.stack_size = 1024 * 1024;
    config.max_steps = shuttle::MaxSteps::FailAfter(100_000);
    let scheduler = shuttle::scheduler::RandomScheduler::new_from_seed(number("BIFROST_SEED", 1), schedules as usize);
    let run = shuttle::Runner::new(scheduler, config).run(model);
    println!("explored {run} schedules");
}
