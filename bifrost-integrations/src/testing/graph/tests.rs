use serde_json::json;

use super::*;
use crate::testing::client::{Caller, header, request, seconds, world};
use crate::testing::faults::{Fault, RetryAfter};
use crate::testing::limits::Rate;
use crate::testing::script::FaultRule;
use crate::testing::simulators::Simulators;

fn new_user(name: &str) -> Value {
    json!({
        "accountEnabled": true, "displayName": name, "mailNickname": name,
        "userPrincipalName": format!("{name}@contoso.com"), "usageLocation": "US",
        "passwordProfile": {"password": "Correct-Horse-7", "forceChangePasswordNextSignIn": true},
    })
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().unwrap().remove(name);
    body
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn contoso() -> (Simulators, Caller) {
    let (sims, _) = world(|builder| builder);
    let caller = Caller::graph(&sims, "contoso");
    (sims, caller)
}

#[test]
fn a_user_from_creation_to_restoration() {
    let (sims, caller) = contoso();
    let (status, user) = caller.call("POST", "/users", &new_user("ann"));
    assert_eq!((status, &user["displayName"]), (201, &json!("ann")));
    let id = user["id"].as_str().unwrap();
    assert_eq!(caller.get("/users/ann@contoso.com").1["id"], id);
    assert_eq!(user.get("accountEnabled"), None, "only default properties come unasked");

    let change = json!({"jobTitle": "Engineer", "usageLocation": null, "userPrincipalName": "anne@contoso.com"});
    assert_eq!(caller.call("PATCH", &format!("/users/{id}"), &change).0, 204);
    assert_eq!(caller.get("/users/ann@contoso.com").0, 404);
    let (_, shown) = caller.get("/users/anne@contoso.com?$select=jobTitle,usageLocation");
    assert_eq!((&shown["jobTitle"], &shown["usageLocation"]), (&json!("Engineer"), &Value::Null));

    assert_eq!(caller.call("DELETE", &format!("/users/{id}"), &Value::Null).0, 204);
    assert_eq!(caller.call("DELETE", &format!("/users/{id}"), &Value::Null).0, 404);
    assert_eq!(sims.graph().deleted_count("contoso"), 1);
    let deleted = caller.get("/directory/deletedItems/microsoft.graph.user").1;
    assert_eq!(deleted["value"][0]["id"], id);
    assert_eq!(caller.call("POST", &format!("/directory/deletedItems/{id}/restore"), &Value::Null).0, 200);
    assert_eq!(sims.graph().user("contoso", "anne@contoso.com").unwrap().id, id);
    assert_eq!(sims.graph().user_count("adatum"), 1, "tenants are apart");
}

#[test]
fn what_a_new_user_must_be() {
    let (sims, caller) = contoso();
    let good = new_user("ann");
    for (body, reason) in [
        (without(good.clone(), "accountEnabled"), "accountEnabled"),
        (without(good.clone(), "displayName"), "displayName"),
        (without(good.clone(), "mailNickname"), "mailNickname"),
        (without(good.clone(), "userPrincipalName"), "userPrincipalName"),
        (without(good.clone(), "passwordProfile"), "passwordProfile"),
        (with(good.clone(), "passwordProfile", json!({"password": "short"})), "complexity"),
        (with(good.clone(), "userPrincipalName", json!("ann@fabrikam.com")), "domain portion"),
        (with(good.clone(), "userPrincipalName", json!("a nn@contoso.com")), "invalid"),
        (with(good.clone(), "userPrincipalName", json!("admin@contoso.com")), "already exists"),
        (with(good.clone(), "usageLocation", json!("USA")), "usageLocation"),
        (with(good.clone(), "businessPhones", json!(["1", "2"])), "one element"),
        (with(good.clone(), "jobTitel", json!("x")), "jobTitel"),
        (with(good.clone(), "id", json!("x")), "Invalid property 'id'"),
        (json!([1]), "not a JSON object"),
    ] {
        let (status, answer) = caller.call("POST", "/users", &body);
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{reason}");
        assert!(message.contains(reason), "{reason}: {message}");
    }
    let (_, conflict) = caller.call("POST", "/users", &with(good, "userPrincipalName", json!("ADMIN@contoso.com")));
    assert_eq!(conflict["error"]["code"], "Request_BadRequest");
    assert_eq!(conflict["error"]["details"][0]["code"], "ObjectConflict");
    assert!(conflict["error"]["innerError"]["request-id"].is_string());
    assert_eq!(sims.graph().user_count("contoso"), 1);
}

#[test]
fn lists_come_in_pages_with_absolute_links() {
    let (_, caller) = contoso();
    for number in 0..7 {
        caller.call("POST", "/users", &new_user(&format!("user{number}")));
    }
    let mut seen = Vec::new();
    let mut next = Some("/users?$top=3&$select=displayName&$filter=startswith(displayName,'user')".to_owned());
    let mut pages = 0;
    while let Some(path) = next {
        let (status, page) = caller.get(&path);
        assert_eq!(status, 200, "{page}");
        seen.extend(
            page["value"].as_array().unwrap().iter().map(|user| user["displayName"].as_str().unwrap().to_owned()),
        );
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
        assert!(next.as_ref().is_none_or(|link| link.starts_with("https://graph.microsoft.com/v1.0/users?")));
        pages += 1;
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, (0..7).map(|number| format!("user{number}")).collect::<Vec<_>>());
}

#[test]
fn query_options() {
    let (sims, caller) = contoso();
    caller.call("POST", "/users", &with(new_user("ann"), "accountEnabled", json!(false)));
    for (path, status, expected) in [
        ("/users?$filter=userPrincipalName eq 'ANN@contoso.com'", 200, Some(1)),
        ("/users?$filter=accountEnabled eq true", 200, Some(1)),
        ("/users?$filter=accountEnabled ne true", 400, None),
        ("/users?$filter=nothing eq 'x'", 400, None),
        ("/users?$filter=displayName eq", 400, None),
        ("/users?$select=nothing", 400, None),
        ("/users?$skip=1", 400, None),
        ("/users?$top=0", 400, None),
        ("/users?$top=1000", 400, None),
        ("/users?$top=999", 200, Some(2)),
        ("/users?$skiptoken=stale", 400, None),
        ("/users?$search=\"displayName:ann\"", 400, None),
        ("/users/$count", 400, None),
        ("/groups?$filter=displayName eq 'all staff'", 200, Some(1)),
        ("/users?$orderby=displayName desc", 200, Some(2)),
    ] {
        let (answered, body) = caller.get(path);
        assert_eq!((answered, body["value"].as_array().map(Vec::len)), (status, expected), "{path}: {body}");
    }
    let count = caller.get("/users?$count=true").1;
    assert_eq!(count.get("@odata.count"), None, "without the header it is ignored");
    let uri = "https://graph.microsoft.com/v1.0/users?$count=true&$top=1&$filter=accountEnabled%20ne%20true";
    let mut eventual = request("GET", uri, &caller.token, &Value::Null);
    eventual.headers_mut().insert("consistencylevel", "eventual".parse().unwrap());
    assert_eq!(crate::testing::client::now(&sims, eventual).json()["@odata.count"], 1);
}

#[test]
fn members_join_and_leave() {
    let (sims, caller) = contoso();
    let ids: Vec<String> = (0..21)
        .map(|number| {
            caller.call("POST", "/users", &new_user(&format!("u{number}"))).1["id"].as_str().unwrap().to_owned()
        })
        .collect();
    let group = sims.graph().group("contoso", "Sales").unwrap().id;
    let reference = |id: &str| json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}")});
    let bind = |ids: &[String]| {
        let links: Vec<String> = ids.iter().map(|id| format!("https://graph.microsoft.com/v1.0/users/{id}")).collect();
        json!({"members@odata.bind": links})
    };
    let add = format!("/groups/{group}/members/$ref");
    assert_eq!(caller.call("POST", &add, &reference(&ids[0])).0, 204);
    let (status, again) = caller.call("POST", &add, &reference(&ids[0]));
    assert_eq!(status, 400);
    assert!(again["error"]["message"].as_str().unwrap().contains("already exist"));
    assert_eq!(caller.call("POST", &add, &reference("3f0e0000-0000-4000-8000-000000000000")).0, 404);

    let update = format!("/groups/{group}");
    assert_eq!(caller.call("PATCH", &update, &bind(&ids)).0, 400, "more than 20");
    assert_eq!(caller.call("PATCH", &update, &bind(&ids[..20])).0, 400, "one is a member already: nobody joins");
    assert_eq!(sims.graph().group("contoso", "Sales").unwrap().members.len(), 1);
    assert_eq!(caller.call("PATCH", &update, &bind(&ids[1..])).0, 204);
    assert_eq!(sims.graph().group("contoso", "Sales").unwrap().members, ids);

    let members = caller.get(&format!("/groups/{group}/members?$select=id&$top=5")).1;
    assert_eq!(members["value"][0], json!({"@odata.type": "#microsoft.graph.user", "id": ids[0]}));
    let remove = format!("/groups/{group}/members/{}/$ref", ids[3]);
    assert_eq!(caller.call("DELETE", &remove, &Value::Null).0, 204);
    assert_eq!(caller.call("DELETE", &remove, &Value::Null).0, 404);
    let of_user = caller.get(&format!("/users/{}/memberOf", ids[0])).1;
    assert_eq!(of_user["value"][0]["displayName"], "Sales");
}

#[test]
fn what_a_new_group_must_be() {
    let (_, caller) = contoso();
    let good = json!({"displayName": "Ops", "mailEnabled": false, "mailNickname": "ops", "securityEnabled": true});
    for name in ["displayName", "mailEnabled", "mailNickname", "securityEnabled"] {
        assert_eq!(caller.call("POST", "/groups", &without(good.clone(), name)).0, 400, "{name}");
    }
    assert_eq!(caller.call("POST", "/groups", &with(good.clone(), "mailNickname", json!("a b"))).0, 400);
    assert_eq!(caller.call("POST", "/groups", &with(good.clone(), "mailEnabled", json!(true))).0, 400);
    // Names are not unique.
    let ids = [(); 2].map(|()| caller.call("POST", "/groups", &good).1["id"].clone());
    assert_ne!(ids[0], ids[1]);
    let unified = with(with(good, "groupTypes", json!(["Unified"])), "mailEnabled", json!(true));
    let id = caller.call("POST", "/groups", &unified).1["id"].as_str().unwrap().to_owned();
    assert_eq!(caller.call("DELETE", &format!("/groups/{id}"), &Value::Null).0, 204);
    assert_eq!(caller.call("POST", &format!("/directory/deletedItems/{id}/restore"), &Value::Null).0, 200);
}

#[test]
fn seats_are_counted() {
    const E3: &str = "05e9a617-0261-4cee-bb44-138d3ef5d965";
    let (sims, caller) = contoso();
    sims.graph().set_license_count("contoso", "SPE_E3", 1);
    for name in ["ann", "bob"] {
        caller.call("POST", "/users", &new_user(name));
    }
    caller.call("POST", "/users", &without(new_user("nowhere"), "usageLocation"));
    let add = json!({"addLicenses": [{"skuId": E3, "disabledPlans": []}], "removeLicenses": []});
    let remove = json!({"addLicenses": [], "removeLicenses": [E3]});
    let unknown = json!({"addLicenses": [{"skuId": "x"}], "removeLicenses": []});
    for (user, body, status, reason) in [
        ("ann", without(add.clone(), "removeLicenses"), 400, "removeLicenses"),
        ("ann", without(add.clone(), "addLicenses"), 400, "addLicenses"),
        ("nowhere", add.clone(), 400, "usage location"),
        ("ann", unknown, 400, "valid company License"),
        ("ann", remove.clone(), 400, "corresponding license"),
        ("ann", add.clone(), 200, ""),
        ("ann", add.clone(), 200, ""),
        ("bob", add.clone(), 400, "does not have any available licenses"),
        ("ann", remove, 200, ""),
        ("bob", add, 200, ""),
    ] {
        let (answered, answer) = caller.call("POST", &format!("/users/{user}@contoso.com/assignLicense"), &body);
        assert_eq!(answered, status, "{user} {body} {answer}");
        assert!(answer["error"]["message"].as_str().unwrap_or_default().contains(reason), "{reason}: {answer}");
    }
    let skus = caller.get("/subscribedSkus").1;
    assert_eq!((&skus["value"][0]["skuPartNumber"], &skus["value"][0]["consumedUnits"]), (&json!("SPE_E3"), &json!(1)));
    caller.call("DELETE", "/users/bob@contoso.com", &Value::Null);
    assert_eq!(sims.graph().licenses("contoso")[0].consumed, 0);
}

#[test]
fn new_users_can_take_a_while_to_settle() {
    let (sims, clock) = world(|builder| {
        builder.with_graph_settings(GraphSettings { replication_delay: seconds(5), ..GraphSettings::default() })
    });
    let caller = Caller::graph(&sims, "contoso");
    let id = caller.call("POST", "/users", &new_user("ann")).1["id"].as_str().unwrap().to_owned();
    let group = sims.graph().group("contoso", "Sales").unwrap().id;
    let add =
        || caller.call("POST", &format!("/groups/{group}/members/$ref"), &json!({"@odata.id": format!("x/{id}")})).0;
    assert_eq!(add(), 404);
    clock.advance(seconds(5));
    assert_eq!(add(), 204);
}

#[test]
fn throttling_tells_who_why_and_how_long() {
    let limits = GraphLimits::default().with_tenant_units(Rate::per_seconds(10, 10));
    let (sims, clock) = world(|builder| builder.with_graph_limits(limits));
    let (contoso, fabrikam) = (Caller::graph(&sims, "contoso"), Caller::graph(&sims, "fabrikam"));
    let ask = |caller: &Caller| caller.response("GET", "/users", &Value::Null);
    for number in 1..=5 {
        let answer = ask(&contoso);
        assert_eq!((answer.status.as_u16(), header(&answer, "x-ms-resource-unit")), (200, Some("2")));
        assert_eq!(header(&answer, "x-ms-throttle-limit-percentage").is_some(), number == 5, "{number}");
    }
    let refused = ask(&contoso);
    assert_eq!(refused.status, 429);
    assert_eq!(header(&refused, "retry-after"), Some("4"));
    assert_eq!(header(&refused, "x-ms-throttle-information"), Some("ResourceUnitLimitExceeded"));
    assert!(header(&refused, "x-ms-throttle-scope").unwrap().starts_with("Tenant_Application/ReadWrite/"));
    assert_eq!(ask(&fabrikam).status, 200, "another customer is not concerned");
    clock.advance(seconds(4));
    assert_eq!(ask(&contoso).status, 200);
    assert_eq!(sims.throttled_count(), 1);
}

#[test]
fn batches() {
    let (sims, caller) = contoso();
    let body = json!({"requests": [
        {"id": "1", "method": "POST", "url": "/users", "headers": {"Content-Type": "application/json"}, "body": new_user("ann")},
        {"id": "2", "method": "GET", "url": "users/ann@contoso.com?$select=id", "dependsOn": ["1"]},
        {"id": "3", "method": "GET", "url": "/users/nobody@contoso.com"},
        {"id": "4", "method": "GET", "url": "/organization", "dependsOn": ["3"]},
        {"id": "5", "method": "GET", "url": "/groups"},
    ]});
    let rule = FaultRule::new(Fault::throttled(RetryAfter::Decimal(249))).path("/v1.0/groups").times(1);
    sims.script(rule);
    let (status, answer) = caller.call("POST", "/$batch", &body);
    assert_eq!(status, 200);
    let of = |id: &str| {
        let mut responses = answer["responses"].as_array().unwrap().iter();
        responses.find(|response| response["id"] == id).unwrap().clone()
    };
    assert_eq!(["1", "2", "3", "4", "5"].map(|id| of(id)["status"].as_u64().unwrap()), [201, 200, 404, 424, 429]);
    assert_eq!(of("5")["headers"]["Retry-After"], "0.249");
    assert_eq!(of("2")["body"]["id"], sims.graph().user("contoso", "ann@contoso.com").unwrap().id);
    let batched = sims.graph().requests().iter().filter(|record| record.batched).count();
    assert_eq!(batched, 4);
}

#[test]
fn malformed_batches_are_refused_whole() {
    let (_, caller) = contoso();
    let get = |id: &str| json!({"id": id, "method": "GET", "url": "/users"});
    let many: Vec<Value> = (0..21).map(|id| get(&id.to_string())).collect();
    for requests in [
        json!([]),
        json!(many),
        json!([get("a"), get("A")]),
        json!([{"id": "1", "method": "GET"}]),
        json!([{"method": "GET", "url": "/users"}]),
        json!([{"id": "1", "method": "GET", "url": "https://elsewhere/users"}]),
        json!([{"id": "1", "method": "POST", "url": "/users", "body": {}}]),
        json!([{"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]}]),
    ] {
        assert_eq!(caller.call("POST", "/$batch", &json!({"requests": requests})).0, 400, "{requests}");
    }
    let knot = json!([
        {"id": "1", "method": "GET", "url": "/users", "dependsOn": ["2"]},
        {"id": "2", "method": "GET", "url": "/users", "dependsOn": ["1"]},
    ]);
    let (_, answer) = caller.call("POST", "/$batch", &json!({"requests": knot}));
    assert!(answer["responses"].as_array().unwrap().iter().all(|response| response["status"] == 424));
}

#[test]
fn what_is_not_there() {
    let (_, caller) = contoso();
    for (method, path, status) in [
        ("GET", "/users/nobody", 404),
        ("GET", "/groups/3f0e0000-0000-4000-8000-000000000000", 404),
        ("GET", "/nothing", 400),
        ("GET", "/users/admin@contoso.com/nothing", 400),
        ("PUT", "/users", 405),
        ("GET", "https://graph.microsoft.com/v3.0/users", 400),
        ("GET", "/organization", 200),
    ] {
        assert_eq!(caller.call(method, path, &Value::Null).0, status, "{method} {path}");
    }
    let stranger = Caller { token: "stolen".to_owned(), ..caller };
    assert_eq!(stranger.get("/users").0, 401);
}
