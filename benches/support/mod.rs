//! What the benches share.

#![allow(dead_code, reason = "each bench uses a part of it")]

pub(crate) mod answering;
pub(crate) mod bare_log;
pub(crate) mod customers;
pub(crate) mod percentiles;
pub(crate) mod stage;
