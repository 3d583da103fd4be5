//! Policies as values and pure decisions: how often to retry, how much a tenant may use, what providers allow.

pub mod quota;
pub mod rate;
pub mod retry;
