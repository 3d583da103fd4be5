//! Identical reads that are under way at the same time are one call.
//!
//! Workflows of one tenant ask for the same things: a hundred of them that start together read the same user list. The
//! first caller starts the call, the others join it and get its answer or its failure; budget and counters see one.
//!
//! - **Identical** means: same tenant and connection, same settings and application, same URL, same headers, same
//!   token ([`Key`]). Only a GET without a body is shared.
//! - **Nobody's call but everybody's.** Whoever still waits drives the call, so it goes on when the caller who started
//!   it is gone, and ends when the last one is.
//! - **Read your writes.** A write through the connection takes its calls out of the list, when it starts and when it
//!   ends: a later read never joins one that may have been answered before the write.
//! - **Each caller's deadline is its own.** The call ends at the latest of them ([`Deadline`]).
//!
//! The list holds what is under way and nothing else: a call takes itself out when it ends, however it ends.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, Hasher, RandomState};
use std::sync::{Arc, LazyLock, PoisonError};
use std::time::Duration;

use bifrost_core::credential::TokenKey;
use bifrost_core::integration::{Outbound, Safety};
use bifrost_core::time::within;
use bifrost_core::{Clock, Connection, ConnectionId, ConnectionSettings, Error, ErrorKind, Result, Retry, TenantId};
use bytes::Bytes;
use futures_util::future::{BoxFuture, FutureExt as _, Shared, WeakShared};
use http::{HeaderMap, Method, Response, header};
use url::Url;

use super::stack::{Anonymous, FollowRedirects};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// How a shared call ends; the failure is duplicated for all callers but the last.
type Outcome = Result<Response<Bytes>, Arc<Error>>;
type SharedCall = Shared<BoxFuture<'static, Outcome>>;
type Peer = (TenantId, ConnectionId);
type Underway = HashMap<Peer, HashMap<Arc<Key>, Flight>>;

/// The reads that are under way, by connection. Clones share the list.
#[derive(Clone, Default)]
pub(crate) struct Flights(Arc<Mutex<Underway>>);

/// A call others may join. The callers own it, the list only knows of it.
struct Flight {
    call: WeakShared<BoxFuture<'static, Outcome>>,
    deadline: Arc<Deadline>,
}

impl Flights {
    /// Joins the call for `key` if one is under way, else starts it with what `start` makes of its deadline.
    pub(super) fn join<F>(
        &self,
        key: Key,
        clock: &dyn Clock,
        until: Duration,
        start: impl FnOnce(Arc<Deadline>) -> F,
    ) -> Joined
    where
        F: Future<Output = Result<Response<Bytes>>> + Send + 'static,
    {
        let now = clock.monotonic();
        let mut underway = self.lock();
        let calls = underway.entry(key.peer.clone()).or_default();
        if let Some(flight) = calls.get(&key) {
            if let Some(joined) = flight.join(now, until) {
                return joined;
            }
            // An entry in the way would keep its key, and with it the wrong call's name.
            calls.remove(&key);
        }
        let (key, deadline) = (Arc::new(key), Arc::new(Deadline::at(until)));
        let landing = Landing { flights: self.clone(), key: Arc::clone(&key) };
        let work = start(Arc::clone(&deadline));
        let call = async move {
            let _landing = landing;
            work.await.map_err(Arc::new)
        };
        let call = call.boxed().shared();
        if let Some(weak) = call.downgrade() {
            calls.insert(key, Flight { call: weak, deadline: Arc::clone(&deadline) });
        }
        Joined { call, deadline, until, first: true }
    }

    /// A write over `connection` starts; it ends when the guard is dropped.
    pub(super) fn writing(&self, connection: &Connection) -> Writing {
        let writing = Writing { flights: self.clone(), peer: peer(connection) };
        writing.close();
        writing
    }

    /// How many calls others may join.
    pub(super) fn underway(&self) -> usize {
        self.lock().values().map(HashMap::len).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Underway> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// A share in the call, unless it ends now or nobody drives it any more.
    fn join(&self, now: Duration, until: Duration) -> Option<Joined> {
        if self.deadline.get() <= now {
            return None;
        }
        let call = self.call.upgrade()?;
        self.deadline.extend(until);
        Some(Joined { call, deadline: Arc::clone(&self.deadline), until, first: false })
    }
}

/// One caller's share in a call.
pub(super) struct Joined {
    call: SharedCall,
    deadline: Arc<Deadline>,
    until: Duration,
    first: bool,
}

impl Joined {
    /// True for the caller who started the call.
    pub(super) fn is_first(&self) -> bool {
        self.first
    }

    /// Waits for the answer until this caller's own deadline.
    pub(super) async fn answer(mut self, clock: &dyn Clock) -> Result<Response<Bytes>> {
        let left = self.until.saturating_sub(clock.monotonic());
        let outcome = match within(clock, left, &mut self.call).await {
            Some(outcome) => outcome,
            None if self.deadline.get() > self.until => return Err(too_late()),
            // The call's own deadline is this caller's: it ends now, and knows better what kept it.
            None => self.call.await,
        };
        outcome.map_err(|error| Arc::try_unwrap(error).unwrap_or_else(|error| error.duplicate()))
    }
}

fn too_late() -> Error {
    Error::new(ErrorKind::Timeout, "call provider", "the deadline passed before the answer to a shared call came")
        .retry(Retry::Later)
}

/// Takes a call out of the list when it ends or nobody waits for it any more.
struct Landing {
    flights: Flights,
    key: Arc<Key>,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut underway = self.flights.lock();
        let Some(calls) = underway.get_mut(&self.key.peer) else { return };
        let own = calls.get_key_value(&self.key).is_some_and(|(key, _)| Arc::ptr_eq(key, &self.key));
        if own {
            calls.remove(&self.key);
        }
        if calls.is_empty() {
            underway.remove(&self.key.peer);
        }
    }
}

/// A write under way.
pub(super) struct Writing {
    flights: Flights,
    peer: Peer,
}

impl Writing {
    /// Lets nobody else join what is under way over the connection.
    fn close(&self) {
        self.flights.lock().remove(&self.peer);
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.close();
    }
}

/// What two reads have in common when one answer serves both.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    peer: Peer,
    url: Arc<Url>,
    /// The hash of `url`, which is long and looked up with more than once.
    hash: u64,
    headers: HeaderMap,
    token: Option<TokenKey>,
    application: Option<Arc<str>>,
    settings: Arc<ConnectionSettings>,
    follows: bool,
    endpoint: &'static str,
    resource: Option<String>,
}

impl Key {
    /// The key of a request to `url`; `None` when it must go by itself.
    pub(super) fn of(connection: &Connection, outbound: &Outbound, url: &Arc<Url>) -> Option<Self> {
        let request = &outbound.request;
        let plain = request.method() == Method::GET && request.body().is_empty();
        if !plain || outbound.safety != Safety::Idempotent {
            return None;
        }
        let extensions = request.extensions();
        let anonymous = extensions.get::<Anonymous>().is_some();
        let token = || outbound.token.clone().unwrap_or_else(|| connection.default_token());
        Some(Self {
            peer: peer(connection),
            url: Arc::clone(url),
            hash: hash_of(url),
            headers: sent_headers(request.headers()),
            token: (!anonymous).then(token),
            application: connection.tokens().application(),
            settings: Arc::clone(connection.shared_settings()),
            follows: extensions.get::<FollowRedirects>().is_some(),
            endpoint: outbound.endpoint,
            resource: outbound.resource.clone(),
        })
    }
}

impl Hash for Key {
    /// The rest tells the few apart that have the URL in common.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.hash(state);
    }
}

/// The hash of a URL, by a key that nobody outside the process knows: what is in a URL may come from anybody.
fn hash_of(url: &Url) -> u64 {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    KEY.hash_one(url.as_str())
}

fn peer(connection: &Connection) -> Peer {
    (connection.tenant().clone(), connection.id().clone())
}

/// The stack sets credentials itself and does not send those of a caller.
fn sent_headers(headers: &HeaderMap) -> HeaderMap {
    let mut sent = headers.clone();
    sent.remove(header::AUTHORIZATION);
    sent.remove(header::COOKIE);
    sent
}

/// When a call ends at the latest, on the monotonic count. Callers who join move it to the latest of their own.
#[derive(Debug)]
pub(super) struct Deadline(AtomicU64);

impl Deadline {
    /// A deadline at that time.
    pub(super) fn at(time: Duration) -> Self {
        Self(AtomicU64::new(nanos(time)))
    }

    /// The time it is at.
    pub(super) fn get(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }

    fn extend(&self, time: Duration) {
        self.0.fetch_max(nanos(time), Ordering::AcqRel);
    }
}

/// Enough for five hundred years.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(all(test, shuttle))]
mod races;
#[cfg(test)]
mod tests;
