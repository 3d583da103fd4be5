//! Licences. Calls: <https://learn.microsoft.com/graph/api/user-assignlicense>,
//! <https://learn.microsoft.com/graph/api/subscribedsku-list>.

use bifrost_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Graph;
use super::model::{Change, SubscribedSku, User};

/// The code of the refusal when no licence of a SKU is left.
pub const NO_LICENSE_LEFT: &str = "no_license_left";

/// Calls about licences.
#[derive(Debug, Clone)]
pub struct Licenses {
    graph: Graph,
}

#[derive(Deserialize)]
struct Skus {
    value: Vec<SubscribedSku>,
}

impl Licenses {
    pub(super) fn new(graph: Graph) -> Self {
        Self { graph }
    }

    /// What the tenant has bought, with free licences in [`SubscribedSku::free`].
    ///
    /// # Errors
    /// `PermissionDenied`.
    pub async fn subscribed_skus(&self) -> Result<Vec<SubscribedSku>> {
        let skus: Skus = self.graph.json(requests::subscribed_skus()?).await?;
        Ok(skus.value)
    }

    /// The SKU of this name, such as `SPE_E3`; case does not matter.
    ///
    /// # Errors
    /// `NotFound` naming the SKUs the tenant has.
    pub async fn require_sku(&self, part_number: &str) -> Result<SubscribedSku> {
        let skus = self.subscribed_skus().await?;
        let names: Vec<String> = skus.iter().map(|sku| sku.sku_part_number.clone()).collect();
        let found = skus.into_iter().find(|sku| sku.sku_part_number.eq_ignore_ascii_case(part_number));
        found.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "find licence", "the tenant has no SKU of this name")
                .with("name", part_number)
                .next_action(format!("buy it, or choose one of: {}", names.join(", ")))
        })
    }

    /// Assigns a licence directly; a second time changes nothing. The user needs a usage location first. Graph
    /// answers the user with its default properties, which may leave the licences out.
    ///
    /// # Errors
    /// `Rejected` with the code [`NO_LICENSE_LEFT`] when none is free.
    pub async fn assign(&self, user: &str, license: &LicenseAssignment) -> Result<User> {
        let request = requests::change(user, std::slice::from_ref(license), &[])?;
        match self.graph.json(request).await {
            Err(error) if error.kind() == ErrorKind::Rejected => Err(self.explain(error, license.sku_id).await),
            other => other,
        }
    }

    /// Assigns a licence of the SKU of this name.
    ///
    /// # Errors
    /// As [`Licenses::require_sku`] and [`Licenses::assign`].
    pub async fn assign_by_name(&self, user: &str, part_number: &str) -> Result<User> {
        let sku = self.require_sku(part_number).await?;
        self.assign(user, &LicenseAssignment::new(sku.sku_id)).await
    }

    /// Takes a directly assigned licence away.
    ///
    /// # Errors
    /// `Rejected` when the licence comes through a group: leave the group then.
    pub async fn remove(&self, user: &str, sku: Uuid) -> Result<Change> {
        match self.graph.connection.send(requests::change(user, &[], &[sku])?).await {
            Ok(_) => Ok(Change::Made),
            // Refused too when there is nothing to take away, as after an answer that was lost: the user tells.
            Err(error) if error.kind() == ErrorKind::Rejected => {
                let still = self.graph.users().get(user).await?.has_license(sku);
                if still { Err(error) } else { Ok(Change::AlreadyDone) }
            }
            Err(error) => Err(error),
        }
    }

    /// Graph refuses with a general code and a text that may change: whether licences ran out, the counts tell.
    async fn explain(&self, refusal: Error, sku: Uuid) -> Error {
        let Ok(skus) = self.subscribed_skus().await else {
            return refusal;
        };
        match skus.iter().find(|known| known.sku_id == sku) {
            Some(known) if known.free() == 0 => none_left(known, refusal),
            Some(_) => refusal,
            None => refusal.next_action(format!("buy the SKU {sku}, or choose one the tenant has")),
        }
    }
}

fn none_left(sku: &SubscribedSku, refusal: Error) -> Error {
    let name = &sku.sku_part_number;
    let request_id = refusal.context("request_id").map(str::to_owned);
    let error = Error::new(ErrorKind::Rejected, "assign licence", "no licence of this SKU is left")
        .with("code", NO_LICENSE_LEFT)
        .with("name", name)
        .with("limit", sku.prepaid_units.enabled + sku.prepaid_units.warning)
        .with("used", sku.consumed_units)
        .next_action(format!("buy or free a licence of SKU {name}"))
        .source(refusal);
    match request_id {
        Some(id) => error.with("request_id", id),
        None => error,
    }
}

/// A licence to assign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LicenseAssignment {
    sku_id: Uuid,
    disabled_plans: Vec<Uuid>,
}

impl LicenseAssignment {
    /// A licence of this SKU with all its service plans.
    pub fn new(sku_id: Uuid) -> Self {
        Self { sku_id, disabled_plans: Vec::new() }
    }

    /// Without these service plans.
    #[must_use]
    pub fn without_plans(mut self, plans: impl IntoIterator<Item = Uuid>) -> Self {
        self.disabled_plans.extend(plans);
        self
    }
}

/// The calls about licences as requests, built without I/O.
pub mod requests {
    use bifrost_core::integration::{Outbound, Safety};
    use http::Method;
    use serde_json::json;
    use uuid::Uuid;

    use super::super::{read, write};
    use super::{LicenseAssignment, Result};
    use crate::call::{Query, segment};

    /// `GET /subscribedSkus`; it has no pages.
    ///
    /// # Errors
    /// None in practice.
    pub fn subscribed_skus() -> Result<Outbound> {
        const SKUS: &str = "/subscribedSkus";
        read(SKUS, SKUS, &Query::new())
    }

    /// `POST /users/{id}/assignLicense`: both arrays are always there. It describes a state, so doing it twice is
    /// doing it once.
    ///
    /// # Errors
    /// `InvalidInput` for an empty id.
    pub fn change(user: &str, add: &[LicenseAssignment], remove: &[Uuid]) -> Result<Outbound> {
        let path = format!("/users/{}/assignLicense", segment("user id", user)?);
        let body = json!({ "addLicenses": add, "removeLicenses": remove });
        write(Method::POST, &path, "/users/{user-id}/assignLicense", Some(&body), Safety::Idempotent)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::graph::PROVIDER;
    use crate::graph::error::GraphClassifier;
    use crate::scripted::{Scripted, reply};
    use serde_json::{Value, json};

    fn skus(consumed: i64) -> Value {
        let sku = Uuid::from_u128(7);
        let units = json!({"enabled": 5, "warning": 0, "suspended": 0, "lockedOut": 0});
        json!({"value": [
            {"skuId": sku, "skuPartNumber": "SPE_E3", "consumedUnits": consumed, "prepaidUnits": units},
        ]})
    }

    async fn assign(consumed: i64) -> Error {
        let body =
            json!({"error": {"code": "Request_BadRequest", "message": "no", "innerError": {"request-id": "r1"}}});
        let script = vec![reply(200, &skus(1)), reply(400, &body), reply(200, &skus(consumed))];
        let (_, connection) = Scripted::connect(PROVIDER, Arc::new(GraphClassifier), script);
        let licenses = Graph::new(connection).unwrap().licenses();
        licenses.assign_by_name("1", "spe_e3").await.unwrap_err()
    }

    #[tokio::test]
    async fn a_shortage_is_told_from_other_refusals_by_the_counts() {
        let shortage = assign(5).await;
        assert_eq!((shortage.kind(), shortage.context("code")), (ErrorKind::Rejected, Some(NO_LICENSE_LEFT)));
        assert_eq!(shortage.suggested_action(), Some("buy or free a licence of SKU SPE_E3"));
        assert_eq!(shortage.context("request_id"), Some("r1"));
        let other = assign(4).await;
        assert_eq!((other.kind(), other.context("code")), (ErrorKind::Rejected, Some("Request_BadRequest")));
    }

    #[tokio::test]
    async fn an_unknown_sku_names_the_known_ones() {
        let (_, connection) = Scripted::connect(PROVIDER, Arc::new(GraphClassifier), vec![reply(200, &skus(0))]);
        let error = Graph::new(connection).unwrap().licenses().require_sku("E5").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.suggested_action().unwrap().contains("SPE_E3"));
    }

    #[test]
    fn both_arrays_are_always_sent() {
        let sku = Uuid::from_u128(7);
        let body = |add: &[LicenseAssignment], remove: &[Uuid]| -> Value {
            serde_json::from_slice(requests::change("1", add, remove).unwrap().request.body()).unwrap()
        };
        assert_eq!(
            body(&[LicenseAssignment::new(sku)], &[]),
            json!({"addLicenses": [{"skuId": sku, "disabledPlans": []}], "removeLicenses": []})
        );
        assert_eq!(body(&[], &[sku]), json!({"addLicenses": [], "removeLicenses": [sku]}));
    }
}
