//! The request log: what was asked and what came of it, without tokens, secrets or bodies.

use std::collections::VecDeque;

use bifrost_core::Timestamp;
use serde::Serialize;

use super::call::Provider;

/// One request, as the simulators remember it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Counts from 1 in the order of arrival.
    pub number: u64,
    /// When it arrived, by the simulators' clock.
    pub at: Timestamp,
    /// Who was asked.
    pub provider: Provider,
    /// The method.
    pub method: String,
    /// The path after the provider's base address.
    pub path: String,
    /// The query as sent; always empty for token endpoints.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The customer: short name of the Entra tenant, or of the HaloPSA instance. `None` when nobody could tell.
    pub tenant: Option<String>,
    /// The status of the answer; `None` when the caller got none.
    pub status: Option<u16>,
    /// Resource units charged by Graph.
    pub units: Option<u32>,
    /// The scripted fault that took part, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'static str>,
    /// True for a member of a `$batch`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub batched: bool,
}

/// The last requests, and how many there were in all.
#[derive(Debug, Default)]
pub(super) struct RequestLog {
    records: VecDeque<RequestRecord>,
    total: u64,
    /// How many were answered with 429.
    throttled: u64,
}

impl RequestLog {
    /// How many records are kept.
    const CAPACITY: usize = 10_000;

    pub(super) fn push(&mut self, mut record: RequestRecord) {
        self.total += 1;
        record.number = self.total;
        self.throttled += u64::from(record.status == Some(429));
        if self.records.len() >= Self::CAPACITY {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn throttled(&self) -> u64 {
        self.throttled
    }

    pub(super) fn records(&self) -> impl Iterator<Item = &RequestRecord> {
        self.records.iter()
    }
}
