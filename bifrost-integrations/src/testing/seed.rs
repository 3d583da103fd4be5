//! The world a simulation starts with: a provider, its customers, and the credentials that open them.
//!
//! Names, domains and people are made up; ids come from the seed.

use std::time::Duration;

use bifrost_core::{Secret, Timestamp};
use serde_json::{Map, Value, json};

use super::graph::{Directory, Object, Sku, graph_time};
use super::halopsa::HALOPSA_INSTANCE;
use super::random;
use super::world::World;

/// Client id of the demo application at the identity platform.
pub const DEMO_CLIENT_ID: &str = "b1f05700-0000-4000-8000-00000000d3e0";
/// Its secret. It opens nothing but simulators.
pub const DEMO_CLIENT_SECRET: &str = "demo-secret-for-simulators-only";
/// Client id of the demo application at HaloPSA.
pub const DEMO_HALOPSA_CLIENT_ID: &str = "b1f05700-0000-4000-8000-0000000d3e01";
/// Its secret. It opens nothing but simulators.
pub const DEMO_HALOPSA_CLIENT_SECRET: &str = "demo-halopsa-secret-for-simulators-only";
/// Short name of the provider's own tenant.
pub const PROVIDER_TENANT: &str = "provider";

/// Product ids as published at
/// <https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference>.
const PRODUCTS: [(&str, &str); 4] = [
    ("SPE_E3", "05e9a617-0261-4cee-bb44-138d3ef5d965"),
    ("O365_BUSINESS_PREMIUM", "f245ecc8-75af-4f8e-b61f-27d8114de5f3"),
    ("SPB", "cbdc14ab-d96c-4c30-b9f4-6ada7cdc1d46"),
    ("AAD_PREMIUM", "078d2b04-f1bd-4111-bbd4-b4b1b354cef4"),
];

/// What a customer starts with.
///
/// ```
/// use bifrost_integrations::testing::{Customer, Simulators};
///
/// let sims = Simulators::builder()
///     .with_customers([Customer::new("northwind", "Northwind", "northwind.example").with_license("SPE_E3", 5)])
///     .build();
/// assert_eq!(sims.graph().licenses("northwind")[0].enabled, 5);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Customer {
    name: String,
    display_name: String,
    domain: String,
    licenses: Vec<(String, u32)>,
    groups: Vec<String>,
    users: Vec<(String, String)>,
}

impl Customer {
    /// A customer with a short name, a name to show, one verified domain, the groups every customer has and no licences.
    pub fn new(name: impl Into<String>, display_name: impl Into<String>, domain: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            display_name: display_name.into(),
            domain: domain.into(),
            licenses: Vec::new(),
            groups: ["All Staff", "Sales", "Engineering", "Finance", "Support"].map(str::to_owned).to_vec(),
            users: Vec::new(),
        }
    }

    /// So many seats of a product, named like `SPE_E3`.
    #[must_use]
    pub fn with_license(mut self, part_number: impl Into<String>, seats: u32) -> Self {
        self.licenses.push((part_number.into(), seats));
        self
    }

    /// These security groups instead.
    #[must_use]
    pub fn with_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect();
        self
    }

    /// Somebody who is there already, beside the administrator every customer has.
    #[must_use]
    pub fn with_user(mut self, display_name: impl Into<String>, mail_nickname: impl Into<String>) -> Self {
        self.users.push((display_name.into(), mail_nickname.into()));
        self
    }

    /// This many more people, called `User 00001` and so on.
    #[must_use]
    pub fn with_many_users(mut self, count: usize) -> Self {
        self.users.extend((1..=count).map(|n| (format!("User {n:05}"), format!("user{n:05}"))));
        self
    }
}

/// The customers of the examples: Contoso, Fabrikam, where one of the new hires has a user already, and Adatum.
pub fn demo_customers() -> Vec<Customer> {
    let customer = |name: &str, display_name: &str, e3, premium| {
        Customer::new(name, display_name, format!("{name}.com"))
            .with_license("SPE_E3", e3)
            .with_license("O365_BUSINESS_PREMIUM", premium)
    };
    vec![
        customer("contoso", "Contoso", 25, 10),
        customer("fabrikam", "Fabrikam", 15, 10).with_user("Liam O'Connor", "liam.oconnor"),
        customer("adatum", "Adatum", 10, 5),
    ]
}

/// The provider's own tenant, its applications and its HaloPSA instance.
pub(super) fn provider(world: &mut World, now: Timestamp) {
    let domains = vec!["provider.example".to_owned()];
    let mut directory = Directory::new(world.seed, PROVIDER_TENANT, "Managed Service Provider", domains);
    directory.apps.insert(DEMO_CLIENT_ID.to_owned(), true);
    add_user(&mut directory, "Priya Operator", "priya", now);
    world.entra.add(directory);
    world.identity.add_secret(DEMO_CLIENT_ID, &Secret::from(DEMO_CLIENT_SECRET), None);
    world.halopsa.add_instance(HALOPSA_INSTANCE, now);
    world.halopsa.add_app(HALOPSA_INSTANCE, DEMO_HALOPSA_CLIENT_ID, &Secret::from(DEMO_HALOPSA_CLIENT_SECRET));
}

/// A tenant, and a client with site and general user in HaloPSA.
pub(super) fn add_customer(world: &mut World, customer: &Customer, now: Timestamp) {
    let domains = vec![customer.domain.clone(), format!("{}.onmicrosoft.com", customer.name)];
    let mut directory = Directory::new(world.seed, &customer.name, &customer.display_name, domains);
    directory.apps.insert(DEMO_CLIENT_ID.to_owned(), true);
    for (product, seats) in &customer.licenses {
        set_license_count(&mut directory, product, *seats);
    }
    for group in &customer.groups {
        add_group(&mut directory, group, now);
    }
    add_user(&mut directory, &format!("{} Admin", customer.display_name), "admin", now);
    for (display_name, nickname) in &customer.users {
        add_user(&mut directory, display_name, nickname, now);
    }
    world.halopsa.add_client(HALOPSA_INSTANCE, &customer.display_name, &customer.domain, &directory.id, now);
    world.entra.add(directory);
}

/// Sets the seats of a product; one the tenant does not have is added.
pub(super) fn set_license_count(directory: &mut Directory, product: &str, seats: u32) {
    let named = |sku: &&mut Sku| sku.part_number.eq_ignore_ascii_case(product) || sku.id.eq_ignore_ascii_case(product);
    if let Some(sku) = directory.skus.iter_mut().find(named) {
        sku.enabled = seats;
        return;
    }
    let published = PRODUCTS.iter().find(|(part, id)| part.eq_ignore_ascii_case(product) || *id == product);
    let (part_number, id) = match published {
        Some((part, id)) => ((*part).to_owned(), (*id).to_owned()),
        None => (product.to_owned(), random::guid(&directory.entropy)),
    };
    directory.skus.push(Sku { id, part_number, enabled: seats, consumed: 0 });
}

fn add_group(directory: &mut Directory, name: &str, now: Timestamp) {
    let id = random::guid(&directory.entropy);
    let nickname: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let group = json!({
        "id": id,
        "displayName": name,
        "mailEnabled": false,
        "mailNickname": nickname.to_lowercase(),
        "securityEnabled": true,
        "groupTypes": [],
        "createdDateTime": graph_time(now),
    });
    directory.groups.insert(&id, settled(group));
}

fn add_user(directory: &mut Directory, display_name: &str, nickname: &str, now: Timestamp) {
    let id = random::guid(&directory.entropy);
    let domain = directory.domains.first().cloned().unwrap_or_default();
    let user = json!({
        "id": id,
        "accountEnabled": true,
        "displayName": display_name,
        "mailNickname": nickname,
        "userPrincipalName": format!("{nickname}@{domain}"),
        "mail": format!("{nickname}@{domain}"),
        "usageLocation": "US",
        "userType": "Member",
        "createdDateTime": graph_time(now),
    });
    directory.insert_user(&id, settled(user));
}

fn settled(value: Value) -> Object {
    let properties = match value {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    Object { properties, settled: Duration::ZERO }
}
