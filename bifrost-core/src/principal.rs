//! Who acts.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ExecutionId;

/// Who asked for something; written into every execution and audit record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", content = "id", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Principal {
    /// The hub itself: recovery, clean-up, shutdown.
    System,
    /// A person, by the name the host knows them under.
    User(String),
    /// An API key, by its identifier (never the key).
    ApiKey(String),
    /// A schedule.
    Schedule(String),
    /// A webhook.
    Webhook(String),
    /// A running workflow.
    Execution(ExecutionId),
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("system"),
            Self::User(name) => write!(f, "user:{name}"),
            Self::ApiKey(id) => write!(f, "api_key:{id}"),
            Self::Schedule(id) => write!(f, "schedule:{id}"),
            Self::Webhook(id) => write!(f, "webhook:{id}"),
            Self::Execution(id) => write!(f, "execution:{id}"),
        }
    }
}
