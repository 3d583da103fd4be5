//! The world as a whole: faults, determinism, the socket, garbage.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bifrost_core::SystemClock;
use bytes::Bytes;
use futures_util::{FutureExt as _, TryStreamExt as _};
use http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::client::{Caller, exchange, graph_form, header, request, seconds, world};
use super::*;

fn new_ticket() -> Value {
    json!([{"summary": "x"}])
}

fn strike(fault: Fault) -> (Simulators, Caller) {
    let (sims, _) = world(|builder| builder);
    let caller = Caller::halopsa(&sims);
    sims.script(FaultRule::new(fault).on(Provider::Halopsa).times(1));
    (sims, caller)
}

#[test]
fn faults_take_effect_or_not_as_documented() {
    for (fault, applied) in [
        (Fault::status(500), 0),
        (Fault::throttled(RetryAfter::Absent), 0),
        (Fault::Reset, 0),
        (Fault::DropAnswer, 1),
        (Fault::MalformedJson, 1),
        (Fault::OversizedBody { bytes: 1000 }, 1),
        (Fault::CutBody { after_bytes: 3 }, 1),
        (Fault::SlowBody { pieces: 3, pause_millis: 1 }, 1),
        (Fault::Redirect { location: "https://elsewhere.example/".to_owned() }, 0),
        (Fault::Answer { status: 418, content_type: "text/plain".to_owned(), body: "x".to_owned() }, 0),
    ] {
        let (sims, caller) = strike(fault.clone());
        caller.outcome("POST", "/Tickets", &new_ticket());
        assert_eq!(sims.halopsa().tickets().len(), applied, "{fault:?}");
        assert_eq!(sims.requests().last().unwrap().fault, Some(fault.name()));
        assert_eq!(caller.call("POST", "/Tickets", &new_ticket()).0, 201, "once only: {fault:?}");
    }
}

#[test]
fn a_dropped_answer_invites_the_duplicate() {
    let (sims, caller) = strike(Fault::DropAnswer);
    assert_eq!(caller.outcome("POST", "/Tickets", &new_ticket()), SimOutcome::AnswerDropped);
    caller.call("POST", "/Tickets", &new_ticket());
    assert_eq!(sims.halopsa().tickets().len(), 2);
}

#[test]
fn a_late_answer_waits_for_the_clock_and_its_effect_does_not() {
    let (sims, clock) = world(|builder| builder);
    let token = client::halopsa_token(&sims);
    sims.script(FaultRule::new(Fault::Delay { millis: 30_000 }));
    let uri = "https://demo.halopsa.com/api/Tickets";
    let mut answer = Box::pin(sims.handle(request("POST", uri, &token, &new_ticket())));
    assert!(answer.as_mut().now_or_never().is_none());
    assert_eq!(sims.halopsa().tickets().len(), 1);
    clock.advance(seconds(30));
    assert_eq!(answer.now_or_never().unwrap().status().unwrap(), 201);

    sims.clear_faults();
    sims.script(FaultRule::new(Fault::Hang));
    let mut never = Box::pin(sims.handle(request("POST", uri, &token, &new_ticket())));
    assert!(never.as_mut().now_or_never().is_none());
    clock.advance(seconds(1_000_000));
    assert!(never.now_or_never().is_none());
}

#[test]
fn the_same_seed_and_requests_give_the_same_answers() {
    let run = |seed| {
        let (sims, _) = world(|builder| builder.with_seed(seed));
        let graph = Caller::graph(&sims, "contoso");
        let batch = json!({"requests": [
            {"id": "1", "method": "GET", "url": "/users"}, {"id": "2", "method": "GET", "url": "/groups"},
            {"id": "3", "method": "GET", "url": "/organization"}, {"id": "4", "method": "GET", "url": "/subscribedSkus"},
        ]});
        let answer = graph.call("POST", "/$batch", &batch).1.to_string();
        let failure = exchange(&sims, "nowhere", &[]).json().to_string();
        (answer, failure, graph.token, format!("{:?}", sims.requests()))
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn what_one_customer_draws_does_not_depend_on_another() {
    let ids = |order: [&str; 2]| {
        let (sims, _) = world(|builder| builder);
        for tenant in order {
            let group = json!({"displayName": "x", "mailEnabled": false, "mailNickname": "x", "securityEnabled": true});
            Caller::graph(&sims, tenant).call("POST", "/groups", &group);
        }
        ["contoso", "fabrikam"].map(|tenant| sims.graph().group(tenant, "x").unwrap().id)
    };
    assert_eq!(ids(["contoso", "fabrikam"]), ids(["fabrikam", "contoso"]));
}

#[test]
fn the_log_is_bounded_and_the_count_is_not() {
    let (sims, _) = world(|builder| builder.with_customers([]));
    for _ in 0..10_005 {
        client::now(&sims, Request::get("http://h/halopsa/api/x").body(Bytes::new()).unwrap());
    }
    assert_eq!((sims.requests().len(), sims.request_count()), (10_000, 10_005));
    assert_eq!(sims.requests()[0].number, 6);
}

#[tokio::test]
async fn state_counts_what_is_there() {
    let (sims, _) = world(|builder| builder);
    let caller = Caller::halopsa(&sims);
    let id = caller.call("POST", "/Tickets", &new_ticket()).1["id"].clone();
    caller.call("POST", "/Actions", &json!([{"ticket_id": id, "outcome_id": 12, "timetaken": 1.5}]));
    let state = sims.state().await;
    let counts = &state["counts"];
    assert_eq!(
        ["users", "tickets", "actions", "time_entries", "clients"].map(|name| counts[name].as_u64().unwrap()),
        [5, 1, 1, 1, 4]
    );
    assert_eq!(state["tenants"]["contoso"]["licences"]["SPE_E3"]["enabled"], 25);
    assert_eq!(state["log"].as_array().unwrap().len(), 3);
    assert_eq!(state["log"][2]["tenant"], "demo");
}

/// Sends bytes over a socket and returns what comes back, or the error that came instead.
async fn talk(address: SocketAddr, text: String) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(text.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

fn http_text(method: &str, path: &str, token: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: sims\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn read_answer(bytes: &[u8]) -> (u16, Value) {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or(Value::Null))
}

async fn serve() -> (Simulators, SimulatorServer) {
    let sims = Simulators::builder().with_clock(Arc::new(SystemClock::new())).build();
    let server = sims.serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    (sims, server)
}

#[tokio::test]
async fn the_same_world_over_a_socket() {
    let (sims, server) = serve().await;
    let at = server.local_addr();
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(graph_form(&[])).finish();
    let answer = talk(at, http_text("POST", "/identity/contoso/oauth2/v2.0/token", "", &form)).await.unwrap();
    let token = read_answer(&answer).1["access_token"].as_str().unwrap().to_owned();
    let answer = talk(at, http_text("GET", "/graph/v1.0/groups?$top=1", &token, "")).await.unwrap();
    let (status, page) = read_answer(&answer);
    assert_eq!(status, 200);
    let link = page["@odata.nextLink"].as_str().unwrap();
    assert!(link.starts_with("http://sims/graph/v1.0/groups?"), "{link}");
    assert_eq!(sims.graph().requests().len(), 1);
    assert_eq!(server.addresses().graph, format!("http://{at}/graph/v1.0"));

    server.shutdown().await;
    assert!(TcpStream::connect(at).await.is_err());
}

#[tokio::test]
async fn faults_are_real_on_a_socket() {
    let (sims, server) = serve().await;
    let at = server.local_addr();
    let token = client::halopsa_token(&sims);
    let post = || talk(at, http_text("POST", "/halopsa/api/Tickets", &token, "[{\"summary\":\"x\"}]"));
    let script = async |fault: &str| {
        let rule = format!("{{\"fault\":{fault},\"provider\":\"halopsa\",\"times\":1}}");
        let answer = talk(at, http_text("POST", "/_sim/faults", "", &rule)).await.unwrap();
        assert_eq!(read_answer(&answer).0, 201);
    };

    script(r#"{"kind":"reset"}"#).await;
    let reset = post().await;
    assert_eq!(reset.map_err(|error| error.kind()), Err(std::io::ErrorKind::ConnectionReset));
    assert_eq!(sims.halopsa().tickets().len(), 0);

    script(r#"{"kind":"drop_answer"}"#).await;
    assert_eq!(post().await.unwrap(), b"");
    assert_eq!(sims.halopsa().tickets().len(), 1);

    script(r#"{"kind":"cut_body","after_bytes":5}"#).await;
    let cut = post().await.unwrap();
    let text = String::from_utf8_lossy(&cut);
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body.len(), 5);
    assert!(head.to_lowercase().contains("content-length: "));

    script(r#"{"kind":"slow_body","pieces":4,"pause_millis":5}"#).await;
    assert_eq!(read_answer(&post().await.unwrap()).0, 201);

    script(r#"{"kind":"oversized_body","bytes":1000000}"#).await;
    assert!(post().await.unwrap().len() > 1_000_000);

    script(r#"{"kind":"hang"}"#).await;
    let clock = SystemClock::new();
    let hung = bifrost_core::time::within(&clock, Duration::from_millis(50), post()).await;
    assert!(hung.is_none());
    drop(server);
}

#[tokio::test]
async fn an_answer_for_http_keeps_its_breaks() {
    let (sims, caller) = strike(Fault::CutBody { after_bytes: 4 });
    let response = caller.response("GET", "/Status", &Value::Null);
    let announced = response.body.announced_length().to_string();
    let http = response.into_http(sims.clock().clone());
    assert_eq!(http.headers()["content-length"], announced.as_str());
    let mut body = http.into_body();
    assert_eq!(body.try_next().await.unwrap().unwrap().len(), 4);
    assert!(body.try_next().await.is_err());
}

#[test]
fn answers_carry_the_date_of_the_clock() {
    let (_, caller) = strike(Fault::status(503));
    let response = caller.response("GET", "/Status", &Value::Null);
    assert_eq!(header(&response, "date"), Some("Sun, 01 Mar 2026 08:00:00 GMT"));
}

/// Paths that come close to something the simulators know, and some that do not.
fn paths() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "/graph/v1.0/users",
        "/graph/v1.0/users/admin@contoso.com",
        "/graph/v1.0/groups",
        "/graph/v1.0/$batch",
        "/graph/v1.0/users/admin@contoso.com/assignLicense",
        "/graph/v1.0/directory/deletedItems/x/restore",
        "/graph/v1.0/subscribedSkus",
        "/identity/contoso/oauth2/v2.0/token",
        "/identity/common/oauth2/v2.0/token",
        "/halopsa/auth/token",
        "/halopsa/api/Tickets",
        "/halopsa/api/Tickets/2001",
        "/halopsa/api/Actions",
        "/halopsa/api/Actions/1",
        "/halopsa/api/Users",
        "/halopsa/api/Client",
        "/halopsa/api/Site",
        "/_sim/state",
        "/_sim/faults",
        "/",
    ]);
    let query = prop::option::of("[$a-z%=&'(),0-9]{0,30}");
    let options = prop::option::of(prop::sample::select(vec![
        "$filter=",
        "$top=",
        "$select=",
        "$skiptoken=sim",
        "$orderby=",
        "$search=",
        "page_no=",
        "ticket_id=",
        "search=",
    ]));
    (known, options, query)
        .prop_map(|(path, option, query)| format!("{path}?{}{}", option.unwrap_or_default(), query.unwrap_or_default()))
}

fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let near = prop::sample::select(vec![
        r#"[{"ticket_id":2001,"outcome_id":7,"timetaken":1e308,"new_status":-1}]"#,
        r#"[{"id":9223372036854775807,"summary":"x","client_id":1}]"#,
        r#"{"requests":[{"id":"1","method":"GET","url":"/$batch"},{"id":"é","method":"x y","url":"?"}]}"#,
        r#"{"addLicenses":[{}],"removeLicenses":[1]}"#,
        r#"{"members@odata.bind":["/"],"@odata.id":""}"#,
        "grant_type=client_credentials&client_id=&scope=%ff",
        r#"{"fault":{"kind":"aad","error":"revoked"}}"#,
    ]);
    prop_oneof![near.prop_map(|text| text.as_bytes().to_vec()), prop::collection::vec(any::<u8>(), 0..64)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn garbage_never_panics(
        method in prop::sample::select(vec!["GET", "POST", "PATCH", "DELETE", "PUT", "X"]),
        path in paths(),
        body in bodies(),
        signed_in in any::<bool>(),
    ) {
        let (sims, _) = world(|builder| builder);
        Caller::halopsa(&sims).call("POST", "/Tickets", &new_ticket());
        let token = match (signed_in, path.starts_with("/graph")) {
            (false, _) => "x".to_owned(),
            (true, true) => client::graph_token(&sims, "contoso"),
            (true, false) => client::halopsa_token(&sims),
        };
        if let Ok(request) = Request::builder()
            .method(method)
            .uri(format!("http://sims{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(body))
        {
            prop_assert!(sims.handle(request).now_or_never().is_some());
        }
        prop_assert!(sims.state().now_or_never().is_some());
    }

    #[test]
    fn garbage_over_a_path_never_panics(path in "/[ -~]{0,40}") {
        let (sims, _) = world(|builder| builder);
        if let Ok(request) = Request::get(format!("http://sims{path}")).body(Bytes::new()) {
            prop_assert!(sims.handle(request).now_or_never().is_some());
        }
    }
}
