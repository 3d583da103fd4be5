//! What Python says of a simulated world. Limits are pairs of an amount and seconds, times are seconds.

use std::time::Duration;

use bifrost::testing::{Customer, GraphSettings, HalopsaSettings, IdentitySettings, Rate, SimulatorsBuilder};
use bifrost::{Error, Result};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    customers: Option<Vec<CustomerOptions>>,
    graph_units: Option<(u32, f64)>,
    graph_writes: Option<(u32, f64)>,
    replication_delay: Option<f64>,
    halopsa_requests: Option<(u32, f64)>,
    token_lifetime: Option<f64>,
    refresh_lifetime: Option<f64>,
    reuse_detection: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CustomerOptions {
    name: String,
    display_name: String,
    domain: String,
    /// Products and seats.
    #[serde(default)]
    licenses: Vec<(String, u32)>,
    groups: Option<Vec<String>>,
    /// Names to show and mail aliases.
    #[serde(default)]
    users: Vec<(String, String)>,
    /// How many more users, without names of their own.
    #[serde(default)]
    more_users: usize,
}

impl Options {
    /// # Errors
    /// `InvalidInput` for a time that is none.
    pub(super) fn apply(self, mut builder: SimulatorsBuilder) -> Result<SimulatorsBuilder> {
        if let Some(customers) = self.customers {
            builder = builder.with_customers(customers.into_iter().map(CustomerOptions::customer));
        }
        let mut graph = GraphSettings::default();
        if let Some(limit) = self.graph_units {
            graph.limits = graph.limits.with_tenant_units(rate(limit)?);
        }
        if let Some(limit) = self.graph_writes {
            graph.limits = graph.limits.with_tenant_writes(rate(limit)?);
        }
        if let Some(delay) = self.replication_delay {
            graph.replication_delay = seconds(delay)?;
        }
        let mut halopsa = HalopsaSettings::default();
        if let Some(limit) = self.halopsa_requests {
            halopsa.limit = rate(limit)?;
        }
        let mut identity = IdentitySettings { reuse_detection: self.reuse_detection, ..IdentitySettings::default() };
        if let Some(lifetime) = self.token_lifetime {
            identity.access_lifetime = seconds(lifetime)?;
            halopsa.access_lifetime = identity.access_lifetime;
        }
        if let Some(lifetime) = self.refresh_lifetime {
            identity.refresh_lifetime = seconds(lifetime)?;
        }
        Ok(builder.with_graph_settings(graph).with_halopsa_settings(halopsa).with_identity_settings(identity))
    }
}

impl CustomerOptions {
    pub(super) fn customer(self) -> Customer {
        let mut customer = Customer::new(self.name, self.display_name, self.domain);
        for (product, seats) in self.licenses {
            customer = customer.with_license(product, seats);
        }
        if let Some(groups) = self.groups {
            customer = customer.with_groups(groups);
        }
        for (display_name, alias) in self.users {
            customer = customer.with_user(display_name, alias);
        }
        customer.with_many_users(self.more_users)
    }
}

fn rate((amount, per): (u32, f64)) -> Result<Rate> {
    Ok(Rate { amount, per: seconds(per)? })
}

fn seconds(count: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(count).map_err(|_| Error::invalid("start simulators", "a time is no time in seconds"))
}
