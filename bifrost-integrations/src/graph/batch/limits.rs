//! What a batch says about limits: its own status is 200, and one of the answers inside asks to slow down.
//!
//! Inner calls count against the same limits as single ones (<https://learn.microsoft.com/graph/throttling#throttling-and-batching>),
//! so a refused one closes the budget for every caller of its scope, as if it had been sent alone.

use http::StatusCode;
use serde::de::IgnoredAny;

use super::{Answers, ENDPOINT, InnerAnswer};
use crate::graph::error::GraphClassifier;
use crate::http::classify::{Answer, Classifier, Closure};

/// The parts of the budget that the answers inside of `answer` close, each named once; none unless it is a batch.
pub(crate) fn closures(answer: &Answer<'_>) -> Vec<Closure> {
    if answer.endpoint != ENDPOINT {
        return Vec::new();
    }
    // What cannot be read says nothing here; whoever sent the batch learns of it.
    let inner = serde_json::from_slice::<Answers<IgnoredAny>>(answer.body).map(|answers| answers.responses);
    let named = inner.unwrap_or_default();
    named.iter().filter_map(|inner| closure(inner, answer)).fold(Vec::new(), longest)
}

fn closure(inner: &InnerAnswer<IgnoredAny>, outer: &Answer<'_>) -> Option<Closure> {
    let status = StatusCode::from_u16(inner.status).ok()?;
    if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
        return None;
    }
    let headers = inner.header_map();
    GraphClassifier.classify(&Answer { status, headers: &headers, body: &[], ..*outer }).close
}

/// Up to twenty answers tell of the same limit: the longest wait holds.
fn longest(mut known: Vec<Closure>, next: Closure) -> Vec<Closure> {
    match known.iter_mut().find(|known| (known.scope, known.direction) == (next.scope, next.direction)) {
        Some(same) => same.wait = same.wait.max(next.wait),
        None => known.push(next),
    }
    known
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use bifrost_core::policy::rate::LimitScope;
    use bifrost_core::testing::{SeededEntropy, TokioClock};
    use bifrost_core::{Clock, Connection, Error, ErrorKind, Result, Timestamp};
    use bytes::Bytes;
    use futures_util::future::join;
    use http::{HeaderMap, Method, Response};
    use serde_json::{Value, json};

    use crate::graph::users::requests;
    use crate::graph::{Graph, GraphIntegration};
    use crate::http::scripted::{ScriptedTransport, json as reply};
    use crate::http::signals::Direction;
    use crate::scripted::connect_over;

    use super::*;

    fn throttled(id: &str, status: u16, after: &str) -> Value {
        json!({"id": id, "status": status, "headers": {"Retry-After": after}})
    }

    fn done(id: &str) -> Value {
        json!({"id": id, "status": 204})
    }

    fn named(endpoint: &'static str, body: &str) -> Vec<(LimitScope, Direction, Option<u64>)> {
        let (status, headers, now) = (StatusCode::OK, HeaderMap::new(), Timestamp::default());
        let answer = Answer { status, headers: &headers, body: body.as_bytes(), method: &Method::POST, endpoint, now };
        let closures = GraphClassifier.closures(&answer);
        closures.iter().map(|found| (found.scope, found.direction, found.wait.map(|wait| wait.as_secs()))).collect()
    }

    #[test]
    fn each_limit_is_named_once_with_its_longest_wait() {
        let mut tenant = throttled("3", 429, "3");
        tenant["headers"]["x-ms-throttle-scope"] = "Tenant/Write/a/t".into();
        let all = json!({"responses": [
            throttled("0", 429, "5"), {"id": "1", "status": 429}, throttled("2", 503, "9"), tenant, done("4"),
            {"id": "5", "status": 503}, {"id": "6", "status": 404}, {"id": "7", "status": 0}, throttled("8", 429, "1"),
        ]});
        let expected =
            [(LimitScope::AppTenant, Direction::All, Some(9)), (LimitScope::Tenant, Direction::Writes, Some(3))];
        assert_eq!(named(ENDPOINT, &all.to_string()), expected);
        assert_eq!(named("/users", &all.to_string()), []);
        for hostile in ["", "null", "[]", r#"{"responses":[{"id":1,"status":429}]}"#, r#"{"responses":{}}"#] {
            assert_eq!(named(ENDPOINT, hostile), [], "{hostile}");
        }
    }

    struct World {
        clock: TokioClock,
        transport: ScriptedTransport,
        connection: Connection,
    }

    /// Graph's own stack. The peer refuses inner calls as `first` says, once, and accepts everything after that.
    fn world(first: Value) -> World {
        let clock = TokioClock::starting_at(Timestamp::from_millis(1_786_000_000_000));
        let transport = ScriptedTransport::new()
            .then(move |_| Ok(reply(200, json!({ "responses": first }).to_string())))
            .otherwise(|request| Ok(reply(200, accepted(request.body()).to_string())));
        let sender = Arc::new(transport.clone());
        let graph = GraphIntegration::over(sender, Arc::new(clock), Arc::new(SeededEntropy::new(1))).unwrap();
        let connection = connect_over(Arc::new(graph));
        World { clock, transport, connection }
    }

    fn accepted(body: &[u8]) -> Value {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let calls = asked["requests"].as_array().cloned().unwrap_or_default();
        let answers: Vec<Value> = calls.iter().filter_map(|call| call["id"].as_str()).map(done).collect();
        json!({ "responses": answers })
    }

    impl World {
        async fn batch(&self, ids: &[&str]) -> Vec<Result<Response<Bytes>>> {
            let graph = Graph::new(self.connection.clone()).unwrap().with_clock(Arc::new(self.clock));
            graph.batch(ids.iter().map(|id| requests::delete(id).unwrap()).collect()).await
        }

        fn seconds(&self) -> f64 {
            self.clock.monotonic().as_secs_f64()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_inner_refusal_holds_up_every_caller_of_its_scope_and_nobody_twice() {
        let world = world(json!([throttled("0", 429, "20"), done("1")]));
        let other = async {
            world.clock.sleep(Duration::from_secs(1)).await;
            world.connection.send(requests::get("x").unwrap()).await.unwrap();
            world.seconds()
        };
        let batch = async { (world.batch(&["a", "b"]).await, world.seconds()) };
        let ((answers, batch_done), other_done) = join(batch, other).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(world.transport.requests().len(), 3);
        // The node opens a little later than asked, at random, and then lets requests go one after the other.
        assert!((20.0..25.0).contains(&other_done), "{other_done}");
        assert!((20.0..25.0).contains(&batch_done), "{batch_done}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_outlasts_a_wait_that_is_longer_than_a_single_call() {
        let world = world(json!([throttled("0", 429, "200"), throttled("1", 429, "2")]));
        let answers = world.batch(&["a", "b"]).await;
        let failures: Vec<ErrorKind> =
            answers.iter().filter_map(|answer| answer.as_ref().err().map(Error::kind)).collect();
        assert_eq!(failures, []);
        assert!((200.0..215.0).contains(&world.seconds()), "{}", world.seconds());
    }
}
