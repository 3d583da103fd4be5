//! What a process says before it is killed: one line each, and each after the hub has acknowledged it.

use std::sync::Arc;

use bifrost::ExecutionId;
use bifrost::connection::Cause;
use serde::{Deserialize, Serialize};

use super::work::{Order, Outcome};

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "said", rename_all = "snake_case")]
pub(crate) enum Said {
    /// The hub is open, after so many milliseconds.
    Open { millis: u64 },
    /// This is about to be asked for: it may be there or not.
    Trying { tenant: String, order: Order },
    /// It was accepted as this execution.
    Accepted { tenant: String, order: Order, id: ExecutionId },
    /// A step or effect ended, with this value.
    Step { tenant: String, id: ExecutionId, name: String, value: u64 },
    /// An execution ended well, with this output.
    Finished { tenant: String, id: ExecutionId, output: Outcome },
    /// A setting is about to become this.
    Setting { tenant: String, setting: Setting, version: u64 },
    /// A setting is this.
    Set { tenant: String, setting: Setting, version: u64 },
    /// What a setting was when the hub was opened.
    Found { tenant: String, setting: Setting, version: u64 },
    /// The connection shows this token.
    Token { grant: Grant, generation: u64 },
    /// The connection needs a person.
    Lost { grant: Grant, cause: Option<Cause>, advised: bool },
    /// Something went wrong that should not.
    Wrong { what: String },
}

/// What is set over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Setting {
    Config,
    Secret,
}

/// One sign-in of a connection, counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) tenant: String,
    pub(crate) connection: String,
    pub(crate) number: usize,
}

/// Where it is said.
pub(crate) type Mouth = Arc<dyn Fn(Said) + Send + Sync>;
