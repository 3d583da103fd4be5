//! What the attacks on the actor tree share: a store whose order of things is thrown by a seed, a world outside that
//! counts what is done to it, workflows that use it, and a look at what is stored afterwards.
//!
//! A schedule is one seed: the hub runs on one thread in virtual time, so its course depends on nothing but the waits
//! that the seed puts before and after each operation of the store and each call.

mod outside;
mod shaken;
mod stored;
mod works;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bifrost::store::seal::{EphemeralKey, KeyProvider};
use bifrost::testing::{ActorKind, ActorProbe, SeededEntropy, TokioClock};
use bifrost::{Error, ErrorKind, Hub, HubBuilder, Result};
use futures_util::FutureExt;

use crate::findings::Findings;
pub(crate) use outside::{Outside, Trouble};
pub(crate) use shaken::{Fault, Place, Shaken};
pub(crate) use stored::{check_history, check_trail, stored};
pub(crate) use works::{PARENT, WAITS, WRITE, with_works, write};

/// No call, and no wait that this attack makes, may take longer than this in the time of the attack.
pub(crate) const DEADLINE: Duration = Duration::from_secs(6 * 3_600);

/// The keys of every store of an attack.
pub(crate) fn keys() -> Arc<dyn KeyProvider> {
    Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1))))
}

/// A hub over `store`, in the time of the runtime.
pub(crate) fn builder(store: &Shaken, keys: &Arc<dyn KeyProvider>) -> HubBuilder {
    let clock = TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    Hub::builder()
        .with_store(Arc::new(store.clone()), Arc::clone(keys))
        .with_clock(Arc::new(clock))
        .with_entropy(Arc::new(SeededEntropy::new(store.seed())))
}

/// What `call` gives, or a timeout that no part of the hub made. A panic of the store in the caller's own task is the
/// attack's doing, and an error to the caller.
pub(crate) async fn ends<T>(call: impl Future<Output = Result<T>>) -> Result<T> {
    let caught = AssertUnwindSafe(call).catch_unwind();
    match tokio::time::timeout(DEADLINE, caught).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => {
            Err(Error::new(ErrorKind::Unavailable, "attack", "the store panicked").retry(bifrost::Retry::Later))
        }
        Err(_) => Err(Error::new(ErrorKind::Internal, "attack", STUCK)),
    }
}

const STUCK: &str = "no answer within the deadline of the attack";

/// Whether an error says that somebody was kept waiting.
pub(crate) fn is_stuck(error: &Error) -> bool {
    error.message() == STUCK
}

/// Polls until `condition` holds; false when it did not in time.
pub(crate) async fn eventually(mut condition: impl AsyncFnMut() -> bool) -> bool {
    for _ in 0..20_000 {
        if condition().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// Runs schedules on both cores, each alone on its thread, and adds up what they found.
pub(crate) fn schedules(count: u64, schedule: impl Fn(u64) -> Findings + Sync) -> Findings {
    const THREADS: u64 = 2;
    std::thread::scope(|scope| {
        let part = |first| {
            let schedule = &schedule;
            scope.spawn(move || {
                let mut findings = Findings::default();
                (first..count).step_by(THREADS as usize).for_each(|number| findings.add(schedule(number)));
                findings
            })
        };
        let parts: Vec<_> = (0..THREADS).map(part).collect();
        let mut findings = Findings::default();
        parts.into_iter().for_each(|part| findings.add(part.join().unwrap()));
        findings
    })
}

/// Paths of which there is more than one actor right now.
fn doubles(actors: &[ActorProbe]) -> Vec<String> {
    let mut paths: Vec<_> = actors
        .iter()
        .filter(|actor| actor.kind() != ActorKind::Hub)
        .map(|actor| format!("{:?} {}", actor.kind(), actor.path()))
        .collect();
    paths.sort();
    let twice = paths.windows(2).filter(|pair| pair[0] == pair[1]);
    twice.map(|pair| pair[0].clone()).collect()
}
