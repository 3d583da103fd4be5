//! Directory objects as Graph writes them. What is not modelled is kept in `extra`.
//!
//! Types: <https://learn.microsoft.com/graph/api/resources/user>, `…/group`, `…/directoryobject`.

use std::sync::LazyLock;

use bifrost_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::call::or_default;

/// A user. Every property but `id` may be missing: a call that selects others gets only those.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// The object id.
    pub id: String,
    /// The name people see.
    pub display_name: Option<String>,
    /// The first name.
    pub given_name: Option<String>,
    /// The last name.
    pub surname: Option<String>,
    /// The sign-in name.
    pub user_principal_name: Option<String>,
    /// The primary mail address.
    pub mail: Option<String>,
    /// The mail alias.
    pub mail_nickname: Option<String>,
    /// Whether the user may sign in.
    pub account_enabled: Option<bool>,
    /// The country licences are used in, ISO 3166 alpha-2.
    pub usage_location: Option<String>,
    /// The job title.
    pub job_title: Option<String>,
    /// The department.
    pub department: Option<String>,
    /// The company.
    pub company_name: Option<String>,
    /// The employee number.
    pub employee_id: Option<String>,
    /// The office.
    pub office_location: Option<String>,
    /// The mobile phone.
    pub mobile_phone: Option<String>,
    /// At most one number.
    #[serde(deserialize_with = "or_default")]
    pub business_phones: Vec<String>,
    /// Such as `de-CH`.
    pub preferred_language: Option<String>,
    /// `Member` or `Guest`.
    pub user_type: Option<String>,
    /// When it was created.
    pub created_date_time: Option<Timestamp>,
    /// True when it is mastered on premises: most properties are then read-only here.
    pub on_premises_sync_enabled: Option<bool>,
    /// Licences, direct and through groups.
    #[serde(deserialize_with = "or_default")]
    pub assigned_licenses: Vec<AssignedLicense>,
    /// What is not modelled.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl User {
    /// What is asked for unless a call selects otherwise: what this type models.
    pub const SELECT: &'static [&'static str] = &[
        "id",
        "displayName",
        "givenName",
        "surname",
        "userPrincipalName",
        "mail",
        "mailNickname",
        "accountEnabled",
        "usageLocation",
        "jobTitle",
        "department",
        "companyName",
        "employeeId",
        "officeLocation",
        "mobilePhone",
        "businessPhones",
        "preferredLanguage",
        "userType",
        "createdDateTime",
        "onPremisesSyncEnabled",
        "assignedLicenses",
    ];

    /// The same as one text.
    pub(crate) fn select() -> &'static str {
        static TEXT: LazyLock<String> = LazyLock::new(|| User::SELECT.join(","));
        &TEXT
    }

    /// Whether a licence of this SKU is assigned, directly or through a group.
    pub fn has_license(&self, sku: Uuid) -> bool {
        self.assigned_licenses.iter().any(|license| license.sku_id == sku)
    }
}

/// A licence on a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignedLicense {
    /// The SKU.
    pub sku_id: Uuid,
    /// Service plans switched off.
    #[serde(deserialize_with = "or_default")]
    pub disabled_plans: Vec<Uuid>,
}

/// A group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Group {
    /// The object id.
    pub id: String,
    /// The name people see; not unique.
    pub display_name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// The mail address.
    pub mail: Option<String>,
    /// Whether it receives mail.
    pub mail_enabled: Option<bool>,
    /// The mail alias.
    pub mail_nickname: Option<String>,
    /// Whether it can be given rights.
    pub security_enabled: Option<bool>,
    /// `Unified`, `DynamicMembership`, both or neither.
    #[serde(deserialize_with = "or_default")]
    pub group_types: Vec<String>,
    /// The rule of a dynamic group.
    pub membership_rule: Option<String>,
    /// When it was created.
    pub created_date_time: Option<Timestamp>,
    /// True when it is mastered on premises: members are then read-only here.
    pub on_premises_sync_enabled: Option<bool>,
    /// What is not modelled.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Group {
    /// What is asked for unless a call selects otherwise: what this type models.
    pub const SELECT: &'static [&'static str] = &[
        "id",
        "displayName",
        "description",
        "mail",
        "mailEnabled",
        "mailNickname",
        "securityEnabled",
        "groupTypes",
        "membershipRule",
        "createdDateTime",
        "onPremisesSyncEnabled",
    ];

    /// The same as one text.
    pub(crate) fn select() -> &'static str {
        static TEXT: LazyLock<String> = LazyLock::new(|| Group::SELECT.join(","));
        &TEXT
    }

    /// Why members cannot be changed through Graph, if they cannot
    /// (<https://learn.microsoft.com/graph/api/resources/groups-overview>).
    pub fn members_read_only(&self) -> Option<&'static str> {
        let is = |kind: &str| self.group_types.iter().any(|name| name.eq_ignore_ascii_case(kind));
        if is("DynamicMembership") {
            return Some("a rule decides who belongs to it");
        }
        if self.on_premises_sync_enabled == Some(true) {
            return Some("it is mastered on premises");
        }
        if self.mail_enabled == Some(true) && !is("Unified") {
            return Some("distribution and mail-enabled security groups are managed in Exchange");
        }
        None
    }
}

/// Any directory object, such as a member of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DirectoryObject {
    /// The object id.
    pub id: String,
    /// Its type, such as `#microsoft.graph.user`.
    #[serde(rename = "@odata.type")]
    pub kind: Option<String>,
    /// The name people see.
    pub display_name: Option<String>,
    /// The sign-in name of a user.
    pub user_principal_name: Option<String>,
    /// What is not modelled.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A SKU the tenant has bought, and how many licences of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubscribedSku {
    /// The SKU.
    pub sku_id: Uuid,
    /// Its name, such as `SPE_E3`.
    #[serde(deserialize_with = "or_default")]
    pub sku_part_number: String,
    /// `User` or `Company`; only the former is assigned.
    pub applies_to: Option<String>,
    /// `Enabled`, `Warning`, `Suspended`, `Deleted` or `LockedOut`.
    pub capability_status: Option<String>,
    /// Licences in use.
    #[serde(deserialize_with = "or_default")]
    pub consumed_units: i64,
    /// Licences bought.
    #[serde(deserialize_with = "or_default")]
    pub prepaid_units: PrepaidUnits,
    /// The service plans in it.
    #[serde(deserialize_with = "or_default")]
    pub service_plans: Vec<ServicePlan>,
    /// What is not modelled.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl SubscribedSku {
    /// Licences that can still be assigned: enabled and warning ones less those in use, never below zero.
    pub fn free(&self) -> u64 {
        let usable = self.prepaid_units.enabled + self.prepaid_units.warning;
        u64::try_from(usable - self.consumed_units).unwrap_or(0)
    }

    /// Whether it is assigned to users at all.
    pub fn is_for_users(&self) -> bool {
        self.applies_to.as_deref().is_none_or(|to| to.eq_ignore_ascii_case("user"))
    }
}

/// Licences bought, by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PrepaidUnits {
    /// Paid for.
    #[serde(deserialize_with = "or_default")]
    pub enabled: i64,
    /// Expired, within the grace period.
    #[serde(deserialize_with = "or_default")]
    pub warning: i64,
    /// Cancelled.
    #[serde(deserialize_with = "or_default")]
    pub suspended: i64,
    /// Locked.
    #[serde(deserialize_with = "or_default")]
    pub locked_out: i64,
}

/// A service within a SKU.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ServicePlan {
    /// Its id.
    pub service_plan_id: Uuid,
    /// Its name.
    #[serde(deserialize_with = "or_default")]
    pub service_plan_name: String,
    /// Such as `Success`.
    pub provisioning_status: Option<String>,
    /// `User` or `Company`.
    pub applies_to: Option<String>,
}

/// Whether a call that leads to a state had to change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It did.
    Made,
    /// It was so already.
    AlreadyDone,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_properties_survive() {
        let text = r#"{"id":"1","displayName":"Zoë","extension_x":{"a":1},"createdDateTime":"2026-01-02T03:04:05.1234567Z","businessPhones":null}"#;
        let user: User = serde_json::from_str(text).unwrap();
        assert_eq!(user.extra["extension_x"]["a"], 1);
        let again: User = serde_json::from_value(serde_json::to_value(&user).unwrap()).unwrap();
        assert_eq!(again, user);
    }

    #[test]
    fn free_licences_never_go_below_zero() {
        let mut sku = SubscribedSku {
            consumed_units: 7,
            prepaid_units: PrepaidUnits { enabled: 5, warning: 3, suspended: 9, ..PrepaidUnits::default() },
            ..SubscribedSku::default()
        };
        assert_eq!(sku.free(), 1);
        sku.consumed_units = 20;
        assert_eq!(sku.free(), 0);
    }

    #[test]
    fn groups_whose_members_are_fixed_say_why() {
        let of = |types: &[&str], mail: bool| Group {
            group_types: types.iter().map(|kind| (*kind).to_owned()).collect(),
            mail_enabled: Some(mail),
            ..Group::default()
        };
        assert_eq!(of(&[], false).members_read_only(), None);
        assert_eq!(of(&["Unified"], true).members_read_only(), None);
        assert!(of(&[], true).members_read_only().is_some());
        assert!(of(&["Unified", "DynamicMembership"], true).members_read_only().is_some());
    }
}
