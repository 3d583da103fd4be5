//! The simulated providers.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::clock::Clock;

/// A simulated identity platform, Graph and HaloPSA with the demo customers.
#[pyclass(frozen, module = "bifrost._native")]
pub(crate) struct Simulators(bifrost::testing::Simulators);

impl Simulators {
    /// The simulators themselves.
    pub(crate) fn inner(&self) -> bifrost::testing::Simulators {
        self.0.clone()
    }
}

#[pymethods]
impl Simulators {
    /// A world made of `seed`.
    #[new]
    #[pyo3(signature = (seed=7, clock=None))]
    fn new(seed: u64, clock: Option<PyRef<'_, Clock>>) -> Self {
        let mut builder = bifrost::testing::Simulators::builder().with_seed(seed);
        if let Some(clock) = clock {
            builder = builder.with_clock(Arc::new(clock.inner()));
        }
        Self(builder.build())
    }

    /// Requests that were answered so far.
    fn request_count(&self) -> u64 {
        self.0.request_count()
    }

    /// Requests that were answered 429 so far.
    fn throttled_count(&self) -> u64 {
        self.0.throttled_count()
    }
}
