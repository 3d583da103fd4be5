//! Every request the client can build, against the official description.

use bifrost_core::Secret;
use bifrost_core::integration::Outbound;
use url::Url;
use uuid::Uuid;

use super::{Filter, LicenseAssignment, ListQuery, NewUser, UserUpdate, groups, licenses, users};
use crate::description::Description;

const OFFICIAL: &str = include_str!("../../tests/data/graph-v1.0-slice.json");

/// An id that would change the request if it were not encoded.
const ODD: &str = "o'br/ien?#&$x@contoso.com";

fn full_query() -> ListQuery {
    ListQuery::new()
        .filter(Filter::eq("surname", "O'Brien & sons").and(Filter::ends_with("mail", "@contoso.com").not()))
        .search("displayName", "zoë")
        .order_by("displayName")
        .expand("manager")
        .page_size(10)
        .count()
}

fn new_user() -> NewUser {
    NewUser::new("zoe@contoso.com", "Zoë", Secret::new("p"))
        .given_name("Zoë")
        .surname("Müller")
        .mail_nickname("zoe")
        .usage_location("CH")
        .department("Sales")
        .job_title("Agent")
        .disabled()
        .keep_password()
}

fn all_updates() -> UserUpdate {
    UserUpdate::new()
        .usage_location("CH")
        .department("Sales")
        .job_title("Agent")
        .display_name("Zoë")
        .account_enabled(true)
        .clear("mobilePhone")
}

fn every_request() -> Vec<Outbound> {
    let base = Url::parse("https://graph.microsoft.com/v1.0").unwrap();
    let sku = Uuid::from_u128(1);
    let assignment = LicenseAssignment::new(sku).without_plans([Uuid::from_u128(2)]);
    [
        users::requests::list(&ListQuery::new()),
        users::requests::list(&full_query()),
        users::requests::count(None),
        users::requests::count(Some(&Filter::eq("accountEnabled", true))),
        users::requests::get(ODD),
        users::requests::create(&new_user()),
        users::requests::update(ODD, &all_updates()),
        users::requests::delete(ODD),
        groups::requests::list(&full_query()),
        groups::requests::get(ODD),
        groups::requests::members(ODD),
        groups::requests::add_member(&base, ODD, ODD),
        groups::requests::remove_member(ODD, ODD),
        licenses::requests::subscribed_skus(),
        licenses::requests::change(ODD, &[assignment], &[sku]),
    ]
    .into_iter()
    .map(Result::unwrap)
    .collect()
}

#[test]
fn every_request_is_in_the_official_description() {
    let official = Description::read(OFFICIAL);
    let requests = every_request();
    for request in &requests {
        official.expect(request);
    }
    official.expect_all_used(&requests);
}

#[test]
fn references_are_absolute_and_stay_one_object() {
    let base = Url::parse("https://graph.microsoft.us/v1.0").unwrap();
    let request = groups::requests::add_member(&base, "g", "a/b").unwrap();
    let body: serde_json::Value = serde_json::from_slice(request.request.body()).unwrap();
    assert_eq!(body["@odata.id"], "https://graph.microsoft.us/v1.0/directoryObjects/a%2Fb");
}
