use serde_json::json;

use super::*;
use crate::testing::client::{Caller, halopsa_exchange, header, now, post_form, request, seconds, world};
use crate::testing::seed::DEMO_HALOPSA_CLIENT_ID;

fn demo() -> (Simulators, Caller) {
    let (sims, _) = world(|builder| builder);
    let caller = Caller::halopsa(&sims);
    (sims, caller)
}

#[test]
fn the_token_endpoint() {
    let (sims, _) = world(|builder| builder);
    let error = |more: &[(&str, &str)]| halopsa_exchange(&sims, more).json()["error"].clone();
    assert_eq!(error(&[("client_secret", "wrong")]), "invalid_client");
    assert_eq!(error(&[("client_id", "wrong")]), "invalid_client");
    assert_eq!(error(&[("grant_type", "wrong")]), "unsupported_grant_type");
    let elsewhere = post_form("https://demo.halopsa.com/auth/token?tenant=other", &[]);
    assert_eq!(now(&sims, elsewhere).status().unwrap(), 400);
    let without_tenant = post_form("https://demo.halopsa.com/auth/token", &[]);
    assert_eq!(now(&sims, without_tenant).json()["error"], "invalid_client");

    sims.halopsa().remove_agent(DEMO_HALOPSA_CLIENT_ID);
    let page = halopsa_exchange(&sims, &[]);
    assert_eq!(page.status().unwrap(), 500);
    assert!(header(page.response().unwrap(), "content-type").unwrap().starts_with("text/html"));
    sims.halopsa().restore_agent(DEMO_HALOPSA_CLIENT_ID);
    assert_eq!(halopsa_exchange(&sims, &[]).json()["expires_in"], 3600);
}

#[test]
fn a_refresh_token_works_once() {
    let (sims, _) = world(|builder| builder);
    assert_eq!(halopsa_exchange(&sims, &[]).json().get("refresh_token"), None);
    let first = halopsa_exchange(&sims, &[("scope", "all offline_access")]).json();
    let token = first["refresh_token"].as_str().unwrap();
    let refresh = || halopsa_exchange(&sims, &[("grant_type", "refresh_token"), ("refresh_token", token)]);
    assert!(refresh().json()["refresh_token"].is_string());
    assert_eq!(refresh().json()["error"], "invalid_grant");
}

#[test]
fn who_may_do_what() {
    let (sims, clock) = world(|builder| builder);
    let with_scope = |scope: &str| {
        let token = halopsa_exchange(&sims, &[("scope", scope)]).json()["access_token"].as_str().unwrap().to_owned();
        Caller { token, ..Caller::halopsa(&sims) }
    };
    let post = json!([{"summary": "x"}]);
    for (scope, read, write, clients) in [
        ("all", 200, 201, 200),
        ("read:tickets", 200, 403, 403),
        ("edit:tickets", 200, 201, 403),
        ("read:customers", 403, 403, 200),
    ] {
        let caller = with_scope(scope);
        let answers = (caller.get("/Tickets").0, caller.call("POST", "/Tickets", &post).0, caller.get("/Client").0);
        assert_eq!(answers, (read, write, clients), "{scope}");
        assert_eq!(caller.get("/Agent/me").1["name"], "Hub API");
    }
    let caller = with_scope("all");
    clock.advance(seconds(3600));
    assert_eq!(caller.get("/Tickets").0, 401);
}

#[test]
fn lists_have_their_envelopes() {
    let (_, caller) = demo();
    for (path, key) in [
        ("/Client", "clients"),
        ("/site", "sites"),
        ("/Users", "users"),
        ("/TICKETS", "tickets"),
        ("/Actions", "actions"),
    ] {
        let (status, body) = caller.get(path);
        assert_eq!(status, 200);
        assert_eq!(
            body["record_count"].as_u64().map(|count| count as usize),
            body[key].as_array().map(Vec::len),
            "{path}"
        );
    }
    for path in ["/Agent", "/Status", "/TicketType", "/Outcome"] {
        assert!(caller.get(path).1.is_array(), "{path}");
    }
    for path in ["/Ticket", "/Clients", "/Tickets/1", "/Tickets/x"] {
        assert_eq!(caller.get(path).0, 404, "{path}");
    }
}

#[test]
fn paging_needs_its_misspelt_switch() {
    let (sims, _) = world(|builder| builder.with_halopsa_limit(Rate::per_seconds(10_000, 300)));
    let caller = Caller::halopsa(&sims);
    for number in 0..120 {
        caller.call("POST", "/Tickets", &json!([{"summary": format!("ticket {number}")}]));
    }
    for (query, rows) in [
        ("", 50),
        ("?page_no=2&page_size=100", 50),
        ("?count=7", 7),
        ("?pageinate=true", 50),
        ("?pageinate=true&page_size=100&page_no=1", 100),
        ("?pageinate=true&page_size=100&page_no=2", 20),
        ("?pageinate=true&page_size=100&page_no=3", 0),
        ("?pageinate=true&page_size=999", 100),
        ("?no_such_filter=1&count=200", 120),
        ("?search=ticket 11&count=200", 11),
    ] {
        let (_, body) = caller.get(&format!("/Tickets{query}"));
        assert_eq!(body["tickets"].as_array().unwrap().len(), rows, "{query}");
    }
    let ordered = caller.get("/Tickets?order=id&orderdesc=true&count=1").1;
    assert_eq!(ordered["tickets"][0]["summary"], "ticket 119");
}

#[test]
fn a_ticket_from_creation_to_closing() {
    let (sims, caller) = demo();
    let client = sims.halopsa().client("Contoso").unwrap();
    let user = client.fields["main_contact_id"].as_i64().unwrap();
    let new = json!([{"summary": "New starter", "details_html": "<p>Ann</p>", "tickettype_id": 21, "user_id": user}]);
    let (status, ticket) = caller.call("POST", "/Tickets", &new);
    assert_eq!(status, 201);
    assert_eq!((&ticket["client_id"], &ticket["client_name"]), (&json!(client.id), &json!("Contoso")));
    assert_eq!((&ticket["status_id"], &ticket["dateclosed"]), (&json!(1), &json!("1900-01-01T00:00:00")));
    let id = ticket["id"].as_i64().unwrap();

    let action = |body: Value| caller.call("POST", "/Actions", &json!([body]));
    let (status, refused) = action(json!({"ticket_id": id, "note": "x"}));
    assert_eq!((status, refused), (400, json!("An Outcome must be entered for this Action")));
    assert_eq!(action(json!({"ticket_id": id + 1, "outcome_id": 7})).0, 404);
    let (status, first) = action(json!({"ticket_id": id, "outcome_id": 7, "note": "x", "timetaken": 0.25}));
    assert_eq!((status, &first["id"], &first["outcome"]), (201, &json!(1), &json!("Internal Note")));
    let second = action(json!({"ticket_id": id, "outcome": "time entry", "timetaken": 0.5, "new_status": 2})).1;
    assert_eq!(second["id"], 2);
    let now = sims.halopsa().ticket(id).unwrap();
    assert_eq!((now.time_taken, now.status_id), (0.75, 2));
    assert_eq!(sims.halopsa().time_entry_count(), 2);

    action(json!({"ticket_id": id, "outcome_id": 16}));
    let closed = caller.get(&format!("/Tickets/{id}")).1;
    assert_eq!((&closed["status_id"], &closed["hasbeenclosed"]), (&json!(9), &json!(true)));
    assert_eq!(caller.get("/Tickets?open_only=true").1["record_count"], 0);
    assert_eq!(caller.get(&format!("/Actions/2?ticket_id={id}")).1["timetaken"], 0.5);
    assert_eq!(caller.call("POST", "/Tickets", &json!([{"id": id, "status_id": 1}])).1["summary"], "New starter");
    assert_eq!(caller.call("DELETE", &format!("/Tickets/{id}?reason=test"), &Value::Null).0, 200);
    assert_eq!(sims.halopsa().action_count(), 0);
}

#[test]
fn writes_are_checked() {
    let (sims, caller) = demo();
    for (path, body) in [
        ("/Tickets", json!({"summary": "a bare object"})),
        ("/Tickets", json!([])),
        ("/Tickets", json!([1])),
        ("/Tickets", json!([{"details": "no summary"}])),
        ("/Tickets", json!([{"summary": "x", "client_id": 999}])),
        ("/Tickets", json!([{"summary": "x", "status_id": 77}])),
        ("/Tickets", json!([{"summary": "x", "client_id": 2.0}])),
        ("/Client", json!([{"toplevel_id": 1}])),
        ("/Site", json!([{"name": "x"}])),
        ("/Users", json!([{"site_id": 1}])),
        ("/Users", json!([{"name": "x"}])),
        ("/Actions", json!([{"outcome_id": 7}])),
    ] {
        assert_eq!(caller.call("POST", path, &body).0, 400, "{path} {body}");
    }
    assert_eq!(caller.call("POST", "/Tickets", &json!([{"id": 5, "summary": "x"}])).0, 404);
    assert_eq!(caller.call("POST", "/Status", &json!([{"name": "x"}])).0, 405);
    assert!(sims.halopsa().tickets().is_empty());
}

#[test]
fn a_client_is_born_with_site_and_general_user() {
    let (sims, caller) = demo();
    let (_, client) = caller.call("POST", "/Client", &json!([{"name": "Northwind", "newclient_sitename": "HQ"}]));
    let site = sims.halopsa().sites().into_iter().find(|site| site.name == "HQ").unwrap();
    assert_eq!(client["main_site_id"], site.id);
    let users = caller.get(&format!("/Users?client_id={}", client["id"])).1;
    assert_eq!(users["users"][0]["name"], "General User");
    assert_eq!(users["users"][0]["site_id"].to_string(), format!("{}.0", site.id), "numbers come with a fraction");

    let ann = json!([{"firstname": "Ann", "surname": "Lee", "site_id": site.id, "emailaddress": "ann@n.example", "azureoid": "abc"}]);
    assert_eq!(caller.call("POST", "/Users", &ann).1["name"], "Ann Lee");
    let filter = json!([{"filter_name": "azureoid", "filter_type": 2, "filter_value": "ABC"}]).to_string();
    let found = caller.get(&format!(
        "/Users?advanced_search={}",
        url::form_urlencoded::byte_serialize(filter.as_bytes()).collect::<String>()
    ));
    assert_eq!(found.1["record_count"], 1);
    // Nothing keeps a blind retry from making a second one.
    caller.call("POST", "/Users", &ann);
    assert_eq!(caller.get("/Users?search=ann lee").1["record_count"], 2);
}

#[test]
fn the_window_rolls_and_counts_token_requests() {
    let (sims, clock) = world(|builder| builder.with_halopsa_limit(Rate::per_seconds(3, 300)));
    let caller = Caller::halopsa(&sims);
    clock.advance(seconds(100));
    assert_eq!((caller.get("/Status").0, caller.get("/Status").0), (200, 200));
    let refused = caller.response("GET", "/Status", &Value::Null);
    assert_eq!(refused.status, 429);
    assert_eq!(header(&refused, "retry-after"), None);
    let text = String::from_utf8(refused.body.to_bytes().to_vec()).unwrap();
    assert_eq!(text, "Rate Limit Reached - 3 Requests per rolling 5 minute window");
    clock.advance(seconds(200));
    assert_eq!((caller.get("/Status").0, caller.get("/Status").0), (200, 429));
    sims.halopsa().set_limit(Rate::per_seconds(100, 300));
    assert_eq!(caller.get("/Status").0, 200);
}

#[test]
fn instances_are_apart() {
    let (sims, caller) = demo();
    let other = sims.halopsa().instance("other");
    other.add_app("app", &Secret::from("secret"));
    let form =
        [("grant_type", "client_credentials"), ("client_id", "app"), ("client_secret", "secret"), ("scope", "all")];
    let token = now(&sims, post_form("https://x.halopsa.com/auth/token?tenant=other", &form)).json();
    let token = token["access_token"].as_str().unwrap();
    let post = request("POST", "https://x.halopsa.com/api/Tickets", token, &json!([{"summary": "x"}]));
    assert_eq!(now(&sims, post).status().unwrap(), 201);
    assert_eq!((other.tickets().len(), sims.halopsa().tickets().len()), (1, 0));
    assert_eq!(caller.get("/Tickets").1["record_count"], 0);
}
