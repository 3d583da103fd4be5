//! How each connection's peer has been doing: few retries beside much traffic, and none at all while it is down.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bifrost_core::{ConnectionId, TenantId};

use super::retry::Intervals;

/// Retries allowed for each request.
const RETRIES_PER_CALL: f64 = 0.1;
/// Retries a connection has when it begins, and at most gets back by waiting.
const FLOOR: f64 = 10.0;
/// Time after which a connection below the floor gets one retry back.
const REGAIN: Duration = Duration::from_secs(10);
/// The most retries saved up.
const CEILING: f64 = 100.0;
/// Failures in a row that open the breaker.
const BREAK_AFTER: u32 = 8;
/// How long the breaker stays open the first time; doubled each time in a row.
const FIRST_WINDOW: Duration = Duration::from_secs(5);
/// The longest it stays open.
const LONGEST_WINDOW: Duration = Duration::from_secs(60);
/// How long an answer to the probe is waited for before the next one may go.
const PROBE_LEASE: Duration = Duration::from_secs(30);
/// Connections that a new one would be like are forgotten when there are more than this.
const MAX_QUIET: usize = 4_096;
/// A connection that was not used for this long is like a new one, however it failed before.
const FORGET_AFTER: Duration = Duration::from_secs(10 * 60);

/// The state of all connections. Times are readings of the hub's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Peers>);

#[derive(Debug)]
struct Peers {
    known: HashMap<(TenantId, ConnectionId), Peer>,
    /// Looked through when there are this many: each time the number has doubled, so that it costs little per call.
    sweep_at: usize,
}

impl Default for Peers {
    fn default() -> Self {
        Self { known: HashMap::new(), sweep_at: MAX_QUIET }
    }
}

impl Peers {
    fn peer(&mut self, key: &(TenantId, ConnectionId), now: Duration) -> &mut Peer {
        if self.known.len() > self.sweep_at && !self.known.contains_key(key) {
            self.known.retain(|_, peer| !peer.is_forgettable(now));
            self.sweep_at = (self.known.len() * 2).max(MAX_QUIET);
        }
        self.known.entry(key.clone()).or_insert_with(|| Peer::new(now))
    }
}

impl Health {
    /// After what time to ask again, while the peer is being left alone.
    pub(super) fn paused(&self, key: &(TenantId, ConnectionId), now: Duration) -> Option<Duration> {
        self.lock().known.get(key).and_then(|peer| peer.breaker.paused(now))
    }

    /// Whether a call may be sent now; if not, after what time to ask again. Counts as traffic when it may. Ask right
    /// before sending, and record the end: one of the calls after a pause is the probe that the others wait for.
    pub(super) fn admit(&self, key: &(TenantId, ConnectionId), first: bool, now: Duration) -> Result<(), Duration> {
        let mut peers = self.lock();
        let peer = peers.peer(key, now);
        peer.used = now;
        peer.breaker.admit(now)?;
        if first {
            peer.allowance.earn(now);
        }
        Ok(())
    }

    /// Takes one retry from the allowance, if there is one.
    pub(super) fn take_retry(&self, key: &(TenantId, ConnectionId), now: Duration) -> bool {
        self.lock().peer(key, now).allowance.take(now)
    }

    /// An attempt has ended: the peer answered, or it failed.
    pub(super) fn record(&self, key: &(TenantId, ConnectionId), answered: bool, now: Duration) {
        if let Some(peer) = self.lock().known.get_mut(key) {
            peer.breaker.record(answered, now);
        }
    }

    /// How many connections it remembers.
    pub(super) fn peers(&self) -> usize {
        self.lock().known.len()
    }

    fn lock(&self) -> MutexGuard<'_, Peers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Peer {
    allowance: Allowance,
    breaker: Breaker,
    /// When something was last to be sent to it.
    used: Duration,
}

impl Peer {
    fn new(now: Duration) -> Self {
        Self { allowance: Allowance { balance: FLOOR, at: now }, breaker: Breaker::default(), used: now }
    }

    /// Whether a new one would decide the same, or it is that long ago.
    fn is_forgettable(&mut self, now: Duration) -> bool {
        self.allowance.regain(now);
        let quiet = self.breaker.failures == 0 && self.allowance.balance >= FLOOR;
        quiet || now.saturating_sub(self.used) >= FORGET_AFTER
    }
}

#[derive(Debug)]
struct Allowance {
    balance: f64,
    at: Duration,
}

impl Allowance {
    fn earn(&mut self, now: Duration) {
        self.regain(now);
        self.balance = (self.balance + RETRIES_PER_CALL).min(CEILING);
    }

    fn take(&mut self, now: Duration) -> bool {
        self.regain(now);
        let enough = self.balance >= 1.0;
        if enough {
            self.balance -= 1.0;
        }
        enough
    }

    fn regain(&mut self, now: Duration) {
        let earned = now.saturating_sub(self.at).as_secs_f64() / REGAIN.as_secs_f64();
        self.at = self.at.max(now);
        if self.balance < FLOOR {
            self.balance = (self.balance + earned).min(FLOOR);
        }
    }
}

/// Closed while the peer answers; open after a row of failures; then one probe at a time decides.
#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    trips: u32,
    open_until: Duration,
}

impl Breaker {
    fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some(wait) = self.paused(now) {
            return Err(wait);
        }
        if self.failures >= BREAK_AFTER {
            // This one is the probe; the others wait for its end.
            self.open_until = now + PROBE_LEASE;
        }
        Ok(())
    }

    fn paused(&self, now: Duration) -> Option<Duration> {
        let open = self.failures >= BREAK_AFTER && now < self.open_until;
        open.then(|| self.open_until - now)
    }

    fn record(&mut self, answered: bool, now: Duration) {
        if answered {
            *self = Self::default();
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let probing = self.failures > BREAK_AFTER && now < self.open_until;
        if self.failures == BREAK_AFTER || probing {
            self.trips += 1;
            self.open_until = now + Intervals::doubling(FIRST_WINDOW, LONGEST_WINDOW).after(self.trips);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn key(tenant: &str) -> (TenantId, ConnectionId) {
        (TenantId::new(tenant).unwrap(), ConnectionId::new("graph").unwrap())
    }

    #[test]
    fn retries_stay_a_tenth_of_the_traffic() {
        let (health, key) = (Health::default(), key("contoso"));
        let mut retries = 0;
        for _ in 0..10_000 {
            health.admit(&key, true, seconds(1)).unwrap();
            retries += u32::from(health.take_retry(&key, seconds(1)));
        }
        assert!((1_000..=1_010).contains(&retries), "{retries}");
        assert!(health.take_retry(&self::key("fabrikam"), seconds(1)), "counted per connection");
    }

    #[test]
    fn a_connection_with_little_traffic_gets_retries_back() {
        let (health, key) = (Health::default(), key("contoso"));
        while health.take_retry(&key, seconds(0)) {}
        assert!(!health.take_retry(&key, seconds(9)));
        assert!(health.take_retry(&key, seconds(11)));
    }

    #[test]
    fn a_peer_that_is_down_gets_one_probe_per_window() {
        let (health, key) = (Health::default(), key("contoso"));
        let mut sent = Vec::new();
        for second in 0..600 {
            for _ in 0..20 {
                if health.admit(&key, true, seconds(second)).is_ok() {
                    sent.push(second);
                    health.record(&key, false, seconds(second));
                }
            }
        }
        assert_eq!(sent.iter().filter(|second| **second == 0).count(), 8);
        assert_eq!(sent[8..12], [5, 15, 35, 75]);
        assert!(sent.len() <= 8 + 4 + 10, "{sent:?}");
        // One answer and everything goes again.
        health.admit(&key, true, seconds(700)).unwrap();
        assert!(health.admit(&key, true, seconds(700)).is_err());
        health.record(&key, true, seconds(700));
        for _ in 0..100 {
            health.admit(&key, true, seconds(700)).unwrap();
        }
    }

    #[test]
    fn quiet_connections_are_forgotten_and_so_are_those_that_failed_long_ago() {
        for fails in [false, true] {
            let health = Health::default();
            for number in 0..20_000 {
                let key = key(&format!("t{number}"));
                health.admit(&key, true, seconds(number)).unwrap();
                health.record(&key, !fails, seconds(number));
            }
            assert!(health.peers() <= MAX_QUIET + 1, "{}", health.peers());
        }
    }

    #[test]
    fn what_fails_now_is_not_forgotten_for_the_sake_of_others() {
        let health = Health::default();
        for _ in 0..BREAK_AFTER {
            health.admit(&key("down"), true, seconds(1)).unwrap();
            health.record(&key("down"), false, seconds(1));
        }
        for number in 0..20_000 {
            health.admit(&key(&format!("t{number}")), true, seconds(2)).unwrap();
        }
        assert!(health.admit(&key("down"), true, seconds(3)).is_err());
    }
}
