//! Handles: what callers hold. Cheap to clone, ordinary `async fn`, a deadline on each call; actors stay inside.

pub(crate) mod builder;
pub(crate) mod connections;
pub(crate) mod execution;
pub(crate) mod hub;
pub(crate) mod settings;
pub(crate) mod snapshot;
pub(crate) mod tenant;
pub(crate) mod tenants;
