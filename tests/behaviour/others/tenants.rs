//! What is kept for one tenant never serves another, whatever both call theirs.

use std::sync::Arc;
use std::time::Duration;

use bifrost::http::scripted::answer;
use bifrost::policy::rate::{LimitScope, LimitShape, LimitUnit, RateLimit};
use bifrost::testing::SeededEntropy;
use bifrost::{Context, Entropy, ErrorKind, NewTenant, Run, workflow};
use futures_util::future::join_all;
use serde_json::json;

use crate::far::{Api, Far, LATENCY, connect, read, secret};
use crate::provider::{self, Provider};
use crate::world::{Counter, Disk, contoso};

/// The cache of application tokens had no tenant in its key, so that a token of one tenant was used for another. Here a
/// token is kept by its tenant's own connection, however much two tenants have in common.
#[tokio::test(start_paused = true)]
async fn msal_dotnet_2381_a_token_of_one_tenant_never_serves_another() {
    let provider = Provider::new([]);
    let hub = provider::start(&Disk::new(), &provider).await;
    let a = provider::connect(&hub, provider::secret()).await;
    let b = hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
    b.connections().create("idp", provider::settings(), provider::secret()).await.unwrap();
    assert!(provider::token(&a).await.unwrap().starts_with("contoso-"));
    assert!(provider::token(&b).await.unwrap().starts_with("fabrikam-"));
}

/// The same once more for all that stands between a call and its answer: tokens, reads under way that are shared,
/// retries, in any order and across restarts. Both tenants use the same application, connection name and URLs.
#[tokio::test(start_paused = true)]
async fn msal_dotnet_2381_no_answer_ever_reaches_another_tenant() {
    let disk = Disk::new();
    let far = Far::new(disk.clock(), |sent| {
        // Some are refused once, so that they are tried again with a new token or after a while.
        let dice = sent.at.as_millis() % 7;
        match dice {
            0 if !sent.is_exchange() => Some(answer(401, &[], "")),
            1 if !sent.is_exchange() => Some(answer(429, &[("retry-after", "1")], "")),
            _ => None,
        }
    });
    let start = || disk.hub().with_integration(Arc::new(Api::new(&far, Vec::new()))).start();
    let hub = start().await.unwrap();
    let names = ["contoso", "fabrikam"];
    for name in names {
        connect(&hub.tenants().create(NewTenant::customer(name)).await.unwrap(), secret()).await;
    }
    let (dice, mut answers) = (SeededEntropy::new(5), 0);
    for _ in 0..8 {
        let hub = start().await.unwrap();
        for _ in 0..10 {
            let calls = (0..12).map(|_| {
                let name = names[usize::from(dice.fraction() < 0.5)];
                let path = format!("/things/{}", u32::from(dice.fraction() < 0.5));
                let hub = hub.clone();
                async move {
                    let connection = hub.tenant(name).unwrap().connections().get("api").await.unwrap();
                    (name, read(&connection, &path).await)
                }
            });
            for (name, answer) in join_all(calls).await {
                match answer {
                    Ok(answer) => assert_eq!(answer, name),
                    Err(error) => assert_eq!(error.context("tenant"), Some(name), "{error}"),
                }
                answers += 1;
            }
        }
    }
    let sent = far.calls().len();
    assert!(sent < answers, "{sent} of {answers} were sent: reads were shared, within each tenant");
}

/// A cache of API keys was keyed on the key alone, so that one organisation could act as another that had given the same
/// one. Here a caller's idempotency key, an execution's id and a name mean something within their tenant only.
#[tokio::test(start_paused = true)]
async fn stellar_disbursement_platform_1142_the_same_key_of_two_tenants_is_two_things() {
    let runs = Counter::default();
    let counted = runs.clone();
    let work = workflow("whoami", move |ctx: Context, (): ()| {
        counted.count();
        async move { Ok(ctx.info().tenant.to_string()) }
    });
    let hub = Disk::new().hub().with_workflow(work.unwrap()).start().await.unwrap();
    let (a, b) = (contoso(&hub).await, hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap());
    let run = || Run::new("whoami", ()).with_idempotency_key("2026-08");
    let (of_a, of_b) = (a.start(run()).await.unwrap(), b.start(run()).await.unwrap());
    assert_eq!(of_a.wait().await.unwrap().output, json!("contoso"));
    assert_eq!(of_b.wait().await.unwrap().output, json!("fabrikam"));
    assert_eq!((a.start(run()).await.unwrap().id(), runs.value()), (of_a.id(), 2), "each is its own tenant's");
    assert_eq!(b.execution(of_a.id()).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(b.cancel(of_a.id(), "not mine").await.unwrap_err().kind(), ErrorKind::NotFound);
    a.secrets().set("key", "of contoso").await.unwrap();
    assert!(b.secrets().names().await.unwrap().is_empty());
}

/// The same for limits: one tenant's "slow down", its used-up budget and its peer that is down stop nobody else,
/// although both call with one application over connections of one name.
#[tokio::test(start_paused = true)]
async fn stellar_disbursement_platform_1142_one_tenants_budget_is_not_anothers() {
    let disk = Disk::new();
    let per_connection = RateLimit {
        scope: LimitScope::Connection,
        unit: LimitUnit::Requests,
        amount: 20,
        per: Duration::from_secs(60),
        shape: LimitShape::Window,
        source: "made up",
        as_of: "2026-08",
    };
    for trouble in ["slow-down", "used-up", "down"] {
        let far = Far::new(disk.clock(), |sent| {
            let of_contoso = sent.header("authorization").contains("contoso");
            match sent.request.uri().path() {
                "/v1/slow-down" if of_contoso => Some(answer(429, &[("retry-after", "50")], "")),
                "/v1/down" if of_contoso => Some(answer(502, &[], "")),
                _ => None,
            }
        });
        let api = Arc::new(Api::new(&far, vec![per_connection.clone()]));
        let hub = Disk::new().hub().with_clock(disk.clock()).with_integration(api).start().await.unwrap();
        let a = connect(&contoso(&hub).await, secret()).await;
        let b = hub.tenants().create(NewTenant::customer("fabrikam")).await.unwrap();
        let b = connect(&b, secret()).await;
        let (path, clock) = (format!("/{trouble}"), disk.clock());
        let troubled = async {
            let own: Vec<String> = (0..40).map(|number| format!("{path}?{number}")).collect();
            join_all(own.iter().map(|path| read(&a, path))).await
        };
        let quiet = async {
            let mut slowest = Duration::ZERO;
            for _ in 0..15 {
                let before = clock.monotonic();
                assert_eq!(read(&b, &path).await.unwrap(), "fabrikam");
                slowest = slowest.max(clock.monotonic() - before);
                clock.sleep(Duration::from_millis(10)).await;
            }
            slowest
        };
        let before = clock.monotonic();
        let (_, slowest) = futures_util::future::join(troubled, quiet).await;
        assert!(clock.monotonic() - before > Duration::from_secs(1), "{trouble}: it was trouble");
        assert!(slowest <= 2 * LATENCY, "{trouble}: {slowest:?}, once with a token to be had first");
    }
}
