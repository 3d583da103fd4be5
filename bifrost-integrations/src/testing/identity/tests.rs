use serde_json::Value;

use super::*;
use crate::testing::client::{Caller, exchange, graph_token, seconds, world};
use crate::testing::outcome::SimOutcome;
use crate::testing::seed::{DEMO_CLIENT_ID, DEMO_CLIENT_SECRET};

fn code(outcome: &SimOutcome) -> u64 {
    outcome.json()["error_codes"][0].as_u64().unwrap_or_default()
}

#[test]
fn what_is_wrong_is_told_by_number() {
    let (sims, _) = world(|builder| builder);
    sims.identity().remove_app("fabrikam", DEMO_CLIENT_ID);
    sims.identity().withdraw_consent("adatum", DEMO_CLIENT_ID);
    let graph = "https://graph.microsoft.com";
    for (tenant, more, status, expected) in [
        ("contoso", vec![("client_secret", "wrong")], 401, 7_000_215),
        ("contoso", vec![("client_id", "9b0f0000-0000-4000-8000-000000000000")], 400, 700_016),
        ("nowhere", vec![], 400, 90_002),
        ("common", vec![], 400, 9_001_023),
        ("consumers", vec![], 400, 9_001_023),
        ("fabrikam", vec![], 400, 700_016),
        ("adatum", vec![], 400, 65_001),
        ("contoso", vec![("scope", "User.Read")], 400, 70_011),
        ("contoso", vec![("scope", "https://graph.microsoft.com/User.Read")], 400, 70_011),
        ("contoso", vec![("scope", "https://vault.azure.net/.default")], 400, 500_011),
        ("contoso", vec![("grant_type", "password")], 400, 70_003),
        ("contoso", vec![("grant_type", "refresh_token"), ("refresh_token", "x")], 400, 70_000),
    ] {
        let outcome = exchange(&sims, tenant, &more);
        assert_eq!(
            (outcome.status().unwrap().as_u16(), code(&outcome)),
            (status, expected),
            "{tenant} {more:?} {graph}"
        );
    }
    sims.identity().expire_secrets(DEMO_CLIENT_ID);
    assert_eq!(code(&exchange(&sims, "contoso", &[])), 7_000_222);
    assert_eq!(sims.identity().tokens_issued(), 0);
    assert_eq!(sims.identity().exchanges().len(), 13);
}

#[test]
fn a_tenant_is_named_by_short_name_domain_or_id() {
    let (sims, _) = world(|builder| builder);
    let id = sims.graph().tenant_id("contoso").unwrap();
    for name in ["contoso", "CONTOSO.com", "contoso.onmicrosoft.com", &id] {
        assert_eq!(exchange(&sims, name, &[]).status().unwrap(), 200, "{name}");
    }
}

#[test]
fn a_second_secret_outlives_the_first() {
    let (sims, clock) = world(|builder| builder);
    sims.identity().expire_secrets(DEMO_CLIENT_ID);
    let end = bifrost_core::Clock::now(&clock).saturating_add(seconds(60));
    sims.identity().add_secret(DEMO_CLIENT_ID, &Secret::from("second"), Some(end));
    let second = || code(&exchange(&sims, "contoso", &[("client_secret", "second")]));
    assert_eq!(second(), 0);
    clock.advance(seconds(60));
    assert_eq!(second(), 7_000_222);
}

#[test]
fn tokens_expire_by_the_clock_and_can_be_revoked() {
    let (sims, clock) = world(|builder| builder);
    sims.identity().set_access_lifetime(seconds(600));
    let caller = Caller::graph(&sims, "contoso");
    clock.advance(seconds(599));
    assert_eq!(caller.get("/users").0, 200);
    clock.advance(seconds(1));
    let (status, body) = caller.get("/users");
    assert_eq!((status, &body["error"]["code"]), (401, &Value::from("InvalidAuthenticationToken")));

    let fresh = Caller::graph(&sims, "contoso");
    let other = Caller::graph(&sims, "fabrikam");
    sims.identity().revoke_access_tokens("contoso");
    assert_eq!((fresh.get("/users").0, other.get("/users").0), (401, 200));
}

#[test]
fn failures_are_scripted_for_one_tenant() {
    let (sims, _) = world(|builder| builder);
    sims.identity().fail_next("contoso", AadError::MfaRequired);
    assert_eq!(code(&exchange(&sims, "fabrikam", &[])), 0);
    let refused = exchange(&sims, "contoso.com", &[]).json();
    assert_eq!(refused["error"], "interaction_required");
    assert!(refused["claims"].is_string());
    assert_eq!(code(&exchange(&sims, "contoso", &[])), 0);

    sims.identity().fail_always("contoso", AadError::ConditionalAccess);
    assert_eq!(code(&exchange(&sims, "contoso", &[])), 53_003);
    assert_eq!(code(&exchange(&sims, "contoso", &[])), 53_003);
    sims.identity().heal("contoso");
    assert_eq!(code(&exchange(&sims, "contoso", &[])), 0);

    sims.identity().throttle_next("contoso", RetryAfter::Seconds(17));
    let throttled = exchange(&sims, "contoso", &[]);
    assert_eq!(throttled.status().unwrap(), 429);
    assert_eq!(throttled.response().unwrap().headers["retry-after"], "17");
}

fn refresh(sims: &Simulators, tenant: &str, token: &str) -> SimOutcome {
    let more = [("grant_type", "refresh_token"), ("refresh_token", token)];
    exchange(sims, tenant, &more)
}

fn next(outcome: &SimOutcome) -> String {
    outcome.json()["refresh_token"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn refresh_tokens_rotate_and_work_for_every_tenant() {
    let (sims, _) = world(|builder| builder);
    let first = sims.identity().sign_in("provider", DEMO_CLIENT_ID).unwrap();
    let second = next(&refresh(&sims, "contoso", first.expose()));
    assert!(!second.is_empty() && second != first.expose());
    assert_eq!(refresh(&sims, "fabrikam", &second).status().unwrap(), 200);
    // As in production: the old one still works.
    assert_eq!(refresh(&sims, "contoso", first.expose()).status().unwrap(), 200);
    sims.identity().revoke_sign_ins("provider");
    assert_eq!(code(&refresh(&sims, "contoso", &second)), 50_173);
}

#[test]
fn reuse_detection_revokes_the_family() {
    let (sims, _) = world(|builder| {
        builder.with_identity_settings(IdentitySettings { reuse_detection: true, ..IdentitySettings::default() })
    });
    let first = sims.identity().sign_in("provider", DEMO_CLIENT_ID).unwrap();
    let second = next(&refresh(&sims, "contoso", first.expose()));
    assert_eq!(code(&refresh(&sims, "contoso", first.expose())), 50_173);
    assert_eq!(code(&refresh(&sims, "contoso", &second)), 50_173);
}

#[test]
fn an_idle_refresh_token_dies() {
    let (sims, clock) = world(|builder| builder);
    let token = sims.identity().sign_in("provider", DEMO_CLIENT_ID).unwrap();
    clock.advance(seconds(90 * 24 * 3600));
    assert_eq!(code(&refresh(&sims, "contoso", token.expose())), 700_082);
}

#[test]
fn neither_log_nor_debug_shows_a_secret() {
    let (sims, _) = world(|builder| builder);
    let token = graph_token(&sims, "contoso");
    let shown = format!("{:?} {:?} {:?}", sims.requests(), sims.identity().exchanges(), *sims.world());
    assert!(!shown.contains(DEMO_CLIENT_SECRET));
    let log = serde_json::to_string(&sims.requests()).unwrap();
    assert!(!log.contains(&token));
}
