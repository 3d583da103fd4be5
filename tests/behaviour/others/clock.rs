//! A wall clock that jumps: waits are measured on the monotonic count, so nothing is slept through.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bifrost::http::scripted::answer;
use bifrost::policy::retry::RetryPolicy;
use bifrost::testing::TokioClock;
use bifrost::{Clock, Context, Error, ErrorKind, Retry, Timestamp, workflow};
use futures_util::future::BoxFuture;

use crate::far::{Api, Far, connect, get, read, secret};
use crate::world::{Disk, clock, contoso, pause};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: i64 = 3_600_000;
const JUMPS: [i64; 4] = [-24 * HOUR, -HOUR, HOUR, 24 * HOUR];

/// A clock whose wall time an administrator or NTP may set, while its monotonic count goes on.
#[derive(Debug)]
pub(crate) struct Jumping {
    steady: Arc<TokioClock>,
    moved: AtomicI64,
}

impl Jumping {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { steady: clock(), moved: AtomicI64::new(0) })
    }

    pub(crate) fn jump(&self, millis: i64) {
        self.moved.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.steady.now().as_millis() + self.moved.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.steady.monotonic()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.steady.sleep(duration)
    }
}

/// When the clock was set back, the scheduler slept for the whole jump, and recovery and check-in with it. Here a retry,
/// a pause and a deadline take as long as they say, whatever the wall clock does meanwhile.
#[tokio::test(start_paused = true)]
async fn quartznet_1490_a_clock_set_back_does_not_put_the_scheduler_to_sleep() {
    for jump in JUMPS {
        let clock = Jumping::new();
        let work = workflow("work", |ctx: Context, (): ()| async move {
            if ctx.info().attempt == 1 {
                return Err(Error::new(ErrorKind::Unavailable, "call", "down").retry(Retry::Later));
            }
            ctx.sleep(30 * SECOND).await;
            ctx.step("slow", std::future::pending::<bifrost::Result<()>>).await
        });
        let work = work
            .unwrap()
            .with_retry(RetryPolicy::attempts(2).with_delay(60 * SECOND, 60 * SECOND))
            .with_step_deadline(3_600 * SECOND)
            .with_run_deadline(600 * SECOND);
        let hub = Disk::new().hub().with_clock(clock.clone()).with_workflow(work).start().await.unwrap();
        let handle = contoso(&hub).await.run("work", ()).await.unwrap();
        pause(10 * SECOND).await;
        clock.jump(jump);
        let outcome = handle.wait().await.unwrap();
        assert_eq!(outcome.state, bifrost::ExecutionState::TimedOut, "{jump}");
        assert_eq!(handle.record().await.unwrap().attempt, 2, "{jump}");
        let took = clock.monotonic();
        assert!((600..602).contains(&took.as_secs()), "{jump}: {took:?}");
    }
}

/// The same for a provider's "slow down": its end is kept on the monotonic count, too.
#[tokio::test(start_paused = true)]
async fn quartznet_1490_a_throttled_call_goes_on_in_time_whatever_the_wall_clock_says() {
    for jump in JUMPS {
        let clock = Jumping::new();
        let far = Far::new(clock.clone(), |sent| {
            let throttled = !sent.is_exchange() && sent.at < 30 * SECOND;
            throttled.then(|| answer(429, &[("retry-after", "30")], ""))
        });
        let api = Arc::new(Api::new(&far, Vec::new()));
        let hub = Disk::new().hub().with_clock(clock.clone()).with_integration(api).start().await.unwrap();
        let connection = connect(&contoso(&hub).await, secret()).await;
        let jumping = clock.clone();
        tokio::spawn(async move {
            pause(10 * SECOND).await;
            jumping.jump(jump);
        });
        connection.send(get("/things/1")).await.unwrap();
        let took = clock.monotonic();
        assert!((30..33).contains(&took.as_secs()), "{jump}: {took:?}");
    }
}

/// And for tokens: one that the wall clock takes for live when it is dead costs one refused call, one that it takes for
/// dead one exchange, and both once.
#[tokio::test(start_paused = true)]
async fn quartznet_1490_tokens_outlive_no_clock_and_are_not_stormed_for() {
    for jump in JUMPS {
        let clock = Jumping::new();
        let issued = Arc::new(AtomicI64::new(-1));
        let issues = Arc::clone(&issued);
        let far = Far::new(clock.clone(), move |sent| {
            let now = i64::try_from(sent.at.as_millis()).unwrap();
            if sent.is_exchange() {
                issues.store(now, Ordering::SeqCst);
                return None;
            }
            // The provider's own clock is right: a token lives for an hour and not longer.
            (now - issues.load(Ordering::SeqCst) > HOUR).then(|| answer(401, &[], ""))
        });
        let api = Arc::new(Api::new(&far, Vec::new()));
        let hub = Disk::new().hub().with_clock(clock.clone()).with_integration(api).start().await.unwrap();
        let connection = connect(&contoso(&hub).await, secret()).await;
        for minute in 0..300 {
            if minute == 100 {
                clock.jump(jump);
            }
            if minute == 200 {
                clock.jump(-jump);
            }
            assert_eq!(read(&connection, "/things/1").await.unwrap(), "contoso", "{jump}: minute {minute}");
            pause(60 * SECOND).await;
        }
        let (calls, exchanges) = (far.calls().len(), far.exchanges().len());
        assert!(calls <= 302, "{jump}: {calls} calls, two of them in vain at most");
        assert!((5..=9).contains(&exchanges), "{jump}: {exchanges} exchanges in five hours");
    }
}
