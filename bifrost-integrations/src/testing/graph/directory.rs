//! The state of one Entra tenant: users, groups, memberships, licences, the recycle bin.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bifrost_core::Timestamp;
use bifrost_core::testing::SeededEntropy;
use serde_json::{Map, Value, json};

use super::error::GraphError;
use crate::testing::random;

/// All tenants, found by short name, domain or id.
#[derive(Debug, Default)]
pub(crate) struct Entra {
    directories: Vec<Directory>,
    index: HashMap<String, usize>,
}

impl Entra {
    /// Adds a tenant; one that has the same name, id or domain as another is found under its other names only.
    pub(crate) fn add(&mut self, directory: Directory) {
        let position = self.directories.len();
        let names = [directory.name.clone(), directory.id.clone()];
        for name in names.into_iter().chain(directory.domains.iter().cloned()) {
            self.index.entry(name.to_lowercase()).or_insert(position);
        }
        self.directories.push(directory);
    }

    pub(crate) fn find(&self, key: &str) -> Option<&Directory> {
        self.directories.get(*self.index.get(&key.to_lowercase())?)
    }

    pub(crate) fn find_mut(&mut self, key: &str) -> Option<&mut Directory> {
        self.directories.get_mut(*self.index.get(&key.to_lowercase())?)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Directory> {
        self.directories.iter()
    }
}

/// A subscription to a product, with so many seats.
#[derive(Debug, Clone)]
pub(crate) struct Sku {
    pub(crate) id: String,
    pub(crate) part_number: String,
    pub(crate) enabled: u32,
    pub(crate) consumed: u32,
}

/// An object with its place in the order of creation.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    pub(crate) properties: Map<String, Value>,
    /// References to it fail before this moment of the clock's monotonic count.
    pub(crate) settled: Duration,
}

/// Objects by id, listed in the order of creation.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    by_order: BTreeMap<u64, Object>,
    order_of: HashMap<String, u64>,
    last: u64,
}

impl Objects {
    pub(crate) fn insert(&mut self, id: &str, object: Object) {
        self.last += 1;
        self.by_order.insert(self.last, object);
        self.order_of.insert(id.to_owned(), self.last);
    }

    pub(crate) fn get(&self, id: &str) -> Option<&Object> {
        self.by_order.get(self.order_of.get(id)?)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Object> {
        self.by_order.get_mut(self.order_of.get(id)?)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Object> {
        self.by_order.remove(&self.order_of.remove(id)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_order.len()
    }

    /// Place and properties of those after `place`.
    pub(crate) fn after(&self, place: u64) -> impl Iterator<Item = (u64, &Map<String, Value>)> {
        let range = self.by_order.range((std::ops::Bound::Excluded(place), std::ops::Bound::Unbounded));
        range.map(|(place, object)| (*place, &object.properties))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.by_order.values().map(|object| &object.properties)
    }
}

/// The members of one group, in the order of joining.
#[derive(Debug, Default)]
pub(crate) struct Members {
    by_order: BTreeMap<u64, String>,
    order_of: HashMap<String, u64>,
    last: u64,
}

impl Members {
    /// False when it is a member already.
    pub(crate) fn add(&mut self, id: &str) -> bool {
        if self.order_of.contains_key(id) {
            return false;
        }
        self.last += 1;
        self.by_order.insert(self.last, id.to_owned());
        self.order_of.insert(id.to_owned(), self.last);
        true
    }

    pub(crate) fn remove(&mut self, id: &str) -> bool {
        let place = self.order_of.remove(id);
        place.is_some_and(|place| self.by_order.remove(&place).is_some())
    }

    pub(crate) fn contains(&self, id: &str) -> bool {
        self.order_of.contains_key(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &str)> {
        self.by_order.iter().map(|(place, id)| (*place, id.as_str()))
    }
}

/// A deleted object, to be restored within 30 days.
#[derive(Debug)]
pub(crate) struct Deleted {
    pub(crate) object: Object,
    pub(crate) is_user: bool,
    pub(crate) at: Timestamp,
    /// The groups a user was in.
    pub(crate) groups: Vec<String>,
}

/// One tenant.
#[derive(Debug)]
pub(crate) struct Directory {
    /// The short name used in tests and logs.
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) display_name: String,
    /// Verified domains, the default one first.
    pub(crate) domains: Vec<String>,
    /// The applications in the tenant, and whether they have consent.
    pub(crate) apps: BTreeMap<String, bool>,
    pub(crate) users: Objects,
    pub(crate) groups: Objects,
    pub(crate) members: BTreeMap<String, Members>,
    pub(crate) skus: Vec<Sku>,
    pub(crate) deleted: BTreeMap<String, Deleted>,
    pub(crate) entropy: SeededEntropy,
    by_upn: HashMap<String, String>,
}

impl Directory {
    pub(crate) fn new(seed: u64, name: &str, display_name: &str, domains: Vec<String>) -> Self {
        let entropy = random::stream(seed, &format!("tenant {name}"));
        Self {
            name: name.to_owned(),
            id: random::guid(&entropy),
            display_name: display_name.to_owned(),
            domains,
            apps: BTreeMap::new(),
            users: Objects::default(),
            groups: Objects::default(),
            members: BTreeMap::new(),
            skus: Vec::new(),
            deleted: BTreeMap::new(),
            entropy,
            by_upn: HashMap::new(),
        }
    }

    /// The id of the user that `key` names by id or user principal name.
    pub(crate) fn user_id(&self, key: &str) -> Result<String, GraphError> {
        if let Some(id) = self.by_upn.get(&key.to_lowercase()) {
            return Ok(id.clone());
        }
        let key = key.to_ascii_lowercase();
        match self.users.get(&key) {
            Some(_) => Ok(key),
            None => Err(GraphError::not_found(&key)),
        }
    }

    pub(crate) fn upn_taken(&self, upn: &str, by_other_than: Option<&str>) -> bool {
        let owner = self.by_upn.get(&upn.to_lowercase());
        owner.is_some_and(|owner| Some(owner.as_str()) != by_other_than)
    }

    pub(crate) fn insert_user(&mut self, id: &str, object: Object) {
        if let Some(upn) = text(&object.properties, "userPrincipalName") {
            self.by_upn.insert(upn.to_lowercase(), id.to_owned());
        }
        self.users.insert(id, object);
    }

    /// Changes properties of a user; null clears.
    pub(crate) fn update_user(&mut self, id: &str, changes: Map<String, Value>) {
        let Some(user) = self.users.get_mut(id) else { return };
        let before = text(&user.properties, "userPrincipalName").map(str::to_lowercase);
        merge(&mut user.properties, changes);
        let after = text(&user.properties, "userPrincipalName").map(str::to_lowercase);
        if before != after {
            before.map(|upn| self.by_upn.remove(&upn));
            after.map(|upn| self.by_upn.insert(upn, id.to_owned()));
        }
    }

    /// Moves a user to the recycle bin: out of its groups, licences free again.
    pub(crate) fn delete_user(&mut self, id: &str, now: Timestamp) {
        let Some(object) = self.users.remove(id) else { return };
        if let Some(upn) = text(&object.properties, "userPrincipalName") {
            self.by_upn.remove(&upn.to_lowercase());
        }
        for sku in assigned_skus(&object.properties) {
            self.release(&sku);
        }
        let groups = self.members.iter_mut().filter_map(|(group, members)| members.remove(id).then(|| group.clone()));
        let groups = groups.collect();
        self.recycle(id, object, true, groups, now);
    }

    /// Puts an object into the recycle bin, and empties what is older than 30 days.
    pub(crate) fn recycle(&mut self, id: &str, mut object: Object, is_user: bool, groups: Vec<String>, now: Timestamp) {
        const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
        self.deleted.retain(|_, deleted| now.since(deleted.at) < KEPT);
        object.properties.insert("deletedDateTime".to_owned(), graph_time(now).into());
        let deleted = Deleted { object, is_user, at: now, groups };
        self.deleted.insert(id.to_owned(), deleted);
    }

    /// Undoes a deletion.
    pub(crate) fn restore(&mut self, id: &str) -> Result<Map<String, Value>, GraphError> {
        let found = self.deleted.get(id).ok_or_else(|| GraphError::not_found(id))?;
        let upn = text(&found.object.properties, "userPrincipalName");
        if upn.is_some_and(|upn| self.upn_taken(upn, None)) {
            return Err(GraphError::conflict("userPrincipalName"));
        }
        let mut deleted = self.deleted.remove(id).ok_or_else(|| GraphError::not_found(id))?;
        deleted.object.properties.remove("deletedDateTime");
        if deleted.is_user {
            self.take_back_licences(&mut deleted.object.properties);
        }
        let shown = deleted.object.properties.clone();
        if deleted.is_user {
            self.insert_user(id, deleted.object);
        } else {
            self.groups.insert(id, deleted.object);
        }
        for group in deleted.groups {
            if let Some(members) = self.members.get_mut(&group) {
                members.add(id);
            }
        }
        Ok(shown)
    }

    /// A restored user gets those of its licences that are still to be had.
    fn take_back_licences(&mut self, user: &mut Map<String, Value>) {
        let Some(Value::Array(licences)) = user.get_mut("assignedLicenses") else {
            return;
        };
        licences.retain(|licence| {
            let sku = self.skus.iter_mut().find(|sku| licence["skuId"] == sku.id.as_str());
            let free = sku.filter(|sku| sku.consumed < sku.enabled);
            free.is_some_and(|sku| {
                sku.consumed += 1;
                true
            })
        });
    }

    pub(crate) fn release(&mut self, sku_id: &str) {
        if let Some(sku) = self.skus.iter_mut().find(|sku| sku.id == sku_id) {
            sku.consumed = sku.consumed.saturating_sub(1);
        }
    }

    pub(crate) fn organization(&self) -> Value {
        let domains: Vec<Value> = self
            .domains
            .iter()
            .enumerate()
            .map(|(place, name)| {
                json!({"name": name, "isDefault": place == 0, "isInitial": false, "type": "Managed",
                       "capabilities": "Email, OfficeCommunicationsOnline"})
            })
            .collect();
        json!({"id": self.id, "displayName": self.display_name, "verifiedDomains": domains,
               "tenantType": "AAD", "countryLetterCode": "US"})
    }
}

/// Sets properties; null clears.
pub(crate) fn merge(properties: &mut Map<String, Value>, changes: Map<String, Value>) {
    for (name, value) in changes {
        if value.is_null() {
            properties.remove(&name);
        } else {
            properties.insert(name, value);
        }
    }
}

/// A text property.
pub(crate) fn text<'a>(properties: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    properties.get(name).and_then(Value::as_str)
}

/// The ids of the products a user has.
pub(crate) fn assigned_skus(properties: &Map<String, Value>) -> Vec<String> {
    let licences = properties.get("assignedLicenses").and_then(Value::as_array);
    let ids = licences.into_iter().flatten().filter_map(|licence| licence["skuId"].as_str());
    ids.map(str::to_owned).collect()
}

/// An instant as Graph writes it: seconds, with `Z`.
pub(crate) fn graph_time(now: Timestamp) -> String {
    let text = now.to_string();
    format!("{}Z", text.split(['.', 'Z']).next().unwrap_or_default())
}
