//! Writes to the outside, as typed closures; see [`Context::effect`].

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::closures;
use super::context::Context;
use super::drive::{Doubt, Probe};
use crate::error::Result;

/// A write to the outside, being prepared; see [`Context::effect`].
///
/// Its ledger goes `Intended → Confirmed | Unknown`. After a crash, or an answer that never came, the probe is asked;
/// without one, or if it cannot tell, the execution becomes `NeedsAttention`.
#[must_use]
pub struct Effect<'a> {
    ctx: &'a Context,
    name: &'a str,
    doubt: Doubt,
}

impl<'a> Effect<'a> {
    pub(super) fn new(ctx: &'a Context, name: &'a str) -> Self {
        Self { ctx, name, doubt: Doubt::Person }
    }

    /// Declares how to find out whether the write was applied. The probe is given the same idempotency key as the
    /// write, for providers that keep a reference of the caller's.
    pub fn with_probe<P>(self, probe: P) -> ProbedEffect<'a, P> {
        ProbedEffect { ctx: self.ctx, name: self.name, probe }
    }

    /// Says that the provider honours the idempotency key that `run` is given: an unknown outcome is sent again.
    pub fn keyed(mut self) -> Self {
        self.doubt = Doubt::Resend;
        self
    }

    /// Does it; `f` is given the idempotency key of this effect.
    ///
    /// # Errors
    /// What `f` returns; `NeedsAttention` when the outcome is unknown.
    pub async fn run<T, F, Fut>(self, f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(String) -> Fut,
        Fut: Future<Output = Result<T>>,
    {
        let never_asked = |_key| std::future::ready(Ok(Probe::Unknown));
        closures::effect(self.ctx, self.name, self.doubt, f, never_asked).await
    }
}

/// An effect that can tell whether it was applied; see [`Effect::with_probe`].
#[must_use]
pub struct ProbedEffect<'a, P> {
    ctx: &'a Context,
    name: &'a str,
    probe: P,
}

impl<P> ProbedEffect<'_, P> {
    /// Does it, asking the probe where the outcome is unknown; `f` is given the idempotency key of this effect.
    ///
    /// # Errors
    /// What `f` returns; `NeedsAttention` when the probe cannot tell.
    pub async fn run<T, F, Fut, PFut>(self, f: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(String) -> Fut,
        Fut: Future<Output = Result<T>>,
        P: Fn(String) -> PFut,
        PFut: Future<Output = Result<Probe<T>>>,
    {
        closures::effect(self.ctx, self.name, Doubt::Probe, f, self.probe).await
    }
}
