//! What a stack has sent, counted and told: numbers for the snapshot, a record for the observer, an event for logs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bifrost_core::integration::{CallObserver, CallRecord, IntegrationSnapshot};
use http::StatusCode;

/// Counts and tells of every attempt.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    throttled: AtomicU64,
    retries: AtomicU64,
    units: AtomicU64,
    budget_wait_micros: AtomicU64,
    shared: AtomicU64,
    observer: Option<Arc<dyn CallObserver>>,
}

impl Counters {
    pub(super) fn new(observer: Option<Arc<dyn CallObserver>>) -> Self {
        Self { observer, ..Self::default() }
    }

    /// An attempt has ended. Neither headers, body nor query are in what is told.
    pub(crate) fn record(&self, call: &CallRecord, budget_wait: Duration) {
        let micros = u64::try_from(budget_wait.as_micros()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.units.fetch_add(u64::from(call.units), Ordering::Relaxed);
        self.budget_wait_micros.fetch_add(micros, Ordering::Relaxed);
        self.retries.fetch_add(u64::from(call.attempt > 1), Ordering::Relaxed);
        if call.status == Some(StatusCode::TOO_MANY_REQUESTS.as_u16()) {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        trace(call);
        if let Some(observer) = &self.observer {
            observer.observe(call);
        }
    }

    /// A call joined an identical one and sent nothing.
    pub(super) fn shared(&self) {
        self.shared.fetch_add(1, Ordering::Relaxed);
        tracing::trace!("joined an identical call under way");
    }

    pub(super) fn shared_so_far(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// The numbers; what the budget says is for the caller to add.
    pub(super) fn snapshot(&self) -> IntegrationSnapshot {
        IntegrationSnapshot {
            calls: self.calls.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            units: self.units.load(Ordering::Relaxed),
            budget_wait: Duration::from_micros(self.budget_wait_micros.load(Ordering::Relaxed)),
            ..IntegrationSnapshot::default()
        }
    }
}

fn trace(call: &CallRecord) {
    match call.failure {
        None => tracing::debug!(
            tenant = %call.tenant,
            connection = %call.connection,
            provider = %call.provider,
            method = call.method,
            endpoint = call.endpoint,
            status = call.status,
            attempt = call.attempt,
            budget_wait_ms = call.budget_wait_ms,
            latency_ms = call.latency_ms,
            "called provider"
        ),
        Some(failure) => tracing::warn!(
            tenant = %call.tenant,
            connection = %call.connection,
            provider = %call.provider,
            method = call.method,
            endpoint = call.endpoint,
            status = call.status,
            failure = failure.code(),
            attempt = call.attempt,
            budget_wait_ms = call.budget_wait_ms,
            latency_ms = call.latency_ms,
            "call to provider failed"
        ),
    }
}
