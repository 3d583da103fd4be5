//! A simulated MSP in the box: the Microsoft identity platform, Microsoft Graph and HaloPSA, without an account and
//! without a network.
//!
//! The fakes are stateful (a user that was created is there, a licence that was assigned is gone), seeded (the same
//! seed and the same requests give the same answers) and follow the clock they are given, so a month of token expiry
//! and throttling passes in a moment. They refuse what the real services refuse, in the same shapes, and they fail on
//! command: see [`FaultRule`].
//!
//! ```
//! use std::sync::Arc;
//! use bifrost_core::testing::ManualClock;
//! use bifrost_integrations::testing::{Rate, Simulators};
//!
//! let clock = ManualClock::starting_at("2026-01-01T00:00:00Z".parse()?);
//! let sims = Simulators::builder()
//!     .with_seed(42)
//!     .with_clock(Arc::new(clock))
//!     .with_halopsa_limit(Rate::per_seconds(5, 300))
//!     .build();
//! assert_eq!(sims.graph().users("contoso").len(), 1);
//! assert!(sims.halopsa().client("Contoso").is_some());
//! # Ok::<(), bifrost_core::Error>(())
//! ```
//!
//! Two ways in, one behaviour: [`Simulators::handle`] answers in this process, [`Simulators::serve`] over a loopback
//! socket. What the simulators know, and what can be changed in them, is reached through [`Simulators::identity`],
//! [`Simulators::graph`] and [`Simulators::halopsa`].

mod call;
#[cfg(test)]
mod client;
mod control;
mod direct;
mod faults;
#[doc(hidden)]
pub mod fuzz;
mod graph;
mod halopsa;
mod identity;
pub mod integration_suite;
mod limits;
mod log;
mod outcome;
mod random;
mod script;
mod seed;
mod server;
mod simulators;
#[cfg(test)]
mod tests;
mod transport;
mod world;

pub use call::Provider;
pub use direct::DirectTokens;
pub use faults::{Fault, RetryAfter};
pub use graph::{GraphGroup, GraphLicense, GraphLimits, GraphSettings, GraphSimulator, GraphUser};
pub use halopsa::{HALOPSA_INSTANCE, HaloAction, HaloRecord, HaloTicket, HalopsaSettings, HalopsaSimulator};
pub use identity::{AadError, IdentitySettings, IdentitySimulator, TokenExchange};
pub use limits::Rate;
pub use log::RequestRecord;
pub use outcome::{SimBody, SimChunk, SimOutcome, SimResponse};
pub use script::FaultRule;
pub use seed::{
    Customer, DEMO_CLIENT_ID, DEMO_CLIENT_SECRET, DEMO_HALOPSA_CLIENT_ID, DEMO_HALOPSA_CLIENT_SECRET, PROVIDER_TENANT,
    demo_customers,
};
pub use server::{SimulatorAddresses, SimulatorServer};
pub use simulators::{Simulators, SimulatorsBuilder};
pub use transport::SimulatorTransport;
