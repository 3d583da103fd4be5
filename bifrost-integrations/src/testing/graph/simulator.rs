//! The handle on the simulated Graph: looking in and making trouble.

use serde_json::{Map, Value};

use super::directory::{Directory, Members, assigned_skus, text};
use super::{GraphLimits, GraphSettings};
use crate::testing::call::Provider;
use crate::testing::limits::Rate;
use crate::testing::log::RequestRecord;
use crate::testing::seed;
use crate::testing::simulators::Simulators;

/// A user, as assertions want to see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GraphUser {
    /// The object id.
    pub id: String,
    /// The sign-in name.
    pub user_principal_name: String,
    /// The name shown.
    pub display_name: String,
    /// Whether the user may sign in.
    pub account_enabled: bool,
    /// Ids of the products assigned.
    pub licenses: Vec<String>,
    /// Every property that is set.
    pub properties: Value,
}

/// A group, as assertions want to see it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct GraphGroup {
    /// The object id.
    pub id: String,
    /// The name shown.
    pub display_name: String,
    /// Ids of the members, in the order of joining.
    pub members: Vec<String>,
    /// Every property that is set.
    pub properties: Value,
}

/// A product and its seats.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GraphLicense {
    /// The product's id.
    pub sku_id: String,
    /// The product's short name, such as `SPE_E3`.
    pub part_number: String,
    /// How many seats there are.
    pub enabled: u32,
    /// How many are taken.
    pub consumed: u32,
}

/// The simulated Graph, for assertions and for making trouble. Tenants are named by short name, domain or id; one that
/// does not exist has nothing in it.
#[derive(Debug, Clone)]
pub struct GraphSimulator(pub(in crate::testing) Simulators);

impl GraphSimulator {
    /// The id of a tenant.
    pub fn tenant_id(&self, tenant: &str) -> Option<String> {
        self.0.world().entra.find(tenant).map(|directory| directory.id.clone())
    }

    /// The short names of all tenants.
    pub fn tenants(&self) -> Vec<String> {
        self.0.world().entra.iter().map(|directory| directory.name.clone()).collect()
    }

    /// The users, in the order of creation.
    pub fn users(&self, tenant: &str) -> Vec<GraphUser> {
        let world = self.0.world();
        let users = world.entra.find(tenant).into_iter().flat_map(|directory| directory.users.iter());
        users.map(show_user).collect()
    }

    /// The user with this id or sign-in name.
    pub fn user(&self, tenant: &str, key: &str) -> Option<GraphUser> {
        let world = self.0.world();
        let directory = world.entra.find(tenant)?;
        let id = directory.user_id(key).ok()?;
        directory.users.get(&id).map(|user| show_user(&user.properties))
    }

    /// How many users there are.
    pub fn user_count(&self, tenant: &str) -> usize {
        self.0.world().entra.find(tenant).map_or(0, |directory| directory.users.len())
    }

    /// How many users and groups lie in the recycle bin.
    pub fn deleted_count(&self, tenant: &str) -> usize {
        self.0.world().entra.find(tenant).map_or(0, |directory| directory.deleted.len())
    }

    /// The groups, in the order of creation.
    pub fn groups(&self, tenant: &str) -> Vec<GraphGroup> {
        let world = self.0.world();
        let Some(directory) = world.entra.find(tenant) else {
            return Vec::new();
        };
        directory.groups.iter().map(|group| show_group(directory, group)).collect()
    }

    /// The first group with this name.
    pub fn group(&self, tenant: &str, display_name: &str) -> Option<GraphGroup> {
        self.groups(tenant).into_iter().find(|group| group.display_name == display_name)
    }

    /// The products and their seats.
    pub fn licenses(&self, tenant: &str) -> Vec<GraphLicense> {
        let world = self.0.world();
        let skus = world.entra.find(tenant).into_iter().flat_map(|directory| directory.skus.iter());
        let skus = skus.map(|sku| GraphLicense {
            sku_id: sku.id.clone(),
            part_number: sku.part_number.clone(),
            enabled: sku.enabled,
            consumed: sku.consumed,
        });
        skus.collect()
    }

    /// Sets how many seats of a product (id or short name) there are; a product the tenant does not have is added.
    pub fn set_license_count(&self, tenant: &str, product: &str, enabled: u32) {
        if let Some(directory) = self.0.world().entra.find_mut(tenant) {
            seed::set_license_count(directory, product, enabled);
        }
    }

    /// The settings in force.
    pub fn settings(&self) -> GraphSettings {
        self.0.world().graph.settings.clone()
    }

    /// Changes the settings. What was counted stays counted.
    pub fn set_settings(&self, settings: GraphSettings) {
        self.0.world().graph.settings = settings;
    }

    /// Changes the limits. What was counted stays counted.
    pub fn set_limits(&self, limits: GraphLimits) {
        self.0.world().graph.settings.limits = limits;
    }

    /// Limits the resource units of every application in every tenant.
    pub fn limit_tenant_units(&self, rate: Rate) {
        let mut world = self.0.world();
        let limits = world.graph.settings.limits.clone();
        world.graph.settings.limits = limits.with_tenant_units(rate);
    }

    /// The last requests to Graph, members of batches included, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.0.requests_to(Provider::Graph)
    }
}

fn show_user(user: &Map<String, Value>) -> GraphUser {
    let get = |name| text(user, name).unwrap_or_default().to_owned();
    GraphUser {
        id: get("id"),
        user_principal_name: get("userPrincipalName"),
        display_name: get("displayName"),
        account_enabled: user.get("accountEnabled") == Some(&Value::Bool(true)),
        licenses: assigned_skus(user),
        properties: Value::Object(user.clone()),
    }
}

fn show_group(directory: &Directory, group: &Map<String, Value>) -> GraphGroup {
    let id = text(group, "id").unwrap_or_default().to_owned();
    let members = directory.members.get(&id).into_iter().flat_map(Members::iter);
    GraphGroup {
        members: members.map(|(_, id)| id.to_owned()).collect(),
        display_name: text(group, "displayName").unwrap_or_default().to_owned(),
        properties: Value::Object(group.clone()),
        id,
    }
}
