//! Graph: people, groups, licences, batches and pages.

use bifrost_core::{ErrorKind, Secret};
use bifrost_integrations::graph::licenses::NO_LICENSE_LEFT;
use bifrost_integrations::graph::{Change, Filter, ListQuery, NewUser, User, UserUpdate, users};
use bifrost_integrations::testing::{Fault, FaultRule, Provider, RetryAfter};
use futures_util::TryStreamExt;

use super::World;

fn person(name: &str) -> NewUser {
    let upn = format!("{}@contoso.com", name.to_lowercase().replace(' ', "."));
    NewUser::new(upn, name, Secret::new("Initial-Pass-1"))
}

#[tokio::test(start_paused = true)]
async fn a_person_is_set_up_and_taken_down() {
    let world = World::new();
    let graph = world.graph();
    let created = graph.users().create(&person("Conan O'Brien").department("Sales")).await.unwrap();
    let upn = "conan.o'brien@contoso.com";
    assert_eq!(created.user_principal_name.as_deref(), Some(upn));
    let again = graph.users().create(&person("Conan O'Brien")).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists, "{again}");
    let found = graph.users().find_by_upn(upn).await.unwrap().unwrap();
    assert_eq!((&found.id, found.department.as_deref()), (&created.id, Some("Sales")));

    graph.users().update(&created.id, &UserUpdate::new().usage_location("IE")).await.unwrap();
    graph.licenses().assign_by_name(&created.id, "SPE_E3").await.unwrap();
    graph.licenses().assign_by_name(&created.id, "spe_e3").await.unwrap();
    let licensed = graph.users().get(&created.id).await.unwrap();
    let sku = graph.licenses().require_sku("SPE_E3").await.unwrap();
    assert!(licensed.has_license(sku.sku_id) && sku.consumed_units == 1);

    let group = graph.groups().require_by_name("Sales").await.unwrap();
    assert_eq!(graph.groups().add_member(&group.id, &created.id).await.unwrap(), Change::Made);
    assert_eq!(graph.groups().add_member(&group.id, &created.id).await.unwrap(), Change::AlreadyDone);
    assert_eq!(graph.groups().remove_member(&group.id, &created.id).await.unwrap(), Change::Made);
    assert_eq!(graph.groups().remove_member(&group.id, &created.id).await.unwrap(), Change::AlreadyDone);

    assert_eq!(graph.licenses().remove(&created.id, sku.sku_id).await.unwrap(), Change::Made);
    assert_eq!(graph.licenses().remove(&created.id, sku.sku_id).await.unwrap(), Change::AlreadyDone);
    assert_eq!(graph.users().delete(&created.id).await.unwrap(), Change::Made);
    assert_eq!(graph.users().delete(&created.id).await.unwrap(), Change::AlreadyDone);
    assert_eq!(graph.users().get_opt(&created.id).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn the_last_licence_is_gone() {
    let world = World::new();
    world.sims.graph().set_license_count("contoso", "SPE_E3", 0);
    let graph = world.graph();
    let user = graph.users().create(&person("Zoe").usage_location("CH")).await.unwrap();
    let error = graph.licenses().assign_by_name(&user.id, "SPE_E3").await.unwrap_err();
    assert_eq!((error.kind(), error.context("code")), (ErrorKind::Rejected, Some(NO_LICENSE_LEFT)), "{error}");
    assert_eq!(error.suggested_action(), Some("buy or free a licence of SKU SPE_E3"));
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged_filtered_and_counted() {
    let world = World::new();
    let graph = world.graph();
    let names: Vec<String> = (0..25).map(|number| format!("Person {number:02}")).collect();
    let creates = names.iter().map(|name| users::requests::create(&person(name)).unwrap()).collect();
    let answers = graph.batch(creates).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.status() == 201)), "{answers:?}");

    let query = ListQuery::new().filter(Filter::starts_with("displayName", "Person")).page_size(10);
    let all: Vec<User> = graph.users().list(&query).try_collect().await.unwrap();
    assert_eq!(all.len(), 25);
    let first = graph.users().page(&query).await.unwrap();
    assert_eq!(first.items.len(), 10);
    let token = serde_json::to_string(&first.next.unwrap()).unwrap();
    let second = graph.users().next_page(&serde_json::from_str(&token).unwrap()).await.unwrap();
    assert_eq!(second.items[..], all[10..20]);
    let filter = Filter::starts_with("displayName", "Person");
    assert_eq!(graph.users().count(Some(&filter)).await.unwrap(), 25);
    assert_eq!(graph.users().count(None).await.unwrap(), 26);
}

#[tokio::test(start_paused = true)]
async fn a_batch_survives_throttled_members() {
    let world = World::new();
    let graph = world.graph();
    let rule = FaultRule::new(Fault::throttled(RetryAfter::Decimal(2500))).on(Provider::Graph).path("*/users/admin@*");
    world.sims.script(rule.times(3));
    let calls = (0..5).map(|_| users::requests::get("admin@contoso.com").unwrap()).collect();
    let began = world.clock.monotonic();
    let answers = graph.batch(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let waited = (world.clock.monotonic() - began).as_secs_f64();
    assert!((2.5..3.5).contains(&waited), "waited {waited} s");
}

#[tokio::test(start_paused = true)]
async fn members_become_exactly_those_wanted() {
    let world = World::new();
    let graph = world.graph();
    let mut ids = Vec::new();
    for name in ["Ann", "Bob", "Cleo"] {
        ids.push(graph.users().create(&person(name)).await.unwrap().id);
    }
    let group = graph.groups().require_by_name("Engineering").await.unwrap().id;
    graph.groups().set_members(&group, &ids[..2]).await.unwrap();
    let plan = graph.groups().plan_members(&group, &ids[1..]).await.unwrap();
    assert_eq!((plan.add.len(), plan.remove.len(), plan.keep.len()), (1, 1, 1));
    graph.groups().set_members(&group, &ids[1..]).await.unwrap();
    let members: Vec<_> = graph.groups().members(&group).try_collect().await.unwrap();
    let mut members: Vec<String> = members.into_iter().map(|member| member.id).collect();
    members.sort();
    let mut wanted = ids[1..].to_vec();
    wanted.sort();
    assert_eq!(members, wanted);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_create_is_unknown_and_the_probe_finds_it() {
    let world = World::new();
    let graph = world.graph();
    let rule = FaultRule::new(Fault::DropAnswer).on(Provider::Graph).method("POST").path("/v1.0/users");
    world.sims.script(rule.times(1));
    let error = graph.users().create(&person("Dora")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownOutcome, "{error}");
    assert!(graph.users().find_by_upn("dora@contoso.com").await.unwrap().is_some());
    assert_eq!(world.sims.graph().user_count("contoso"), 2);
}
