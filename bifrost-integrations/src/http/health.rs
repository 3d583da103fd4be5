//! How each connection's peer has been doing: few retries beside much traffic, none at all while it is down, and no
//! crowd at its door when it is back.

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
/// How much longer than an attempt may take the answer to the probe is waited for before the next one may go.
const BEYOND_ATTEMPT: Duration = Duration::from_secs(5);
/// The time over which traffic is averaged.
const USUAL_OVER: Duration = Duration::from_secs(30);
/// The least traffic that is taken for usual, in calls per second.
const LEAST_USUAL: f64 = 1.0;
/// How many times the usual traffic goes to a peer that has just come back; twice that after each [`DOUBLES_AFTER`].
const WELCOME: f64 = 2.0;
/// See [`WELCOME`].
const DOUBLES_AFTER: Duration = Duration::from_secs(60);
/// When nobody had to wait for this long, nobody has to any more.
const RAMP_ENDS_AFTER: Duration = Duration::from_secs(30);
/// Connections without failure are forgotten when there are more than this.
const MAX_QUIET: usize = 4_096;
/// A connection that nothing was sent over for this long is forgotten, whatever came of the last call.
const KEPT_FOR: Duration = Duration::from_secs(10 * 60);

/// The state of all connections. Times are readings of the hub's monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Health(Mutex<Peers>);

impl Health {
    /// After what time to ask again, while the peer is being left alone.
    pub(super) fn paused(&self, key: &(TenantId, ConnectionId), now: Duration) -> Option<Duration> {
        self.lock().known.get(key).and_then(|peer| peer.breaker.paused(now))
    }

    /// After what time a call has its turn: at once, but for a peer that was down a while ago and for which many wait. A
    /// turn that is further away than `limit` is not taken; how far it is, is the error.
    pub(super) fn turn(
        &self,
        key: &(TenantId, ConnectionId),
        limit: Duration,
        now: Duration,
    ) -> Result<Duration, Duration> {
        let mut peers = self.lock();
        let Some(peer) = peers.known.get_mut(key) else { return Ok(Duration::ZERO) };
        peer.ramp = peer.ramp.take().filter(|ramp| !ramp.is_over(now));
        peer.ramp.as_mut().map_or(Ok(Duration::ZERO), |ramp| ramp.turn(limit, now))
    }

    /// Whether a call may be sent now; if not, after what time to ask again. Counts as traffic when it may. Ask right
    /// before sending, and record the end: one of the calls after a pause is the probe that the others wait for, for no
    /// longer than an `attempt` may take.
    pub(super) fn admit(
        &self,
        key: &(TenantId, ConnectionId),
        first: bool,
        attempt: Duration,
        now: Duration,
    ) -> Result<(), Duration> {
        let mut peers = self.lock();
        let peer = peers.of(key, now);
        peer.breaker.admit(attempt + BEYOND_ATTEMPT, now)?;
        if first {
            peer.allowance.earn(now);
            peer.traffic.count(now);
        }
        Ok(())
    }

    /// Takes one retry from the allowance, if there is one.
    pub(super) fn take_retry(&self, key: &(TenantId, ConnectionId), now: Duration) -> bool {
        self.lock().of(key, now).allowance.take(now)
    }

    /// An attempt has ended: the peer answered, or it failed.
    pub(super) fn record(&self, key: &(TenantId, ConnectionId), answered: bool, now: Duration) {
        if let Some(peer) = self.lock().known.get_mut(key) {
            peer.record(answered, now);
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
struct Peers {
    known: HashMap<(TenantId, ConnectionId), Peer>,
    sweep_at: usize,
    sweep_by: Duration,
}

impl Default for Peers {
    fn default() -> Self {
        Self { known: HashMap::new(), sweep_at: MAX_QUIET, sweep_by: KEPT_FOR }
    }
}

impl Peers {
    fn of(&mut self, key: &(TenantId, ConnectionId), now: Duration) -> &mut Peer {
        let crowded = self.known.len() >= self.sweep_at && !self.known.contains_key(key);
        if crowded || now >= self.sweep_by {
            self.sweep(now);
        }
        let peer = self.known.entry(key.clone()).or_insert_with(|| Peer::new(now));
        peer.touched = now;
        peer
    }

    /// Forgets those that were not used for long, and where that is not enough, those that are well.
    fn sweep(&mut self, now: Duration) {
        self.known.retain(|_, peer| now.saturating_sub(peer.touched) < KEPT_FOR);
        if self.known.len() >= self.sweep_at {
            self.known.retain(|_, peer| !peer.is_quiet(now));
        }
        self.known.shrink_to(self.known.len() * 2);
        self.sweep_at = MAX_QUIET.max(self.known.len() * 2);
        self.sweep_by = now + KEPT_FOR;
    }
}

#[derive(Debug)]
struct Peer {
    allowance: Allowance,
    breaker: Breaker,
    touched: Duration,
    traffic: Traffic,
    /// What the traffic was before the peer went down.
    usual: f64,
    ramp: Option<Ramp>,
}

impl Peer {
    fn new(now: Duration) -> Self {
        Self {
            allowance: Allowance { balance: FLOOR, at: now },
            breaker: Breaker::default(),
            traffic: Traffic { rate: 0.0, at: now },
            usual: 0.0,
            ramp: None,
            touched: now,
        }
    }

    fn record(&mut self, answered: bool, now: Duration) {
        let was_open = self.breaker.is_open();
        self.breaker.record(answered, now);
        match (was_open, self.breaker.is_open()) {
            (true, false) => self.ramp = Some(Ramp::new(self.usual, now)),
            (false, true) => {
                let traffic = self.traffic.at(now);
                // Down again before all that waited was done: what was usual before still is.
                self.usual = self.ramp.take().map_or(traffic, |_| traffic.max(self.usual));
            }
            _ => {}
        }
    }

    /// Whether a new one would decide the same.
    fn is_quiet(&mut self, now: Duration) -> bool {
        self.allowance.regain(now);
        let ramps = self.ramp.as_ref().is_some_and(|ramp| !ramp.is_over(now));
        self.breaker.failures == 0 && self.allowance.balance >= FLOOR && !ramps
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
    fn admit(&mut self, lease: Duration, now: Duration) -> Result<(), Duration> {
        if let Some(wait) = self.paused(now) {
            return Err(wait);
        }
        if self.is_open() {
            // This one is the probe; the others wait for its end.
            self.open_until = now + lease;
        }
        Ok(())
    }

    /// Open, or waiting for the probe that decides.
    fn is_open(&self) -> bool {
        self.failures >= BREAK_AFTER
    }

    fn paused(&self, now: Duration) -> Option<Duration> {
        let open = self.is_open() && now < self.open_until;
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

/// Calls per second, averaged.
#[derive(Debug)]
struct Traffic {
    rate: f64,
    at: Duration,
}

impl Traffic {
    fn count(&mut self, now: Duration) {
        self.rate = self.at(now) + 1.0 / USUAL_OVER.as_secs_f64();
        self.at = self.at.max(now);
    }

    fn at(&self, now: Duration) -> f64 {
        let since = now.saturating_sub(self.at).as_secs_f64();
        self.rate * (-since / USUAL_OVER.as_secs_f64()).exp()
    }
}

/// A peer is back: what waited goes at a pace it was used to, one after the other.
#[derive(Debug)]
struct Ramp {
    rate: f64,
    since: Duration,
    next: Duration,
    /// When somebody last had to wait.
    waited: Duration,
}

impl Ramp {
    fn new(usual: f64, now: Duration) -> Self {
        Self { rate: WELCOME * usual.max(LEAST_USUAL), since: now, next: now, waited: now }
    }

    fn is_over(&self, now: Duration) -> bool {
        now.saturating_sub(self.waited) >= RAMP_ENDS_AFTER && self.next <= now
    }

    fn turn(&mut self, limit: Duration, now: Duration) -> Result<Duration, Duration> {
        let wait = self.next.saturating_sub(now);
        if !wait.is_zero() {
            self.waited = now;
        }
        if wait > limit {
            return Err(wait);
        }
        let doublings = (now.saturating_sub(self.since).as_secs_f64() / DOUBLES_AFTER.as_secs_f64()).min(20.0).floor();
        let interval = Duration::from_secs_f64(1.0 / (self.rate * doublings.exp2()));
        self.next = now + wait + interval;
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTEMPT: Duration = Duration::from_secs(30);

    #[test]
    fn a_peer_that_is_back_is_not_overrun() {
        let (health, key) = (Health::default(), key("contoso"));
        for second in 0..120 {
            for _ in 0..5 {
                health.admit(&key, true, ATTEMPT, seconds(second)).unwrap();
                health.record(&key, true, seconds(second));
            }
        }
        for _ in 0..BREAK_AFTER {
            health.admit(&key, true, ATTEMPT, seconds(120)).unwrap();
            health.record(&key, false, seconds(120));
        }
        health.admit(&key, true, ATTEMPT, seconds(130)).unwrap();
        health.record(&key, true, seconds(130));
        // Ten times the usual traffic waits.
        let turns: Vec<_> = (0..1_000).map(|_| health.turn(&key, seconds(10), seconds(130))).collect();
        let taken: Vec<Duration> = turns.iter().copied().filter_map(Result::ok).collect();
        assert!((80..=115).contains(&taken.len()), "{}", taken.len());
        let first_second = taken.iter().filter(|turn| **turn < seconds(1)).count();
        assert!((8..=11).contains(&first_second), "twice the usual: {first_second}");
        assert!(turns.last().unwrap().unwrap_err() > seconds(10), "whoever has less time is told how much it takes");
        // An hour later nobody waits.
        assert_eq!(health.turn(&key, seconds(10), seconds(4_000)), Ok(Duration::ZERO));
        assert_eq!(health.turn(&key, seconds(10), seconds(4_000)), Ok(Duration::ZERO));
    }

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
            health.admit(&key, true, ATTEMPT, seconds(1)).unwrap();
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
                if health.admit(&key, true, ATTEMPT, seconds(second)).is_ok() {
                    sent.push(second);
                    health.record(&key, false, seconds(second));
                }
            }
        }
        assert_eq!(sent.iter().filter(|second| **second == 0).count(), 8);
        assert_eq!(sent[8..12], [5, 15, 35, 75]);
        assert!(sent.len() <= 8 + 4 + 10, "{sent:?}");
        // One answer and everything goes again.
        health.admit(&key, true, ATTEMPT, seconds(700)).unwrap();
        assert!(health.admit(&key, true, ATTEMPT, seconds(700)).is_err());
        health.record(&key, true, seconds(700));
        for _ in 0..100 {
            health.admit(&key, true, ATTEMPT, seconds(700)).unwrap();
        }
    }

    #[test]
    fn quiet_connections_are_forgotten() {
        let health = Health::default();
        for number in 0..20_000 {
            health.admit(&key(&format!("t{number}")), true, ATTEMPT, seconds(number)).unwrap();
        }
        assert!(health.lock().known.len() <= MAX_QUIET + 1);
    }

    #[test]
    fn those_that_failed_and_were_never_used_again_are_forgotten_too() {
        let health = Health::default();
        for number in 0..20_000 {
            let key = key(&format!("t{number}"));
            health.admit(&key, true, ATTEMPT, seconds(number / 100)).unwrap();
            health.record(&key, false, seconds(number / 100));
        }
        assert_eq!(health.lock().known.len(), 20_000, "all of late");
        health.admit(&key("contoso"), true, ATTEMPT, seconds(10_000)).unwrap();
        assert_eq!(health.lock().known.len(), 1);
    }

    #[test]
    fn what_fails_now_is_not_forgotten_for_the_sake_of_others() {
        let health = Health::default();
        for _ in 0..BREAK_AFTER {
            health.admit(&key("down"), true, ATTEMPT, seconds(1)).unwrap();
            health.record(&key("down"), false, seconds(1));
        }
        for number in 0..20_000 {
            health.admit(&key(&format!("t{number}")), true, ATTEMPT, seconds(2)).unwrap();
        }
        assert!(health.admit(&key("down"), true, ATTEMPT, seconds(3)).is_err());
    }
}
