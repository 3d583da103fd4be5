//! Exchanges that hang, fail and panic, and clocks that jump.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bifrost::store::memory::MemoryStore;
use bifrost::store::seal::EphemeralKey;
use bifrost::testing::{SeededEntropy, TokioClock};
use bifrost::{Clock, Hub, NewTenant, Tenant, Timestamp};
use futures_util::future::{BoxFuture, join_all};
use tokio::time::{Instant, sleep};

use super::platform::{Act, LATENCY, LIFETIME, Platform, Reuse, settings};
use crate::findings::Findings;
use crate::lab::Round;

/// The exchange deadline of the hub, and the longest delay after a first failure.
const DEADLINE: Duration = Duration::from_secs(30);
const DELAY: Duration = Duration::from_secs(2);

/// A clock whose wall can be set while waits go on.
#[derive(Debug)]
struct Jumping {
    inner: TokioClock,
    offset: AtomicI64,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.inner.now().as_millis() + self.offset.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.inner.sleep(duration)
    }
}

struct World {
    clock: Arc<Jumping>,
    platform: Platform,
    tenant: Tenant,
    _hub: Hub,
}

async fn world() -> World {
    let inner = TokioClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
    let clock = Arc::new(Jumping { inner, offset: AtomicI64::new(0) });
    let platform = Platform::new(Arc::clone(&clock) as Arc<dyn Clock>, Reuse::Strict);
    let hub = Hub::builder()
        .with_store(Arc::new(MemoryStore::new()), Arc::new(EphemeralKey::generate(Arc::new(SeededEntropy::new(1)))))
        .with_clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .with_integration(Arc::new(platform.clone()))
        .start()
        .await
        .unwrap();
    let tenant = hub.tenants().create(NewTenant::customer("contoso")).await.unwrap();
    tenant.connections().create("idp", settings(), platform.sign_in()).await.unwrap();
    World { clock, platform, tenant, _hub: hub }
}

/// Asks until there is a token, as a call with time left does: how long that took.
async fn served(tenant: &Tenant) -> Duration {
    let begun = Instant::now();
    loop {
        let connection = tenant.connections().get("idp").await.unwrap();
        let Err(error) = connection.tokens().token(&connection.default_token()).await else { return begun.elapsed() };
        let Some(wait) = error.retry_after() else { return Duration::MAX };
        if begun.elapsed() > Duration::from_secs(86_400) {
            return Duration::MAX;
        }
        sleep(wait).await;
    }
}

/// Whatever an exchange does, the callers of one failure share it, and whoever asks next is served in time.
pub(super) async fn next_caller_is_served(round: &Round, findings: &mut Findings) {
    let dice = round.dice();
    let acts = [Act::LostBefore, Act::Fail, Act::Panic];
    for _ in 0..round.scale(20, 400) {
        findings.attempt();
        let World { clock, platform, tenant, _hub } = world().await;
        let rows: Vec<Act> = (0..=dice.below(3)).map(|_| *dice.pick(&acts)).collect();
        platform.next(rows.iter().copied());
        // A wall clock that is set back must not prolong the wait.
        let jump = *dice.pick(&[0, -600_000, 600_000]);
        clock.offset.store(0, Ordering::SeqCst);
        let jumping = async {
            sleep(Duration::from_millis(dice.below(3_000))).await;
            clock.offset.store(jump, Ordering::SeqCst);
        };
        let crowd = join_all((0..20).map(|_| served(&tenant)));
        let (waits, ()) = futures_util::future::join(crowd, jumping).await;
        let allowed: Duration = rows.iter().zip(0..).map(|(_, n)| DEADLINE + DELAY * 2_u32.pow(n)).sum::<Duration>();
        let longest = waits.into_iter().max().unwrap();
        findings.check(longest <= allowed + LATENCY + Duration::from_secs(1), || {
            format!("after {rows:?} and a jump of {jump} ms a caller waited {longest:?}, allowed {allowed:?}")
        });
        let sent = platform.exchanges();
        findings.check(sent == rows.len() as u64 + 1, || format!("{rows:?} made {sent} exchanges"));
    }
}

/// The wall clock jumps by up to ten minutes while tokens live and expire: somebody who asks has a token at once or
/// after one exchange, and a token the platform has let expire is replaced by one exchange.
pub(super) async fn clocks_jump(round: &Round, findings: &mut Findings) {
    let dice = round.dice();
    let World { clock, platform, tenant, _hub } = world().await;
    for _ in 0..round.scale(200, 4_000) {
        findings.attempt();
        let jump = i64::try_from(dice.below(1_200_001)).unwrap() - 600_000;
        clock.offset.store(jump, Ordering::SeqCst);
        let before = platform.exchanges();
        let waited = served(&tenant).await;
        let sent = platform.exchanges() - before;
        findings.check(waited <= LATENCY * 2 && sent <= 1, || {
            format!("after a jump of {jump} ms a caller waited {waited:?} for {sent} exchanges")
        });
        if dice.chance(1, 4) {
            let connection = tenant.connections().get("idp").await.unwrap();
            let key = connection.default_token();
            let (token, before) = (connection.tokens().token(&key).await.unwrap(), platform.exchanges());
            let replaced = connection.tokens().replace(&key, &token).await;
            let sent = platform.exchanges() - before;
            // None where its renewal was under way already.
            let newer = replaced.as_ref().is_ok_and(|newer| newer.generation() > token.generation());
            findings.check(newer && sent <= 1, || format!("a refused token: {replaced:?}, {sent} exchanges"));
        }
        sleep(Duration::from_millis(dice.below(LIFETIME.as_millis() as u64 / 2))).await;
    }
    findings.check(!platform.is_revoked(), || "a refresh token was spent twice".to_owned());
}
