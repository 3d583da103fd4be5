//! Promises of shared reads, in virtual time and against a scripted peer.

use bifrost_core::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost_core::testing::{SeededEntropy, TokioClock};
use bifrost_core::{ErrorKind, Timestamp};
use futures_util::future::{join, join_all};
use http::Request;

use super::*;
use crate::http::scripted::{Reply, ScriptedTransport, json};
use crate::http::stack::tests::{Tokens, World, connection, connection_with, failing, world};
use crate::http::transport::TransportErrorKind;
use crate::http::{HttpStack, StackConfig};

/// A peer that takes `seconds` for each answer, which tells its place among the requests.
fn slow(seconds: u64) -> ScriptedTransport {
    slow_with(seconds, |place| Ok(json(200, place.to_string())))
}

fn slow_with(seconds: u64, reply: fn(usize) -> Reply) -> ScriptedTransport {
    let clock = TokioClock::starting_at(Timestamp::from_millis(0));
    (0..20).fold(ScriptedTransport::new(), |transport, place| {
        transport.then_async(move |_| {
            let sleep = clock.sleep(Duration::from_secs(seconds));
            async move {
                sleep.await;
                reply(place)
            }
            .boxed()
        })
    })
}

fn request(method: &str, uri: &str) -> Outbound {
    Outbound::new(Request::builder().method(method).uri(uri).body(Bytes::new()).unwrap(), "/users")
}

fn get(uri: &str) -> Outbound {
    request("GET", uri)
}

impl World {
    async fn body(&self, outbound: Outbound) -> String {
        let answer = self.stack.send(&self.connection, outbound).await.unwrap();
        String::from_utf8(answer.body().to_vec()).unwrap()
    }

    async fn after(&self, seconds: u64, outbound: Outbound) -> String {
        self.clock.sleep(Duration::from_secs(seconds)).await;
        self.body(outbound).await
    }

    fn sent(&self) -> usize {
        self.transport.requests().len()
    }

    fn is_quiet(&self) -> bool {
        self.stack.0.flights.lock().is_empty()
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_identical_reads_are_one_call() {
    let world = world(slow(5));
    let answers = join_all((0..100).map(|_| world.stack.send(&world.connection, get("/users?$top=9")))).await;
    for answer in answers.into_iter().map(Result::unwrap) {
        assert_eq!(answer.body(), "0");
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert_eq!(answer.extensions().get::<Method>(), Some(&Method::GET));
    }
    assert_eq!((world.sent(), world.stack.snapshot().units, world.stack.shared()), (1, 1, 99));
    assert!(world.is_quiet());
    assert_eq!(world.body(get("/users?$top=9")).await, "1", "an answer is not kept");
}

#[tokio::test(start_paused = true)]
async fn reads_that_differ_are_calls_of_their_own() {
    let marked = |name: &'static str| {
        let mut outbound = get("/users");
        outbound.request.headers_mut().insert(name, "eventual".parse().unwrap());
        outbound
    };
    let mut other_token = get("/users");
    other_token.token = Some(TokenKey::new("example", ["some"]));
    let mut anonymous = get("/users");
    anonymous.request.extensions_mut().insert(Anonymous);
    let mut following = get("/users");
    following.request.extensions_mut().insert(FollowRedirects);
    let mut with_body = get("/users");
    *with_body.request.body_mut() = Bytes::from_static(b"{}");
    let once = get("/users").with_safety(Safety::Once);
    let others = [
        get("/users?$top=1"),
        marked("consistencylevel"),
        other_token,
        anonymous,
        following,
        with_body,
        once,
        request("HEAD", "/users"),
    ];
    for other in others {
        let (world, what) = (world(slow(5)), format!("{other:?}"));
        join(world.body(get("/users")), world.body(other)).await;
        assert_eq!((world.sent(), world.stack.shared()), (2, 0), "{what}");
    }
    let world = world(slow(5));
    join(world.body(get("/users")), world.body(marked("authorization"))).await;
    assert_eq!(world.sent(), 1, "a header that is not sent makes no difference");
}

#[tokio::test(start_paused = true)]
async fn tenants_and_connections_never_share() {
    let world = world(slow(5));
    let tokens = Arc::new(Tokens::default());
    let others = [("contoso", "main"), ("fabrikam", "main"), ("contoso", "other"), ("fabrikam", "main")];
    let others = others.map(|(tenant, id)| connection(tenant, id, Arc::clone(&tokens)));
    join_all(others.iter().map(|connection| world.stack.send(connection, get("/users")))).await;
    assert_eq!((world.sent(), world.stack.shared()), (3, 1));

    let settings = ConnectionSettings::new(world.stack.descriptor().id.clone()).allow_private_host("api.example");
    let changed = connection_with(settings, "contoso", "main", tokens);
    let both = [&others[0], &changed];
    join_all(both.map(|connection| world.stack.send(connection, get("/users")))).await;
    assert_eq!((world.sent(), world.stack.shared()), (5, 1), "what was set anew since is another connection");
}

#[tokio::test(start_paused = true)]
async fn a_read_never_joins_one_that_began_before_a_write() {
    let world = world(slow(10));
    // Sent at 0 (read), 1 (write, until 11), 2 (read) and 11.5 (read): each place tells whose answer it was.
    let write = async {
        world.clock.sleep(Duration::from_secs(1)).await;
        world.body(request("POST", "/users")).await;
        world.clock.sleep(Duration::from_millis(500)).await;
        world.body(get("/users")).await
    };
    let reads = join(world.body(get("/users")), join(world.after(2, get("/users")), world.after(3, get("/users"))));
    let ((before, (during, joined)), after) = join(reads, write).await;
    assert_eq!([before, during, joined, after], ["0", "2", "2", "3"]);
    assert!(world.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn a_call_outlives_the_caller_who_started_it() {
    let world = Arc::new(world(slow(10)));
    let spawn = |world: &Arc<World>| {
        let world = Arc::clone(world);
        tokio::spawn(async move { world.body(get("/users")).await })
    };
    let leader = spawn(&world);
    world.clock.sleep(Duration::from_secs(1)).await;
    let followers = [spawn(&world), spawn(&world)];
    world.clock.sleep(Duration::from_secs(1)).await;
    leader.abort();
    for follower in followers {
        assert_eq!(follower.await.unwrap(), "0");
    }
    assert_eq!((world.sent(), world.clock.monotonic()), (1, Duration::from_secs(10)));

    let last = spawn(&world);
    world.clock.sleep(Duration::from_secs(1)).await;
    assert!(!world.is_quiet());
    last.abort();
    assert!(last.await.is_err());
    assert!(world.is_quiet(), "a call nobody waits for is given up");
    assert_eq!(world.body(get("/users")).await, "2");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_shared_and_its_attempts_are_made_once() {
    let world = world(slow_with(1, |_| failing(TransportErrorKind::Lost)));
    let failures = join_all((0..50).map(|_| world.stack.send(&world.connection, get("/users")))).await;
    for failed in failures.into_iter().map(Result::unwrap_err) {
        assert_eq!((failed.kind(), failed.context("attempt")), (ErrorKind::Unavailable, Some("4")));
        assert_eq!((failed.context("tenant"), failed.context("endpoint")), (Some("contoso"), Some("/users")));
    }
    assert_eq!((world.sent(), world.stack.snapshot().calls), (4, 4));
    assert!(world.is_quiet());
}

#[tokio::test(start_paused = true)]
async fn each_caller_keeps_its_own_deadline() {
    let within = |seconds| get("/users").with_deadline(Duration::from_secs(seconds));
    // The one who started it is impatient: the others still get their answer.
    let world = world(slow(10));
    let send = |seconds| world.stack.send(&world.connection, within(seconds));
    let impatient = async {
        let failed = send(3).await.unwrap_err();
        (failed.kind(), world.clock.monotonic())
    };
    let (impatient, patient) = join(impatient, send(60)).await;
    assert_eq!(impatient, (ErrorKind::Timeout, Duration::from_secs(3)));
    assert_eq!((patient.unwrap().status().as_u16(), world.sent()), (200, 2), "the first attempt had three seconds");

    // One who joins does not end earlier either, nor later.
    let world = self::world(slow(10));
    let send = |seconds| world.stack.send(&world.connection, within(seconds));
    let (patient, impatient) = join(send(60), async { (send(3).await, world.clock.monotonic()) }).await;
    assert_eq!((impatient.0.unwrap_err().kind(), impatient.1), (ErrorKind::Timeout, Duration::from_secs(3)));
    assert_eq!((patient.unwrap().status().as_u16(), world.sent()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn a_patient_caller_waits_longer_for_the_budget() {
    let mut world = world(slow(1));
    let (transport, entropy) = (Arc::new(world.transport.clone()), Arc::new(SeededEntropy::new(1)));
    let mut descriptor = world.stack.descriptor().clone();
    descriptor.limits.push(one_in_twenty_seconds());
    let builder = HttpStack::builder(descriptor, transport, Arc::clone(&world.clock), entropy);
    let config = StackConfig::at("https://api.example".parse().unwrap());
    world.stack = builder.with_config(config).build().unwrap();
    world.body(get("/first")).await;
    let within =
        |seconds| world.stack.send(&world.connection, get("/users").with_deadline(Duration::from_secs(seconds)));
    let (first, second) = join(within(10), within(60)).await;
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Timeout);
    assert_eq!((second.unwrap().status().as_u16(), world.sent()), (200, 2));
}

fn one_in_twenty_seconds() -> RateLimit {
    RateLimit {
        scope: LimitScope::Tenant,
        unit: LimitUnit::Units,
        amount: 1,
        per: Duration::from_secs(20),
        shape: LimitShape::Bucket,
        source: "test",
        as_of: "2026-08",
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_ends_with_its_deadline_says_why() {
    let world = world(ScriptedTransport::new());
    let url = Arc::new("https://api.example/".parse().unwrap());
    let key = Key::of(&world.connection, &get("/users"), &url).unwrap();
    let (until, clock) = (Duration::from_secs(1), Arc::clone(&world.clock));
    let joined = Flights::default().join(key, world.clock.as_ref(), until, |_| async move {
        // A timer may be late by a moment.
        clock.sleep(until + Duration::from_millis(1)).await;
        Err(Error::internal("test", "the cause").source(std::fmt::Error))
    });
    let failed = joined.answer(world.clock.as_ref()).await.unwrap_err();
    assert_eq!(failed.message(), "the cause");
    assert!(std::error::Error::source(&failed).is_some(), "a lone caller gets the failure itself");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_many_threads_whoever_stays_gets_the_answer() {
    let transport = (0..400).fold(ScriptedTransport::new(), |transport, _| {
        transport.then_async(|_| {
            let busy = async {
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                }
                Ok(json(200, "{}"))
            };
            busy.boxed()
        })
    });
    let world = Arc::new(world(transport));
    for round in 0..25 {
        let spawn = |_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.body(get("/users")).await })
        };
        let callers: Vec<_> = (0..16).map(spawn).collect();
        callers.iter().take(round % 16).for_each(|caller| caller.abort());
        for (place, caller) in join_all(callers).await.into_iter().enumerate() {
            assert!(place < round % 16 || caller.is_ok_and(|body| body == "{}"), "{place} in round {round}");
        }
    }
    assert!(world.is_quiet());
}
