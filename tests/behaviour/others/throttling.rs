//! A provider that says "slow down": it is believed, to the fraction of a second, and nothing is lost over it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bifrost::execution::ExecutionState;
use bifrost::http::scripted::{answer, json};
use bifrost::integration::Outbound;
use bifrost::policy::retry::RetryPolicy;
use bifrost::{Context, Error, Hub, Result, workflow};
use bytes::Bytes;
use futures_util::future::join_all;
use http::{Request, Response};

use crate::far::{Api, Far, LATENCY, Sent, connect, get, secret};
use crate::world::{Disk, contoso};

const SECOND: Duration = Duration::from_secs(1);

/// A hub whose far end answers API requests like this.
async fn hub(disk: &Disk, far: impl Fn(&Sent) -> Option<Response<Bytes>> + Send + Sync + 'static) -> (Hub, Far) {
    let far = Far::new(disk.clock(), move |sent| if sent.is_exchange() { None } else { far(sent) });
    (disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new()))).start().await.unwrap(), far)
}

/// Retries sent too early began the provider's window anew, so that it never ended. Here one refusal closes the gate for
/// everybody until the time that was named: of fifty callers none comes back early, and all are served.
#[tokio::test(start_paused = true)]
async fn msgraph_sdk_dotnet_250_a_retry_waits_out_the_window() {
    const WINDOW: Duration = Duration::from_secs(10);
    let disk = Disk::new();
    let windows: Arc<Mutex<Vec<Duration>>> = Arc::default();
    let seen = Arc::clone(&windows);
    let (hub, far) = hub(&disk, move |sent| {
        let mut windows = seen.lock().unwrap();
        let closed = windows.last().is_some_and(|began| sent.at < *began + WINDOW);
        // Whoever comes while it is closed begins it anew. It closes the first time without a cause.
        let closes = closed || (windows.is_empty() && sent.at > SECOND);
        closes.then(|| {
            windows.push(sent.at);
            answer(429, &[("retry-after", "10")], "")
        })
    })
    .await;
    let connection = connect(&contoso(&hub).await, secret()).await;
    let clock = disk.clock();
    let calls = (0..50_u32).map(|number| {
        let (connection, clock) = (connection.clone(), Arc::clone(&clock));
        async move {
            clock.sleep(SECOND * number / 10).await;
            connection.send(get(&format!("/things/{number}")).with_deadline(120 * SECOND)).await
        }
    });
    assert!(join_all(calls).await.into_iter().all(|answer| answer.is_ok()));
    let windows = windows.lock().unwrap().clone();
    // Those that were on their way when the first refusal came back could not know of it.
    let early = windows.iter().filter(|at| **at > windows[0] + 2 * LATENCY).count();
    assert_eq!(early, 0, "{windows:?}");
    assert!(far.calls().len() <= 50 + windows.len());
}

/// The body of a request was gone when it was sent again, and its content type with it, so that a write ended as 415.
/// Here a retry is the same request, whatever the first answer was: throttled, turned away, or an expired token.
#[tokio::test(start_paused = true)]
async fn msgraph_sdk_dotnet_435_a_retried_write_is_the_same_write() {
    for (status, header) in [(429, ("retry-after", "1")), (503, ("retry-after", "1")), (401, ("x", "y"))] {
        let disk = Disk::new();
        let first = Mutex::new(true);
        let (hub, far) = hub(&disk, move |_| {
            Some(if std::mem::take(&mut *first.lock().unwrap()) {
                answer(status, &[header], "")
            } else {
                json(201, "{}")
            })
        })
        .await;
        let connection = connect(&contoso(&hub).await, secret()).await;
        let request = Request::post("/things")
            .header("content-type", "application/json; charset=utf-8")
            .header("prefer", "return=minimal")
            .body(Bytes::from_static(r#"{"name":"Zoë"}"#.as_bytes()))
            .unwrap();
        let done = connection.send(Outbound::new(request, "/things")).await.unwrap();
        assert_eq!(done.status(), 201);
        let sent = far.calls();
        assert_eq!(sent.len(), 2, "{status}");
        for again in &sent {
            assert_eq!(again.body(), r#"{"name":"Zoë"}"#, "{status}");
            assert_eq!(again.header("content-type"), "application/json; charset=utf-8", "{status}");
            assert_eq!(again.header("prefer"), "return=minimal", "{status}");
            assert_eq!(again.request.method(), "POST");
        }
        let renewed = sent[0].header("authorization") != sent[1].header("authorization");
        assert_eq!(renewed, status == 401, "and the token is the one that is good now");
    }
}

/// `Retry-After` came as a decimal, or not at all, and clients that expected whole seconds failed or came back at once.
/// Here every form is waited out, and without one there is a pause of our own.
#[tokio::test(start_paused = true)]
async fn microsoft_graph_docs_3877_every_form_of_retry_after_is_waited_out() {
    let forms: [(Option<&str>, Duration, Duration); 8] = [
        (Some("7"), 7 * SECOND, 8 * SECOND),
        (Some("2.128"), Duration::from_millis(2_128), 3 * SECOND),
        (Some("0.249"), Duration::from_millis(249), SECOND),
        // The clock of these tests begins with the year.
        (Some("Thu, 01 Jan 2026 00:00:20 GMT"), 19 * SECOND, 21 * SECOND),
        (Some("soon"), SECOND, 4 * SECOND),
        (Some("-5"), SECOND, 4 * SECOND),
        (Some("NaN"), SECOND, 4 * SECOND),
        (None, SECOND, 4 * SECOND),
    ];
    for (form, least, most) in forms {
        let disk = Disk::new();
        let first = Mutex::new(true);
        let (hub, far) = hub(&disk, move |_| {
            let refused: Vec<_> = form.iter().map(|form| ("retry-after", *form)).collect();
            std::mem::take(&mut *first.lock().unwrap()).then(|| answer(429, &refused, ""))
        })
        .await;
        let connection = connect(&contoso(&hub).await, secret()).await;
        connection.send(get("/things/1")).await.unwrap();
        let sent = far.calls();
        let waited = sent[1].at - (sent[0].at + LATENCY);
        assert!(waited >= least && waited <= most, "{form:?}: {waited:?}");
        assert_eq!(sent.len(), 2, "{form:?}");
    }
}

/// Ten retries five seconds apart gave up long before a window of 300 requests in five minutes had passed, and the work
/// was lost. Here the call ends when its own time does and says how long to wait, and the workflow's next attempt waits.
#[tokio::test(start_paused = true)]
async fn haloapi_31_a_window_of_five_minutes_is_waited_out_and_not_given_up() {
    for named in [true, false] {
        let disk = Disk::new();
        let far = Far::new(disk.clock(), move |sent| {
            let left = (300 * SECOND).checked_sub(sent.at).filter(|_| !sent.is_exchange())?;
            let left = left.as_secs_f64().to_string();
            Some(answer(429, if named { vec![("retry-after", left.as_str())] } else { vec![] }.as_slice(), ""))
        });
        let work = workflow("count", |ctx: Context, (): ()| async move {
            let api = ctx.connection("api").await?;
            ctx.step("count", || async { Ok(api.send(get("/things/1")).await?.status().as_u16()) }).await
        });
        let patient = RetryPolicy::attempts(10).with_delay(5 * SECOND, 60 * SECOND);
        let hub = disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new())));
        let hub = hub.with_workflow(work.unwrap().with_retry(patient)).start().await.unwrap();
        let tenant = contoso(&hub).await;
        connect(&tenant, secret()).await;
        let outcome = tenant.run("count", ()).await.unwrap().wait().await.unwrap();
        assert_eq!(outcome.state, ExecutionState::Succeeded, "{outcome:?}");
        let sent: Vec<Duration> = far.calls().iter().map(|sent| sent.at).collect();
        if named {
            assert_eq!(sent.len(), 2, "one that was refused, one that was not: {sent:?}");
        }
        assert!(sent.len() <= 20, "{sent:?}");
        let late = sent.iter().filter(|at| **at > 300 * SECOND).count();
        assert_eq!(late, 1, "{sent:?}");
    }
}

/// The same for failures that name no time: however many calls fail, retries are a small part of what is sent.
#[tokio::test(start_paused = true)]
async fn haloapi_31_retries_are_a_small_part_of_what_is_sent() {
    const CALLS: usize = 1_000;
    let disk = Disk::new();
    let (hub, far) = hub(&disk, |_| Some(answer(500, &[], ""))).await;
    let connection = connect(&contoso(&hub).await, secret()).await;
    let calls = (0..CALLS).map(|number| {
        let connection = connection.clone();
        async move { connection.send(get(&format!("/things/{number}"))).await }
    });
    let answers: Vec<Result<_, Error>> = join_all(calls).await;
    assert!(answers.iter().all(Result::is_err));
    let sent = far.calls().len();
    assert!(sent > CALLS && sent <= CALLS + CALLS / 10 + 20, "{sent}");
}
