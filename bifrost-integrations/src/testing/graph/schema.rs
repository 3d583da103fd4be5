//! The properties of users and groups: which exist, which are shown unasked, which may be written.
//!
//! From <https://learn.microsoft.com/graph/api/resources/user> and
//! <https://learn.microsoft.com/graph/api/resources/group>.

use serde_json::{Map, Value};

use super::error::GraphError;

/// One kind of directory object.
#[derive(Debug)]
pub(crate) struct Schema {
    /// As in `#microsoft.graph.user`.
    pub(crate) odata_type: &'static str,
    /// As in `$metadata#users`.
    pub(crate) set: &'static str,
    /// Shown when there is no `$select`.
    defaults: &'static [&'static str],
    /// All others.
    others: &'static [&'static str],
    /// Not to be written.
    read_only: &'static [&'static str],
    /// Collections, empty rather than null when unset.
    collections: &'static [&'static str],
}

/// Users.
pub(crate) static USER: Schema = Schema {
    odata_type: "#microsoft.graph.user",
    set: "users",
    defaults: &[
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ],
    others: &[
        "accountEnabled",
        "ageGroup",
        "assignedLicenses",
        "assignedPlans",
        "city",
        "companyName",
        "consentProvidedForMinor",
        "country",
        "createdDateTime",
        "creationType",
        "deletedDateTime",
        "department",
        "employeeHireDate",
        "employeeId",
        "employeeLeaveDateTime",
        "employeeOrgData",
        "employeeType",
        "externalUserState",
        "faxNumber",
        "identities",
        "imAddresses",
        "isResourceAccount",
        "lastPasswordChangeDateTime",
        "legalAgeGroupClassification",
        "licenseAssignmentStates",
        "mailNickname",
        "onPremisesExtensionAttributes",
        "onPremisesImmutableId",
        "onPremisesSyncEnabled",
        "otherMails",
        "passwordPolicies",
        "passwordProfile",
        "postalCode",
        "preferredDataLocation",
        "provisionedPlans",
        "proxyAddresses",
        "securityIdentifier",
        "showInAddressList",
        "signInActivity",
        "signInSessionsValidFromDateTime",
        "state",
        "streetAddress",
        "usageLocation",
        "userType",
    ],
    read_only: &[
        "assignedLicenses",
        "assignedPlans",
        "createdDateTime",
        "creationType",
        "deletedDateTime",
        "id",
        "lastPasswordChangeDateTime",
        "licenseAssignmentStates",
        "onPremisesSyncEnabled",
        "provisionedPlans",
        "proxyAddresses",
        "securityIdentifier",
        "signInActivity",
        "signInSessionsValidFromDateTime",
    ],
    collections: &[
        "assignedLicenses",
        "assignedPlans",
        "businessPhones",
        "identities",
        "imAddresses",
        "licenseAssignmentStates",
        "otherMails",
        "provisionedPlans",
        "proxyAddresses",
    ],
};

/// Groups.
pub(crate) static GROUP: Schema = Schema {
    odata_type: "#microsoft.graph.group",
    set: "groups",
    defaults: &[
        "classification",
        "createdDateTime",
        "deletedDateTime",
        "description",
        "displayName",
        "expirationDateTime",
        "groupTypes",
        "id",
        "isAssignableToRole",
        "mail",
        "mailEnabled",
        "mailNickname",
        "membershipRule",
        "membershipRuleProcessingState",
        "onPremisesSyncEnabled",
        "preferredDataLocation",
        "preferredLanguage",
        "proxyAddresses",
        "renewedDateTime",
        "resourceBehaviorOptions",
        "resourceProvisioningOptions",
        "securityEnabled",
        "securityIdentifier",
        "theme",
        "uniqueName",
        "visibility",
    ],
    others: &["assignedLabels", "assignedLicenses", "hasMembersWithLicenseErrors", "isArchived"],
    read_only: &[
        "createdDateTime",
        "deletedDateTime",
        "expirationDateTime",
        "id",
        "mail",
        "onPremisesSyncEnabled",
        "proxyAddresses",
        "renewedDateTime",
        "securityIdentifier",
    ],
    collections: &[
        "assignedLabels",
        "assignedLicenses",
        "groupTypes",
        "proxyAddresses",
        "resourceBehaviorOptions",
        "resourceProvisioningOptions",
    ],
};

impl Schema {
    /// The name as the documentation writes it, or `None` when there is no such property.
    pub(crate) fn canonical<'a>(&self, name: &'a str) -> Option<&'a str>
    where
        'static: 'a,
    {
        let mut known = self.defaults.iter().chain(self.others);
        let found = known.find(|known| known.eq_ignore_ascii_case(name)).copied();
        // Directory extensions and open types.
        found.or_else(|| name.starts_with("extension_").then_some(name))
    }

    /// What an answer shows of an object.
    pub(crate) fn project(&self, object: &Map<String, Value>, select: Option<&[String]>) -> Map<String, Value> {
        let value = |name: &str| {
            let unset = if self.collections.contains(&name) { Value::Array(Vec::new()) } else { Value::Null };
            object.get(name).cloned().unwrap_or(unset)
        };
        match select {
            Some(names) => names.iter().map(|name| (name.clone(), value(name))).collect(),
            None => self.defaults.iter().map(|name| ((*name).to_owned(), value(name))).collect(),
        }
    }

    /// Takes the written properties out of a request body.
    pub(crate) fn writable(&self, body: Value) -> Result<Map<String, Value>, GraphError> {
        let Value::Object(body) = body else {
            return Err(GraphError::bad("the body is not a JSON object"));
        };
        for name in body.keys().filter(|name| !name.contains('@')) {
            let known = self.canonical(name) == Some(name.as_str());
            if !known || self.read_only.contains(&name.as_str()) {
                return Err(GraphError::bad(format!("Invalid property '{name}'.")));
            }
        }
        Ok(body)
    }
}

/// A text property that must be there and not be empty.
pub(crate) fn required_text<'a>(
    body: &'a Map<String, Value>,
    name: &str,
    resource: &str,
) -> Result<&'a str, GraphError> {
    match body.get(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(text),
        None | Some(Value::Null | Value::String(_)) => Err(missing(name, resource)),
        Some(_) => Err(GraphError::bad(format!("Property '{name}' must be a text."))),
    }
}

/// A boolean property that must be there.
pub(crate) fn required_bool(body: &Map<String, Value>, name: &str, resource: &str) -> Result<bool, GraphError> {
    match body.get(name) {
        Some(Value::Bool(value)) => Ok(*value),
        None | Some(Value::Null) => Err(missing(name, resource)),
        Some(_) => Err(GraphError::bad(format!("Property '{name}' must be true or false."))),
    }
}

fn missing(name: &str, resource: &str) -> GraphError {
    GraphError::bad(format!("A value is required for property '{name}' of resource '{resource}'."))
}
